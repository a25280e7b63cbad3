// Packed chunks: records of a fixed width that stand one after the other in a row of the catalogue (spec, section 7.1).
// Their checksums, and how records are dealt out to them. No SQLite.

import { checksum, ELEMENT_BYTES } from './layout.ts'
import { highWord, lowWord } from './u64.ts'

/** Tables of chunks, in the order of the digest. */
export const CHUNK_TABLES = ['files', 'segments', 'zones', 'zone_codes', 'delta_zones'] as const
export type ChunkTable = (typeof CHUNK_TABLES)[number]

/** Tables whose records are numbered 0, 1, 2, ...: a chunk starts where the one before it ends. */
export const DENSE_TABLES: readonly ChunkTable[] = ['zones', 'zone_codes', 'delta_zones']
/** Those of them whose chunks, all but the last, have a multiple of ZONES_STEP zones. */
export const STEPPED_TABLES: readonly ChunkTable[] = ['zones', 'zone_codes']

/** Some records of a table. */
export interface Chunk {
  /** Of files and segments the number of the first record, of zones and their codes the first zone. */
  readonly first: number
  /** Records; of `zone_codes` zones. */
  readonly count: number
  readonly records: Uint8Array
}

/** Records of a chunk, at most; what did not change is not written again, and opening reads few values. */
export const CHUNK_RECORDS = 512
/** Bytes of the zones of a chunk at most, unless it has ZONES_STEP zones only. */
const CHUNK_BYTES = 2 ** 20
/** Zones of a chunk are a multiple of this, so that their codes are whole blocks. */
export const ZONES_STEP = 32
/** Records that a reader takes in one chunk. */
export const MOST_CHUNK_RECORDS = 4096

/** Zones of a chunk, the last one excepted. */
export function zonesPerChunk(dim: number): number {
  const fitting = Math.floor(CHUNK_BYTES / (dim * ELEMENT_BYTES))
  return Math.max(ZONES_STEP, Math.min(CHUNK_RECORDS, fitting - (fitting % ZONES_STEP)))
}

/** Bytes of a chunk that a reader takes, given those of a record. */
export function mostChunkBytes(recordBytes: number): number {
  return Math.max(CHUNK_BYTES, ZONES_STEP * recordBytes)
}

/** Deals the centroids of zones out to chunks of `perChunk` zones; the first of them is number `first`. */
export function centroidChunks(
  centroids: Float32Array,
  of: { readonly first: number; readonly dim: number; readonly perChunk?: number }
): Chunk[] {
  const { first, dim, perChunk = zonesPerChunk(dim) } = of
  const bytes = new Uint8Array(centroids.buffer, centroids.byteOffset, centroids.byteLength)
  const zoneBytes = dim * ELEMENT_BYTES
  const zoneCount = centroids.length / dim
  return Array.from({ length: Math.ceil(zoneCount / perChunk) }, (_, i) => {
    const start = i * perChunk
    const end = Math.min(zoneCount, start + perChunk)
    return { first: first + start, count: end - start, records: bytes.subarray(start * zoneBytes, end * zoneBytes) }
  })
}

/** Computes the checksum of a chunk: of `first` and `count` as u64, and its records. */
export function chunkChecksum({ first, count, records }: Chunk): number {
  const numbers = Uint32Array.of(lowWord(first), highWord(first), lowWord(count), highWord(count))
  return checksum(records, checksum(new Uint8Array(numbers.buffer)))
}
