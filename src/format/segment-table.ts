// The segments of an index, read from their packed records when they are asked for: an index has thousands, a search
// looks at some tens. No I/O.

import { countingSort, type Sorted } from '../counting-sort.ts'
import { bytesEqual } from './layout.ts'
import {
  EXTENT_PART_WORDS,
  EXTENT_WORDS,
  SEGMENT_RECORD,
  SEGMENT_WORDS,
  type FileExtent,
  type SegmentRecord
} from './segment-record.ts'
import { joinU64 } from './u64.ts'

/** A segment of an open index. */
export interface Segment extends SegmentRecord {
  /** Index into what an open index keeps for each segment; the same as long as the segment lives. */
  readonly slot: number
}

/** Facts about all segments. */
export interface SegmentTotals {
  /** Rows of all segments, and of the largest. */
  readonly rows: number
  readonly mostRows: number
  /** Largest norm of a row. */
  readonly maxNorm: number
  /** Bytes of the codes of all segments, and of the segment that has most. */
  readonly codesBytes: number
  readonly mostCodesBytes: number
  /** Some segment has payloads. */
  readonly hasPayloads: boolean
}

/** Facts of all segments, by slot. */
export interface SegmentShapes {
  readonly spreads: Float64Array
  readonly rowCounts: Float64Array
  readonly mostSpread: number
}

const RECORD_BYTES = SEGMENT_RECORD.byteLength
/** Words of a record. */
export const RECORD_WORDS = RECORD_BYTES / 4
const RECORD_DOUBLES = RECORD_BYTES / 8
const { rowCount: ROW_COUNT, maxNorm: MAX_NORM, zone: ZONE } = SEGMENT_WORDS
const CODES_LENGTH = EXTENT_WORDS.codes + EXTENT_PART_WORDS.byteLength
const PAYLOAD_LENGTH = EXTENT_WORDS.payload + EXTENT_PART_WORDS.byteLength

export class SegmentTable {
  readonly count: number
  /** All zones, those of deltas too. */
  readonly zoneCount: number
  /** The records as they stand in the catalogue, in ascending order of segment number. */
  readonly records: Uint8Array
  /** Slots in use are below this. */
  readonly slotCount: number
  /** Each zone has one segment, whose position and slot is the number of the zone: so a build writes them. */
  readonly isOnePerZone: boolean
  readonly totals: SegmentTotals
  /** The records as words and as float64, for who looks at all of them: see SEGMENT_WORDS and RECORD_WORDS. */
  readonly words: Uint32Array
  readonly doubles: Float64Array
  readonly #segments: (Segment | undefined)[]
  #shapes: SegmentShapes | undefined
  /** Slot of each segment, and back; undefined: slots are positions. */
  readonly #slots: Uint32Array | undefined
  readonly #positionOfSlot: Uint32Array | undefined
  /** Positions by zone; undefined with one segment a zone. */
  readonly #byZone: Sorted | undefined

  /**
   * `records`: whole records, aligned to 8 bytes; zones are below `zoneCount`. Segments that `previous` has too,
   * unchanged, keep their slots; others take those that are free.
   */
  constructor(records: Uint8Array, zoneCount: number, previous?: SegmentTable) {
    this.records = records
    this.zoneCount = zoneCount
    this.count = records.byteLength / RECORD_BYTES
    this.words = new Uint32Array(records.buffer, records.byteOffset, records.byteLength / 4)
    this.doubles = new Float64Array(records.buffer, records.byteOffset, records.byteLength / 8)
    this.#segments = new Array<Segment | undefined>(this.count)
    if (previous === undefined || this.#extends(previous)) {
      this.slotCount = this.count
    } else {
      const slots = this.#takeSlots(previous)
      this.slotCount = slots.reduce((most, slot) => Math.max(most, slot + 1), 0)
      // After a change that only added segments slots are positions still.
      if (slots.some((slot, position) => slot !== position)) {
        this.#slots = slots
        this.#positionOfSlot = new Uint32Array(this.slotCount)
        for (const [position, slot] of slots.entries()) this.#positionOfSlot[slot] = position
      }
    }
    this.totals = this.#sumUp()
    this.isOnePerZone = this.#slots === undefined && this.#isOnePerZone()
    if (this.isOnePerZone) return
    const zones = Uint32Array.from({ length: this.count }, (_, position) => this.word(position, SEGMENT_WORDS.zone))
    this.#byZone = countingSort(zones, zoneCount)
  }

