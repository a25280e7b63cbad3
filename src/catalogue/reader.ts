// Reads the catalogue once into a frozen snapshot and closes it. Search never asks SQLite.

import { statSync } from 'node:fs'
import { basename, join } from 'node:path'

import { refuseAsarPath } from '../asar-path.ts'
import { readLock } from '../build-lock.ts'
import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import {
  APPLICATION_ID,
  decodeCentroidsRow,
  decodeFileRow,
  decodeIndexMeta,
  decodeMetaRow,
  decodeQuantizer,
  rowsDigest,
  ZoneRowCodec,
  type IndexMeta
} from '../format/catalogue.ts'
import { decodeCalibration } from '../format/calibration.ts'
import { bytesEqual, CATALOGUE_NAME, ELEMENT_BYTES, PAGE_BYTES, type Extent } from '../format/layout.ts'
import { expectVersion } from '../format/version.ts'
import type { Database } from './driver.ts'
import { withCatalogue } from './open-catalogue.ts'
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
  const found = withCatalogue(path, (database) => database.pragma('integrity_check(1)'))
  if (found !== 'ok')
    throw new ZgqError('ZGQ_CORRUPT', `the catalogue is damaged where no row is: ${String(found)}`, { path })
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
  return { folder, ...found, ...withCatalogue(path, (database) => readTables(database, path)) }
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
    const found = statSync(path)
    if (!found.isFile()) throw notAnIndex(`${CATALOGUE_NAME} is not a file`)
    return { catalogueBytes: found.size, catalogueFile: `${found.dev}:${found.ino}:${found.ctimeMs}` }
  } catch (error) {
    throw systemCode(error) === 'ENOENT'
      ? notAnIndex(`this folder has no ${CATALOGUE_NAME}`)
      : wrapReadError(error, path, 'open the catalogue')
  }
}

function readTables(database: Database, path: string): Omit<Snapshot, 'folder' | 'catalogueBytes' | 'catalogueFile'> {
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
  if (journalMode !== 'delete' && journalMode !== 'wal')
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the catalogue is in journal mode ${String(journalMode)}, expected delete or wal`,
      {
        path
      }
    )
  const values = new Map<string, unknown>()
  for (const row of rowsOf(database, 'SELECT key, value, crc FROM meta', 1000)) {
    const { key, value } = decodeMetaRow(row, path)
    values.set(key, value)
  }
  const meta = decodeIndexMeta(values.get('index'), path)
  if (version !== meta.version)
    throw new ZgqError('ZGQ_CORRUPT', `the catalogue says version ${String(version)} and ${meta.version}`, { path })
  const fileRows = rowsOf(
    database,
    'SELECT file, kind, name, byte_length, header_crc, crc FROM files ORDER BY file',
    meta.fileCount + 1
  )
  const files = fileRows.map((row) => decodeFileRow(row, path))
  const zoneRows = rowsOf(
    database,
    'SELECT zone, segment, file, row_count, segment_offset, columns_offset, columns_byte_length, columns_crc, ' +
      'codes_file, codes_offset, codes_byte_length, codes_crc, min_norm, max_norm, radius, crc FROM zones ORDER ' +
      'BY zone',
    meta.zoneCount + 1
  )
  const centroids = readCentroids(database, meta, path)
  const codec = new ZoneRowCodec()
  const zones = zoneRows.map((row, i) =>
    codec.decode(row, centroids.vectors.subarray(i * meta.dim, (i + 1) * meta.dim), path)
  )
  const digest = rowsDigest([...files.map((row) => row.crc), ...zones.map((row) => row.crc), ...centroids.crcs])
  if (!bytesEqual(digest, meta.digest))
    throw new ZgqError('ZGQ_CORRUPT', 'the rows of the catalogue do not fit its digest: rows are missing or changed', {
      path
    })
  const quantizer = meta.bits === 0 ? undefined : decodeQuantizer(values.get('quantizer'), meta.dim, path)
  const calibration = values.has('calibration') ? decodeCalibration(values.get('calibration'), path) : null
  const snapshot = {
    meta,
    quantizer,
    calibration,
    build: Object.fromEntries(Object.entries(values.get('build') ?? {})),
    files: files.map((row) => row.file),
    zones: zones.map((row) => row.zone),
    centroids: centroids.vectors
  }
  checkPlaces(snapshot, path)
  return snapshot
}

/** Reads all centroids: float32, zoneCount * dim. */
function readCentroids(database: Database, meta: IndexMeta, path: string): { vectors: Float32Array; crcs: number[] } {
  const rows = rowsOf(
    database,
    'SELECT first_zone, zone_count, vectors, crc FROM centroids ORDER BY first_zone',
    meta.zoneCount + 1
  )
  const bytes = new Uint8Array(meta.zoneCount * meta.dim * ELEMENT_BYTES)
  const crcs: number[] = []
  let firstZone = 0
  for (const row of rows) {
    const { centroids, crc } = decodeCentroidsRow(row, { firstZone, dim: meta.dim }, path)
    const isInside = firstZone + centroids.zoneCount <= meta.zoneCount
    if (isInside) bytes.set(centroids.vectors, firstZone * meta.dim * ELEMENT_BYTES)
    firstZone += centroids.zoneCount
    crcs.push(crc)
  }
  if (firstZone !== meta.zoneCount)
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the catalogue has centroids for ${firstZone} zones, expected ${meta.zoneCount}`,
      { path }
    )
  return { vectors: new Float32Array(bytes.buffer), crcs }
}

