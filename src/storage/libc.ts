// The few functions of the system's C library that readers use, called through koffi. Addresses are plain numbers,
// never views.

import { loadKoffi } from './native-modules.ts'

const PROT_READ = 1
const MAP_SHARED = 1
const MADV_RANDOM = 1
const MADV_WILLNEED = 3
const MADV_HUGEPAGE = 14
const POSIX_FADV_RANDOM = 1
const MAP_FAILED = -1

export interface Libc {
  readonly pageBytes: number
  /**
   * Maps bytes of a file for reading and advises random access; the offset must lie on a page. Returns the address, or
   * undefined where mapping fails.
   */
  map(descriptor: number, byteLength: number, offset: number): number | undefined
  unmap(address: number, byteLength: number): void
  /** Copies from an address into a view. */
  copy(target: Uint8Array, address: number): void
  /** Asks for pages of a mapping; the address must lie on a page. */
  willNeed(address: number, byteLength: number): void
  /** Asks for large pages under memory of this process that starts on a page, where the system has them. */
  largePages(memory: Uint8Array): void
  /** Turns readahead off for a descriptor, where the system knows how. */
  adviseRandom(descriptor: number): void
}

/** Binds the functions, or returns the reason why they are missing here. */
export function loadLibc(): { libc: Libc } | { reason: string } {
  if (process.platform === 'win32') return { reason: 'mapping is not supported on Windows yet' }
  const loaded = loadKoffi()
  if ('reason' in loaded) return loaded
  try {
    return { libc: bind(loaded.koffi) }
  } catch (error) {
    return { reason: `the C library cannot be bound: ${error instanceof Error ? error.message : String(error)}` }
  }
}

type Koffi = Extract<ReturnType<typeof loadKoffi>, { koffi: unknown }>['koffi']

function bind(koffi: Koffi): Libc {
  const library = koffi.load(null)
  const mmap = library.func(
    'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int descriptor, int64_t offset)'
  )
  const munmap = library.func('int munmap(uintptr_t address, size_t length)')
  const madvise = library.func('int madvise(uintptr_t address, size_t length, int advice)')
  const madviseView =
    process.platform === 'linux' ? library.func('int madvise(void *address, size_t length, int advice)') : undefined
  const memcpy = library.func('uintptr_t memcpy(void *target, uintptr_t source, size_t length)')
  const getpagesize = library.func('int getpagesize()')
  const fadvise =
    process.platform === 'linux'
      ? library.func('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)')
      : undefined
  return {
    pageBytes: Number(getpagesize()),
    map(descriptor, byteLength, offset) {
      const address = Number(mmap(0, byteLength, PROT_READ, MAP_SHARED, descriptor, offset))
      if (address === MAP_FAILED) return undefined
      madvise(address, byteLength, MADV_RANDOM)
      return address
    },
    unmap(address, byteLength) {
      munmap(address, byteLength)
    },
    copy(target, address) {
      memcpy(target, address, target.byteLength)
    },
    willNeed(address, byteLength) {
      madvise(address, byteLength, MADV_WILLNEED)
    },
    largePages(memory) {
      madviseView?.(memory, memory.byteLength, MADV_HUGEPAGE)
    },
    adviseRandom(descriptor) {
      fadvise?.(descriptor, 0, 0, POSIX_FADV_RANDOM)
    }
  }
}
