// Merges the sorted runs of all shards into the ids file of the index, streaming: of each run some entries are in
// memory. The same entries give the same bytes, however they are cut into runs.

import { closeSync, openSync } from 'node:fs'

import { wrapReadError } from '../errors.ts'
import type { FileRecord } from '../format/file-record.ts'
import { ENTRY_WORDS, ID_ENTRY_BYTES } from '../format/id-pages.ts'
import type { GenerationFacts } from '../storage/data-file-writer.ts'
import { IdsWriter } from '../storage/ids-writer.ts'
import { readFully } from '../storage/pread-reader.ts'
import type { StoredIdRuns } from './id-run.ts'

/** Entries of all runs that are in memory at a time: 8 MB, but 4 KB of each run at least. */
const MERGE_ENTRIES = 2 ** 19
const LEAST_ENTRIES = 2 ** 8
const MOST_ENTRIES = 2 ** 14
/** Rows between two notes on progress. */
const NOTE_ROWS = 2 ** 18

/** The file of a shard's runs. */
export interface IdRunsFile extends StoredIdRuns {
  readonly path: string
}

/**
 * Writes the ids file into the folder of `facts` and returns its record, with file number 0; undefined without rows.
 * Repeatable: what a build that died left of the file goes. `onRows` is told of rows as they are written, and waited
 * for: where it throws, the work ends.
 */
export async function joinIdRuns(
  files: readonly IdRunsFile[],
  facts: GenerationFacts,
  onRows: (rows: number) => Promise<void> = async () => {}
): Promise<FileRecord | undefined> {
  const rowCount = files.reduce((sum, file) => sum + file.rowCount, 0)
  if (rowCount === 0) return undefined
  const merge = new Merge(files)
  const writer = new IdsWriter(facts, rowCount)
  try {
    let noted = 0
    for (let done = 0; done < rowCount; done++) {
      writer.add(merge.heads, merge.first)
      merge.advance()
      if (done - noted < NOTE_ROWS) continue
      await onRows(done - noted)
      noted = done
    }
    await onRows(rowCount - noted)
    return writer.finish()
  } finally {
    writer.close()
  }
}

/** A run that is being read. */
interface Run {
  readonly path: string
  /** Where the entries that are not in memory begin and end in the file. */
  offset: number
  readonly end: number
  /** Entries in memory, and the word of the next. */
  readonly words: Uint32Array
  at: number
  endAt: number
}

/** The runs by their first entries: a binary heap. */
class Merge {
  /** The next entry of each run: four words. */
  readonly heads: Uint32Array
  readonly #runs: readonly Run[]
  /** Positions of runs, the one with the least entry first. */
  readonly #heap: Uint32Array
  #size = 0

  constructor(files: readonly IdRunsFile[]) {
    const runCount = files.reduce((sum, { rowCount, runEntries }) => sum + Math.ceil(rowCount / runEntries), 0)
    const share = Math.floor(MERGE_ENTRIES / runCount)
    const entries = Math.min(MOST_ENTRIES, Math.max(LEAST_ENTRIES, share))
    this.#runs = files.flatMap((file) => runsOf(file, entries))
    this.heads = new Uint32Array(runCount * ENTRY_WORDS)
    this.#heap = new Uint32Array(runCount)
    for (let run = 0; run < runCount; run++) {
      this.#take(run)
      this.#rise(this.#size++, run)
    }
  }

  /** Where the least entry of all is in the heads. */
  get first(): number {
    return this.#heap[0] * ENTRY_WORDS
  }

  /** Goes on to the next entry. */
  advance(): void {
    const run = this.#heap[0]
    if (this.#take(run)) this.#sink(run)
    else if (--this.#size > 0) this.#sink(this.#heap[this.#size])
  }

  /** Makes the next entry of a run its head; tells whether there is one. */
  #take(position: number): boolean {
    const run = this.#runs[position]
    if (run.at === run.endAt && !fill(run)) return false
    const at = position * ENTRY_WORDS
    for (let i = 0; i < ENTRY_WORDS; i++) this.heads[at + i] = run.words[run.at + i]
    run.at += ENTRY_WORDS
    return true
  }

  #rise(start: number, run: number): void {
    let place = start
    while (place > 0) {
      const above = (place - 1) >>> 1
      if (!this.#isBefore(run, this.#heap[above])) break
      this.#heap[place] = this.#heap[above]
      place = above
    }
    this.#heap[place] = run
  }

  /** Puts a run into the first place, and from there where it belongs. */
  #sink(run: number): void {
    const heap = this.#heap
    let place = 0
    for (;;) {
      let below = place * 2 + 1
      if (below >= this.#size) break
      if (below + 1 < this.#size && this.#isBefore(heap[below + 1], heap[below])) below++
      if (!this.#isBefore(heap[below], run)) break
      heap[place] = heap[below]
      place = below
    }
    heap[place] = run
  }

  #isBefore(left: number, right: number): boolean {
    const { heads } = this
    const a = left * ENTRY_WORDS
    const b = right * ENTRY_WORDS
    if (heads[a + 1] !== heads[b + 1]) return heads[a + 1] < heads[b + 1]
    if (heads[a] !== heads[b]) return heads[a] < heads[b]
    if (heads[a + 3] !== heads[b + 3]) return heads[a + 3] < heads[b + 3]
    return heads[a + 2] < heads[b + 2]
  }
}

function runsOf({ path, rowCount, runEntries }: IdRunsFile, entriesInMemory: number): Run[] {
  return Array.from({ length: Math.ceil(rowCount / runEntries) }, (_, i) => {
    const first = i * runEntries
    const end = Math.min(rowCount, first + runEntries)
    return {
      path,
      offset: first * ID_ENTRY_BYTES,
      end: end * ID_ENTRY_BYTES,
      words: new Uint32Array(Math.min(end - first, entriesInMemory) * ENTRY_WORDS),
      at: 0,
      endAt: 0
    }
  })
}

/** Reads the next entries of a run; tells whether there were any. Files are not kept open: there may be thousands. */
function fill(run: Run): boolean {
  const byteLength = Math.min(run.words.byteLength, run.end - run.offset)
  if (byteLength === 0) return false
  const { path } = run
  try {
    const descriptor = openSync(path, 'r')
    try {
      readFully({ descriptor, path }, run.offset, new Uint8Array(run.words.buffer, 0, byteLength))
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw wrapReadError(error, path, 'read what an earlier stage of the build left')
  }
  run.offset += byteLength
  run.at = 0
  run.endAt = byteLength / 4
  return true
}
