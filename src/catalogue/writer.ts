// Writes the catalogue of a new index in one transaction, and later its calibration in another. The only code that
// changes a catalogue.

import { join } from 'node:path'

import {
  APPLICATION_ID,
  CATALOGUE_DDL,
  CENTROIDS_ROW_BYTES,
  centroidsChecksum,
  fileChecksum,
  metaChecksum,
  rowsDigest,
  zoneNumbers,
  ZoneRowCodec,
  type CatalogueZone,
  type FileRecord
} from '../format/catalogue.ts'
import { decodeIndexMeta, encodeQuantizer, type IndexMeta, type QuantizerMeta } from '../format/catalogue-values.ts'
import { ZgqError } from '../errors.ts'
import { encodeMessagePack } from '../format/message-pack.ts'
import type { Calibration } from '../types.ts'
import { bytesEqual, CATALOGUE_NAME, ELEMENT_BYTES, FORMAT_VERSION } from '../format/layout.ts'
import { inTransaction, type Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { readMeta } from './rows.ts'
import { expectSchema, standGuard } from './schema.ts'
import { isBusy, wrapSqliteWriteError } from './sqlite-errors.ts'

/** What a new catalogue holds; counts, digest and format fields of `meta` are filled in here. */
export interface CatalogueContent {
  readonly meta: Pick<IndexMeta, 'indexId' | 'generation' | 'dim' | 'metric' | 'bits' | 'count'>
  /** Undefined without codes. */
  readonly quantizer: QuantizerMeta | undefined
  readonly build: Readonly<Record<string, unknown>>
  readonly files: readonly FileRecord[]
  readonly zones: readonly CatalogueZone[]
}

/** Writes a catalogue to a path where nothing is, synced, with no journal left beside it. */
export function writeCatalogue(path: string, content: CatalogueContent): void {
  const driver = loadDriver()
  try {
    const database = driver.open(path, { mode: 'create' })
    try {
      database.pragma('journal_mode = DELETE')
      database.pragma('synchronous = FULL')
      database.pragma(`application_id = ${APPLICATION_ID}`)
      database.pragma(`user_version = ${FORMAT_VERSION}`)
      inTransaction(database, () => {
        database.exec(CATALOGUE_DDL)
        const fileCrcs = insertFiles(database, content.files)
        const zoneCrcs = insertZones(database, content.zones)
        const centroidCrcs = insertCentroids(database, content)
        const meta: IndexMeta = {
          ...content.meta,
          version: FORMAT_VERSION,
          elementType: 'float32',
          zoneCount: content.zones.length,
          fileCount: content.files.length,
          readerFeatures: 0,
          writerFeatures: 0,
          digest: rowsDigest([...fileCrcs, ...zoneCrcs, ...centroidCrcs])
        }
        const insertMeta = database.prepare('INSERT INTO meta (key, value, crc) VALUES (?, ?, ?)')
        for (const [key, value] of Object.entries({
          index: meta,
          build: content.build,
          ...(content.quantizer === undefined ? {} : { quantizer: encodeQuantizer(content.quantizer) })
        })) {
          const bytes = encodeMessagePack(value)
          insertMeta.run(key, bytes, metaChecksum(key, bytes))
        }
      })
    } finally {
      database.close()
    }
  } catch (error) {
    throw wrapSqliteWriteError(error, path, 'write the catalogue')
  }
}

/** A catalogue that is changed; digest: of the rows that it had when it was read, if it may be another one by now. */
export interface CataloguePlace {
  readonly folder: string
  readonly digest?: Uint8Array
}

/**
 * Stores a calibration in the catalogue of the index in `folder`, or removes the one that is there (null), in one
 * transaction, and seals the catalogue again; throws ZGQ_READ_ONLY, ZGQ_LOCKED, ZGQ_MISMATCH or ZGQ_IO.
 */
export function writeCalibration({ folder, digest }: CataloguePlace, calibration: Calibration | null): void {
  const path = join(folder, CATALOGUE_NAME)
  const driver = loadDriver()
  try {
    const database = driver.open(path, { mode: 'write' })
    try {
      standGuard(database, 'write')
      expectSame(database, digest, path) // before another catalogue is changed in the least
      for (const pragma of DURABLE) database.pragma(pragma)
      inTransaction(database, () => {
        expectSame(database, digest, path)
        database.prepare('DELETE FROM meta WHERE key = ?').run('calibration')
        if (calibration === null) return
        const bytes = encodeMessagePack(calibration)
        database
          .prepare('INSERT INTO meta (key, value, crc) VALUES (?, ?, ?)')
          .run('calibration', bytes, metaChecksum('calibration', bytes))
      })
      seal(database)
    } finally {
      database.close()
    }
  } catch (error) {
    throw wrapSqliteWriteError(error, path, 'store the calibration')
  }
}

/**
 * Throws ZGQ_CORRUPT for another schema, whose triggers would run, and ZGQ_MISMATCH for another index: its folder may
 * have been swapped meanwhile.
 */
function expectSame(database: Database, digest: Uint8Array | undefined, path: string): void {
  expectSchema(database, path)
  if (digest === undefined) return
  const now = decodeIndexMeta(readMeta(database, path).get('index'), path)
  if (!bytesEqual(now.digest, digest))
    throw new ZgqError('ZGQ_MISMATCH', 'another index was put here while this one was calibrated: repeat it', { path })
}

/** A change is made in WAL mode, and synced to the medium, not only to its cache, when it is committed. */
const DURABLE = ['journal_mode = WAL', 'synchronous = FULL', 'fullfsync = 1', 'checkpoint_fullfsync = 1']
/** How often sealing is tried while readers, which take milliseconds, are in the way; and the time between. */
const SEAL_ATTEMPTS = 50
const SEAL_PAUSE_MS = 10

/**
 * Leaves WAL mode, so that nothing stands beside the catalogue and it opens from a folder that is only read. Where
 * somebody keeps it open that is left to the next change: what was committed is safe, and readers take it as it is.
 */
function seal(database: Database): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let attempt = 1; ; attempt++) {
    try {
      database.pragma('wal_checkpoint(TRUNCATE)')
      if (database.pragma('journal_mode = DELETE') === 'delete') return
    } catch (error) {
      if (!isBusy(error)) throw error
    }
    if (attempt === SEAL_ATTEMPTS) return
    Atomics.wait(pause, 0, 0, SEAL_PAUSE_MS)
  }
}

