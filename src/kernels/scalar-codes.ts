// The scan of codes in the scalar kernel: twins of assembly/tables.ts, sign-blocks.ts and scan-codes.ts, whose comments
// say what is computed and why. float32 is rounded at each step, as there. Sums of look-ups and of codes are of
// integers, so that their order does not matter.

import type { CodeScan } from './kernel.ts'
import { heapDistances, heapIds, segmentEntry } from './addresses.ts'
import {
  BLOCK_FACTOR_BYTES,
  BLOCK_MULTIPLY_AT,
  BLOCK_ROWS,
  BLOCK_SPREAD_AT,
  CHUNK_ROWS,
  FACTOR_ADD_AT,
  FACTOR_ERROR_AT,
  FACTOR_MULTIPLY_AT,
  HEAP_CAPACITY_AT,
  HEAP_DISTANCE_BYTES,
  HEAP_ID_BYTES,
  LIST_MASK_AT,
  LIST_SEGMENT_AT,
  METRIC_COSINE,
  METRIC_IP,
  REFINED_FACTOR_BYTES,
  SCALAR_INTEGER_STEP_AT,
  SCALAR_INTEGER_SUM_AT,
  SCALAR_OFFSET_AT,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_REFINED_CONFIDENCE_AT,
  SCALAR_SLACK_AT,
  SCALAR_STEP_AT,
  SCALAR_VARIANCE_AT,
  SCRATCH_LOWS_AT,
  SCRATCH_SUMS_AT,
  SEGMENT_CENTROID_NORM2_AT,
  SEGMENT_PLANES_AT,
  SEGMENT_REFINED_AT,
  SEGMENT_ROW_COUNT_AT
} from './layouts.ts'
import { addCandidate } from './scalar-candidates.ts'
import { heapLimit, heapOffer } from './scalar-heap.ts'
import type { ScalarViews } from './scalar-views.ts'

const round = Math.fround
const LARGEST = 127
const LARGEST_INTEGER = 8191
const FLOAT32_MAX = 3.4028234663852886e38
const LARGEST_SUM = 2 ** 26
const FLUSH = 2048

/** Rounds half to even and keeps to 32 bits; not a number: 0. */
export function nearest(x: number): number {
  const down = Math.floor(x)
  const whole = x - down > 0.5 || (x - down === 0.5 && down % 2 !== 0) ? down + 1 : down
  return clamp(whole, -(2 ** 31), 2 ** 31 - 1) | 0
}

function clamp(x: number, least: number, most: number): number {
  return Math.min(Math.max(x, least), most)
}

/** What is not a number is never larger. */
function larger(value: number, most: number): number {
  return value > most ? value : most
}

function inverseOf(step: number): number {
  return Math.min(round(1 / step), FLOAT32_MAX)
}

/** Writes the tables, integers and first five scalars of a rotated query. */
export function buildTables(
  { bytes, shorts, floats }: ScalarViews,
  run: { query: number; width: number; tables: number; integers: number; scalars: number }
): void {
  const { width, tables } = run
  const query = run.query / 4,
    integers = run.integers / 2,
    { scalars } = run
  let largestGroup = 0,
    largest = 0
  const totals = new Float32Array(4)
  for (let i = 0; i < width; i += 4) {
    const [a, b, c, d] = [0, 1, 2, 3].map((j) => Math.abs(floats[query + i + j]))
    const sum = round(round(a + b) + round(c + d))
    totals[(i / 4) & 3] += sum
    largestGroup = larger(sum, largestGroup)
    largest = [a, b, c, d].reduce((most, value) => larger(value, most), largest)
  }
  const total = round(round(totals[0] + totals[1]) + round(totals[2] + totals[3]))
  const step = largestGroup > 0 ? round(largestGroup / LARGEST) : 1
  const inverse = inverseOf(step)
  const integerStep = largest > 0 ? round(largest / Math.min(LARGEST_INTEGER, Math.floor(LARGEST_SUM / width))) : 1
  const inverseInteger = inverseOf(integerStep)
  let integerSum = 0
  for (let i = 0; i < width; i++) {
    const rounded = nearest(round(floats[query + i] * inverseInteger))
    shorts[integers + i] = clamp(rounded, -32_768, 32_767)
    integerSum = (integerSum + rounded) | 0
  }
  for (let i = 0; i < width; i += 4)
    writeTable(
      bytes,
      tables + i * 4,
      [0, 1, 2, 3].map((j) => round(floats[query + i + j] * inverse))
    )
  floats[(scalars + SCALAR_STEP_AT) / 4] = step
  floats[(scalars + SCALAR_OFFSET_AT) / 4] = -0.5 * total
  floats[(scalars + SCALAR_VARIANCE_AT) / 4] = round(round(step * step) * (width / 4)) / 12
  floats[(scalars + SCALAR_INTEGER_STEP_AT) / 4] = integerStep
  floats[(scalars + SCALAR_INTEGER_SUM_AT) / 4] = integerSum
}

