// What the asynchronous driver fetches: ranges of a round at once, each byte once, as much at a time as memory allows.

import { ZgqError } from '../errors.ts'
import { unlessAborted, type AsyncReader } from '../storage/async-reader.ts'
import { FetchedBytes, type FetchedRange } from '../storage/fetched-bytes.ts'
import type { FileRange } from '../storage/reader.ts'

/** Bytes that all searches wait for or hold at a time, unless one alone takes more. */
const MOST_BYTES = 128 * 2 ** 20

/** What a search needs to go on: ranges to read, and bytes that it has and must not lose meanwhile. */
export interface Wanted {
  readonly ranges: readonly FileRange[]
  readonly held: readonly FetchedRange[]
}

export class Fetcher {
  readonly #reader: AsyncReader
  #bytes = 0
  #waiting: (() => void)[] = []

  constructor(reader: AsyncReader) {
    this.#reader = reader
  }

  /**
   * Fetches ranges and hands them to `use`, whose work waits for nothing. Rejects with what the reader rejects with,
   * ZGQ_TRUNCATED where it returns too few bytes, and with the reason of the signal.
   */
  async fetch<Result>(
    wanted: Wanted,
    signal: AbortSignal | undefined,
    use: (fetched: FetchedBytes) => Result
  ): Promise<Result> {
    const ranges = mergeRanges(wanted.ranges)
    const byteLength = ranges.reduce((sum, range) => sum + range.byteLength, 0)
    while (this.#bytes > 0 && this.#bytes + byteLength > MOST_BYTES)
      await unlessAborted(signal, async () => {
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      })
    this.#bytes += byteLength
    try {
      const parts = await this.#reader.readAsync(ranges, signal)
      signal?.throwIfAborted()
      const fetched = ranges.map((range, i) => ({ ...range, bytes: expectWhole(range, parts[i]) }))
      return use(new FetchedBytes([...fetched, ...wanted.held]))
    } finally {
      this.#bytes -= byteLength
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  /** Idempotent: what is awaited rejects with ZGQ_CLOSED. */
  close(): void {
    this.#reader.close()
  }
}

function expectWhole(range: FileRange, bytes: Uint8Array | undefined): Uint8Array {
  if (bytes?.byteLength === range.byteLength) return bytes
  throw new ZgqError(
    'ZGQ_TRUNCATED',
    `a reader returned ${bytes?.byteLength ?? 0} bytes of file ${range.file}, expected ${range.byteLength}`,
    { offset: range.offset }
  )
}

/** Joins ranges that overlap or touch. */
export function mergeRanges(ranges: readonly FileRange[]): FileRange[] {
  const merged: FileRange[] = []
  for (const range of [...ranges].sort((a, b) => a.file - b.file || a.offset - b.offset)) {
    const last = merged[merged.length - 1] as FileRange | undefined
    if (last === undefined || last.file !== range.file || last.offset + last.byteLength < range.offset) {
      merged.push({ file: range.file, offset: range.offset, byteLength: range.byteLength })
      continue
    }
    const end = Math.max(last.offset + last.byteLength, range.offset + range.byteLength)
    merged[merged.length - 1] = { ...last, byteLength: end - last.offset }
  }
  return merged
}
