// Reads the catalogue once into a frozen snapshot and closes it. Search never asks SQLite.

import { lstatSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'

import { refuseAsarPath } from '../asar-path.ts'
import { readLock } from '../build-lock.ts'
import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { APPLICATION_ID, decodeBuild, decodeIndexMeta, decodeQuantizer, rowsDigest } from '../format/catalogue.ts'
import { decodeCalibration } from '../format/calibration.ts'
import { bytesEqual, CATALOGUE_NAME } from '../format/layout.ts'
import { expectVersion } from '../format/version.ts'
import { loadDriver } from './load-driver.ts'
import type { Database } from './driver.ts'
import { checkPlaces } from './places.ts'
import { readCentroids, readFiles, readMeta, readZones } from './rows.ts'
import { expectSchema, standGuard } from './schema.ts'
import type { Snapshot } from './snapshot.ts'
import { wrapSqliteError } from './sqlite-errors.ts'

/** Tells whether the folder's catalogue is another file by now: the index was replaced since the snapshot was taken. */
export function wasReplaced(snapshot: Snapshot, path: string): boolean {
  try {
    const now = readCatalogue(path)
    return now.catalogueFile !== snapshot.catalogueFile || now.folder !== snapshot.folder
  } catch {
    return false // no sound index there: the first error says more
  }
}

/**
 * Reads the catalogue of the index at `path`. Throws ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_UNSUPPORTED, ZGQ_CORRUPT,
 * ZGQ_LOCKED or ZGQ_IO. While an index is being replaced its folder may be away for a moment: the old one then stands
 * beside it (spec, section 10).
 */
export function readCatalogue(path: string): Snapshot {
  refuseAsarPath(path)
  const place = path.replace(/[/\\]+$/, '')
  const replaced = `${place}.replaced`
  const candidates = [path, replaced, path, replaced, path]
  for (const [attempt, folder] of candidates.entries()) {
    // Unless a build beside it says that it is replacing, a folder of that name is something of the user's.
    if (folder === replaced && readLock(`${place}.building`)?.isReplacing !== true) continue
    try {
      return readFolder(folder)
    } catch (error) {
      const isLast = attempt === candidates.length - 1
      if (isLast || !(error instanceof ZgqError) || error.code !== 'ZGQ_NOT_FOUND') throw error
    }
  }
  throw new ZgqError('ZGQ_NOT_FOUND', 'there is no index', { path })
}

/** Tells one folder from another under the same name; undefined if there is none. */
function identityOf(folder: string): string | undefined {
  try {
    const { dev, ino } = statSync(folder)
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** Has SQLite check the whole database, beyond the rows that a snapshot is made of; throws ZGQ_CORRUPT. */
export function checkDatabase(snapshot: Snapshot): void {
  const path = join(snapshot.folder, CATALOGUE_NAME)
  const database = openDatabase(path)
  try {
    standGuard(database, 'read')
    const found = database.pragma('integrity_check(1)')
    if (found !== 'ok')
      throw new ZgqError('ZGQ_CORRUPT', `the catalogue is damaged where no row is: ${String(found)}`, { path })
  } catch (error) {
    throw wrapSqliteError(error, path)
  } finally {
    database.close()
  }
}

function readFolder(folder: string): Snapshot {
  const before = identityOf(folder)
  try {
    return readFound(folder)
  } catch (error) {
    if (identityOf(folder) === before) throw error
    throw new ZgqError('ZGQ_NOT_FOUND', 'the index was replaced while it was opened', { path: folder, cause: error })
  }
}

function readFound(folder: string): Snapshot {
  const path = join(folder, CATALOGUE_NAME)
  const found = findCatalogue(folder, path)
  const database = openDatabase(path)
  try {
    return { folder, ...found, ...readTables(database, found.catalogueBytes, path) }
  } catch (error) {
    throw wrapSqliteError(error, path)
  } finally {
    database.close()
  }
}

function findCatalogue(folder: string, path: string): Pick<Snapshot, 'catalogueBytes' | 'catalogueFile'> {
  const notAnIndex = (what: string): ZgqError =>
    new ZgqError('ZGQ_NOT_AN_INDEX', `${what}; an index is a folder with ${CATALOGUE_NAME}`, { path: folder })
  try {
    if (!statSync(folder).isDirectory()) throw notAnIndex(`${basename(folder)} is not a folder`)
  } catch (error) {
    throw ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
      ? new ZgqError('ZGQ_NOT_FOUND', 'there is no index', { path: folder, cause: error })
      : wrapReadError(error, folder, 'open the index')
  }
  try {
    const found = lstatSync(path)
    if (!found.isFile()) throw notAnIndex(`${CATALOGUE_NAME} is not a file`)
    return { catalogueBytes: found.size, catalogueFile: `${found.dev}:${found.ino}:${found.ctimeMs}` }
  } catch (error) {
    throw systemCode(error) === 'ENOENT'
      ? notAnIndex(`this folder has no ${CATALOGUE_NAME}`)
      : wrapReadError(error, path, 'open the catalogue')
  }
}

function openDatabase(path: string): Database {
  const driver = loadDriver()
  try {
    return driver.open(path, { mode: 'read' })
  } catch (error) {
    throw wrapSqliteError(error, path)
  }
}

function readTables(
  database: Database,
  catalogueBytes: number,
  path: string
): Omit<Snapshot, 'folder' | 'catalogueBytes' | 'catalogueFile'> {
  standGuard(database, 'read')
  const applicationId = database.pragma('application_id')
  if (applicationId !== APPLICATION_ID) {
    throw new ZgqError(
      'ZGQ_NOT_AN_INDEX',
      `this SQLite database is not a catalogue: its application_id is ${String(applicationId)}, expected ` +
        `${APPLICATION_ID}`,
      { path }
    )
  }
  const version = database.pragma('user_version')
  expectVersion(Number(version), { path })
  const journalMode = database.pragma('journal_mode')
  if (journalMode !== 'delete')
    throw new ZgqError('ZGQ_CORRUPT', `the catalogue is in journal mode ${String(journalMode)}, expected delete`, {
      path
    })
  expectSchema(database, path)
  const values = readMeta(database, path)
  const meta = decodeIndexMeta(values.get('index'), path)
  if (version !== meta.version)
    throw new ZgqError('ZGQ_CORRUPT', `the catalogue says version ${String(version)} and ${meta.version}`, { path })
  const files = readFiles(database, meta, path)
  const centroids = readCentroids(database, { meta, catalogueBytes }, path)
  const zones = readZones(database, { meta, centroids: centroids.vectors, catalogueBytes }, path)
  const digest = rowsDigest([...files.map((row) => row.crc), ...zones.map((row) => row.crc), ...centroids.crcs])
  if (!bytesEqual(digest, meta.digest))
    throw new ZgqError('ZGQ_CORRUPT', 'the rows of the catalogue do not fit its digest: rows are missing or changed', {
      path
    })
  const snapshot = {
    meta,
    quantizer: meta.bits === 0 ? undefined : decodeQuantizer(values.get('quantizer'), meta.dim, path),
    calibration: values.has('calibration') ? decodeCalibration(values.get('calibration'), meta.zoneCount, path) : null,
    build: decodeBuild(values.get('build'), path),
    files: files.map((row) => row.file),
    zones: zones.map((row) => row.zone),
    centroids: centroids.vectors
  }
  checkPlaces(snapshot, path)
  return snapshot
}