/** Entry n: the sum of |q_i| where bit i of n is the sign of q_i, as (0 + 1) + (2 + 3), rounded. */
function writeTable(bytes: Uint8Array, table: number, q: readonly number[]): void {
  for (let n = 0; n < 16; n++) {
    const [a, b, c, d] = q.map((value, i) => Math.max((n >>> i) & 1 ? value : -value, 0))
    bytes[table + n] = clamp(nearest(round(round(a + b) + round(c + d))), 0, 255)
  }
}

/** Sums the look-ups of a block: float32, one a row, from index `sums` on. */
export function sumBlock(
  { bytes, floats }: ScalarViews,
  block: number,
  sums: number,
  query: { width: number; tables: number }
): void {
  const { width, tables } = query
  for (let row = 0; row < BLOCK_ROWS; row++) {
    const shift = row >= 16 ? 4 : 0
    const entry = (at: number): number => bytes[tables + at + ((bytes[block + at + (row & 15)] >>> shift) & 15)]
    let total = 0
    for (let first = 0; first < width; first += FLUSH) {
      let sum = 0
      // Two entries are added in 8 bits, all of them in 16.
      for (let at = first * 4; at < Math.min(width, first + FLUSH) * 4; at += 32)
        sum += (entry(at) + entry(at + 16)) & 0xff
      total = round(total + (sum & 0xffff))
    }
    floats[sums + row] = total
  }
}

/**
 * Writes the lowest likely distances of 32 rows, less the part that the zone shares, to index `lows`; returns a bit for
 * each that is below `limit`.
 */
export function testBlock(
  floats: Float32Array,
  factors: number,
  at: { sums: number; lows: number },
  line: { step: number; offset: number; limit: number }
): number {
  let mask = 0
  for (let row = 0; row < BLOCK_ROWS; row++) {
    const product = round(round(line.step * floats[at.sums + row]) + line.offset)
    const low = round(floats[factors + row] - round(floats[factors + BLOCK_MULTIPLY_AT / 4 + row] * product))
    floats[at.lows + row] = low
    if (low < line.limit) mask |= 1 << row
  }
  return mask
}

/** Blocks of rows that share one centre. */
export interface BlocksRun {
  readonly blocks: number
  readonly count: number
  readonly width: number
  readonly tables: number
  readonly scalars: number
  /** Distance of the query to the centre. */
  readonly base: number
  /** float32, count rounded up to 32: written */
  readonly out: number
}

/** Writes estimates of the distances of rows from their sign planes. */
export function estimateBlocks(views: ScalarViews, run: BlocksRun): void {
  const { floats } = views
  const { width, scalars } = run
  const base = round(run.base)
  const sums = (scalars + SCRATCH_SUMS_AT) / 4
  const line = {
    step: floats[(scalars + SCALAR_STEP_AT) / 4],
    offset: floats[(scalars + SCALAR_OFFSET_AT) / 4],
    limit: 0
  }
  for (let row = 0; row < run.count; row += BLOCK_ROWS) {
    const block = run.blocks + (row / BLOCK_ROWS) * (width * 4 + BLOCK_FACTOR_BYTES)
    const lows = run.out / 4 + row
    sumBlock(views, block, sums, run)
    testBlock(floats, block / 4 + width, { sums, lows }, line)
    for (let i = lows; i < lows + BLOCK_ROWS; i++) floats[i] += base
  }
}

/** Sum over dimensions of code * integer: dimensions i, i + n, i + 2n, ... lie in byte i, lowest bits first. */
function productOf({ bytes, shorts }: ScalarViews, codes: number, scan: CodeScan): number {
  const { bits, width, integers } = scan
  const step = (width * bits) / 8
  const last = 2 ** bits - 1
  let sum = 0
  for (let i = 0; i < step; i++) {
    for (let shift = 0, at = integers / 2 + i; shift < 8; shift += bits, at += step)
      sum += ((bytes[codes + i] >>> shift) & last) * shorts[at]
  }
  return sum
}

/**
 * Scans the zones of the list from position `first` to before `end`; returns the position of the first that is not in
 * kernel memory, or `end`.
 */
export function scanCodes(views: ScalarViews, scan: CodeScan, first: number, end: number): number {
  const { words } = views
  const distances = heapDistances(scan.list),
    segments = heapIds(scan.list, words[(scan.list + HEAP_CAPACITY_AT) / 4])
  for (let position = first; position < end; position++) {
    const listed = segments + position * HEAP_ID_BYTES
    const [segment, mask] = [words[(listed + LIST_SEGMENT_AT) / 4], words[(listed + LIST_MASK_AT) / 4]]
    const entry = segmentEntry(scan.segments, segment)
    if (words[(entry + SEGMENT_PLANES_AT) / 4] === 0) return position
    const shared = round(views.view.getFloat64(distances + position * HEAP_DISTANCE_BYTES, true))
    scanSegment(views, scan, { segment, mask, entry, shared })
  }
  return end
}

