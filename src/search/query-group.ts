// Queries that wait for the segments of their lists to be scanned for all of them, in kernel memory: what the scan of a
// segment needs of each (its member), its list of segments (visits), and the rows that may have to be offered
// (records). No reads, no order of segments: search-together.ts has that.

import { candidateAddress, memberByteLength, recordAddress, recordsByteLength } from '../kernels/addresses.ts'
import type { RecordedVisits, TogetherScan } from '../kernels/kernel.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import {
  CANDIDATE_ESTIMATE_AT,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_SIZE_AT,
  MEMBER_LIMIT_AT,
  MEMBER_TABLES_AT,
  NOT_VISITED,
  RECORD_BOUND_AT,
  RECORD_ESTIMATE_AT,
  RECORD_LOW_AT,
  RECORD_ROW_AT,
  RECORDS_CAPACITY_AT,
  RECORDS_SIZE_AT,
  SCALAR_SLACK_AT,
  SCALARS_BYTES,
  PAIR_BYTES,
  VISIT_BYTES,
  VISIT_COUNT_AT,
  VISIT_DISTANCE_AT,
  VISIT_MASK_AT,
  VISIT_SEGMENT_AT,
  VISIT_START_AT
} from '../kernels/layouts.ts'
import type { CodeState } from './code-state.ts'
import type { SearchState } from './search-state.ts'

/** How much a group has room for. */
export interface GroupSize {
  readonly members: number
  readonly visits: number
  readonly records: number
}

/** A query that waits. */
export interface Member {
  /** Its number in the batch. */
  readonly query: number
  readonly zoneCount: number
  /** Rows of all its segments. */
  readonly rowCount: number
  readonly firstVisit: number
  /** Visits that were made by its own scan, of how many. */
  readonly visitsMade: number
  readonly visitCount: number
}

export class QueryGroup {
  readonly members: Member[] = []
  readonly #memory: KernelMemory
  readonly #size: GroupSize
  readonly #memberBytes: number
  readonly #scan: TogetherScan
  readonly #pairs: number
  /** Where the pairs of each slot start; one number more. */
  readonly #starts: Uint32Array
  #visitCount = 0

  constructor(memory: KernelMemory, { scan }: CodeState, of: { readonly size: GroupSize; readonly slots: number }) {
    const { size, slots } = of
    const { metric, bits, width } = scan
    this.#memory = memory
    this.#size = size
    this.#memberBytes = memberByteLength(width)
    this.#starts = new Uint32Array(slots + 1)
    this.#pairs = memory.allocate(size.visits * PAIR_BYTES)
    this.#scan = {
      metric,
      bits,
      width,
      segments: 0,
      members: memory.allocate(size.members * this.#memberBytes),
      visits: memory.allocate(size.visits * VISIT_BYTES),
      records: memory.allocate(recordsByteLength(size.records)),
      scratch: memory.allocate(SCALARS_BYTES)
    }
    this.clear()
  }

