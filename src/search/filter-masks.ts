// The rows that meet a filter, as masks in kernel memory: evaluated once, segment after segment, then kept for all
// searches with that filter.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { RowMatcher } from '../filter/row-matcher.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { Segment, SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import type { CountedMasks } from './row-masks.ts'

/** Share of zones with matches above which all are looked at: choosing among some costs as much. */
const MOST_ZONES_SHARE = 0.9

/** Where filters are evaluated. */
export interface FilterContext {
  readonly memory: KernelMemory
  readonly segments: SegmentTable
  /** Built zones. */
  readonly zoneCount: number
  readonly documents: DocumentFiles
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
  #hasZones = false
  #users = 0
  readonly #memory: KernelMemory
  readonly #segments: SegmentTable
  readonly #zoneCount: number
  readonly #documents: DocumentFiles
  readonly #fields: readonly DeclaredField[]
  readonly #matcher = new RowMatcher()
  /** Words of all masks, one after the other. */
  readonly #address: number
  readonly #byteLength: number
  /** By slot: rows that match, and where the mask is; 0: all rows match, or none. */
  readonly #counts: Uint32Array
  readonly #masks: Uint32Array
  #evaluated = 0
  #words = 0
  #buffer = new Uint32Array(64)

  /** `from`: masks of the same filter for fewer segments, which the context has in the same places. */
  constructor(context: FilterContext, filter: CompiledFilter, from?: FilterMasks) {
    this.filter = filter
    this.#memory = context.memory
    this.#segments = context.segments
    this.#zoneCount = context.zoneCount
    this.#documents = context.documents
    this.#fields = context.fields
    const { segments } = context
    this.#counts = new Uint32Array(segments.slotCount)
    this.#masks = new Uint32Array(segments.slotCount)
    let words = 0
    for (let i = 0; i < segments.count; i++) words += Math.ceil(segments.at(i).rowCount / 32)
    this.#byteLength = words * 4
    this.#address = this.#memory.allocate(this.#byteLength)
    if (from !== undefined) this.#copy(from)
  }

  /** Takes over what was evaluated. */
  #copy(from: FilterMasks): void {
    const memory = this.#memory
    memory.bytes.copyWithin(this.#address, from.#address, from.#address + from.#words * 4)
    this.#counts.set(from.#counts)
    for (const [slot, address] of from.#masks.entries())
      if (address !== 0) this.#masks[slot] = this.#address + (address - from.#address)
    this.#words = from.#words
    this.#evaluated = from.#evaluated
    this.matchCount = from.matchCount
    this.segmentCount = from.segmentCount
    if (!from.#hasZones) return
    // More segments are of deltas: those of built zones are the same.
    const { positions, count } = from.zones
    this.zones = { positions: positions === 0 ? 0 : memory.allocate(count * 4), count }
    memory.bytes.copyWithin(this.zones.positions, positions, positions === 0 ? 0 : positions + count * 4)
    this.#hasZones = true
  }

  /** Tells whether they are of these segments, not of fewer. */
  isFor(segments: SegmentTable): boolean {
    return this.#segments === segments
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

  get isWhole(): boolean {
    return this.#evaluated === this.#segments.count
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
    const segments: Segment[] = []
    for (let i = this.#evaluated, bytes = 0; i < this.#segments.count && bytes < mostBytes; i++) {
      const segment = this.#segments.at(i)
      segments.push(segment)
      bytes += segment.fields.byteLength
    }
    return segments
  }

  /** Tells whether evaluating a segment has to read nothing. */
  isAtHand(segment: Segment): boolean {
    return this.filter.fields.every((number) => this.#documents.hasField(segment, this.#fields[number - 1]))
  }

  /** Evaluates the next segment; throws as the reads of its fields do. */
  evaluateNext(): void {
    const segment = this.#segments.at(this.#evaluated)
    const { rowCount, slot } = segment
    const words = Math.ceil(rowCount / 32)
    if (this.#buffer.length < words) this.#buffer = new Uint32Array(words * 2)
    const count = this.#matcher.match(
      this.filter.predicate,
      { rowCount, column: (number) => this.#documents.fieldOf(segment, this.#fields[number - 1]) },
      this.#buffer
    )
    if (count > 0 && count < rowCount) {
      const address = this.#address + this.#words * 4
      this.#memory.uint32At(address, words).set(this.#buffer.subarray(0, words))
      this.#masks[slot] = address
      this.#words += words
    }
    this.#counts[slot] = count
    this.matchCount += count
    if (count > 0) this.segmentCount++
    this.#evaluated++
    if (this.isWhole && !this.#hasZones) this.#listZones()
  }

  #listZones(): void {
    const zoneCount = this.#zoneCount
    const zones: number[] = []
    this.#hasZones = true
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
    const positions = this.#memory.allocate(zones.length * 4)
    this.#memory.uint32At(positions, zones.length).set(zones)
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
        let word = this.#memory.words[address / 4 + (row >>> 5)]
        for (const base = row; word !== 0; word &= word - 1) take(slot, base + 31 - Math.clz32(word & -word))
        row += 31
      }
    }
  }

  /** Gives the kernel memory back. */
  close(): void {
    this.#memory.free(this.#address)
    if (this.zones.positions !== 0) this.#memory.free(this.zones.positions)
  }
}
