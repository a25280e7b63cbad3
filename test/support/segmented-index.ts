// Makes an index such as changes leave behind: zones of several segments and one of none, files of two generations,
// segments in them that were superseded, numbers and rows in no order.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { writeCatalogue } from '../../src/catalogue/writer.ts'
import { encodeIds } from '../../src/format/columns.ts'
import type { FileRecord } from '../../src/format/file-record.ts'
import { CATALOGUE_NAME } from '../../src/format/layout.ts'
import { NO_EXTENT, type FileExtent, type SegmentRecord } from '../../src/format/segment-record.ts'
import { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import { loadKernel } from '../../src/kernels/load-kernel.ts'
import { encodeCentroids } from '../../src/quantizer/encode-centroids.ts'
import { drawFlips } from '../../src/quantizer/rotation.ts'
import { ZoneEncoder } from '../../src/quantizer/zone-encoder.ts'
import { encodeCodes } from '../../src/storage/codes-extent.ts'
import { ExtentsWriter } from '../../src/storage/extents-writer.ts'
import { VectorsWriter } from '../../src/storage/vectors-writer.ts'
import type { Metric } from '../../src/types.ts'
import { randomFrom } from './random.ts'

export interface SegmentedIndex {
  readonly folder: string
  readonly dim: number
  readonly metric: Metric
  readonly bits: number
  /** float32, rows * dim, and the id of each row. */
  readonly vectors: Float32Array
  readonly ids: Float64Array
  readonly zones: number
  readonly seed: number
}

interface Piece {
  readonly segment: number
  readonly zone: number
  readonly rows: readonly number[]
  readonly isSuperseded: boolean
}

const GENERATIONS = [1, 2]
/** Numbers of files need not begin at 0, nor follow each other. */
const FILE_STEP = 5

/** Writes it; returns how many segments it has. The last zone has none. */
export function writeSegmentedIndex(of: SegmentedIndex): number {
  const { folder, dim, metric, bits, ids } = of
  mkdirSync(folder)
  const random = randomFrom(of.seed)
  const memory = new KernelMemory(loadKernel())
  // Beside a row each, so that no residual is zero.
  const centroids = Float32Array.from(
    { length: of.zones * dim },
    (_, i) => scaledRow(of, Math.floor(i / dim))[i % dim] * 1.125 + 0.01
  )
  const quantizer = { flips: drawFlips(dim, random), mean: new Float32Array(dim).fill(0.25) }
  const encoder = bits === 0 ? undefined : new ZoneEncoder(memory, { dim, metric, bits, ...quantizer })
  const indexId = Uint8Array.from({ length: 16 }, (_, i) => i)
  const pieces = cut(of, centroids, random)
  const files: FileRecord[] = []
  const segments: SegmentRecord[] = []
  for (const generation of GENERATIONS) {
    const facts = { folder, indexId, generation, dim, metric }
    const [vectors, codes] = [new VectorsWriter(facts), new ExtentsWriter(facts, 'codes')]
    const own = pieces.filter((_, i) => i % GENERATIONS.length === generation - 1)
    for (const { segment, zone, rows } of own) {
      const centroid = centroids.slice(zone * dim, (zone + 1) * dim)
      const idBytes = encodeIds(Float64Array.from(rows, (row) => ids[row]))
      const rowCount = rows.length
      const norms = rows.map((row) => Math.hypot(...rowOf(of, row)))
      const radii = rows.map((row) => squaredDistance(scaledRow(of, row), centroid))
      const pageCrcs = vectors.writeSegment({
        segment,
        zone,
        rowCount,
        rowRuns: rows.map((row) => rowOf(of, row)),
        ids: { kind: 'ids', bytes: idBytes },
        inverseNorms: metric === 'cosine' ? Float32Array.from(norms, (norm) => 1 / norm) : undefined,
        centroid,
        minNorm: Math.min(...norms),
        maxNorm: Math.max(...norms),
        radius: Math.sqrt(Math.max(...radii)),
        spread: Math.sqrt(radii.reduce((sum, radius) => sum + radius, 0) / rowCount)
      })
      if (encoder === undefined) continue
      const run = Float32Array.from(rows.flatMap((row) => [...scaledRow(of, row)]))
      const coded = encoder.encode(centroid, rowCount, [run])
      codes.write(encodeCodes({ segment, rowCount, ids: idBytes, pageCrcs, ...coded }))
    }
    vectors.finish()
    const inCodes = codes.finish()
    const first = (files.at(-1)?.file ?? 0) + FILE_STEP
    const firstCodes = first + vectors.files.length
    files.push(...vectors.files.map((file) => ({ ...file, file: file.file + first })))
    files.push(...inCodes.files.map((file) => ({ ...file, file: file.file + firstCodes })))
    const moved = (extent: FileExtent, by: number): FileExtent => ({ ...extent, file: extent.file + by })
    vectors.segments.forEach(({ centroid: _, ...segment }, i) => {
      if (own[i].isSuperseded) return
      const [rows, columns] = [moved(segment.rows, first), moved(segment.columns, first)]
      const place = inCodes.extents.at(i)
      const coded = place === undefined ? NO_EXTENT : moved(place, firstCodes)
      segments.push({ ...segment, rows, columns, codes: coded, fields: NO_EXTENT, payload: NO_EXTENT })
    })
  }
  segments.sort((a, b) => a.segment - b.segment)
  writeCatalogue(join(folder, CATALOGUE_NAME), {
    meta: { indexId, generation: GENERATIONS.length, dim, metric, bits, idType: 'integer', count: ids.length },
    quantizer: bits === 0 ? undefined : quantizer,
    build: {},
    files,
    segments,
    centroids,
    documents: { fields: [], model: undefined, encodedNote: undefined },
    zoneCodes: bits === 0 ? new Uint8Array(0) : encodeCentroids(memory, centroids, { dim, metric, quantizer })
  })
  return segments.length
}

/**
 * Deals rows out to zones, and those of a zone to segments, whose numbers are in no order; adds some superseded ones.
 */
function cut(of: SegmentedIndex, centroids: Float32Array, random: () => number): Piece[] {
  const { ids, zones, dim } = of
  const rowsOfZone = Array.from({ length: zones - 1 }, (): number[] => [])
  for (const row of shuffled(ids.length, random)) {
    const distances = rowsOfZone.map((_, zone) =>
      squaredDistance(scaledRow(of, row), centroids.subarray(zone * dim, (zone + 1) * dim))
    )
    rowsOfZone[distances.indexOf(Math.min(...distances))].push(row)
  }
  const parts = rowsOfZone.flatMap((rows, zone) => {
    const found: Omit<Piece, 'segment'>[] = []
    for (let at = 0; at < rows.length;) {
      const end = at + 1 + Math.floor(random() * 60)
      found.push({ zone, rows: rows.slice(at, end), isSuperseded: false })
      if (random() < 0.3) found.push({ zone, rows: rows.slice(at, end), isSuperseded: true })
      at = end
    }
    return found
  })
  const numbers = shuffled(parts.length, random)
  return shuffled(parts.length, random).map((i) => ({ ...parts[i], segment: numbers[i] * 3 }))
}

function shuffled(count: number, random: () => number): number[] {
  const values = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[values[i], values[j]] = [values[j], values[i]]
  }
  return values
}

function rowOf({ vectors, dim }: SegmentedIndex, row: number): Float32Array {
  return vectors.slice(row * dim, (row + 1) * dim)
}

/** A row as zones see it: of unit length for cosine. */
function scaledRow(of: SegmentedIndex, row: number): Float32Array {
  const values = rowOf(of, row)
  const norm = of.metric === 'cosine' ? Math.hypot(...values) : 1
  return values.map((value) => value / norm)
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0)
}
