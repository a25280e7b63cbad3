// Goes through all that is left of an index and gives out the rows that are live and whole, as batches for a build.

import { setImmediate } from 'node:timers/promises'

import { describe } from '../describe.ts'
import { countBits, hasBit } from '../format/bitmap.ts'
import { ELEMENT_BYTES, pageCount } from '../format/layout.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import { EncodedPayload } from '../input/encoded-payload.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import type { Id } from '../types.ts'
import { KnownIds } from './known-ids.ts'
import type { Losses } from './losses.ts'
import { RemainingExtent } from './remaining-extent.ts'
import { findIds, type RemainingIds } from './remaining-ids.ts'
import { encodedPayload, RemainingPayloads } from './remaining-payloads.ts'
import { RemainingRows } from './remaining-rows.ts'
import type { Remains } from './remains.ts'

/** About what a batch weighs. */
const BATCH_BYTES = 2 ** 20
const MOST_BATCH_ROWS = 4096

/** Rows of a batch as they come together. */
interface Batch {
  readonly ids: Id[]
  readonly vectors: Float32Array
  readonly payloads: EncodedPayload[]
}

/** Reads all rows once; what is damaged or lost goes into `losses`. */
export class Salvage {
  readonly #remains: Remains
  readonly #losses: Losses
  readonly #known: KnownIds | undefined
  readonly #batchRows: number
  /** Rows that were given out. */
  count = 0

  /** hasTwins: rows of one id are looked for though the catalogue allows none, which takes 24 to 48 bytes a row. */
  constructor(remains: Remains, losses: Losses, hasTwins = false) {
    this.#remains = remains
    this.#losses = losses
    this.#known = remains.hasOlderRows || hasTwins ? new KnownIds() : undefined
    const rowBytes = remains.meta.dim * ELEMENT_BYTES
    this.#batchRows = Math.max(1, Math.min(MOST_BATCH_ROWS, Math.floor(BATCH_BYTES / rowBytes)))
  }

  get hasLost(): boolean {
    return this.#losses.lost.rows > 0
  }

  async *batches(): AsyncGenerator<VectorBatch> {
    for (const segment of this.#remains.segments) {
      for (const batch of this.#segmentRows(segment)) {
        yield this.#give(batch)
        await setImmediate()
      }
    }
    for (let first = 0; first < this.#remains.fresh.length; first += this.#batchRows) {
      const batch = this.#freshRows(first)
      if (batch.ids.length > 0) yield this.#give(batch)
    }
  }

  #give({ ids, vectors, payloads }: Batch): VectorBatch {
    this.count += ids.length
    const given = { vectors: vectors.subarray(0, ids.length * this.#remains.meta.dim), ids: idsOfOneType(ids) }
    return this.#remains.hasPayloads ? { ...given, payloads } : given
  }

  *#segmentRows(segment: SegmentRecord): Generator<Batch> {
    const { files, meta, deleted } = this.#remains
    const losses = this.#losses
    const of = { files, losses, meta }
    const place = { segment: segment.segment, path: files.pathOf(segment.rows.file) }
    const dead = deleted.get(segment.segment)
    const columns = RemainingExtent.open(segment, 'columns', of)
    const codes = RemainingExtent.open(segment, 'codes', of)
    RemainingExtent.open(segment, 'fields', of) // derived: looked at so that the report has what is damaged
    const { rowCount } = segment
    const crcBytes = pageCount(rowCount * meta.dim * ELEMENT_BYTES) * 4
    const crcs = columns?.column('pageCrcs', crcBytes) ?? codes?.column('pageCrcs', crcBytes)
    const ids = findIds([columns, codes], { files, idType: meta.idType, rowCount })
    if (ids === undefined) {
      losses.loseRows(rowCount - (dead === undefined ? 0 : countBits(dead)), place)
      return
    }
    const rows = crcs && new RemainingRows(segment, crcs, of)
    const payloads = new RemainingPayloads(segment, { remains: this.#remains, losses })
    for (let first = 0; first < rowCount; first += this.#batchRows) {
      const batch = this.#take({ segment, ids, rows, payloads, dead, place }, first)
      if (batch.ids.length > 0) yield batch
    }
    rows?.finish()
  }

  #take(of: SegmentToRead, first: number): Batch {
    const { dim } = this.#remains.meta
    const { segment, rows, payloads } = of
    const patches = this.#remains.patches.get(segment.segment)
    const count = Math.min(this.#batchRows, segment.rowCount - first)
    const ids = of.ids.read(first, count)
    const read = rows?.read(first, count)
    const batch: Batch = { ids: [], vectors: new Float32Array(count * dim), payloads: [] }
    for (let i = 0; i < count; i++) {
      const row = first + i
      const id = ids[i]
      if (of.dead !== undefined && hasBit(of.dead, row)) continue
      if (id !== undefined && this.#known?.add(id) === false) {
        this.#leaveOut(id, of.place)
        continue
      }
      if (read === undefined || read.areGood[i] === 0 || id === undefined) {
        this.#losses.loseRow(id, of.place)
        continue
      }
      batch.vectors.set(read.vectors.subarray(i * dim, (i + 1) * dim), batch.ids.length * dim)
      batch.ids.push(id)
      const patch = patches?.get(row)
      batch.payloads.push(patch === undefined ? payloads.at(row) : this.#ofCatalogue(patch))
    }
    return batch
  }

  /** Leaves out a row whose id another one has: an older one, which is no loss, or one that cannot be. */
  #leaveOut(id: Id, place: { readonly segment: number; readonly path: string }): void {
    if (this.#remains.hasOlderRows) return
    this.#losses.note(place.path, null, `duplicate id ${describe(id)}: two rows have it`)
    this.#losses.loseRow(id, place)
  }

  #freshRows(first: number): Batch {
    const { dim } = this.#remains.meta
    const place = { segment: -1, path: this.#remains.folder }
    const some = this.#remains.fresh.slice(first, first + this.#batchRows).filter(({ id }) => {
      const isNew = this.#known?.add(id) !== false
      if (!isNew) this.#leaveOut(id, place)
      return isNew
    })
    const vectors = new Float32Array(some.length * dim)
    for (const [i, { vector }] of some.entries()) vectors.set(vector, i * dim)
    return { ids: some.map(({ id }) => id), vectors, payloads: some.map(({ payload }) => this.#ofCatalogue(payload)) }
  }

  /** A payload that the catalogue has. */
  #ofCatalogue(bytes: Uint8Array | undefined): EncodedPayload {
    if (bytes === undefined) return EncodedPayload.none
    const { folder } = this.#remains
    const found = this.#losses.attempt(folder, () => encodedPayload(bytes, this.#remains, folder))
    if (found === undefined) this.#losses.losePayload()
    return found ?? EncodedPayload.none
  }
}

interface SegmentToRead {
  readonly segment: SegmentRecord
  readonly ids: RemainingIds
  /** Undefined: no page of them can be verified. */
  readonly rows: RemainingRows | undefined
  readonly payloads: RemainingPayloads
  readonly dead: Uint32Array | undefined
  readonly place: { readonly segment: number; readonly path: string }
}

/** All ids of an index are of one type, as those of a batch must be. */
function idsOfOneType(ids: readonly Id[]): readonly number[] | readonly string[]
function idsOfOneType(ids: readonly unknown[]): readonly unknown[] {
  return ids
}
