// The rows that a step of a fold moves, in memory: where each comes from, and where it goes.

import type { IdsOfRows } from '../format/id-column.ts'
import { encodeStringId } from '../format/string-ids.ts'
import type { Id, IdType } from '../types.ts'

/** Rows whose vectors lie together. */
const BLOCK_ROWS = 1024

/** Bytes that a row takes in memory besides vector and payload: objects around its id and payload, and its places. */
export const ROW_OVERHEAD = 256

/** A row that is taken. */
export interface TakenRow {
  readonly id: Id
  readonly vector: Float32Array
  /** MessagePack; undefined: it has none. */
  readonly payload: Uint8Array | undefined
}

/** Where a row is from now on. */
export interface NewPlace {
  readonly segment: number
  readonly row: number
}

export class FoldRows {
  readonly dim: number
  readonly #idType: IdType
  /** float32, BLOCK_ROWS * dim each. */
  readonly #blocks: Float32Array[] = []
  readonly #ids: Id[] = []
  readonly #payloads: (Uint8Array | undefined)[] = []
  /** By segment: of each row its index here, plus one; 0: it was not taken. */
  readonly #ofSegments = new Map<number, Uint32Array>()
  /** By sequence of a fresh row. */
  readonly #ofFresh = new Map<number, number>()
  /** The segments and rows that they become, by index. */
  readonly #newSegments: number[] = []
  readonly #newRows: number[] = []
  #valueBytes = 0

  constructor(of: { readonly dim: number; readonly idType: IdType }) {
    this.dim = of.dim
    this.#idType = of.idType
  }

  get count(): number {
    return this.#ids.length
  }

  /** Bytes that they take in memory, about. */
  get byteLength(): number {
    return this.count * (this.dim * 4 + ROW_OVERHEAD) + this.#valueBytes
  }

  /** Bytes of payloads and string ids. */
  get valueBytes(): number {
    return this.#valueBytes
  }

  /** Segments of which rows were taken. */
  segments(): Iterable<number> {
    return this.#ofSegments.keys()
  }

  /** Sequences of the fresh rows that were taken, and the index of each. */
  fresh(): ReadonlyMap<number, number> {
    return this.#ofFresh
  }

  /** Takes a row of a segment; returns its index. */
  takeRow(
    from: { readonly segment: number; readonly rowCount: number; readonly row: number },
    taken: TakenRow
  ): number {
    let rows = this.#ofSegments.get(from.segment)
    if (rows === undefined) this.#ofSegments.set(from.segment, (rows = new Uint32Array(from.rowCount)))
    rows[from.row] = this.count + 1
    return this.#take(taken)
  }

  /** Takes a fresh row; returns its index. */
  takeFresh(sequence: number, taken: TakenRow): number {
    this.#ofFresh.set(sequence, this.count)
    return this.#take(taken)
  }

  #take({ id, vector, payload }: TakenRow): number {
    const index = this.count
    const inBlock = index % BLOCK_ROWS
    if (inBlock === 0) this.#blocks.push(new Float32Array(BLOCK_ROWS * this.dim))
    this.#blocks[this.#blocks.length - 1].set(vector, inBlock * this.dim)
    this.#ids.push(id)
    this.#payloads.push(payload)
    this.#valueBytes += (payload?.byteLength ?? 0) + (typeof id === 'string' ? id.length : 0)
    return index
  }

  /** Index of a row of a segment; undefined: it was not taken. */
  indexOf(segment: number, row: number): number | undefined {
    const index = this.#ofSegments.get(segment)?.[row] ?? 0
    return index === 0 ? undefined : index - 1
  }

  /** Calls `take` with each row that was taken of a segment. */
  eachOf(segment: number, take: (row: number, index: number) => void): void {
    const rows = this.#ofSegments.get(segment)
    if (rows === undefined) return
    for (let row = 0; row < rows.length; row++) if (rows[row] !== 0) take(row, rows[row] - 1)
  }

  /** A view of a row's vector. */
  vectorAt(index: number): Float32Array {
    const at = (index % BLOCK_ROWS) * this.dim
    return this.#blocks[Math.floor(index / BLOCK_ROWS)].subarray(at, at + this.dim)
  }

  /** Copies rows from an index on, as PlacedRows. */
  readRows(index: number, target: Float32Array): void {
    for (let at = 0; at < target.length; at += this.dim) target.set(this.vectorAt(index + at / this.dim), at)
  }

  payloadsOf(indexes: Uint32Array): (Uint8Array | undefined)[] {
    return Array.from(indexes, (index) => this.#payloads[index])
  }

  idsOf(indexes: Uint32Array): IdsOfRows {
    if (this.#idType === 'integer') return Float64Array.from(indexes, (index) => Number(this.#ids[index]))
    return Array.from(indexes, (index) => encodeStringId(String(this.#ids[index])))
  }

  /** Ids of all rows, as callers know them. */
  callerIds(): readonly Id[] {
    return this.#ids
  }

  /** Notes that rows are those of a new segment, in this order. */
  place(indexes: Uint32Array, segment: number): void {
    for (const [row, index] of indexes.entries()) {
      this.#newSegments[index] = segment
      this.#newRows[index] = row
    }
  }

  placeOf(index: number): NewPlace {
    if (!(index in this.#newRows)) throw new Error(`row ${index} of the fold has no place`)
    return { segment: this.#newSegments[index], row: this.#newRows[index] }
  }
}