  /** Gives the kernel memory back. */
  close(): void {
    const { members, visits, records, scratch } = this.#scan
    for (const region of [members, visits, records, scratch, this.#pairs]) this.#memory.free(region)
  }

  clear(): void {
    const { words } = this.#memory
    const { records } = this.#scan
    words[(records + RECORDS_SIZE_AT) / 4] = 0
    words[(records + RECORDS_CAPACITY_AT) / 4] = this.#size.records
    this.members.length = 0
    this.#visitCount = 0
  }

  /** Tells whether there is room for a search that has scanned the first segments of its list. */
  hasRoomFor({ segments, memory }: SearchState, { scan }: CodeState): boolean {
    const { words } = memory
    const candidates = words[(scan.candidates + CANDIDATES_SIZE_AT) / 4]
    return (
      this.members.length < this.#size.members &&
      this.#visitCount + segments.length <= this.#size.visits &&
      // Half of the room is for what scans will record.
      words[(this.#scan.records + RECORDS_SIZE_AT) / 4] + candidates <= this.#size.records / 2
    )
  }

  /** Takes over a search that has scanned the first segments of its list; its state may then serve another. */
  add(query: number, state: SearchState, codes: CodeState): void {
    const { words, floats, bytes } = this.#memory
    const { segments, reached, zoneCount } = state
    const { scan } = codes
    const member = this.#scan.members + this.members.length * this.#memberBytes
    bytes.copyWithin(member, scan.scalars, scan.scalars + MEMBER_LIMIT_AT)
    floats[(member + MEMBER_LIMIT_AT) / 4] = codes.limit
    const tables = member + MEMBER_TABLES_AT
    bytes.copyWithin(tables, scan.tables, scan.tables + scan.width * 4)
    bytes.copyWithin(tables + scan.width * 4, scan.integers, scan.integers + scan.width * 2)
    const firstVisit = this.#visitCount
    let rowCount = 0
    for (let position = 0; position < segments.length; position++) {
      const { slot, rowCount: rows } = segments[position]
      const visit = (this.#scan.visits + (firstVisit + position) * VISIT_BYTES) / 4
      words[visit + VISIT_SEGMENT_AT / 4] = slot
      words[visit + VISIT_MASK_AT / 4] = state.maskAt(position)
      floats[visit + VISIT_DISTANCE_AT / 4] = state.distanceAt(position)
      words[visit + VISIT_START_AT / 4] = 0
      words[visit + VISIT_COUNT_AT / 4] = position < reached ? 0 : NOT_VISITED
      rowCount += rows
    }
    this.#visitCount += segments.length
    this.#recordCandidates(scan.candidates, firstVisit)
    this.members.push({
      query,
      zoneCount,
      rowCount,
      firstVisit,
      visitsMade: reached,
      visitCount: segments.length
    })
  }

  /** Records what a search offered by itself, in the order in which it did: segment after segment. */
  #recordCandidates(candidates: number, firstVisit: number): void {
    const { words, floats } = this.#memory
    const { records, visits } = this.#scan
    const size = (records + RECORDS_SIZE_AT) / 4
    const count = words[(candidates + CANDIDATES_SIZE_AT) / 4]
    let visit = (visits + firstVisit * VISIT_BYTES) / 4
    for (let i = 0; i < count; i++) {
      const from = candidateAddress(candidates, i) / 4
      const segment = words[from + CANDIDATE_SEGMENT_AT / 4]
      while (words[visit + VISIT_SEGMENT_AT / 4] !== segment) visit += VISIT_BYTES / 4
      const at = words[size]++
      if (words[visit + VISIT_COUNT_AT / 4]++ === 0) words[visit + VISIT_START_AT / 4] = at
      const to = recordAddress(records, at) / 4
      floats[to + RECORD_BOUND_AT / 4] = -Infinity
      floats[to + RECORD_LOW_AT / 4] = floats[from + CANDIDATE_LOW_AT / 4]
      floats[to + RECORD_ESTIMATE_AT / 4] = floats[from + CANDIDATE_ESTIMATE_AT / 4]
      words[to + RECORD_ROW_AT / 4] = words[from + CANDIDATE_ROW_AT / 4]
    }
  }

  /** Sorts what is to be visited by slot; returns the slots that have some, in ascending order. */
  sortPairs(): number[] {
    const { words } = this.#memory
    const starts = this.#starts
    const { visits } = this.#scan
    const slotOf = (visit: number): number => words[(visits + visit * VISIT_BYTES + VISIT_SEGMENT_AT) / 4]
    starts.fill(0)
    for (const { firstVisit, visitsMade, visitCount } of this.members)
      for (let i = visitsMade; i < visitCount; i++) starts[slotOf(firstVisit + i)]++
    const slots: number[] = []
    let total = 0
    for (let slot = 0; slot < starts.length; slot++) {
      if (starts[slot] > 0) slots.push(slot)
      total += starts[slot]
      starts[slot] = total
    }
    // From the last to the first: each pair takes the last free place of its slot, and starts become starts.
    for (let member = this.members.length - 1; member >= 0; member--) {
      const { firstVisit, visitsMade, visitCount } = this.members[member]
      for (let i = visitCount - 1; i >= visitsMade; i--) {
        const pair = this.#pairs / 4 + --starts[slotOf(firstVisit + i)] * (PAIR_BYTES / 4)
        words[pair] = member
        words[pair + 1] = firstVisit + i
      }
    }
    return slots
  }

  /** Scans the codes of a segment, which are in kernel memory, for all that wait for it. `table`: of segments. */
  scanSlot(slot: number, table: number): void {
    const first = this.#starts[slot]
    this.#scan.segments = table
    const pairs = this.#pairs + first * PAIR_BYTES
    this.#memory.kernel.scanTogether(this.#scan, slot, pairs, this.#starts[slot + 1] - first)
  }

  /**
   * Offers what was recorded for a member to a state that was started for it; tells whether all visits were made: there
   * may have been no room for records.
   */
  offerTo({ scan }: CodeState, position: number): boolean {
    const { floats, kernel } = this.#memory
    const { metric, visits, records } = this.#scan
    const { firstVisit, visitCount: count } = this.members[position]
    const member = this.#scan.members + position * this.#memberBytes
    const recorded: RecordedVisits = {
      metric,
      slack: floats[(member + SCALAR_SLACK_AT) / 4],
      visits: visits + firstVisit * VISIT_BYTES,
      count,
      records,
      heap: scan.heap,
      candidates: scan.candidates
    }
    return kernel.offerRecorded(recorded) === count
  }
}
