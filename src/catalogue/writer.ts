// Writes the catalogue of a new index in one transaction, and later its calibration in another. Rows are changed
// elsewhere (change-writer.ts).

import { join } from 'node:path'

import { ZgqError } from '../errors.ts'
import type { BuildFacts } from '../format/build-facts.ts'
import { encodeCalibration } from '../format/calibration-record.ts'
import { CHUNK_TABLES, chunkChecksum } from '../format/chunks.ts'
import { encodeFields, type DeclaredField } from '../format/fields.ts'
import type { FileRecord } from '../format/file-record.ts'
import { decodeIndexMeta, encodeIndexMeta, expectChangeable, type IndexMeta } from '../format/index-record.ts'
import { bytesEqual, CATALOGUE_NAME, FORMAT_VERSION } from '../format/layout.ts'
import { encodeQuantizer, type QuantizerMeta } from '../format/quantizer.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import type { Calibration } from '../types.ts'
import { chunksDigest } from './chunks-digest.ts'
import { contentChunks } from './content-chunks.ts'
import { inTransaction, type Database } from './driver.ts'
import { encodeMessagePack } from './encode-message-pack.ts'
import { loadDriver } from './load-driver.ts'
import { metaChecksum, readMeta } from './rows.ts'
import { expectSchema, standGuard } from './schema.ts'
import { seal, SYNCED } from './seal.ts'
import { APPLICATION_ID, CATALOGUE_DDL, CHUNK_DECLARATIONS, insertStatement, META_TABLE } from './tables.ts'
import { wrapSqliteWriteError } from './sqlite-errors.ts'

/** Contents of a new catalogue; counts, digest and format fields of `meta` are filled in here. */
export interface CatalogueContent {
  readonly meta: Pick<IndexMeta, 'indexId' | 'generation' | 'dim' | 'metric' | 'bits' | 'idType' | 'count'>
  /** Undefined without codes. */
  readonly quantizer: QuantizerMeta | undefined
  readonly build: BuildFacts
  /** By ascending number, as are segments. */
  readonly files: readonly FileRecord[]
  readonly segments: readonly SegmentRecord[]
  /** float32, zones * dim */
  readonly centroids: Float32Array
  /** One-bit codes of the centroids in blocks of 32; empty without codes. */
  readonly zoneCodes: Uint8Array
  readonly documents: DocumentFacts
}

/** What the catalogue says of documents. */
export interface DocumentFacts {
  readonly fields: readonly DeclaredField[]
  readonly model: string | undefined
  /** MessagePack. */
  readonly encodedNote: Uint8Array | undefined
}

/** Writes a catalogue to a path where nothing is, synced, with no journal left beside it. */
export function writeCatalogue(path: string, content: CatalogueContent): void {
  const driver = loadDriver()
  try {
    const database = driver.open(path, { mode: 'create' })
    try {
      // Where it dies half-way the file is not used: nothing needs to roll back from disk. One transaction, one sync.
      database.pragma('journal_mode = MEMORY')
      for (const pragma of SYNCED) database.pragma(pragma)
      inTransaction(database, () => {
        database.pragma(`application_id = ${APPLICATION_ID}`)
        database.pragma(`user_version = ${FORMAT_VERSION}`)
        database.exec(CATALOGUE_DDL)
        const checksums = insertChunks(database, content)
        const { files, segments } = content
        const meta: IndexMeta = {
          ...content.meta,
          version: FORMAT_VERSION,
          elementType: 'float32',
          commit: 0,
          zoneCount: zoneCountOf(content),
          deltaZoneCount: 0,
          segmentCount: segments.length,
          fileCount: files.length,
          nextSegment: segments.reduce((next, { segment }) => Math.max(next, segment + 1), 0),
          nextFile: files.reduce((next, { file }) => Math.max(next, file + 1), 0),
          digest: chunksDigest(checksums)
        }
        insertMeta(database, 'index', encodeIndexMeta(meta))
        insertMeta(database, 'build', encodeMessagePack(content.build))
        if (content.quantizer !== undefined) insertMeta(database, 'quantizer', encodeQuantizer(content.quantizer))
        insertDocumentFacts(database, content.documents)
      })
    } finally {
      database.close()
    }
  } catch (error) {
    throw wrapSqliteWriteError(error, path, 'write the catalogue')
  }
}

