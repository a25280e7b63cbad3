// One number of centroids in its own process: the strategies of the probe take turns. Centroids are SIFT features, with
// noise where more are needed than there are.

import { fileURLToPath } from 'node:url'

// Internals of src: the public entries offer no choice between the strategies, and no index of so many zones in
// seconds.
import { encodeSegmentRecords } from '../src/format/segment-record.ts'
import { SegmentTable } from '../src/format/segment-table.ts'
import { KernelMemory } from '../src/kernels/kernel-memory.ts'
import { loadKernel } from '../src/kernels/load-kernel.ts'
import { encodeCentroids } from '../src/quantizer/encode-centroids.ts'
import { drawFlips } from '../src/quantizer/rotation.ts'
import { CentroidCodes } from '../src/search/centroid-codes.ts'
import { QueryRotation } from '../src/quantizer/query-codes.ts'
import { SearchState } from '../src/search/search-state.ts'
import { CONFIDENCE } from '../src/search/confidence.ts'
import { CODED_PROBE_ZONES } from '../src/search/start-context.ts'
import { probe } from '../src/search/probe.ts'
import { Workspace } from '../src/search/workspace.ts'
import { nothingChanged } from '../src/catalogue/changes.ts'
import { NO_STAMP, type Snapshot } from '../src/catalogue/snapshot.ts'
import { stepInput, stepResult } from './child.ts'
import { loadZgqBuild } from './packages.ts'
import { uniform } from './random.ts'

const ROUNDS = 15
const QUERIES = 100
const BITS = 4
const NOISE = 16

export interface ProbeInput {
  readonly count: number
  readonly nprobe: number
}

/** Microseconds a probe, one value a round. */
export interface ProbeResult extends ProbeInput {
  readonly all: number[]
  readonly coded: number[]
  readonly auto: number[]
  readonly autoIs: 'all distances' | 'codes first'
  /** Share of the zones that both strategies list. */
  readonly common: number
}

const { count, nprobe } = stepInput<ProbeInput>()
const random = uniform(1)
const { openVectorFile } = await loadZgqBuild()
const { rows: queries, dim } = readRows('sift10k.queries.u8bin', QUERIES)
const snapshot = makeSnapshot()
const memory = new KernelMemory(loadKernel())
const workspace = new Workspace(snapshot, memory)
const rotation = { flips: drawFlips(dim, random), mean: meanOf(snapshot.centroids) }
const state = new SearchState(snapshot.meta, workspace, new QueryRotation(memory, { dim, ...rotation }))
const zoneCodes = encodeCentroids(memory, snapshot.centroids, { dim, metric: 'l2', quantizer: rotation })
const centroids = CentroidCodes.create(
  memory,
  { ...snapshot, zoneCodes, quantizer: { flips: rotation.flips, mean: rotation.mean } },
  workspace.maxNorm
)
if (centroids === undefined) throw new Error('the centroids have no codes')
const isCoded = count >= CODED_PROBE_ZONES
const strategies = { all: () => probeAll(false), coded: () => probeAll(true), auto: () => probeAll(isCoded) }
const common = shareInCommon()
const times: Record<keyof typeof strategies, number[]> = { all: [], coded: [], auto: [] }
for (let round = -3; round < ROUNDS; round++) {
  for (const name of ['all', 'coded', 'auto'] as const) {
    const micros = strategies[name]()
    if (round >= 0) times[name].push(micros)
  }
}
const result: ProbeResult = { count, nprobe, ...times, autoIs: isCoded ? 'codes first' : 'all distances', common }
stepResult(result)

/** Probes for every query; returns the mean in microseconds. */
function probeAll(byCodes: boolean): number {
  const startedAt = performance.now()
  for (let i = 0; i < QUERIES; i++) probeOne(i, byCodes)
  return ((performance.now() - startedAt) * 1000) / QUERIES
}

function probeOne(i: number, byCodes: boolean): number[] {
  const request = { k: 10, probe: { nprobe }, explain: false, isExact: false, rerank: 0, confidence: CONFIDENCE }
  state.start(queries.subarray(i * dim, (i + 1) * dim), request)
  state.scaleQuery()
  if (byCodes)
    state.codes?.queryCodes.set(state.codesQuery, state.scanQuery.queryNorm2, { confidence: CONFIDENCE, bits: BITS })
  probe(state, byCodes ? { centroids, packed: undefined } : undefined)
  return state.segments.map(({ zone }) => zone)
}

function shareInCommon(): number {
  let found = 0
  for (let i = 0; i < QUERIES; i++) {
    const all = new Set(probeOne(i, false))
    found += probeOne(i, true).filter((zone) => all.has(zone)).length
  }
  return found / (QUERIES * nprobe)
}

function makeSnapshot(): Snapshot {
  const base = readRows('sift10k.base.u8bin', Math.min(count, 10_000)).rows
  const centroids = Float32Array.from(
    { length: count * dim },
    (_, i) => base[i % base.length] + (i < base.length ? 0 : (random() - 0.5) * 2 * NOISE)
  )
  const nowhere = { file: 0, offset: 0, byteLength: 0, crc: 0 }
  const segments = Array.from({ length: count }, (_, zone) => ({
    segment: zone,
    zone,
    rowCount: 1,
    minNorm: 0,
    maxNorm: 1000,
    radius: 0,
    spread: 0,
    rows: nowhere,
    columns: nowhere,
    codes: nowhere,
    fields: nowhere,
    payload: nowhere
  }))
  const meta = {
    version: 2,
    indexId: new Uint8Array(16),
    generation: 1,
    commit: 0,
    dim,
    metric: 'l2',
    elementType: 'float32',
    bits: BITS,
    idType: 'integer',
    count,
    zoneCount: count,
    deltaZoneCount: 0,
    segmentCount: count,
    fileCount: 0,
    nextSegment: count,
    nextFile: 0,
    digest: new Uint8Array(32)
  } as const
  return {
    folder: '',
    cataloguePath: '',
    stamp: NO_STAMP,
    meta,
    files: [],
    segments: new SegmentTable(encodeSegmentRecords(segments), count),
    centroids,
    zoneCodes: new Uint8Array(0),
    quantizer: undefined,
    calibration: null,
    encodedBuildFacts: undefined,
    catalogueBytes: 0,
    fields: [],
    model: undefined,
    encodedNote: undefined,
    changes: nothingChanged(0)
  }
}

function readRows(name: string, rows: number): { rows: Float32Array; dim: number } {
  const source = openVectorFile(fileURLToPath(new URL(`../test/data/${name}`, import.meta.url)))
  try {
    const values = new Float32Array(rows * source.dim)
    source.readRows(0, values)
    return { rows: values, dim: source.dim }
  } finally {
    source.close()
  }
}

function meanOf(rows: Float32Array): Float32Array {
  const sums = new Float64Array(dim)
  for (let i = 0; i < rows.length; i++) sums[i % dim] += rows[i]
  return Float32Array.from(sums, (sum) => (sum * dim) / rows.length)
}