/** `shared` is the distance of the centroid. */
function scanSegment(
  views: ScalarViews,
  scan: CodeScan,
  at: { segment: number; mask: number; entry: number; shared: number }
): void {
  const { words, floats, view } = views
  const { metric, width, heap } = scan
  const scalarAt = (place: number): number => floats[(scan.scalars + place) / 4]
  const [step, offset, variance] = [SCALAR_STEP_AT, SCALAR_OFFSET_AT, SCALAR_VARIANCE_AT].map(scalarAt)
  const queryNorm2 = scalarAt(SCALAR_QUERY_NORM2_AT),
    confidence = scalarAt(SCALAR_PLANES_CONFIDENCE_AT),
    slack = scalarAt(SCALAR_SLACK_AT)
  const sums = (scan.scalars + SCRATCH_SUMS_AT) / 4,
    lows = (scan.scalars + SCRATCH_LOWS_AT) / 4
  const [blocks, rowCount] = [SEGMENT_PLANES_AT, SEGMENT_ROW_COUNT_AT].map((place) => words[(at.entry + place) / 4])
  const norm2 = floats[(at.entry + SEGMENT_CENTROID_NORM2_AT) / 4]
  const shared = metric === METRIC_COSINE ? round(at.shared * 0.5) : at.shared
  const distance2 = Math.max(0, metric === METRIC_IP ? round(round(queryNorm2 + round(2 * shared)) + norm2) : at.shared)
  let limit = round(heapLimit(view, heap))
  const offer = (row: number, estimate: Estimate): void => {
    limit = offerRow(views, { heap, candidates: scan.candidates, slack }, { ...estimate, segment: at.segment, row })
  }
  for (let first = 0; first < rowCount; first += CHUNK_ROWS) {
    const listed: { row: number; low: number }[] = []
    for (let row = first; row < Math.min(rowCount, first + CHUNK_ROWS); row += BLOCK_ROWS) {
      const block = blocks + (row / BLOCK_ROWS) * (width * 4 + BLOCK_FACTOR_BYTES)
      const factors = block / 4 + width
      const spread = floats[factors + BLOCK_SPREAD_AT / 4]
      const margin = round(confidence * round(Math.sqrt(round(round(round(spread * spread) * distance2) + variance))))
      sumBlock(views, block, sums, scan)
      const line = { step, offset: round(offset + margin), limit: round(limit - shared) }
      let survivors = testBlock(floats, factors, { sums, lows }, line)
      if (at.mask !== 0) survivors &= words[at.mask / 4 + row / BLOCK_ROWS]
      for (; survivors !== 0; survivors &= survivors - 1) {
        const i = 31 - Math.clz32(survivors & -survivors)
        const low = round(floats[lows + i] + shared)
        if (scan.bits !== 1) listed.push({ row: row + i, low })
        else if (low < limit)
          offer(row + i, { low, estimate: round(low + round(floats[factors + BLOCK_MULTIPLY_AT / 4 + i] * margin)) })
      }
    }
    for (const { row, low } of listed) {
      if (low >= limit) continue
      const refined = refinedEstimate(views, scan, { row, entry: at.entry, shared, distance2 })
      if (refined.low < limit) offer(row, refined)
    }
  }
}

/** Takes a row among the candidates; returns the new limit. */
export function offerRow(
  views: ScalarViews,
  to: { heap: number; candidates: number; slack: number },
  of: Estimate & { segment: number; row: number }
): number {
  const { view } = views
  const cautious = round(of.estimate + round(to.slack * round(of.estimate - of.low)))
  heapOffer(view, to.heap, { distance: cautious, id: of.segment * 2 ** 32 + of.row })
  const limit = round(heapLimit(view, to.heap))
  addCandidate(views, to.candidates, of, limit)
  return limit
}

export interface Estimate {
  readonly low: number
  readonly estimate: number
}

export function refinedEstimate(
  views: ScalarViews,
  scan: CodeScan,
  at: { row: number; entry: number; shared: number; distance2: number }
): Estimate {
  const { words, floats } = views
  const { bits, width } = scan
  const scalarAt = (place: number): number => floats[(scan.scalars + place) / 4]
  const step = scalarAt(SCALAR_INTEGER_STEP_AT)
  const code = words[(at.entry + SEGMENT_REFINED_AT) / 4] + at.row * (REFINED_FACTOR_BYTES + (width * bits) / 8)
  const codeMiddle = ((2 ** bits - 1) / 2) * scalarAt(SCALAR_INTEGER_SUM_AT)
  const product = round((productOf(views, code + REFINED_FACTOR_BYTES, scan) - codeMiddle) * step)
  const [add, multiply, error] = [FACTOR_ADD_AT, FACTOR_MULTIPLY_AT, FACTOR_ERROR_AT].map(
    (place) => floats[(code + place) / 4]
  )
  const estimate = round(round(at.shared + add) - round(multiply * product))
  const integerVariance = (step * step * width * (bits === 8 ? 2100 : bits === 4 ? 9 : 1)) / 12
  const variance = error * error * at.distance2 + multiply * multiply * integerVariance
  return {
    estimate,
    low: round(estimate - round(scalarAt(SCALAR_REFINED_CONFIDENCE_AT) * round(Math.sqrt(variance))))
  }
}
