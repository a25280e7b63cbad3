// Puts deltas into the catalogue of an index, as a writer of changes does; and rows to put there.

import { join } from 'node:path'
import Sqlite from 'better-sqlite3'

import { readCatalogue } from '../../src/catalogue/reader.ts'
import { metaChecksum } from '../../src/catalogue/rows.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import { CHUNK_DECLARATIONS, insertStatement } from '../../src/catalogue/tables.ts'
import { chunksDigest } from '../../src/catalogue/chunks-digest.ts'
import { CHUNK_TABLES, centroidChunks, chunkChecksum, type Chunk } from '../../src/format/chunks.ts'
import type { WrittenDelta } from '../../src/format/delta.ts'
import { encodeFileRecords } from '../../src/format/file-record.ts'
import { encodeIndexMeta } from '../../src/format/index-record.ts'
import { CATALOGUE_NAME } from '../../src/format/layout.ts'
import { PayloadEncoder } from '../../src/format/payload.ts'
import { encodeSegmentRecords } from '../../src/format/segment-record.ts'
import type { Id } from '../../src/types.ts'
import { writeDelta } from '../../src/write/delta-file.ts'
import type { Rows } from '../../src/write/rows.ts'

/** Rows with their payloads encoded. */
export function rowsOf(of: {
  readonly ids: readonly Id[]
  readonly vectors: Float32Array
  readonly payloads?: readonly (object | undefined)[]
}): Rows {
  const encoder = new PayloadEncoder()
  const { ids, vectors, payloads } = of
  return {
    count: ids.length,
    ids,
    vectors,
    payloads: ids.map((_, i) => {
      const payload = payloads?.[i]
      return payload === undefined ? undefined : Uint8Array.from(encoder.encode(payload, `row ${i}`))
    })
  }
}

/** Writes rows as a delta and adds it to the index in `folder`; returns what it has then. */
export function addDelta(folder: string, rows: Rows): Snapshot {
  const snapshot = readCatalogue(folder)
  const { meta, quantizer, fields } = snapshot
  takeIn(snapshot, writeDelta({ folder, meta, quantizer, fields }, rows))
  return readCatalogue(folder)
}

/** Adds a written delta to the catalogue. */
function takeIn({ folder, meta }: Snapshot, { file, segments, centroids }: WrittenDelta): void {
  const { dim } = meta
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    database.exec('PRAGMA synchronous = OFF; BEGIN')
    const insert = (table: (typeof CHUNK_TABLES)[number], chunk: Chunk): void => {
      database
        .prepare(insertStatement(CHUNK_DECLARATIONS[CHUNK_TABLES.indexOf(table)]))
        .run(...[chunk.first, chunk.count].map(BigInt), chunk.records, BigInt(chunkChecksum(chunk)))
    }
    insert('files', { first: file.file, count: 1, records: encodeFileRecords([file]) })
    for (let i = 0; i < segments.length; i += 512) {
      const some = segments.slice(i, i + 512)
      insert('segments', { first: some[0].segment, count: some.length, records: encodeSegmentRecords(some) })
    }
    for (const chunk of centroidChunks(centroids, { first: meta.deltaZoneCount, dim })) insert('delta_zones', chunk)
    const crcs = CHUNK_TABLES.flatMap((table) =>
      database.prepare<[], number>(`SELECT crc FROM ${table} ORDER BY first`).pluck().all()
    )
    const value = encodeIndexMeta({
      ...meta,
      generation: file.generation,
      count: meta.count + file.rowCount,
      deltaZoneCount: meta.deltaZoneCount + segments.length,
      segmentCount: meta.segmentCount + segments.length,
      fileCount: meta.fileCount + 1,
      nextSegment: meta.nextSegment + segments.length,
      nextFile: meta.nextFile + 1,
      digest: chunksDigest(crcs)
    })
    database
      .prepare("UPDATE meta SET value = ?, crc = ? WHERE key = 'index'")
      .run(value, BigInt(metaChecksum('index', value)))
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}
