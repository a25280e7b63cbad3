// The rows that meet a filter, as masks in kernel memory: evaluated once, segment after segment, then kept for all
// searches with that filter.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { wordCount } from '../format/bitmap.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { Segment, SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { LiveRows } from '../live/live-rows.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import { SegmentMatcher } from './match-rows.ts'
import type { CountedMasks } from './row-masks.ts'

/** Share of zones with matches above which all are looked at: choosing among some costs as much. */
const MOST_ZONES_SHARE = 0.9

/** Where filters are evaluated. */
export interface FilterContext {
  readonly memory: KernelMemory
  /** Another one where segments came. */
  segments: SegmentTable
  /** Built zones. */
  readonly zoneCount: number
  readonly documents: DocumentFiles
  readonly live: LiveRows
  /** By number, from 1 on. */
  readonly fields: readonly DeclaredField[]
}

export class FilterMasks implements CountedMasks {
  readonly filter: CompiledFilter
  /** Rows that match. */
  matchCount = 0
  /** Segments with rows that match. */
  segmentCount = 0
  /** Built zones with rows that match: u32 each, ascending; address 0 where they are nearly all. */
  zones: { readonly positions: number; readonly count: number } = { positions: 0, count: 0 }
  /** The version of live rows that it is of, once it is whole. */
  version = 0
  #users = 0
  readonly #context: FilterContext
  /** Searches that began before segments came know nothing of them. */
  #segments: SegmentTable
  readonly #matcher = new SegmentMatcher()
  /** Regions of masks: one for all segments that there were at first, then one for each that came. */
  readonly #regions: number[] = []
  #byteLength = 0
  /** By slot: rows that match, and where the mask is; 0: all rows match, or none. */
  #counts = new Uint32Array(0)
  #masks = new Uint32Array(0)
  /** By slot: where the mask is to be, if there must be one. */
  #rooms = new Uint32Array(0)
  /** Segments of the table that have been evaluated. */
  #evaluated = 0
  /** Slots that must be evaluated again. */
  readonly #stale = new Set<number>()
  #buffer = new Uint32Array(64)

  constructor(context: FilterContext, filter: CompiledFilter) {
    this.filter = filter
    this.#context = context
    this.#segments = context.segments
    this.#roomForSegments()
  }

  /** Makes room for the masks of segments that have none. */
  #roomForSegments(): void {
    const { memory } = this.#context
    const segments = this.#segments
    this.#counts = lengthened(this.#counts, segments.slotCount)
    this.#masks = lengthened(this.#masks, segments.slotCount)
    this.#rooms = lengthened(this.#rooms, segments.slotCount)
    let bytes = 0
    for (let i = this.#evaluated; i < segments.count; i++) bytes += wordCount(segments.at(i).rowCount) * 4
    let address = memory.allocate(bytes)
    this.#regions.push(address)
    this.#byteLength += bytes
    for (let i = this.#evaluated; i < segments.count; i++) {
      const { slot, rowCount } = segments.at(i)
      this.#rooms[slot] = address
      address += wordCount(rowCount) * 4
    }
  }

  /** Bytes of kernel memory. */
  get byteLength(): number {
    return this.#byteLength + this.zones.count * 4
  }

  /** Searches use it, or may soon. */
  get isInUse(): boolean {
    return this.#users > 0
  }

  take(): void {
    this.#users++
  }

  giveBack(): void {
    this.#users--
  }

  /** All segments have been evaluated, as their rows are now. */
  get isWhole(): boolean {
    return this.#evaluated === this.#segments.count && this.#stale.size === 0
  }

  /** Whole, and as rows and segments are now. */
  get isCurrent(): boolean {
    const { live, segments } = this.#context
    return this.isWhole && this.version === live.version && this.#segments === segments
  }

