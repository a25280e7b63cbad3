// Fresh rows of an open index: rows of the catalogue, held in kernel memory and scanned exactly. There are some
// thousands at most. They change in place: a search scans them when it begins, and takes along what it found.

import type { FreshRow } from '../catalogue/changes.ts'
import type { CompiledFilter } from '../filter/compile-filter.ts'
import { RowMatcher } from '../filter/row-matcher.ts'
import { countBits, hasBit, wordCount } from '../format/bitmap.ts'
import type { DeclaredField } from '../format/fields.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { ScanRun } from '../kernels/kernel.ts'
import type { Id, Metric } from '../types.ts'
import { ChangedFields } from './changed-fields.ts'

/** Rows whose fields are decoded together: what one more row costs is to decode those of its block again. */
const BLOCK_ROWS = 128
/** Rows that there is room for at first. */
const FEWEST_ROWS = 64
/** Filters whose matches among the fresh rows are kept. */
const MOST_FILTERS = 64

export interface FreshRowsFacts {
  readonly dim: number
  readonly metric: Metric
  /** By number, from 1 on. */
  readonly fields: readonly DeclaredField[]
  /** The catalogue, for messages. */
  readonly path: string
}

/** Rows of one filter: a bit for each place. */
export interface FreshMatches {
  readonly bits: Uint32Array
  readonly count: number
}

export class FreshRows {
  readonly #memory: KernelMemory
  readonly #of: FreshRowsFacts
  /** By place in kernel memory; undefined: removed. */
  #rows: (FreshRow | undefined)[] = []
  readonly #byId = new Map<Id, number>()
  readonly #placeOf = new Map<number, number>()
  #capacity = 0
  /** float32 rows, capacity * dim; u64 places; float32 inverse norms; mask words. */
  #vectors = 0
  #places = 0
  #inverseNorms = 0
  #mask = 0
  #minNorm = Infinity
  #maxNorm = 0
  readonly #blocks = new Map<number, ChangedFields>()
  readonly #matches = new Map<string, FreshMatches>()
  readonly #matcher = new RowMatcher()

  constructor(memory: KernelMemory, of: FreshRowsFacts) {
    this.#memory = memory
    this.#of = of
  }

  get count(): number {
    return this.#placeOf.size
  }