/** A catalogue that is changed. */
export interface CataloguePlace {
  readonly folder: string
  /** Of the rows that it had when it was read, if it may be another one by now. */
  readonly digest?: Uint8Array
  /** False while it is built: nobody reads it, so that a rollback journal will do, which takes fewer syncs. */
  readonly isPublished: boolean
}

/**
 * Stores a calibration in the catalogue of the index in `folder`, or removes the one that is there (null), in one
 * transaction, and seals the catalogue again; throws ZGQ_READ_ONLY, ZGQ_LOCKED, ZGQ_MISMATCH or ZGQ_IO.
 */
export function writeCalibration(place: CataloguePlace, calibration: Calibration | null): void {
  const { folder, digest, isPublished } = place
  const path = join(folder, CATALOGUE_NAME)
  const driver = loadDriver()
  try {
    const database = driver.open(path, { mode: 'write' })
    try {
      standGuard(database, 'write')
      expectSame(database, digest, path) // before another catalogue is changed in the least
      if (isPublished) database.pragma('journal_mode = WAL')
      for (const pragma of SYNCED) database.pragma(pragma)
      inTransaction(database, () => {
        expectSame(database, digest, path)
        database.prepare('DELETE FROM meta WHERE key = ?').run('calibration')
        if (calibration === null) return
        insertMeta(database, 'calibration', encodeCalibration(calibration))
      })
      if (isPublished) seal(database, SEAL_ATTEMPTS)
    } finally {
      database.close()
    }
  } catch (error) {
    throw wrapSqliteWriteError(error, path, 'store the calibration')
  }
}

/**
 * Throws ZGQ_CORRUPT for another schema, whose triggers would run, ZGQ_UNSUPPORTED for an index that a newer version
 * alone may change, and ZGQ_MISMATCH for another index: its folder may
 * have been swapped meanwhile.
 */
function expectSame(database: Database, digest: Uint8Array | undefined, path: string): void {
  expectSchema(database, path)
  const index = readMeta(database, path).get('index')
  const now = decodeIndexMeta(index, path)
  expectChangeable(index, path)
  if (digest === undefined) return
  if (!bytesEqual(now.digest, digest))
    throw new ZgqError('ZGQ_MISMATCH', 'another index was put here while this one was calibrated: repeat it', { path })
}

/** How often sealing is tried while readers, which take milliseconds, are in the way. */
const SEAL_ATTEMPTS = 125

function insertMeta(database: Database, key: string, value: Uint8Array): void {
  database.prepare(insertStatement(META_TABLE)).run(key, value, metaChecksum(key, value))
}

function insertDocumentFacts(database: Database, { fields, model, encodedNote }: DocumentFacts): void {
  if (fields.length > 0) insertMeta(database, 'fields', encodeFields(fields))
  if (model !== undefined) insertMeta(database, 'model', Buffer.from(model))
  if (encodedNote !== undefined) insertMeta(database, 'note', encodedNote)
}

function zoneCountOf({ centroids, meta }: CatalogueContent): number {
  return centroids.length / meta.dim
}

/** Writes all chunks; returns their checksums in the order of the digest. */
function insertChunks(database: Database, content: CatalogueContent): number[] {
  const { meta, ...records } = content
  const chunks = contentChunks({ ...records, dim: meta.dim, zoneCount: zoneCountOf(content) })
  return CHUNK_TABLES.flatMap((table, i) => {
    const insert = database.prepare(insertStatement(CHUNK_DECLARATIONS[i]))
    return chunks[table].map((chunk) => {
      const crc = chunkChecksum(chunk)
      insert.run(chunk.first, chunk.count, chunk.records, crc)
      return crc
    })
  })
}
