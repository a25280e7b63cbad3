// Chooses the readers of an index: one for first touches, one for all later ones, and the reason why.

import { resolve } from 'node:path'

import { ZgqError } from '../errors.ts'
import type { Mapping } from '../types.ts'
import type { FetchedBytes } from './fetched-bytes.ts'
import { findMappingRisk } from '../file-systems.ts'
import { loadLibc, type Libc } from './libc.ts'
import { expectMmapIo, openMmapIoReader } from './mmap-io-reader.ts'
import { openMmapReader } from './mmap-reader.ts'
import { openPreadReader, type PreadReader } from './pread-reader.ts'
import type { DataFiles, FileRange, Reader } from './reader.ts'
import type { SegmentReaders } from './readers.ts'

/** Mapping pays only after some work: loading what maps files takes as long as hundreds of plain reads. */
const PLAIN_WORK = 512
/** A round of reads that could be asked for at once counts as so many: a first search has two. */
const ROUND_WORK = 128

/** How settled bytes are read, and why so. */
interface Choice {
  /** Undefined: by the reader of fresh bytes. */
  readonly openSettled?: () => Reader
  readonly libc?: Libc
  readonly reason: string
}

/** How settled bytes are read, for people. */
export interface ChosenReader {
  readonly kind: Reader['kind']
  readonly reason: string
}

/** Two readers over the same files. */
export class Readers implements SegmentReaders {
  readonly comesAnew = false
  /** Plain reads: a bad sector or a short file is an error here, where a mapping would kill the process. */
  readonly fresh: PreadReader
  readonly #folder: string
  readonly #mapping: Mapping
  #files: DataFiles
  /** For bytes that were read before; the reader of fresh ones as long as mapping does not pay. */
  #settled: Reader
  #libc: Libc | undefined
  /** Undefined before the choice. */
  #reason: string | undefined
  #work = 0
  #fetched: FetchedBytes | undefined

  /** Use `openReaders`. */
  constructor(folder: string, files: DataFiles, mapping: Mapping) {
    this.#folder = resolve(folder) // the choice comes later, and the working folder may change
    this.#files = files
    this.#mapping = mapping
    this.fresh = openPreadReader(files)
    this.#settled = this.fresh
  }

  get files(): DataFiles {
    return this.#files
  }

  /** Whether bytes that were read before are read from mappings. */
  get isMapped(): boolean {
    return this.#settled !== this.fresh
  }

  /** Runs work whose reads are served by bytes that were fetched for it. */
  withFetched<Result>(fetched: FetchedBytes, work: () => Result): Result {
    this.#fetched = fetched
    try {
      return work()
    } finally {
      this.#fetched = undefined
    }
  }

  isReadable(): boolean {
    return true
  }

  /** Copies bytes that were not read before. */
  readFresh(file: number, offset: number, target: Uint8Array): void {
    if (this.#fetched?.copy(file, offset, target) === true) return
    this.fresh.read(file, offset, target)
  }

  /** Copies bytes that were read before. */
  readSettled(file: number, offset: number, target: Uint8Array): void {
    if (this.#fetched?.copy(file, offset, target) === true) return
    if (this.#reason === undefined) this.#count(1)
    this.#settled.read(file, offset, target)
  }

  /** Asks the system for ranges at once; a reader that cannot does nothing. */
  prefetch(ranges: readonly FileRange[]): void {
    if (this.#reason === undefined) this.#count(ROUND_WORK)
    this.#settled.prefetch(ranges)
  }

  /**
   * Asks for large pages under memory that starts on a page, where the system is known by now: random reads of many
   * megabytes then miss the processor's page tables less often. Tells whether it did.
   */
  largePages(memory: Uint8Array): boolean {
    this.#libc?.largePages(memory)
    return this.#libc !== undefined
  }

  /** Chooses, if that was not done yet, and tells how. */
  chosen(): ChosenReader {
    const reason = this.#reason ?? this.choose()
    return { kind: this.#settled.kind, reason }
  }

  /** Chooses how settled bytes are read; throws ZGQ_UNSUPPORTED where what was asked for is not available. */
  choose(): string {
    const { libc, openSettled, reason } = choose(this.#folder, this.#files, this.#mapping)
    this.#reason = reason
    this.#libc = libc
    if (libc !== undefined) this.fresh.adviseRandom(libc)
    try {
      if (openSettled !== undefined) this.#settled = openSettled()
    } catch (error) {
      if (this.#mapping !== 'auto' || !(error instanceof ZgqError)) throw error
      this.#reason = error.message
    }
    return this.#reason
  }

  /** Takes other files, as a reader does: all of them or, where it throws, none. */
  replaceFiles(files: DataFiles): void {
    this.fresh.replaceFiles(files)
    try {
      if (this.#settled !== this.fresh) this.#settled.replaceFiles(files)
    } catch (error) {
      this.fresh.replaceFiles(this.#files)
      throw error
    }
    this.#files = files
  }

  /** Idempotent. */
  close(): void {
    this.fresh.close()
    this.#settled.close()
  }

  #count(work: number): void {
    this.#work += work
    if (this.#work > PLAIN_WORK) this.choose()
  }
}

/**
 * Opens the readers. `mmap` and `mmap-io` throw ZGQ_UNSUPPORTED where mapping is not available; `auto` then takes
 * `pread`, and chooses only once there is work enough.
 */
export function openReaders(folder: string, files: DataFiles, mapping: Mapping): Readers {
  const readers = new Readers(folder, files, mapping)
  if (mapping === 'auto') return readers
  try {
    readers.choose()
    return readers
  } catch (error) {
    readers.close()
    throw error
  }
}

function choose(folder: string, files: DataFiles, mapping: Mapping): Choice {
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
