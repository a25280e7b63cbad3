// Reads the catalogue once into a frozen snapshot and closes it. Search never asks SQLite.

import { lstatSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'

import { refuseAsarPath } from '../asar-path.ts'
import { readLock } from '../build-lock.ts'
import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { decodeChangesMeta, NO_CHANGES, type ChangesMeta } from '../format/changes-record.ts'
import { DENSE_TABLES, STEPPED_TABLES, type ChunkTable } from '../format/chunks.ts'
import { planesByteLength } from '../format/codes.ts'
import { FILE_RECORD } from '../format/file-record.ts'
import { decodeIndexMeta } from '../format/index-record.ts'
import { FILE_KIND_NAMES } from '../format/kinds.ts'
import { bytesEqual, CATALOGUE_NAME, ELEMENT_BYTES } from '../format/layout.ts'
import { areFinite } from '../format/row-values.ts'
import { SEGMENT_RECORD } from '../format/segment-record.ts'
import { stampCatalogue } from './catalogue-stamp.ts'
import { readChangesTo } from './changes.ts'
import { chunksDigest } from './chunks-digest.ts'
import type { Database } from './driver.ts'
import { decodeSnapshot, expectFitting } from './decode-snapshot.ts'
import { readFoldFiles, type FoldFiles } from './fold-files.ts'
import { measureDatabase, withCatalogue } from './open-catalogue.ts'
import { refusePacked } from './packed-place.ts'
import { readChunks, readMeta, type ReadRecords } from './rows.ts'
import { expectCatalogue, expectSchema, standGuard } from './schema.ts'
import type { Snapshot } from './snapshot.ts'
import { whileSteady } from './steady-folder.ts'
import { checkWriters } from './writers.ts'

/** Reads the catalogue of the index at `path`; throws as `withSnapshot` does. */
export function readCatalogue(path: string): Snapshot {
  return withSnapshot(path, (snapshot) => snapshot)
}

/**
 * Reads the catalogue of the index at `path` and hands it to `open`, which opens its files: both of one index, although
 * folders may be renamed meanwhile; `open` may be called several times. Throws ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX,
 * ZGQ_UNSUPPORTED, ZGQ_CORRUPT, ZGQ_LOCKED or ZGQ_IO, and what `open` throws.
 */
export function withSnapshot<T>(path: string, open: (snapshot: Snapshot) => T): T {
  refuseAsarPath(path)
  const place = path.replace(/[/\\]+$/, '')
  const replaced = `${place}.replaced`
  return whileSteady([path, replaced], () => {
    // While an index is being replaced the old one may stand beside its place for a moment (spec, section 10). Unless a
    // build says that it is replacing, a folder of that name is something of the user's.
    for (const folder of [path, replaced]) {
      if (folder === replaced && readLock(`${place}.building`)?.isReplacing !== true) continue
      const snapshot = readIfThere(folder)
      if (snapshot !== undefined) return open(snapshot)
    }
    return open(readFolder(path))
  })
}

function readIfThere(folder: string): Snapshot | undefined {
  try {
    return readFolder(folder)
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Has SQLite check the whole database, and looks at the rows that no snapshot is made of; returns what folds keep in
 * the folder beside the files of the index. Throws ZGQ_CORRUPT.
 */
export function checkDatabase(snapshot: Pick<Snapshot, 'folder'>): FoldFiles {
  const path = join(snapshot.folder, CATALOGUE_NAME)
  return withCatalogue(path, (database) => {
    standGuard(database, 'read')
    checkWriters(database, path)
    // Of the state that is there now, which may be a newer one than the snapshot.
    const meta = decodeIndexMeta(readMeta(database, path).get('index'), path)
    const foldFiles = readFoldFiles(database, { meta, path })
    const found = database.pragma('integrity_check(1)')
    if (found !== 'ok')
      throw new ZgqError('ZGQ_CORRUPT', `the catalogue is damaged where no row is: ${String(found)}`, { path })
    return foldFiles
  })
}

function readFolder(folder: string): Snapshot {
  const path = join(folder, CATALOGUE_NAME)
  expectFile(folder, path)
  const stamp = stampCatalogue(path) // of a state that is read or older, never of one that comes later
  return {
    folder,
    cataloguePath: path,
    stamp,
    ...withCatalogue(path, (database, opened) => readTables(database, opened, path))
  }
}

/** Reads the catalogue of the index in a folder, and the values of its table meta. Throws as `withSnapshot` does. */
export function readWithValues(folder: string): {
  readonly snapshot: Snapshot
  readonly values: ReadonlyMap<string, Uint8Array>
} {
  const path = join(folder, CATALOGUE_NAME)
  expectFile(folder, path)
  const stamp = stampCatalogue(path)
  return withCatalogue(path, (database, opened) => ({
    snapshot: { folder, cataloguePath: path, stamp, ...readTables(database, opened, path) },
    values: readMeta(database, path)
  }))
}

function expectFile(folder: string, path: string): void {
  const notAnIndex = (what: string): ZgqError =>
    new ZgqError('ZGQ_NOT_AN_INDEX', `${what}; an index is a folder with ${CATALOGUE_NAME}`, { path: folder })
  refusePacked(folder, 'give the index that it was packed from')
  try {
    if (!statSync(folder).isDirectory()) throw notAnIndex(`${basename(folder)} is not a folder`)
  } catch (error) {
    throw ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
      ? new ZgqError('ZGQ_NOT_FOUND', 'there is no index', { path: folder, cause: error })
      : wrapReadError(error, folder, 'open the index')
  }
  try {
    if (!lstatSync(path).isFile()) throw notAnIndex(`${CATALOGUE_NAME} is not a file`)
  } catch (error) {
    throw systemCode(error) === 'ENOENT'
      ? notAnIndex(`this folder has no ${CATALOGUE_NAME}${hintOf(folder)}`)
      : wrapReadError(error, path, 'open the catalogue')
  }
}

const DATA_FILE = new RegExp(`^(${FILE_KIND_NAMES.join('|')})-\\d+-\\d+\\.zgq$`)

/** Of an index that lost its catalogue much may be left. */
function hintOf(folder: string): string {
  try {
    const hasData = readdirSync(folder).some((name) => DATA_FILE.test(name))
    return hasData ? ', but data files of an index, whose rows zgq repair (repairIndex) saves' : ''
  } catch {
    return ''
  }
}

/** `opened`: the file that is read, which may be a copy of the one at `path`. */
function readTables(
  database: Database,
  opened: string,
  path: string
): Omit<Snapshot, 'folder' | 'cataloguePath' | 'stamp'> {
  standGuard(database, 'read')
  const version = expectCatalogue(database, path)
  const journalMode = database.pragma('journal_mode')
  if (journalMode !== 'delete' && journalMode !== 'wal')
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the catalogue is in journal mode ${String(journalMode)}, expected delete or wal`,
      { path }
    )
  expectSchema(database, path)
  // Measured now that the transaction has begun to read: nothing that it sees is written later.
  const values = readMeta(database, path)
  const of = { values, version, since: NO_CHANGES, catalogueBytes: measureDatabase(opened), path }
  return readSnapshot(database, of)
}

/** What a snapshot is read from, beside the tables. */
interface SnapshotSource {
  /** Of table meta. */
  readonly values: ReadonlyMap<string, Uint8Array>
  readonly version: number
  /** Changes are read from there on. */
  readonly since: ChangesMeta
  readonly catalogueBytes: number
  readonly path: string
}

/** Reads all tables in the transaction that its caller has begun. */
export function readSnapshot(
  database: Database,
  of: SnapshotSource
): Omit<Snapshot, 'folder' | 'cataloguePath' | 'stamp'> {
  const { values, path, catalogueBytes } = of
  const meta = decodeIndexMeta(values.get('index'), path)
  const { dim, zoneCount, deltaZoneCount, bits } = meta
  if (of.version !== meta.version)
    throw new ZgqError('ZGQ_CORRUPT', `the catalogue says version ${of.version} and ${meta.version}`, { path })
  const read = (table: ChunkTable, count: number, bytesOf: (count: number) => number): ReadRecords =>
    readChunks(
      database,
      { table, catalogueBytes, path },
      { count, bytesOf, isDense: DENSE_TABLES.includes(table), isStepped: STEPPED_TABLES.includes(table) }
    )
  // Zones first: their number decides about memory. More of them than the catalogue holds are damage, by readChunks.
  expectFitting(Math.min((zoneCount + deltaZoneCount) * dim * ELEMENT_BYTES, catalogueBytes), path)
  const centroidBytes = (count: number): number => count * dim * ELEMENT_BYTES
  const zones = read('zones', zoneCount, centroidBytes)
  const deltaZones = read('delta_zones', deltaZoneCount, centroidBytes)
  const zoneCodes = read('zone_codes', bits === 0 ? 0 : zoneCount, (count) => planesByteLength(count, dim))
  const files = read('files', meta.fileCount, (count) => count * FILE_RECORD.byteLength)
  const segments = read('segments', meta.segmentCount, (count) => count * SEGMENT_RECORD.byteLength)
  const digest = chunksDigest([files, segments, zones, zoneCodes, deltaZones].flatMap(({ checksums }) => checksums))
  if (!bytesEqual(digest, meta.digest))
    throw new ZgqError(
      'ZGQ_CORRUPT',
      'the chunks of the catalogue do not fit its digest: some are missing or changed',
      {
        path
      }
    )
  const centroids = joinRecords(zones.records, deltaZones.records)
  if (!areFinite(centroids)) throw new ZgqError('ZGQ_CORRUPT', 'a centroid is not finite', { path })
  const records = {
    meta,
    values,
    files: files.records,
    segments: segments.records,
    centroids: new Float32Array(centroids.buffer),
    zoneCodes: zoneCodes.records,
    catalogueBytes
  }
  const snapshot = decodeSnapshot(records, path)
  const changed = decodeChangesMeta(values.get('changes'), path)
  const place = { meta, segments: snapshot.segments, since: of.since, path, catalogueBytes }
  return { ...snapshot, changes: readChangesTo(database, changed, place) }
}

/** Joins records of two tables; copies nothing where the second has none. */
function joinRecords(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (b.byteLength === 0) return a
  const joined = new Uint8Array(a.byteLength + b.byteLength)
  joined.set(a)
  joined.set(b, a.byteLength)
  return joined
}
