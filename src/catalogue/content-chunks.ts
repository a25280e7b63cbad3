// All chunks of an index, dealt out as a writer does it (spec, section 7.1). No SQLite.

import { centroidChunks, zonesPerChunk, type Chunk, type ChunkTable } from '../format/chunks.ts'
import { planesByteLength } from '../format/codes.ts'
import { encodeFileRecords, type FileRecord } from '../format/file-record.ts'
import { encodeSegmentRecords, type SegmentRecord } from '../format/segment-record.ts'
import { numberedChunks } from './rows.ts'

/** The records of an index. */
export interface ChunkContent {
  /** By ascending number, as are segments. */
  readonly files: readonly FileRecord[]
  readonly segments: readonly SegmentRecord[]
  /** Of the built zones, then of those of deltas: float32, zones * dim. */
  readonly centroids: Float32Array
  /** One-bit codes of the centroids of built zones in blocks of 32; empty without codes. */
  readonly zoneCodes: Uint8Array
  readonly dim: number
  /** Built zones. */
  readonly zoneCount: number
}

/** Deals out all records. */
export function contentChunks(content: ChunkContent): Record<ChunkTable, Chunk[]> {
  const { files, segments } = content
  return {
    files: numberedChunks(files, ({ file }) => file, encodeFileRecords),
    segments: numberedChunks(segments, ({ segment }) => segment, encodeSegmentRecords),
    ...zoneChunks(content)
  }
}

/** Deals out the centroids of zones, and their codes. */
export function zoneChunks(
  content: Pick<ChunkContent, 'centroids' | 'zoneCodes' | 'dim' | 'zoneCount'>
): Record<'zones' | 'zone_codes' | 'delta_zones', Chunk[]> {
  const { centroids, zoneCodes, dim, zoneCount } = content
  return {
    zones: centroidChunks(centroids.subarray(0, zoneCount * dim), { first: 0, dim }),
    zone_codes: zoneCodes.byteLength === 0 ? [] : codeChunks(zoneCodes, zoneCount, dim),
    delta_zones: centroidChunks(centroids.subarray(zoneCount * dim), { first: 0, dim })
  }
}

function codeChunks(zoneCodes: Uint8Array, zoneCount: number, dim: number): Chunk[] {
  const perChunk = zonesPerChunk(dim)
  return Array.from({ length: Math.ceil(zoneCount / perChunk) }, (_, i) => {
    const first = i * perChunk
    const end = Math.min(zoneCount, first + perChunk)
    const records = zoneCodes.subarray(planesByteLength(first, dim), planesByteLength(end, dim))
    return { first, count: end - first, records }
  })
}
