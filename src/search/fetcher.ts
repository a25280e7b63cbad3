// What the asynchronous driver fetches: ranges of a round at once, as much at a time as memory allows. Searches that
// want the same bytes at the same time share one read.

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import { unlessAborted, type AsyncReader, type ReadTally } from '../storage/async-reader.ts'
import { FetchedBytes, type FetchedRange } from '../storage/fetched-bytes.ts'
import type { FileRange } from '../storage/reader.ts'

/** Bytes that all searches wait for or hold at a time, unless one alone takes more. */
const MOST_BYTES = 128 * 2 ** 20

/** What a search needs to go on: ranges to read, and bytes that it has and must not lose meanwhile. */
export interface Wanted {
  readonly ranges: readonly FileRange[]
  readonly held: readonly FetchedRange[]
}

/** Bytes that were fetched, until they are released. */
export interface Fetched {
  readonly bytes: FetchedBytes
  /** What it took of the reads that this began; those that others had begun are theirs. */
  readonly tally: ReadTally
  readonly release: () => void
}

/** One read of some ranges, which searches share that want the same bytes at the same time. */
interface SharedRead {
  readonly parts: Promise<Uint8Array[]>
  /** Ends the read once nobody waits for it. */
  readonly end: () => void
  waiters: number
}

/** A range of a shared read: where its bytes are in the parts. */
interface SharedRange {
  readonly read: SharedRead
  readonly part: number
  readonly offset: number
}

export class Fetcher {
  readonly #reader: AsyncReader
  /** Ranges that are being read, by `keyOf`. */
  readonly #pending = new Map<string, SharedRange>()
  #bytes = 0
  /** Fetches that wait for memory, in order: a large one is not passed by small ones for ever. */
  readonly #waiting: { readonly byteLength: number; readonly wake: () => void }[] = []

  constructor(reader: AsyncReader) {
    this.#reader = reader
  }

  /**
   * Fetches ranges; `release` has to be called when they were used. Rejects with what the reader rejects with,
   * ZGQ_TRUNCATED where it returns too few bytes, and with the reason of the signal.
   */
  async fetch(wanted: Wanted, signal: AbortSignal | undefined): Promise<Fetched> {
    const byteLength = wanted.ranges.reduce((sum, range) => sum + range.byteLength, 0)
    await this.#takeRoom(byteLength, signal)
    const release = (): void => {
      this.#bytes -= byteLength
      this.#giveRoom()
    }
    try {
      const tally = { requests: 0, bytes: 0 }
      const fetched = await this.#read(wanted.ranges, tally, signal)
      return { bytes: new FetchedBytes([...fetched, ...wanted.held]), tally, release }
    } catch (error) {
      release()
      throw error
    }
  }

  async #takeRoom(byteLength: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.length === 0 && this.#hasRoomFor(byteLength)) {
      this.#bytes += byteLength
      return
    }
    await new Promise<void>((resolve, reject) => {
      const waiting = {
        byteLength,
        wake: () => {
          endWait()
          resolve()
        }
      }
      const endWait = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        reject(signal?.reason)
        this.#giveRoom()
      })
      this.#waiting.push(waiting)
    })
  }

  #hasRoomFor(byteLength: number): boolean {
    return this.#bytes === 0 || this.#bytes + byteLength <= MOST_BYTES
  }

  #giveRoom(): void {
    for (
      let next = this.#waiting.at(0);
      next !== undefined && this.#hasRoomFor(next.byteLength);
      next = this.#waiting.at(0)
    ) {
      this.#waiting.shift()
      this.#bytes += next.byteLength
      next.wake()
    }
  }

  /** Idempotent: what is awaited rejects with ZGQ_CLOSED. */
  close(): void {
    this.#reader.close()
  }

  async #read(
    ranges: readonly FileRange[],
    tally: ReadTally,
    signal: AbortSignal | undefined
  ): Promise<FetchedRange[]> {
    signal?.throwIfAborted()
    this.#startRead(
      ranges.filter((range) => !this.#pending.has(keyOf(range))),
      tally
    )
    const shared = ranges.flatMap((range) => {
      const found = this.#pending.get(keyOf(range))
      return found === undefined ? [] : [{ ...found, range }]
    })
    const reads = new Set(shared.map(({ read }) => read))
    for (const read of reads) read.waiters++
    try {
      const parts = new Map<SharedRead, Uint8Array[]>()
      await unlessAborted(signal, async () => {
        for (const read of reads) parts.set(read, await read.parts)
      })
      return shared.map(({ read, part, offset, range }) => ({
        ...range,
        bytes: parts.get(read)?.[part].subarray(offset, offset + range.byteLength) ?? new Uint8Array(0)
      }))
    } finally {
      for (const read of reads) if (--read.waiters === 0) read.end()
    }
  }

  /** Starts one read of ranges that nobody reads yet. */
  #startRead(ranges: readonly FileRange[], tally: ReadTally): void {
    if (ranges.length === 0) return
    const merged = mergeRanges(ranges)
    const controller = new AbortController()
    const reading = this.#reader.readAsync(merged, controller.signal, tally)
    // Nobody may join a read that is being ended.
    const forget = (): void => {
      for (const range of ranges) if (this.#pending.get(keyOf(range))?.read === read) this.#pending.delete(keyOf(range))
    }
    const read: SharedRead = {
      parts: reading.then((parts) => expectWhole(merged, parts)),
      waiters: 0,
      end() {
        forget()
        controller.abort(NOBODY_WAITS)
      }
    }
    for (const range of ranges) {
      const part = merged.findLastIndex(
        ({ file, offset }) => file < range.file || (file === range.file && offset <= range.offset)
      )
      this.#pending.set(keyOf(range), { read, part, offset: range.offset - merged[part].offset })
    }
    read.parts.then(forget, forget)
  }
}

const NOBODY_WAITS = new Error('nobody waits for this read any more')

function keyOf({ file, offset, byteLength }: FileRange): string {
  return `${file} ${offset} ${byteLength}`
}

function expectWhole(ranges: readonly FileRange[], parts: readonly Uint8Array[]): Uint8Array[] {
  return ranges.map((range, i) => {
    const found = i < parts.length ? parts[i].byteLength : 0
    if (found === range.byteLength) return parts[i]
    throw new ZgqError(
      'ZGQ_TRUNCATED',
      `a reader returned ${found} bytes of file ${range.file}, expected ${range.byteLength}`,
      { offset: range.offset }
    )
  })
}

/** Joins ranges that overlap or touch. */
export function mergeRanges(ranges: readonly FileRange[]): FileRange[] {
  const merged: FileRange[] = []
  for (const range of [...ranges].sort((a, b) => a.file - b.file || a.offset - b.offset)) {
    const last = merged.at(-1)
    if (last?.file !== range.file || last.offset + last.byteLength < range.offset) {
      merged.push({ file: range.file, offset: range.offset, byteLength: range.byteLength })
      continue
    }
    const end = Math.max(last.offset + last.byteLength, range.offset + range.byteLength)
    merged[merged.length - 1] = { ...last, byteLength: end - last.offset }
  }
  return merged
}
