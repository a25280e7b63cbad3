// The scan of codes for a group of queries in the scalar kernel: twin of assembly/scan-together.ts, whose comments say
// why rows are recorded.

import { memberByteLength, recordAddress, segmentEntry } from './addresses.ts'
import type { CodeScan, RecordedVisits, TogetherScan } from './kernel.ts'
import {
  BLOCK_FACTOR_BYTES,
  BLOCK_ROWS,
  BLOCK_SPREAD_AT,
  CHUNK_ROWS,
  MEMBER_LIMIT_AT,
  MEMBER_TABLES_AT,
  METRIC_COSINE,
  METRIC_IP,
  NOT_VISITED,
  RECORD_BOUND_AT,
  RECORD_BYTES,
  RECORD_ESTIMATE_AT,
  RECORD_LOW_AT,
  RECORD_ROW_AT,
  RECORDS_CAPACITY_AT,
  RECORDS_SIZE_AT,
  SCALAR_OFFSET_AT,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_STEP_AT,
  SCALAR_VARIANCE_AT,
  SCRATCH_LOWS_AT,
  SCRATCH_SUMS_AT,
  SEGMENT_CENTROID_NORM2_AT,
  SEGMENT_PLANES_AT,
  SEGMENT_ROW_COUNT_AT,
  PAIR_BYTES,
  PAIR_MEMBER_AT,
  PAIR_VISIT_AT,
  VISIT_BYTES,
  VISIT_COUNT_AT,
  VISIT_DISTANCE_AT,
  VISIT_MASK_AT,
  VISIT_SEGMENT_AT,
  VISIT_START_AT
} from './layouts.ts'
import { offerRow, refinedEstimate, sumBlock, testBlock } from './scalar-codes.ts'
import { heapLimit } from './scalar-heap.ts'
import type { ScalarViews } from './scalar-views.ts'

const round = Math.fround

/** Scans a segment for the members of `count` pairs; returns how many there was room for. */
export function scanTogether(
  views: ScalarViews,
  scan: TogetherScan,
  of: { readonly segment: number; readonly pairs: number; readonly count: number }
): number {
  const { words } = views
  const { records } = scan
  const rowCount = words[(segmentEntry(scan.segments, of.segment) + SEGMENT_ROW_COUNT_AT) / 4]
  for (let pair = 0; pair < of.count; pair++) {
    const size = words[(records + RECORDS_SIZE_AT) / 4]
    if (size + rowCount > words[(records + RECORDS_CAPACITY_AT) / 4]) return pair
    const at = of.pairs + pair * PAIR_BYTES
    const member = scan.members + words[(at + PAIR_MEMBER_AT) / 4] * memberByteLength(scan.width)
    const visit = scan.visits + words[(at + PAIR_VISIT_AT) / 4] * VISIT_BYTES
    visitSegment(views, scan, { segment: of.segment, member, visit })
    words[(visit + VISIT_START_AT) / 4] = size
    words[(visit + VISIT_COUNT_AT) / 4] = words[(records + RECORDS_SIZE_AT) / 4] - size
  }
  return of.count
}

