// Takes the rows of one step of a fold into memory and decides where they go: at most as many as its memory holds.

import type { FreshRow } from '../catalogue/changes.ts'
import { defaultZones } from '../build/default-zones.ts'
import type { Segment } from '../format/segment-table.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { chooseZones, others } from './choose-zones.ts'
import { arePatchesMany } from './fold-due.ts'
import { FoldRows, ROW_OVERHEAD } from './fold-rows.ts'
import { numberZones, type Numbering } from './number-zones.ts'
import { assignAmong, assignAnew } from './assign-rows.ts'
import type { FoldTell } from './fold-messages.ts'
import { takeFresh, takeSegment } from './take-rows.ts'
import { nearestZones } from './train-rows.ts'
import { bytesOf, readBook, type BookedZone, type ZoneBook } from './zone-book.ts'

/** Below so many rows no zones are made: to look at all of them costs nothing. */
const FEWEST_ZONED_ROWS = 1000
/** Part of an index from which on it is trained anew, where all of it fits into memory. */
const ANEW_PART = 0.4
/** Zones are trained anew where their number is this far from what it should be. */
const ZONES_FACTOR = 1.7
const ROWS_OF_SMALLEST = 16
const SEED = 1

export interface StepOptions {
  readonly budgetBytes: number
  readonly all: boolean
  /** Fresh rows go into zones too: an automatic fold leaves them to become a delta. */
  readonly takesFresh: boolean
  readonly firstOwnSegment: number
  /** Fresh rows from this sequence on, and deltas from this segment on, came after the fold began: for the next one. */
  readonly endSequence: number
  readonly endSegment: number
  /** Zones may be trained anew: once in a fold, since what comes of it need not be what was aimed at. */
  readonly mayTrain: boolean
}

/** What a step does. */
export interface StepPlan {
  readonly rows: FoldRows
  readonly numbering: Numbering
  /** Segments that go, ascending. */
  readonly removed: readonly number[]
  /** Rows of segments that stay which are elsewhere from now on: they were updated. */
  readonly lifted: ReadonlyMap<Segment, readonly number[]>
  /** Rows that came into zones, or leave them. */
  readonly changedRows: number
  /** Zones were trained anew. */
  readonly isAnew: boolean
  /** Origin of the codes from now on; undefined: as it was. */
  readonly origin: Float32Array | undefined
}

/** Returns undefined where nothing is to do. Throws as reads do, and what `tell` throws. */
export function planStep(index: OpenIndex, options: StepOptions, tell: FoldTell): StepPlan | undefined {
  const { snapshot, context } = index
  const { meta } = snapshot
  const { live } = context.documents
  const book = readBook(index)
  const fresh = options.takesFresh ? live.fresh.list().filter(({ sequence }) => sequence < options.endSequence) : []
  tell.note({ stage: 'plan', done: 0, total: book.deltaRows + fresh.length })
  const expected = book.liveRows + fresh.length
  if (expected === 0) return meta.segmentCount === 0 ? undefined : emptied(index)
  // Of many rows that are deleted the others are worth their zones.
  if (meta.zoneCount === 0 && expected < FEWEST_ZONED_ROWS && meta.count < 2 * FEWEST_ZONED_ROWS && !options.all)
    return undefined
  const step = new StepMaker(index, options, { book, fresh, tell })
  const fits = book.byteLength + fresh.length * (meta.dim * 4 + ROW_OVERHEAD) <= options.budgetBytes
  if (meta.zoneCount === 0) return step.anew(fits)
  if (options.mayTrain && fits && areZonesOff(meta.zoneCount, zonesFor(expected, meta.dim))) return step.anew(true)
  return step.among(fits)
}

/** Zones that are trained on so many rows: none that the rows would leave empty. */
function zonesFor(rows: number, dim: number): number {
  return Math.min(defaultZones(Math.max(1, rows), dim), Math.max(1, Math.ceil(rows / ROWS_OF_SMALLEST)))
}

function areZonesOff(zones: number, wanted: number): boolean {
  return Math.max(zones, wanted) > 4 && (zones > wanted * ZONES_FACTOR || wanted > zones * ZONES_FACTOR)
}

const NO_ZONES: Numbering = { zoneCount: 0, written: [], kept: new Map() }

