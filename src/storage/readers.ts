// What verified reads take the bytes of an index from: its files on disk (open-readers.ts), or what was fetched of
// them.

import type { FetchedBytes } from './fetched-bytes.ts'
import type { DataFiles, FileRange } from './reader.ts'

export interface SegmentReaders {
  readonly files: DataFiles
  /** Whether bytes that were read before are in memory as far as the system keeps them. */
  readonly isMapped: boolean
  /**
   * Whether bytes that are read again come over the way again, which may damage them: they are verified every time, not
   * at their first use alone.
   */
  readonly comesAnew: boolean
  /** Runs work whose reads are served by bytes that were fetched for it. */
  withFetched<Result>(fetched: FetchedBytes, work: () => Result): Result
  /** Tells whether bytes that were read before can be copied now. */
  isReadable(range: FileRange): boolean
  /** Copies bytes that were not read before; throws ZGQ_TRUNCATED or ZGQ_IO. */
  readFresh(file: number, offset: number, target: Uint8Array): void
  /** Copies bytes that were read before; throws likewise. */
  readSettled(file: number, offset: number, target: Uint8Array): void
  /** Asks for ranges at once; what cannot does nothing. */
  prefetch(ranges: readonly FileRange[]): void
  /** Asks for large pages under memory that starts on a page; tells whether it could. */
  largePages(memory: Uint8Array): boolean
}