  /**
   * Takes over all segments of a table whose slots are positions, where more follow them here; tells whether it did.
   */
  #extends(previous: SegmentTable): boolean {
    const { byteLength } = previous.records
    if (previous.#slots !== undefined || byteLength > this.records.byteLength) return false
    if (!bytesEqual(previous.records, this.records.subarray(0, byteLength))) return false
    for (let position = 0; position < previous.count; position++)
      this.#segments[position] = previous.#segments[position]
    return true
  }

  /** Returns the u32 at a word of the record at a position: one of SEGMENT_WORDS, or in one of EXTENT_WORDS. */
  word(position: number, at: number): number {
    return this.words[position * RECORD_WORDS + at]
  }

  /** The same of a u64; a value above 2^53 - 1 comes out as no safe integer. */
  long(position: number, at: number): number {
    const word = position * RECORD_WORDS + at
    return joinU64(this.words[word], this.words[word + 1])
  }

  /** The same of a float64. */
  double(position: number, at: number): number {
    return this.doubles[position * RECORD_DOUBLES + at / 2]
  }

  /** Returns the segment at a position, from 0 in ascending order of number: one object as long as it lives. */
  at(position: number): Segment {
    return (this.#segments[position] ??= this.#read(position))
  }

  inSlot(slot: number): Segment {
    return this.at(this.#positionOfSlot === undefined ? slot : this.#positionOfSlot[slot])
  }

  /** Calls `take` with each segment of a zone, in ascending order of number. */
  ofZone(zone: number, take: (segment: Segment) => void): void {
    if (this.#byZone === undefined) {
      take(this.at(zone))
      return
    }
    const { order, starts } = this.#byZone
    for (let i = starts[zone]; i < starts[zone + 1]; i++) take(this.at(order[i]))
  }

  /**
   * Writes where the slots of each zone start among all (zones + 1 numbers), and the slots, zone by zone, in ascending
   * order of number.
   */
  writeZoneSlots(starts: Uint32Array, slots: Uint32Array): void {
    const sorted = this.#byZone
    for (let zone = 0; zone < starts.length; zone++) starts[zone] = sorted === undefined ? zone : sorted.starts[zone]
    for (let i = 0; i < slots.length; i++) {
      const position = sorted === undefined ? i : sorted.order[i]
      slots[i] = this.#slots === undefined ? position : this.#slots[position]
    }
  }

  /** Without calls: it runs once for each index, with code that has not run before. */
  #sumUp(): SegmentTotals {
    const { words, doubles } = this
    let [rows, mostRows, maxNorm, codesBytes, mostCodesBytes] = [0, 0, 0, 0, 0]
    let hasPayloads = false
    for (let at = 0; at < words.length; at += RECORD_WORDS) {
      const rowCount = joinU64(words[at + ROW_COUNT], words[at + ROW_COUNT + 1])
      const bytes = joinU64(words[at + CODES_LENGTH], words[at + CODES_LENGTH + 1])
      const norm = doubles[(at + MAX_NORM) / 2]
      rows += rowCount
      codesBytes += bytes
      if (rowCount > mostRows) mostRows = rowCount
      if (bytes > mostCodesBytes) mostCodesBytes = bytes
      if (norm > maxNorm) maxNorm = norm
      if (words[at + PAYLOAD_LENGTH] !== 0) hasPayloads = true
    }
    return { rows, mostRows, maxNorm, codesBytes, mostCodesBytes, hasPayloads }
  }

  /** Counts the rows of all zones from one on. */
  rowsFrom(zone: number): number {
    if (zone >= this.zoneCount) return 0
    const { words } = this
    let rows = 0
    for (let at = 0; at < words.length; at += RECORD_WORDS)
      if (words[at + ZONE] >= zone) rows += joinU64(words[at + ROW_COUNT], words[at + ROW_COUNT + 1])
    return rows
  }

  /** Counts the rows of a zone. */
  rowsOfZone(zone: number): number {
    let rows = 0
    this.ofZone(zone, ({ rowCount }) => {
      rows += rowCount
    })
    return rows
  }

  /** Spreads and rows of the segments by slot, side by side for who looks at hundreds of them. */
  get shapes(): SegmentShapes {
    this.#shapes ??= this.#collectShapes()
    return this.#shapes
  }

  #collectShapes(): SegmentShapes {
    const [spreads, rowCounts] = [new Float64Array(this.slotCount), new Float64Array(this.slotCount)]
    let mostSpread = 0
    for (let position = 0; position < this.count; position++) {
      const slot = this.#slots === undefined ? position : this.#slots[position]
      spreads[slot] = this.double(position, SEGMENT_WORDS.spread)
      rowCounts[slot] = this.long(position, SEGMENT_WORDS.rowCount)
      mostSpread = Math.max(mostSpread, spreads[slot])
    }
    return { spreads, rowCounts, mostSpread }
  }

