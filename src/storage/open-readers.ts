// Chooses the readers of an index: one for first touches, one for all later ones, and the reason why.

import { ZgqError } from '../errors.ts'
import type { Mapping } from '../types.ts'
import { findMappingRisk } from './file-systems.ts'
import { loadLibc, type Libc } from './libc.ts'
import { expectMmapIo, openMmapIoReader } from './mmap-io-reader.ts'
import { openMmapReader } from './mmap-reader.ts'
import { openPreadReader } from './pread-reader.ts'
import type { DataFile, Reader } from './reader.ts'

/** Two readers over the same files; `settled` may be `fresh`. */
export interface Readers {
  /** Plain reads: a bad sector or a short file is an error here, where a mapping would kill the process. */
  readonly fresh: Reader
  /** For bytes that were read before. */
  readonly settled: Reader
  readonly reason: string
  /**
   * Asks for large pages under memory that starts on a page: random reads of many megabytes then miss the processor's
   * page tables less often.
   */
  largePages(memory: Uint8Array): void
  close(): void
}

/** How settled bytes are read, and why so. */
interface Choice {
  /** Undefined: by the reader of fresh bytes. */
  readonly openSettled?: () => Reader
  readonly libc?: Libc
  readonly reason: string
}

/**
 * Opens the readers. `mmap` and `mmap-io` throw ZGQ_UNSUPPORTED where mapping is not available; `auto` then takes
 * `pread`.
 */
export function openReaders(folder: string, files: readonly DataFile[], mapping: Mapping): Readers {
  const { libc, openSettled, reason } = choose(folder, files, mapping)
  const fresh = openPreadReader(files, libc)
  const largePages = (memory: Uint8Array): void => {
    libc?.largePages(memory)
  }
  const plain = (why: string): Readers => ({
    fresh,
    settled: fresh,
    reason: why,
    largePages,
    close: () => {
      fresh.close()
    }
  })
  if (openSettled === undefined) return plain(reason)
  try {
    const settled = openSettled()
    const close = (): void => {
      fresh.close()
      settled.close()
    }
    return { fresh, settled, reason, largePages, close }
  } catch (error) {
    if (mapping === 'auto' && error instanceof ZgqError) return plain(error.message)
    fresh.close()
    throw error
  }
}

function choose(folder: string, files: readonly DataFile[], mapping: Mapping): Choice {
  if (mapping === 'pread') return { reason: 'asked for' }
  if (mapping === 'mmap-io') {
    const mmapIo = expectMmapIo()
    return { openSettled: () => openMmapIoReader(files, mmapIo), reason: 'asked for' }
  }
  const risk = mapping === 'auto' ? findMappingRisk(folder) : undefined
  if (risk !== undefined) return { reason: risk }
  const loaded = loadLibc()
  if ('reason' in loaded) {
    if (mapping === 'mmap')
      throw new ZgqError(
        'ZGQ_UNSUPPORTED',
        `mapping: 'mmap' cannot be used: ${loaded.reason}. Use mapping: 'auto' or 'pread'`
      )
    return { reason: loaded.reason }
  }
  const { libc } = loaded
  return {
    libc,
    openSettled: () => openMmapReader(files, libc),
    reason: mapping === 'mmap' ? 'asked for' : 'koffi loads, and the file system is one of built-in disks'
  }
}