function visitSegment(
  views: ScalarViews,
  scan: TogetherScan,
  of: { segment: number; member: number; visit: number }
): void {
  const { words, floats } = views
  const { metric, width } = scan
  const scalarAt = (place: number): number => floats[(of.member + place) / 4]
  const tables = of.member + MEMBER_TABLES_AT
  const own: CodeScan = {
    ...scan,
    tables,
    integers: tables + width * 4,
    scalars: of.member,
    list: 0,
    heap: 0,
    candidates: 0
  }
  const entry = segmentEntry(scan.segments, of.segment)
  const [blocks, rowCount] = [SEGMENT_PLANES_AT, SEGMENT_ROW_COUNT_AT].map((place) => words[(entry + place) / 4])
  const [sums, lows] = [SCRATCH_SUMS_AT, SCRATCH_LOWS_AT].map((place) => (scan.scratch + place) / 4)
  const mask = words[(of.visit + VISIT_MASK_AT) / 4]
  const distance = floats[(of.visit + VISIT_DISTANCE_AT) / 4]
  const limit = scalarAt(MEMBER_LIMIT_AT)
  const shared = metric === METRIC_COSINE ? round(distance * 0.5) : distance
  const norm2 = floats[(entry + SEGMENT_CENTROID_NORM2_AT) / 4]
  const distance2 = Math.max(
    0,
    metric === METRIC_IP ? round(round(scalarAt(SCALAR_QUERY_NORM2_AT) + round(2 * shared)) + norm2) : distance
  )
  for (let row = 0; row < rowCount; row += BLOCK_ROWS) {
    const block = blocks + (row / BLOCK_ROWS) * (width * 4 + BLOCK_FACTOR_BYTES)
    const factors = block / 4 + width
    const spread = floats[factors + BLOCK_SPREAD_AT / 4]
    const deviation = round(Math.sqrt(round(round(round(spread * spread) * distance2) + scalarAt(SCALAR_VARIANCE_AT))))
    const margin = round(scalarAt(SCALAR_PLANES_CONFIDENCE_AT) * deviation)
    sumBlock(views, block, sums, own)
    const line = {
      step: scalarAt(SCALAR_STEP_AT),
      offset: round(scalarAt(SCALAR_OFFSET_AT) + margin),
      limit: round(limit - shared)
    }
    let survivors = testBlock(floats, factors, { sums, lows }, line)
    if (mask !== 0) survivors &= words[mask / 4 + row / BLOCK_ROWS]
    for (; survivors !== 0; survivors &= survivors - 1) {
      const i = 31 - Math.clz32(survivors & -survivors)
      const bound = floats[lows + i]
      if (round(bound + shared) >= limit) continue
      const refined = refinedEstimate(views, own, { row: row + i, entry, shared, distance2 })
      if (refined.low < limit) addRecord(views, scan.records, { ...refined, bound, row: row + i })
    }
  }
}

interface Recorded {
  readonly bound: number
  readonly low: number
  readonly estimate: number
  readonly row: number
}

function addRecord({ words, floats }: ScalarViews, records: number, of: Recorded): void {
  const size = words[(records + RECORDS_SIZE_AT) / 4]++
  const at = recordAddress(records, size)
  floats[(at + RECORD_BOUND_AT) / 4] = of.bound
  floats[(at + RECORD_LOW_AT) / 4] = of.low
  floats[(at + RECORD_ESTIMATE_AT) / 4] = of.estimate
  words[(at + RECORD_ROW_AT) / 4] = of.row
}

/** Offers what was recorded in the order of the visits; returns how many there were before the first not made. */
export function offerRecorded(views: ScalarViews, of: RecordedVisits): number {
  const { words, floats, view } = views
  const to = { heap: of.heap, candidates: of.candidates, slack: round(of.slack) }
  let limit = round(heapLimit(view, of.heap))
  for (let i = 0; i < of.count; i++) {
    const visit = of.visits + i * VISIT_BYTES
    const count = words[(visit + VISIT_COUNT_AT) / 4]
    if (count === NOT_VISITED) return i
    const distance = floats[(visit + VISIT_DISTANCE_AT) / 4]
    const shared = of.metric === METRIC_COSINE ? round(distance * 0.5) : distance
    const segment = words[(visit + VISIT_SEGMENT_AT) / 4]
    const first = recordAddress(of.records, words[(visit + VISIT_START_AT) / 4])
    let chunk = -1
    let planesLimit = 0
    for (let record = first; record < first + count * RECORD_BYTES; record += RECORD_BYTES) {
      const row = words[(record + RECORD_ROW_AT) / 4]
      if (Math.floor(row / CHUNK_ROWS) !== chunk) {
        chunk = Math.floor(row / CHUNK_ROWS)
        planesLimit = round(limit - shared)
      }
      const [bound, low, estimate] = [RECORD_BOUND_AT, RECORD_LOW_AT, RECORD_ESTIMATE_AT].map(
        (place) => floats[(record + place) / 4]
      )
      if (bound < planesLimit && !(round(bound + shared) >= limit) && low < limit)
        limit = offerRow(views, to, { low, estimate, segment, row })
    }
  }
  return of.count
}