function insertFiles(database: Database, files: readonly FileRecord[]): number[] {
  const insert = database.prepare(
    'INSERT INTO files (file, kind, name, byte_length, header_crc, crc) VALUES (?, ?, ?, ?, ?, ?)'
  )
  return files.map((file) => {
    const crc = fileChecksum(file)
    insert.run(file.file, file.kind, file.name, file.byteLength, file.headerCrc, crc)
    return crc
  })
}

function insertZones(database: Database, zones: readonly CatalogueZone[]): number[] {
  const insert = database.prepare(
    'INSERT INTO zones (zone, segment, file, row_count, segment_offset, columns_offset, columns_byte_length, ' +
      'columns_crc, codes_file, codes_offset, codes_byte_length, codes_crc, min_norm, max_norm, radius, crc) ' +
      'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'
  )
  const codec = new ZoneRowCodec()
  return zones.map((zone) => {
    const numbers = zoneNumbers(zone)
    const crc = codec.checksum(numbers)
    insert.run(...numbers, crc)
    return crc
  })
}

function insertCentroids(database: Database, content: CatalogueContent): number[] {
  const insert = database.prepare('INSERT INTO centroids (first_zone, zone_count, vectors, crc) VALUES (?, ?, ?, ?)')
  const { zones, meta } = content
  const zonesPerRow = Math.max(1, Math.floor(CENTROIDS_ROW_BYTES / (meta.dim * ELEMENT_BYTES)))
  const crcs: number[] = []
  for (let firstZone = 0; firstZone < zones.length; firstZone += zonesPerRow) {
    const some = zones.slice(firstZone, firstZone + zonesPerRow)
    const vectors = Buffer.concat(
      some.map(({ centroid }) => new Uint8Array(centroid.buffer, centroid.byteOffset, centroid.byteLength))
    )
    const crc = centroidsChecksum({ firstZone, zoneCount: some.length, vectors })
    insert.run(firstZone, some.length, vectors, crc)
    crcs.push(crc)
  }
  return crcs
}
