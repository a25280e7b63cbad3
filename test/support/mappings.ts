// Which ways of reading data files there are on this system: a test of all of them asks here.

/** Windows has no mapping yet; elsewhere a mapping that cannot be had is a failure. */
export const CAN_MAP = process.platform !== 'win32'

export const MAPPINGS: readonly ('mmap' | 'pread')[] = CAN_MAP ? ['mmap', 'pread'] : ['pread']