  /** Between which Euclidean norms they lie, or lay. */
  get norms(): { readonly minNorm: number; readonly maxNorm: number } {
    return { minNorm: this.#minNorm, maxNorm: this.#maxNorm }
  }

  /** All of them, by ascending sequence. A copy: they may change while somebody goes through it. */
  list(): FreshRow[] {
    return this.#rows.filter((row) => row !== undefined)
  }

  find(id: Id): FreshRow | undefined {
    const place = this.#byId.get(id)
    return place === undefined ? undefined : this.#rows[place]
  }

  at(place: number): FreshRow | undefined {
    return this.#rows[place]
  }

  /** Adds rows, in ascending order of sequence; removes those that are not in `kept`, if that is given. */
  change(added: readonly FreshRow[], kept: Float64Array | undefined): void {
    if (added.length === 0 && kept === undefined) return
    this.#matches.clear()
    if (kept !== undefined) {
      const left = new Set(kept)
      for (const [sequence, place] of this.#placeOf) if (!left.has(sequence)) this.#remove(sequence, place)
    }
    if (this.#placeOf.size * 2 < this.#rows.length) this.#compact()
    const count = this.#rows.length + added.length
    if (count > this.#capacity) this.#grow(Math.max(count, this.#capacity * 2, FEWEST_ROWS))
    for (const row of added) this.#add(row)
  }

  #remove(sequence: number, place: number): void {
    const row = this.#rows[place]
    this.#placeOf.delete(sequence)
    this.#rows[place] = undefined
    this.#blocks.delete(Math.floor(place / BLOCK_ROWS))
    // The id may be another row's by now.
    if (row !== undefined && this.#byId.get(row.id) === place) this.#byId.delete(row.id)
    this.#memory.words[this.#mask / 4 + (place >>> 5)] &= ~(1 << (place & 31))
  }

  #add(row: FreshRow): void {
    const place = this.#rows.length
    const { memory, dim } = { memory: this.#memory, dim: this.#of.dim }
    this.#rows.push(row)
    this.#byId.set(row.id, place)
    this.#placeOf.set(row.sequence, place)
    this.#blocks.delete(Math.floor(place / BLOCK_ROWS))
    memory.floats.set(row.vector, this.#vectors / 4 + place * dim)
    memory.words[this.#places / 4 + place * 2] = place
    memory.words[this.#places / 4 + place * 2 + 1] = 0
    memory.words[this.#mask / 4 + (place >>> 5)] |= 1 << (place & 31)
    let norm2 = 0
    for (const value of row.vector) norm2 += value * value
    const norm = Math.sqrt(norm2)
    memory.floats[this.#inverseNorms / 4 + place] = norm === 0 ? 0 : 1 / norm
    this.#minNorm = Math.min(this.#minNorm, norm)
    this.#maxNorm = Math.max(this.#maxNorm, norm)
  }

  /** Leaves no places of removed rows. */
  #compact(): void {
    const rows = this.list()
    this.#rows = []
    this.#byId.clear()
    this.#placeOf.clear()
    this.#blocks.clear()
    this.#minNorm = Infinity
    this.#maxNorm = 0
    if (this.#mask !== 0) this.#memory.uint32At(this.#mask, wordCount(this.#capacity)).fill(0)
    for (const row of rows) this.#add(row)
  }

  #grow(capacity: number): void {
    const rows = this.#rows
    this.#free()
    const { dim } = this.#of
    this.#capacity = capacity
    this.#vectors = this.#memory.allocate(capacity * dim * ELEMENT_BYTES)
    this.#places = this.#memory.allocate(capacity * 8)
    this.#inverseNorms = this.#memory.allocate(capacity * ELEMENT_BYTES)
    this.#mask = this.#memory.allocate(wordCount(capacity) * 4)
    this.#rows = rows
    this.#compact()
  }

  /**
   * What a scan takes; ids are places. mask: a bit for each place, in the place of those of all rows; good until the
   * next call.
   */
  run(mask?: Uint32Array): ScanRun {
    const count = this.#rows.length
    let address = this.#placeOf.size === count ? 0 : this.#mask
    if (mask !== undefined) {
      address = this.#memory.allocate(Math.max(4, mask.byteLength))
      this.#memory.uint32At(address, mask.length).set(mask)
    }
    return {
      rows: this.#vectors,
      ids: this.#places,
      inverseNorms: this.#inverseNorms,
      mask: address,
      firstRow: 0,
      count
    }
  }

  /** Gives back what `run` took for a mask. */
  endRun({ mask }: ScanRun): void {
    if (mask !== this.#mask) this.#memory.free(mask)
  }

  /** The rows that meet a filter; throws ZGQ_CORRUPT. */
  match({ key, predicate }: CompiledFilter): FreshMatches {
    const kept = this.#matches.get(key)
    if (kept !== undefined) return kept
    const bits = new Uint32Array(wordCount(this.#rows.length))
    const words = new Uint32Array(BLOCK_ROWS / 32)
    for (let first = 0; first < this.#rows.length; first += BLOCK_ROWS) {
      const block = this.#blockAt(first / BLOCK_ROWS)
      words.fill(0)
      this.#matcher.match(predicate, block, words)
      bits.set(words.subarray(0, wordCount(block.rowCount)), first / 32)
    }
    for (const [place, row] of this.#rows.entries()) if (row === undefined) bits[place >>> 5] &= ~(1 << (place & 31))
    const matches = { bits, count: countBits(bits) }
    if (this.#matches.size >= MOST_FILTERS) this.#matches.clear()
    this.#matches.set(key, matches)
    return matches
  }

  /** The rows that meet a filter, by ascending sequence. */
  matching(filter: CompiledFilter): FreshRow[] {
    const { bits } = this.match(filter)
    return this.#rows
      .filter((row, place) => row !== undefined && hasBit(bits, place))
      .filter((row) => row !== undefined)
  }

  #blockAt(number: number): ChangedFields {
    let block = this.#blocks.get(number)
    if (block === undefined) {
      const rows = this.#rows.slice(number * BLOCK_ROWS, (number + 1) * BLOCK_ROWS)
      block = new ChangedFields(
        rows.map((row) => row?.payload),
        this.#of
      )
      this.#blocks.set(number, block)
    }
    return block
  }

  #free(): void {
    for (const region of [this.#vectors, this.#places, this.#inverseNorms, this.#mask]) this.#memory.free(region)
    this.#vectors = this.#places = this.#inverseNorms = this.#mask = 0
  }

  /** Gives the kernel memory back. */
  close(): void {
    this.#free()
    this.#rows = []
    this.#placeOf.clear()
    this.#byId.clear()
    this.#capacity = 0
  }
}
