// Sorted runs of the ids of a shard: what leads from an id to its row is collected while the shard is written, sorted
// portion by portion in bounded memory, and left in a file of the shard's folder. join-id-runs.ts merges them.

import { join } from 'node:path'

import type { IdsOfRows } from '../format/id-column.ts'
import { hashInteger, hashText, idHash } from '../format/id-hash.ts'
import { ENTRY_WORDS } from '../format/id-pages.ts'
import { FileWriter } from '../storage/file-writer.ts'

/** Entries of a run: with what sorts them they take some 14 MB. The index of an entry must fit beside 32 bits. */
export const RUN_ENTRIES = 2 ** 19
const FIRST_ENTRIES = 2 ** 12
const MOST_RUN_ENTRIES = 2 ** 21
/** Entries that are written at a time. */
const WRITE_ENTRIES = 2 ** 12

export const ID_RUNS_NAME = 'ids.run'

/** Runs in one file, one after the other, for the facts of a shard. */
export interface StoredIdRuns {
  /** Entries of all runs. */
  readonly rowCount: number
  /** Entries of each run but the last. */
  readonly runEntries: number
}

export class IdRunWriter {
  readonly #path: string
  readonly #runEntries: number
  readonly #hash = idHash()
  #file: FileWriter | undefined
  // The entries of the run that is being collected, in the order of (segment, row).
  #low: Uint32Array
  #high: Uint32Array
  #rows: Uint32Array
  #segments: Uint32Array
  #count = 0
  #written = 0
  #lastSegment = -1

  /** Collects for a file of a folder, `ids.run`, which appears with the first run. */
  constructor(folder: string, runEntries = RUN_ENTRIES, name = ID_RUNS_NAME) {
    if (!(runEntries >= 1 && runEntries <= MOST_RUN_ENTRIES)) throw new RangeError(`runs of ${runEntries} entries`)
    this.#path = join(folder, name)
    this.#runEntries = runEntries
    const length = Math.min(FIRST_ENTRIES, runEntries)
    this.#low = new Uint32Array(length)
    this.#high = new Uint32Array(length)
    this.#rows = new Uint32Array(length)
    this.#segments = new Uint32Array(length)
  }

  /** Takes the ids of the rows of a segment; segments come in ascending order of their numbers. */
  collect(segment: number, ids: IdsOfRows): void {
    if (!(segment > this.#lastSegment && segment < 2 ** 32))
      throw new RangeError(`segment ${segment} after segment ${this.#lastSegment}, expected one above it below 2^32`)
    this.#lastSegment = segment
    const hash = this.#hash
    for (let row = 0; row < ids.length; row++) {
      const id = ids[row]
      if (typeof id === 'number') hashInteger(id, hash)
      else hashText(id, hash)
      if (this.#count === this.#low.length) this.#makeRoom()
      const at = this.#count++
      this.#low[at] = hash[0]
      this.#high[at] = hash[1]
      this.#rows[at] = row
      this.#segments[at] = segment
    }
  }

  /** Writes the last run; isDurable: so that a power failure does not undo it. */
  finish(isDurable: boolean): StoredIdRuns {
    if (this.#count > 0) this.#writeRun()
    if (isDurable) this.#file?.sync()
    else this.#file?.flush()
    this.close()
    return { rowCount: this.#written, runEntries: this.#runEntries }
  }

  /** Closes what is open; idempotent. */
  close(): void {
    this.#file?.close()
  }

  #makeRoom(): void {
    if (this.#count === this.#runEntries) {
      this.#writeRun()
      return
    }
    const length = Math.min(this.#runEntries, this.#count * 2)
    this.#low = grown(this.#low, length)
    this.#high = grown(this.#high, length)
    this.#rows = grown(this.#rows, length)
    this.#segments = grown(this.#segments, length)
  }

  #writeRun(): void {
    this.#file ??= new FileWriter(this.#path)
    const count = this.#count
    const order = this.#sorted()
    const words = new Uint32Array(Math.min(count, WRITE_ENTRIES) * ENTRY_WORDS)
    for (let first = 0; first < count; first += WRITE_ENTRIES) {
      const entries = Math.min(WRITE_ENTRIES, count - first)
      for (let i = 0; i < entries; i++) {
        const from = order[first + i]
        const at = i * ENTRY_WORDS
        words[at] = this.#low[from]
        words[at + 1] = this.#high[from]
        words[at + 2] = this.#rows[from]
        words[at + 3] = this.#segments[from]
      }
      this.#file.write(new Uint8Array(words.buffer, 0, entries * ENTRY_WORDS * 4))
    }
    this.#written += count
    this.#count = 0
  }

  /**
   * Returns the positions of the entries in the order of (hash, segment, row). Numbers of 53 bits are sorted, a word of
   * the hash before a position: engines sort those without calls, and positions are in the order of (segment, row).
   */
  #sorted(): Float64Array {
    const count = this.#count
    const keys = new Float64Array(count)
    for (let i = 0; i < count; i++) keys[i] = this.#high[i] * MOST_RUN_ENTRIES + i
    keys.sort()
    for (let i = 0; i < count; i++) keys[i] %= MOST_RUN_ENTRIES
    // Few have a high word in common, unless ids were made for it: they are sorted once more, by the low word.
    for (let start = 0; start < count;) {
      let end = start + 1
      while (end < count && this.#high[keys[end]] === this.#high[keys[start]]) end++
      if (end > start + 1) this.#sortByLow(keys.subarray(start, end))
      start = end
    }
    return keys
  }

  #sortByLow(positions: Float64Array): void {
    for (let i = 0; i < positions.length; i++) positions[i] += this.#low[positions[i]] * MOST_RUN_ENTRIES
    positions.sort()
    for (let i = 0; i < positions.length; i++) positions[i] %= MOST_RUN_ENTRIES
  }
}

function grown(values: Uint32Array, length: number): Uint32Array {
  const more = new Uint32Array(length)
  more.set(values)
  return more
}
