// The last stage: zones, one after the other, from runs to segments. Sizes are evened out here, where all rows of a zone are known.

import { encodeIds } from '../format/columns.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { BLOCK_ROWS } from '../format/codes.ts'
import { ZoneEncoder, type Quantizer } from '../quantizer/zone-encoder.ts'
import type { CodesWriter } from '../storage/codes-writer.ts'
import type { VectorsWriter } from '../storage/vectors-writer.ts'
import type { Metric } from '../types.ts'
import { RunReader, type RunPlan, type RunZone } from './runs.ts'
import type { RowSource } from './sources/row-source.ts'
import { splitZone } from './split-zone.ts'

/** Bytes of rows that pass through kernel memory at a time. */
const CHUNK_BYTES = 1024 * 1024

/** What the stage works with. */
export interface WritePlan {
  readonly runs: RunPlan
  /** Rows of each run. */
  readonly runCounts: readonly number[]
  readonly metric: Metric
  /** Rows of a zone that the build aims at: count / zones. */
  readonly meanRows: number
  /** Runs up to this many bytes of rows are read into memory at once. */
  readonly memoryBytes: number
  readonly writer: VectorsWriter
  /** Undefined with `bits: 0`. */
  readonly codes: { readonly quantizer: Quantizer; readonly writer: CodesWriter } | undefined
  /** Called after each zone; may throw to stop. */
  readonly onRows: (rows: number) => Promise<void>
}

/** Writes all zones. */
export async function writeZones(memory: KernelMemory, plan: WritePlan): Promise<void> {
  const stats = new ZoneStatistics(memory, plan)
  const encoder = plan.codes === undefined ? undefined : new ZoneEncoder(memory, plan.codes.quantizer)
  const reader = new RunReader(plan.runs, plan.runCounts, plan.memoryBytes)
  let zone = 0
  let rows = 0
  for (const number of plan.runCounts.keys()) {
    const run = reader.open(number)
    try {
      for (const found of run.zones) {
        for (const piece of evenPieces(run.rows, found, plan)) {
          writeZone({ stats, plan, encoder, rows: run.rows }, piece, zone++)
          rows += piece.positions.length
          await plan.onRows(rows)
        }
      }
    } finally {
      run.rows.close()
    }
    reader.discard(number)
  }
}

/**
 * Returns the zone, or the pieces of one that is above twice the mean aimed at. A zone of c rows gives c / mean pieces, so that
 * there are at most twice as many zones as asked for, and none above four times the mean of those there are.
 */
function evenPieces(rows: RowSource, zone: RunZone, plan: WritePlan): RunZone[] {
  const count = zone.positions.length
  if (count <= 2 * plan.meanRows) return [zone]
  const pieces = Math.max(2, Math.floor(count / plan.meanRows))
  const largest = Math.max(Math.floor(2 * plan.meanRows), Math.ceil(count / pieces))
  const zoneRows = {
    count,
    dim: rows.dim,
    readRow(position: number, target: Float32Array): void {
      rows.readRows(zone.positions[position], target)
      if (plan.metric === 'cosine') scaleToUnit(target)
    }
  }
  return splitZone(zoneRows, pieces, largest).map((members) => ({
    zone: zone.zone,
    positions: members.map((member) => zone.positions[member]),
    ids: Float64Array.from(members, (member) => zone.ids[member])
  }))
}

function scaleToUnit(row: Float32Array): void {
  let norm2 = 0
  for (let i = 0; i < row.length; i++) norm2 += row[i] * row[i]
  const scale = 1 / Math.sqrt(norm2)
  for (let i = 0; i < row.length; i++) row[i] *= scale
}

function writeZone(from: { stats: ZoneStatistics; plan: WritePlan; encoder: ZoneEncoder | undefined; rows: RowSource }, piece: RunZone, zone: number): void {
  const { stats, plan, encoder, rows } = from
  const facts = stats.measure(rows, piece.positions)
  const rowCount = piece.positions.length
  const ids = encodeIds(piece.ids)
  const pageCrcs = plan.writer.writeZone({ zone, rowCount, rowRuns: stats.eachChunk(rows, piece.positions), ids, ...facts })
  if (encoder === undefined || plan.codes === undefined) return
  const codes = encoder.encode(facts.centroid, rowCount, stats.eachScaledChunk(rows, piece.positions))
  plan.codes.writer.writeZone({ segment: zone, rowCount, ids, pageCrcs, ...codes })
}