  *[Symbol.iterator](): Generator<Segment> {
    for (let position = 0; position < this.count; position++) yield this.at(position)
  }

  /** Returns the position of a segment number, or -1. */
  find(segment: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.long(middle, SEGMENT_WORDS.segment) < segment) low = middle + 1
      else high = middle
    }
    return low < this.count && this.long(low, SEGMENT_WORDS.segment) === segment ? low : -1
  }

  #read(position: number): Segment {
    return {
      segment: this.long(position, SEGMENT_WORDS.segment),
      slot: this.#slots === undefined ? position : this.#slots[position],
      zone: this.word(position, SEGMENT_WORDS.zone),
      rowCount: this.long(position, SEGMENT_WORDS.rowCount),
      minNorm: this.double(position, SEGMENT_WORDS.minNorm),
      maxNorm: this.double(position, SEGMENT_WORDS.maxNorm),
      radius: this.double(position, SEGMENT_WORDS.radius),
      spread: this.double(position, SEGMENT_WORDS.spread),
      rows: this.extent(position, 'rows'),
      columns: this.extent(position, 'columns'),
      codes: this.extent(position, 'codes'),
      fields: this.extent(position, 'fields'),
      payload: this.extent(position, 'payload')
    }
  }

  /** Returns where an extent of the segment at a position is. */
  extent(position: number, kind: keyof typeof EXTENT_WORDS): FileExtent {
    const at = EXTENT_WORDS[kind]
    return {
      offset: this.long(position, at + EXTENT_PART_WORDS.offset),
      byteLength: this.extentBytes(position, kind),
      file: this.word(position, at + EXTENT_PART_WORDS.file),
      crc: this.word(position, at + EXTENT_PART_WORDS.crc)
    }
  }

  /** Returns the length of an extent of the segment at a position; 0: it has none. */
  extentBytes(position: number, kind: keyof typeof EXTENT_WORDS): number {
    return this.long(position, EXTENT_WORDS[kind] + EXTENT_PART_WORDS.byteLength)
  }

  #recordAt(position: number): Uint8Array {
    return this.records.subarray(position * RECORD_BYTES, (position + 1) * RECORD_BYTES)
  }

  #isOnePerZone(): boolean {
    if (this.count !== this.zoneCount) return false
    const { words } = this
    for (let position = 0, at = ZONE; position < this.count; position++, at += RECORD_WORDS) {
      if (words[at] !== position) return false
    }
    return true
  }

  #takeSlots(previous: SegmentTable): Uint32Array {
    const slots = new Uint32Array(this.count)
    const isTaken = new Uint8Array(previous.slotCount)
    const fresh: number[] = []
    for (let position = 0; position < this.count; position++) {
      const before = previous.find(this.long(position, SEGMENT_WORDS.segment))
      // A record that changed is another segment to whoever keeps something of it.
      if (before === -1 || !bytesEqual(this.#recordAt(position), previous.#recordAt(before))) {
        fresh.push(position)
        continue
      }
      const segment = previous.at(before)
      this.#segments[position] = segment
      slots[position] = segment.slot
      isTaken[slots[position]] = 1
    }
    let slot = 0
    for (const position of fresh) {
      while (slot < isTaken.length && isTaken[slot] === 1) slot++
      slots[position] = slot++
    }
    return slots
  }
}