  /** Notes that rows of segments changed. */
  expire(slots: Iterable<number>): void {
    for (const slot of slots) if (slot < this.#segments.slotCount) this.#stale.add(slot)
  }

  /** Brings masks that are whole, and nobody uses, up to date with what changed, or with segments that came. */
  update(): void {
    const { segments, live } = this.#context
    const hasMore = segments.count > this.#segments.count
    this.#segments = segments
    if (hasMore) this.#roomForSegments()
    while (!this.isWhole) this.evaluateNext()
    this.version = live.version
  }

  addressOf(slot: number): number {
    return this.#masks[slot]
  }

  /** Of a segment that came later no row is known to match. */
  isEmpty(slot: number): boolean {
    return !(this.#counts[slot] > 0)
  }

  /** Counts the rows of the segment in a slot that match. */
  countOf(slot: number): number {
    return this.#counts[slot]
  }

  /** The next segments to be evaluated, whose fields have `mostBytes` or little more. */
  upcoming(mostBytes: number): Segment[] {
    const table = this.#segments
    const segments: Segment[] = []
    for (let i = this.#evaluated, bytes = 0; i < table.count && bytes < mostBytes; i++) {
      const segment = table.at(i)
      segments.push(segment)
      bytes += segment.fields.byteLength
    }
    return segments
  }

  /** Tells whether evaluating a segment has to read nothing. */
  isAtHand(segment: Segment): boolean {
    const { documents, fields } = this.#context
    return this.filter.fields.every((number) => documents.hasField(segment, fields[number - 1]))
  }

  /** Evaluates the next segment; throws as the reads of its fields do. */
  evaluateNext(): void {
    const segments = this.#segments
    if (this.#evaluated < segments.count) {
      this.#evaluate(segments.at(this.#evaluated))
      this.#evaluated++
    } else {
      for (const slot of this.#stale) {
        this.#evaluate(segments.inSlot(slot))
        this.#stale.delete(slot)
        break
      }
    }
    if (!this.isWhole) return
    this.#listZones()
    this.version = this.#context.live.version
  }

  #evaluate(segment: Segment): void {
    const { memory, documents, fields, live } = this.#context
    const { rowCount, slot } = segment
    const words = wordCount(rowCount)
    if (this.#buffer.length < words) this.#buffer = new Uint32Array(words * 2)
    const of = { files: documents, fields, live }
    const count = this.#matcher.match(of, segment, { filter: this.filter, bits: this.#buffer })
    const isMasked = count > 0 && count < rowCount
    if (isMasked) memory.uint32At(this.#rooms[slot], words).set(this.#buffer.subarray(0, words))
    this.#masks[slot] = isMasked ? this.#rooms[slot] : 0
    this.matchCount += count - this.#counts[slot]
    this.segmentCount += (count > 0 ? 1 : 0) - (this.#counts[slot] > 0 ? 1 : 0)
    this.#counts[slot] = count
  }

  #listZones(): void {
    if (this.zones.positions !== 0) this.#context.memory.free(this.zones.positions)
    const { zoneCount } = this.#context
    const zones: number[] = []
    for (let zone = 0; zone < zoneCount; zone++) {
      let has = false
      this.#segments.ofZone(zone, ({ slot }) => {
        has ||= this.#counts[slot] > 0
      })
      if (has) zones.push(zone)
    }
    if (zones.length === 0 || zones.length > zoneCount * MOST_ZONES_SHARE) {
      this.zones = { positions: 0, count: zones.length === 0 ? 0 : zoneCount }
      return
    }
    const positions = this.#context.memory.allocate(zones.length * 4)
    this.#context.memory.uint32At(positions, zones.length).set(zones)
    this.zones = { positions, count: zones.length }
  }

  /** Calls `take` with every row that matches. */
  eachMatch(take: (slot: number, row: number) => void): void {
    for (let i = 0; i < this.#segments.count; i++) {
      const { slot, rowCount } = this.#segments.at(i)
      const count = this.#counts[slot]
      if (count === 0) continue
      const address = this.#masks[slot]
      for (let row = 0; row < rowCount; row++) {
        if (address === 0) {
          take(slot, row)
          continue
        }
        let word = this.#context.memory.words[address / 4 + (row >>> 5)]
        for (const base = row; word !== 0; word &= word - 1) take(slot, base + 31 - Math.clz32(word & -word))
        row += 31
      }
    }
  }

  /** Gives the kernel memory back. */
  close(): void {
    for (const region of this.#regions) this.#context.memory.free(region)
    if (this.zones.positions !== 0) this.#context.memory.free(this.zones.positions)
  }
}

function lengthened(values: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(Math.max(length, values.length))
  longer.set(values)
  return longer
}