interface ZoneFacts {
  readonly centroid: Float32Array
  readonly inverseNorms: Float32Array | undefined
  readonly minNorm: number
  readonly maxNorm: number
  readonly radius: number
}

/** Computes what the directory says of a zone, a chunk of rows at a time. */
class ZoneStatistics {
  readonly #memory: KernelMemory
  readonly #metric: Metric
  readonly #dim: number
  readonly #chunkRows: number
  readonly #rows: number
  readonly #norms: number
  readonly #centroid: number
  readonly #distances: number

  constructor(memory: KernelMemory, plan: WritePlan) {
    this.#memory = memory
    this.#metric = plan.metric
    this.#dim = plan.runs.dim
    this.#chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / (this.#dim * 4 * BLOCK_ROWS))) * BLOCK_ROWS
    this.#rows = this.#memory.allocate(this.#chunkRows * this.#dim * 4)
    this.#norms = this.#memory.allocate(this.#chunkRows * 8)
    this.#centroid = this.#memory.allocate(this.#dim * 4)
    this.#distances = this.#memory.allocate(this.#chunkRows * 4)
  }

  /** Yields the rows at `positions`, a chunk at a time; a chunk is overwritten by the next. */
  *eachChunk(rows: RowSource, positions: Uint32Array): Generator<Float32Array> {
    for (let first = 0; first < positions.length; first += this.#chunkRows) {
      const count = Math.min(this.#chunkRows, positions.length - first)
      const chunk = this.#memory.float32At(this.#rows, count * this.#dim)
      for (let i = 0; i < count; i++) rows.readRows(positions[first + i], chunk.subarray(i * this.#dim, (i + 1) * this.#dim))
      yield chunk
    }
  }

  /** The same, of unit length for cosine. */
  *eachScaledChunk(rows: RowSource, positions: Uint32Array): Generator<Float32Array> {
    for (const chunk of this.eachChunk(rows, positions)) {
      if (this.#metric === 'cosine') this.#memory.kernel.normalizeRows(this.#rows, chunk.length / this.#dim, this.#dim)
      yield chunk
    }
  }

  measure(rows: RowSource, positions: Uint32Array): ZoneFacts {
    const { kernel } = this.#memory
    const sums = new Float64Array(this.#dim)
    const inverseNorms = this.#metric === 'cosine' ? new Float32Array(positions.length) : undefined
    let minNorm2 = Infinity
    let maxNorm2 = 0
    let done = 0
    for (const chunk of this.eachChunk(rows, positions)) {
      const count = chunk.length / this.#dim
      kernel.squaredNorms(this.#rows, count, this.#dim, this.#norms)
      const norms = this.#memory.float64At(this.#norms, count)
      for (let i = 0; i < count; i++) {
        minNorm2 = Math.min(minNorm2, norms[i])
        maxNorm2 = Math.max(maxNorm2, norms[i])
        if (inverseNorms !== undefined) inverseNorms[done + i] = 1 / Math.sqrt(norms[i])
      }
      if (inverseNorms !== undefined) kernel.normalizeRows(this.#rows, count, this.#dim)
      for (let i = 0; i < count; i++) {
        for (let j = 0, at = i * this.#dim; j < this.#dim; j++) sums[j] += chunk[at + j]
      }
      done += count
    }
    const centroid = Float32Array.from(sums, (sum) => sum / positions.length)
    const maxNorm = Math.sqrt(maxNorm2)
    const radius = this.#radius(rows, positions, centroid)
    // Distances of huge values overflow float32; the radius then falls back to a bound that holds.
    return { centroid, inverseNorms, minNorm: Math.sqrt(minNorm2), maxNorm, radius: Number.isFinite(radius) ? radius : 2 * maxNorm }
  }

  #radius(rows: RowSource, positions: Uint32Array, centroid: Float32Array): number {
    const { kernel } = this.#memory
    this.#memory.float32At(this.#centroid, this.#dim).set(centroid)
    let largest = 0
    for (const chunk of this.eachScaledChunk(rows, positions)) {
      const count = chunk.length / this.#dim
      kernel.l2Distances(this.#rows, count, this.#dim, this.#centroid, this.#distances)
      const distances = this.#memory.float32At(this.#distances, count)
      for (let i = 0; i < count; i++) largest = Math.max(largest, distances[i])
    }
    return Math.sqrt(largest)
  }
}
