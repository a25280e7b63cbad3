// Chooses the readers of an index: one for first touches, one for all later ones, and the reason why.

import { statfsSync } from 'node:fs'

import { ZgqError } from '../errors.ts'
import type { Mapping } from '../types.ts'
import { loadLibc, type Libc } from './libc.ts'
import { openMmapReader } from './mmap-reader.ts'
import { openPreadReader } from './pread-reader.ts'
import type { DataFile, Reader } from './reader.ts'

/** Types that statfs gives to file systems on which a failed read under a mapping kills the process. */
const REMOTE_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x65735546, 'FUSE'],
  [0x01021997, '9P']
])

/** Two readers over the same files; `settled` may be `fresh`. */
export interface Readers {
  /** Plain reads: a bad sector or a short file is an error here, where a mapping would kill the process. */
  readonly fresh: Reader
  /** For bytes that were read before. */
  readonly settled: Reader
  readonly reason: string
  /** Asks for large pages under memory that starts on a page: random reads of many megabytes then miss the processor's page tables less often. */
  largePages(memory: Uint8Array): void
  close(): void
}

/** Opens the readers. `mmap` throws ZGQ_UNSUPPORTED where mapping cannot be had; `auto` then takes `pread`. */
export function openReaders(folder: string, files: readonly DataFile[], mapping: Mapping): Readers {
  const { libc, reason } = choose(folder, mapping)
  const fresh = openPreadReader(files, libc)
  const plain = (why: string): Readers => ({ fresh, settled: fresh, reason: why, largePages: (memory) => { libc?.largePages(memory) }, close: () => { fresh.close() } })
  if (libc === undefined) return plain(reason)
  try {
    const settled = openMmapReader(files, libc)
    const close = (): void => {
      fresh.close()
      settled.close()
    }
    return { fresh, settled, reason, largePages: (memory) => { libc.largePages(memory) }, close }
  } catch (error) {
    if (mapping === 'auto' && error instanceof ZgqError) return plain(error.message)
    fresh.close()
    throw error
  }
}

function choose(folder: string, mapping: Mapping): { libc?: Libc; reason: string } {
  if (mapping === 'pread') return { reason: 'asked for' }
  const remote = mapping === 'auto' ? remoteFileSystem(folder) : undefined
  if (remote !== undefined) return { reason: `the index is on ${remote}, where a failed read under a mapping would end the process` }
  const loaded = loadLibc()
  if ('libc' in loaded) return { libc: loaded.libc, reason: mapping === 'mmap' ? 'asked for' : 'koffi loads and the file system is local' }
  if (mapping === 'mmap') throw new ZgqError('ZGQ_UNSUPPORTED', `mapping: 'mmap' cannot be had: ${loaded.reason}. Use mapping: 'auto' or 'pread'`)
  return { reason: loaded.reason }
}

function remoteFileSystem(folder: string): string | undefined {
  try {
    return process.platform === 'linux' ? REMOTE_FILE_SYSTEMS.get(statfsSync(folder).type) : undefined
  } catch {
    return 'a file system that does not answer statfs'
  }
}
