// Makes a delta part of the index: its records as chunks of their own, and what the index record says of all chunks.

import { ZgqError } from '../errors.ts'
import { centroidChunks, chunkChecksum, CHUNK_TABLES, type Chunk, type ChunkTable } from '../format/chunks.ts'
import type { WrittenDelta } from '../format/delta.ts'
import { encodeFileRecords } from '../format/file-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { encodeSegmentRecords } from '../format/segment-record.ts'
import type { Database } from './driver.ts'
import { digestOf } from './rewrite-chunks.ts'
import { numberedChunks } from './rows.ts'
import { CHUNK_DECLARATIONS, insertStatement } from './tables.ts'

/** Adds a delta in the transaction that its caller has begun; returns what the index is by then. */
export function addDelta(database: Database, delta: WrittenDelta, meta: IndexMeta): IndexMeta {
  const { file, segments, centroids } = delta
  expectNext(delta, meta)
  const chunks: Partial<Record<ChunkTable, readonly Chunk[]>> = {
    files: numberedChunks([file], (record) => record.file, encodeFileRecords),
    segments: numberedChunks(segments, ({ segment }) => segment, encodeSegmentRecords),
    delta_zones: centroidChunks(centroids, { first: meta.deltaZoneCount, dim: meta.dim })
  }
  for (const [i, table] of CHUNK_TABLES.entries()) {
    const insert = database.prepare(insertStatement(CHUNK_DECLARATIONS[i]))
    for (const chunk of chunks[table] ?? []) insert.run(chunk.first, chunk.count, chunk.records, chunkChecksum(chunk))
  }
  return {
    ...meta,
    generation: Math.max(meta.generation, file.generation),
    count: meta.count + file.rowCount,
    deltaZoneCount: meta.deltaZoneCount + segments.length,
    segmentCount: meta.segmentCount + segments.length,
    fileCount: meta.fileCount + 1,
    nextSegment: segments[segments.length - 1].segment + 1,
    nextFile: file.file + 1,
    digest: digestOf(database)
  }
}

/** Throws where a delta was written for another state of the index. */
function expectNext({ file, segments, centroids }: WrittenDelta, meta: IndexMeta): void {
  const firstZone = meta.zoneCount + meta.deltaZoneCount
  const isNext =
    file.file >= meta.nextFile &&
    segments.length > 0 &&
    segments.length * meta.dim === centroids.length &&
    segments.every(({ zone }, i) => zone === firstZone + i) &&
    segments.every(({ segment }, i) => segment >= (i === 0 ? meta.nextSegment : segments[i - 1].segment + 1)) &&
    segments.reduce((rows, { rowCount }) => rows + rowCount, 0) === file.rowCount
  if (!isNext) throw new ZgqError('ZGQ_MISMATCH', 'the delta was written for another state of the index')
}
