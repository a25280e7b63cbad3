// Zones with codes in the memory of a kernel, made and scanned as a search does it, without files: numbers in, numbers
// out.

import { refinedRowBytes } from '../../src/format/codes.ts'
import type { CodeScan } from '../../src/kernels/kernel.ts'
import type { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import {
  candidateAddress,
  candidatesByteLength,
  heapByteLength,
  heapDistances,
  heapIds,
  memberByteLength,
  recordsByteLength,
  segmentEntry
} from '../../src/kernels/addresses.ts'
import { METRIC_CODES } from '../../src/format/layout.ts'
import {
  CANDIDATE_LOW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_SIZE_AT,
  MEMBER_LIMIT_AT,
  MEMBER_TABLES_AT,
  NOT_VISITED,
  SCALAR_SLACK_AT,
  SCALARS_BYTES,
  SEGMENT_CENTROID_NORM2_AT,
  SEGMENT_ENTRY_BYTES,
  SEGMENT_PLANES_AT,
  PAIR_BYTES,
  VISIT_BYTES,
  VISIT_DISTANCE_AT
} from '../../src/kernels/layouts.ts'
import { QueryCodes, QueryRotation, type Confidence } from '../../src/quantizer/query-codes.ts'
import { drawFlips } from '../../src/quantizer/rotation.ts'
import { ZoneEncoder, type Quantizer, type ZoneCodes } from '../../src/quantizer/zone-encoder.ts'
import type { Metric } from '../../src/types.ts'
import { norms, product, rowOf, squaredDistance } from './brute-force.ts'
import { heapEntries, putBytes, type Found } from './kernels.ts'
import { randomVectors, type MakeValue } from './random.ts'

export interface ProblemZone {
  readonly centroid: Float32Array
  /** float32, whole rows; of unit length for cosine */
  readonly rows: Float32Array
}

export interface CodeProblem {
  readonly quantizer: Quantizer
  readonly zones: readonly ProblemZone[]
  /** Of unit length for cosine. */
  readonly query: Float32Array
}

export interface CodeShape {
  readonly metric: Metric
  readonly bits: number
  readonly dim: number
  /** Rows of each zone. */
  readonly rowCounts: readonly number[]
}

/** Makes a problem of values drawn by `value`: the centroid of each zone is the mean of its rows. */
export function makeCodeProblem(shape: CodeShape, random: () => number, value: MakeValue): CodeProblem {
  const { metric, bits, dim } = shape
  const vectors = (count: number): Float32Array => {
    const rows = randomVectors({ count, dim }, random, value)
    return metric === 'cosine' ? unitRows(rows, dim) : rows
  }
  const zones = shape.rowCounts.map((count) => zoneOfRows(vectors(count), dim))
  return {
    quantizer: {
      dim,
      metric,
      bits,
      flips: drawFlips(dim, random),
      mean: meanOf(zones.map(({ centroid }) => centroid))
    },
    zones,
    query: vectors(1)
  }
}

export function zoneOfRows(rows: Float32Array, dim: number): ProblemZone {
  return { rows, centroid: meanOf(Array.from({ length: rows.length / dim }, (_, row) => rowOf(rows, dim, row))) }
}

function meanOf(vectors: readonly Float32Array[]): Float32Array {
  return vectors[0].map((_, i) => vectors.reduce((sum, vector) => sum + vector[i] / vectors.length, 0))
}

function unitRows(rows: Float32Array, dim: number): Float32Array {
  const lengths = norms(rows, dim)
  return rows.map((x, i) => x / lengths[Math.floor(i / dim)])
}

/** Encodes all zones in the memory's kernel. */
export function encodeZones(memory: KernelMemory, { quantizer, zones }: CodeProblem): ZoneCodes[] {
  const encoder = new ZoneEncoder(memory, quantizer)
  return zones.map(({ centroid, rows }) => encoder.encode(centroid, rows.length / quantizer.dim, [rows]))
}

/** Rotates a query and builds its tables. */
export function queryCodesOf(
  memory: KernelMemory,
  { quantizer, query }: CodeProblem,
  confidence: Confidence
): QueryCodes {
  const codes = new QueryCodes(memory, new QueryRotation(memory, quantizer))
  const place = memory.allocate(query.byteLength)
  memory.float32At(place, query.length).set(query)
  codes.set(place, product(query, query), { confidence, bits: quantizer.bits })
  return codes
}

export interface CodeScanOptions {
  /** Smallest estimates to keep. */
  readonly k: number
  /** Room for candidates. */
  readonly candidates: number
  readonly confidence: Confidence
  /** Zones that are not in kernel memory; the scan stops at each, then it is brought in. */
  readonly missing?: readonly number[]
  /** u32 for each block of 32 rows of each zone; none: all rows are live. */
  readonly masks?: readonly Uint32Array[]
  /**
   * Zones, nearest first, that are scanned one after the other; all others are scanned as for a group of queries,
   * farthest first, and what was recorded is offered in the end. None: no zone is scanned so.
   */
  readonly own?: number
  /** Codes of the zones; none: they are made by the kernel that scans them. */
  readonly codes?: readonly ZoneCodes[]
}

export interface Candidate {
  readonly low: number
  readonly estimate: number
  readonly zone: number
  readonly row: number
}

export interface CodeScanResult {
  /** Positions that the scan returned, one call after the other. */
  readonly positions: readonly number[]
  /** The smallest estimates, best first; ids are zone * 2^32 + row. */
  readonly estimates: readonly Found[]
  /** As the scan left them. */
  readonly candidates: readonly Candidate[]
  /** After sortCandidates with the largest of the smallest estimates as the limit. */
  readonly sorted: readonly Candidate[]
}

/**
 * Distance of the query to each centroid, as the probe leaves it: squared for l2 and cosine, minus the inner product
 * for ip; float32.
 */
export function zoneDistances({ quantizer, zones, query }: CodeProblem): number[] {
  return zones.map(({ centroid }) =>
    Math.fround(quantizer.metric === 'ip' ? -product(query, centroid) : squaredDistance(query, centroid))
  )
}

/** Encodes and scans all zones, nearest first. */
export function scanProblem(memory: KernelMemory, problem: CodeProblem, options: CodeScanOptions): CodeScanResult {
  const { quantizer, zones } = problem
  const { k, missing = [], codes: zoneCodes = encodeZones(memory, problem) } = options
  const table = memory.allocate(zones.length * SEGMENT_ENTRY_BYTES)
  const planes = zoneCodes.map((codes, zone) => placeZone(memory, problem, { zone, codes, table }))
  const masks = options.masks?.map((mask) => putBytes(memory, new Uint8Array(mask.buffer)))
  const { width, tables, integers, scalars } = queryCodesOf(memory, problem, options.confidence)
  const heap = memory.allocate(heapByteLength(k))
  memory.kernel.heapInit(heap, k)
  const candidates = memory.allocate(candidatesByteLength(options.candidates))
  memory.uint32At(candidates, 2).set([0, options.candidates])
  const list = putList(memory, zoneDistances(problem), masks)
  const scan = {
    metric: METRIC_CODES[quantizer.metric],
    bits: quantizer.bits,
    width,
    tables,
    integers,
    scalars,
    segments: table,
    list,
    heap,
    candidates
  }
  const planesWord = (zone: number): number => (segmentEntry(table, zone) + SEGMENT_PLANES_AT) / 4
  for (const zone of missing) memory.words[planesWord(zone)] = 0
  const order = Array.from(
    { length: zones.length },
    (_, i) => memory.uint32At(heapIds(list, zones.length), zones.length * 2)[i * 2]
  )
  const positions: number[] = []
  const end = options.own ?? zones.length
  for (let reached = 0; reached < end; positions.push(reached)) {
    reached = memory.kernel.scanCodes(scan, reached, end)
    if (reached < end) memory.words[planesWord(order[reached])] = planes[order[reached]]
  }
  if (end < zones.length) scanOthersTogether(memory, scan, end)
  const found = readCandidates(memory, candidates)
  const size = memory.kernel.heapSort(heap)
  const estimates = heapEntries(memory, { pointer: heap, capacity: k, size })
  memory.kernel.sortCandidates(candidates, size < k ? Infinity : estimates[k - 1].distance)
  return { positions, estimates, candidates: found, sorted: readCandidates(memory, candidates) }
}

/** Scans the zones of the list from position `first` on as those of the one query of a group, the farthest first. */
function scanOthersTogether(memory: KernelMemory, scan: CodeScan, first: number): void {
  const { kernel } = memory
  const { metric, bits, width, segments, tables, integers, scalars, heap, candidates } = scan
  const [size, capacity] = memory.uint32At(heap, 2)
  const limit = size < capacity ? Infinity : memory.float64At(heapDistances(heap), 1)[0]
  const member = putBytes(memory, new Uint8Array(memberByteLength(width)))
  memory.bytes.copyWithin(member, scalars, scalars + MEMBER_LIMIT_AT)
  memory.float32At(member + MEMBER_LIMIT_AT, 1)[0] = limit
  memory.bytes.copyWithin(member + MEMBER_TABLES_AT, tables, tables + width * 4)
  memory.bytes.copyWithin(member + MEMBER_TABLES_AT + width * 4, integers, integers + width * 2)
  const [count] = memory.uint32At(scan.list, 1)
  const room = count * 2048
  const records = memory.allocate(recordsByteLength(room))
  memory.uint32At(records, 2).set([0, room])
  const visits = memory.allocate((count - first) * VISIT_BYTES)
  const together = {
    metric,
    bits,
    width,
    segments,
    members: member,
    visits,
    records,
    scratch: memory.allocate(SCALARS_BYTES)
  }
  const pair = memory.allocate(PAIR_BYTES)
  for (let position = count - 1; position >= first; position--) {
    const [segment, mask] = memory.uint32At(heapIds(scan.list, count) + position * 8, 2)
    const visit = visits + (position - first) * VISIT_BYTES
    memory.uint32At(visit, 5).set([segment, mask, 0, 0, NOT_VISITED])
    memory.float32At(visit + VISIT_DISTANCE_AT, 1)[0] = memory.float64At(heapDistances(scan.list) + position * 8, 1)[0]
    memory.uint32At(pair, 2).set([0, position - first])
    if (kernel.scanTogether(together, segment, pair, 1) !== 1) throw new Error('no room for records')
  }
  const slack = memory.float32At(scalars + SCALAR_SLACK_AT, 1)[0]
  const offered = kernel.offerRecorded({ metric, slack, visits, count: count - first, records, heap, candidates })
  if (offered !== count - first) throw new Error(`only ${offered} visits were made`)
}

/** Fills the zone's entry in the table; returns where its sign planes are. */
function placeZone(
  memory: KernelMemory,
  { zones, quantizer }: CodeProblem,
  place: { zone: number; codes: ZoneCodes; table: number }
): number {
  const { zone, codes } = place
  const { centroid, rows } = zones[zone]
  const at = segmentEntry(place.table, zone)
  const planes = putBytes(memory, codes.planes)
  const refined = codes.refinedCodes === undefined ? 0 : putBytes(memory, codes.refinedCodes)
  memory.uint32At(at, 5).set([planes, refined, 0, 0, rows.length / quantizer.dim])
  memory.float32At(at + SEGMENT_CENTROID_NORM2_AT, 1)[0] = product(centroid, centroid)
  return planes
}

/** A sorted heap of positions and masks with their distances, nearest first. */
function putList(memory: KernelMemory, distances: readonly number[], masks?: readonly number[]): number {
  const count = distances.length
  const order = [...distances.keys()].sort((a, b) => distances[a] - distances[b] || a - b)
  const list = memory.allocate(heapByteLength(count))
  memory.uint32At(list, 2).set([count, count])
  memory.float64At(heapDistances(list), count).set(order.map((zone) => distances[zone]))
  memory.uint32At(heapIds(list, count), count * 2).set(order.flatMap((zone) => [zone, masks?.[zone] ?? 0]))
  return list
}

function readCandidates(memory: KernelMemory, candidates: number): Candidate[] {
  const [size] = memory.uint32At(candidates + CANDIDATES_SIZE_AT, 1)
  return Array.from({ length: size }, (_, i) => {
    const at = candidateAddress(candidates, i)
    const [low, estimate] = memory.float32At(at + CANDIDATE_LOW_AT, 2)
    const [zone, row] = memory.uint32At(at + CANDIDATE_SEGMENT_AT, 2)
    return { low, estimate, zone, row }
  })
}

/** A refined row, or a row of sign planes, in numbers. */
export interface DecodedRow {
  readonly add: number
  readonly multiply: number
  /** Of a row of sign planes: the largest of its block. */
  readonly error: number
  /** u_i, one for each dimension of the rotated vector. */
  readonly levels: Float64Array
}

/** Decodes a row of sign planes by the spec, section 8.3. */
export function decodePlanes(planes: Uint8Array, row: number, width: number): DecodedRow {
  const block = planes.slice(Math.floor(row / 32) * (width * 4 + 272)).subarray(0, width * 4 + 272)
  const factors = new Float32Array(block.slice(width * 4).buffer)
  const i = row % 32
  const half = (byte: number): number => (i < 16 ? byte & 15 : byte >> 4)
  const levels = Float64Array.from(
    { length: width },
    (_, d) => ((half(block[Math.floor(d / 4) * 16 + (i % 16)]) >> (d % 4)) & 1) - 0.5
  )
  return { add: factors[i], multiply: factors[32 + i], error: factors[64] * factors[32 + i], levels }
}

/** Decodes a refined row by the spec, section 8.3. */
export function decodeRefined(
  refinedCodes: Uint8Array,
  row: number,
  shape: { width: number; bits: number }
): DecodedRow {
  const { width, bits } = shape
  const rowBytes = refinedRowBytes(width, bits)
  const bytes = refinedCodes.slice(row * rowBytes, (row + 1) * rowBytes)
  const [add, multiply, error] = new Float32Array(bytes.buffer, 0, 3)
  const n = (width * bits) / 8
  const codes = bytes.subarray(12)
  const levels = Float64Array.from(
    { length: width },
    (_, d) => ((codes[d % n] >> (Math.floor(d / n) * bits)) & (2 ** bits - 1)) - (2 ** bits - 1) / 2
  )
  return { add, multiply, error, levels }
}