/** All rows are deleted. */
function emptied({ snapshot }: OpenIndex): StepPlan {
  const { meta, segments } = snapshot
  return {
    rows: new FoldRows(meta),
    numbering: NO_ZONES,
    removed: [...segments].map(({ segment }) => segment),
    lifted: new Map(),
    changedRows: 0,
    isAnew: false,
    origin: undefined
  }
}

class StepMaker {
  readonly #index: OpenIndex
  readonly #options: StepOptions
  readonly #book: ZoneBook
  readonly #fresh: readonly FreshRow[]
  readonly #tell: FoldTell
  readonly #rows: FoldRows
  readonly #removed: Segment[] = []

  constructor(
    index: OpenIndex,
    options: StepOptions,
    of: { readonly book: ZoneBook; readonly fresh: readonly FreshRow[]; readonly tell: FoldTell }
  ) {
    this.#index = index
    this.#options = options
    this.#book = of.book
    this.#fresh = of.fresh
    this.#tell = of.tell
    this.#rows = new FoldRows(index.snapshot.meta)
  }

  /** Trains zones on all rows; where they do not fit, on the deltas that came first, and the others follow. */
  anew(fits: boolean): StepPlan | undefined {
    const { snapshot } = this.#index
    const { meta } = snapshot
    // What was taken before this was decided stays.
    const isTaken = new Set(this.#removed)
    for (const { segments } of this.#book.zones) this.#takeMore(segments)
    this.#takeMore(this.#deltas(this.#options.budgetBytes).filter((segment) => !isTaken.has(segment)))
    if (fits && this.#rows.fresh().size === 0) takeFresh(this.#rows, this.#fresh)
    // Of the deltas that came first no row may be left.
    if (this.#rows.count === 0 && this.#removed.length === 0) return undefined
    if (this.#rows.count === 0) return { ...this.#plan(NO_ZONES), lifted: new Map(), isAnew: true, origin: undefined }
    const { liveRows } = this.#book
    const expected = fits ? this.#rows.count : liveRows
    // Zones for what follows too, but none that the rows at hand would leave empty.
    const zones = Math.min(zonesFor(expected, meta.dim), Math.ceil(this.#rows.count / ROWS_OF_SMALLEST))
    const rowsPerZone = Math.max(1, this.#rows.count / zones)
    const { zones: assigned, origin } = assignAnew(
      this.#rows,
      { zones, metric: meta.metric, seed: SEED, rowsPerZone },
      (round, rounds) => {
        this.#tell.note({ stage: 'train', done: round, total: rounds })
      }
    )
    const numbering = numberZones(assigned, 0, () => false)
    // Deltas that did not fit keep their codes: to code them again takes memory, and writers would wait for it.
    const isRecoded = fits && snapshot.quantizer !== undefined
    return { ...this.#plan(numbering), lifted: new Map(), isAnew: true, origin: isRecoded ? origin : undefined }
  }

  /** Rewrites some zones; undefined: there is no need. */
  among(fits: boolean): StepPlan | undefined {
    const { snapshot } = this.#index
    const { meta, centroids } = snapshot
    const { budgetBytes, all, firstOwnSegment } = this.#options
    this.#takeMore(this.#deltas(budgetBytes / 2))
    takeFresh(this.#rows, this.#fresh)
    const arrived = this.#rows.count
    const lifted = this.#lift()
    const built = centroids.subarray(0, meta.zoneCount * meta.dim)
    const indexes = Array.from({ length: this.#rows.count }, (_, index) => index)
    const near = nearestZones(this.#rows, indexes, { centroids: built, metric: meta.metric })
    const joining = new Map<number, number[]>()
    for (const [index, zone] of near.entries()) {
      const members = joining.get(zone)
      if (members === undefined) joining.set(zone, [index])
      else members.push(index)
    }
    const counts = new Map(Array.from(joining, ([zone, members]) => [zone, members.length]))
    const left = Math.max(0, budgetBytes - this.#rows.byteLength)
    const chosen = chooseZones(this.#book, counts, { budgetBytes: left, all, firstOwnSegment })
    if (chosen.length === 0 && this.#rows.count === 0 && this.#removed.length === 0) return undefined
    const rewrittenRows = chosen.reduce((sum, { rowCount }) => sum + rowCount, 0)
    if (
      this.#options.mayTrain &&
      fits &&
      rewrittenRows + arrived > (this.#book.liveRows + this.#fresh.length) * ANEW_PART
    )
      return this.anew(true)
    const rewritten = chosen.map((booked) => ({ booked, members: this.#takeZone(booked, joining) }))
    for (const { zone } of chosen) joining.delete(zone)
    // A zone has one further segment, as far as memory allows: what came before is written again with what comes now.
    for (const [zone, members] of joining) {
      const further = others(this.#book.zones[zone].segments)
      const bytes = further.reduce((sum, segment) => sum + bytesOf(segment), this.#rows.byteLength)
      if (further.length === 0 || bytes > budgetBytes) continue
      for (const index of this.#takeMore(further)) members.push(index)
    }
    const assigned = assignAmong(
      this.#rows,
      { metric: meta.metric, rowsPerZone: this.#book.rowsPerZone, centroids: built, zoneCount: meta.zoneCount },
      { rewritten, joining }
    )
    const gone = new Set(chosen.map(({ zone }) => zone))
    const numbering = numberZones(assigned, meta.zoneCount, (zone) => !gone.has(zone))
    const isThere = new Set(this.#removed)
    for (const segment of lifted.keys()) if (isThere.has(segment)) lifted.delete(segment)
    return { ...this.#plan(numbering), lifted, isAnew: false, origin: undefined }
  }

  #plan(numbering: Numbering): Omit<StepPlan, 'lifted' | 'isAnew' | 'origin'> {
    const removed = this.#removed.map(({ segment }) => segment).sort((a, b) => a - b)
    const { zoneCount } = this.#index.snapshot.meta
    const { masks } = this.#index.context.documents.live
    const built = this.#removed.filter(({ zone }) => zone < zoneCount)
    const before = built.reduce((rows, { rowCount, slot }) => rows + rowCount - (masks.of(slot)?.count ?? 0), 0)
    const deleted = built.reduce((rows, { slot }) => rows + (masks.of(slot)?.count ?? 0), 0)
    return { rows: this.#rows, numbering, removed, changedRows: Math.max(0, this.#rows.count - before) + deleted }
  }

  /** Takes the rows of a zone that are not here yet; returns all that it is to have. */
  #takeZone({ zone, segments }: BookedZone, joining: ReadonlyMap<number, readonly number[]>): number[] {
    return [...(joining.get(zone) ?? []), ...this.#takeMore(segments)]
  }

  /** Takes the rows of segments that are not here yet. */
  #takeMore(segments: readonly Segment[]): number[] {
    const first = this.#rows.count
    for (const segment of segments) {
      this.#tell.check()
      const isWanted = (row: number): boolean => this.#rows.indexOf(segment.segment, row) === undefined
      takeSegment(this.#index.context, this.#rows, { segment, isWanted })
      this.#removed.push(segment)
    }
    return Array.from({ length: this.#rows.count - first }, (_, i) => first + i)
  }

  /** The deltas that came first, as many as fit into some bytes, one at least. */
  #deltas(mostBytes: number): Segment[] {
    let bytes = 0
    const deltas = this.#book.deltas.filter(({ segment }) => segment < this.#options.endSegment)
    const fitting = deltas.findIndex((segment) => (bytes += bytesOf(segment)) > mostBytes)
    return deltas.slice(0, fitting === -1 ? undefined : Math.max(1, fitting))
  }

  /** Takes updated rows of built zones, where there are many; they join the nearest zone as new ones do. */
  #lift(): Map<Segment, number[]> {
    const { snapshot, context } = this.#index
    const { patches } = context.documents.live
    const lifted = new Map<Segment, number[]>()
    if (!this.#options.all && !arePatchesMany(patches.count, snapshot.meta.count)) return lifted
    for (const { segments } of this.#book.zones)
      for (const segment of segments) {
        const patched = patches.of(segment.slot)
        if (patched === undefined || this.#rows.byteLength > this.#options.budgetBytes / 2) continue
        const wanted = new Set(patched.rows)
        takeSegment(context, this.#rows, { segment, isWanted: (row) => wanted.has(row) })
        lifted.set(segment, [...wanted])
      }
    return lifted
  }
}