function rowsOf(database: Database, sql: string, most: number): unknown[][] {
  // A damaged tree can repeat rows: never read more than the digest can match.
  return database.prepare(`${sql} LIMIT ?`).all(most)
}

/**
 * Holds every extent against its file and every count against the others, so that the rest of the code may trust them.
 */
function checkPlaces(snapshot: Pick<Snapshot, 'meta' | 'files' | 'zones'>, path: string): void {
  const { meta, files, zones } = snapshot
  const damage = (what: string): ZgqError =>
    new ZgqError('ZGQ_CORRUPT', `the catalogue contradicts itself: ${what}`, { path })
  if (files.length !== meta.fileCount || files.some((file, i) => file.file !== i))
    throw damage(`${files.length} files, expected ${meta.fileCount}`)
  if (zones.length !== meta.zoneCount || zones.some((zone, i) => zone.zone !== i))
    throw damage(`${zones.length} zones, expected ${meta.zoneCount}`)
  let count = 0
  for (const zone of zones) {
    const file = files.at(zone.file)
    if (file === undefined) throw damage(`zone ${zone.zone} is in file ${zone.file}, which is not listed`)
    const segment = { offset: zone.segmentOffset, byteLength: zone.rowCount * meta.dim * ELEMENT_BYTES }
    const columns = { offset: zone.columnsOffset, byteLength: zone.columnsByteLength }
    if (zone.rowCount < 1 || !isInside(segment, file.byteLength) || !isInside(columns, file.byteLength))
      throw damage(`zone ${zone.zone} leaves its file`)
    if (file.kind !== 'vectors') throw damage(`the segment of zone ${zone.zone} is in a file of ${file.kind}`)
    if (meta.bits > 0) {
      const codesFile = files.at(zone.codesFile)
      const codes = { offset: zone.codesOffset, byteLength: zone.codesByteLength }
      if (codesFile?.kind !== 'codes' || !isInside(codes, codesFile.byteLength))
        throw damage(`the codes of zone ${zone.zone} leave their file`)
    }
    count += zone.rowCount
  }
  if (count !== meta.count) throw damage(`the zones have ${count} rows, expected ${meta.count}`)
}

function isInside(extent: Extent, byteLength: number): boolean {
  return (
    extent.offset >= PAGE_BYTES && extent.offset % PAGE_BYTES === 0 && extent.offset + extent.byteLength <= byteLength
  )
}
