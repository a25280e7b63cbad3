// Rows of the catalogue, read within bounds: neither a length nor a number of rows is believed before it was looked at.
// A forged tree can repeat rows without end, and a forged row can claim a value as large as the file.

import { ZgqError } from '../errors.ts'
import {
  decodeCentroidsRow,
  decodeFileRow,
  decodeMetaRow,
  CENTROIDS_ROW_BYTES,
  ZoneRowCodec,
  type CatalogueZone,
  type FileRecord
} from '../format/catalogue.ts'
import type { IndexMeta } from '../format/catalogue-values.ts'
import { areFinite } from '../format/row-values.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { Database } from './driver.ts'

const MOST_META_ROWS = 16
const MOST_KEY_BYTES = 64
/** Of one value; a quantizer of 65,536 dimensions has 300 KB. */
const MOST_META_BYTES = 2 ** 20
const MOST_TEXT_BYTES = 64
/** Bytes of centroids that kernel memory can hold beside what else it holds. */
const MOST_CENTROID_BYTES = 3 * 2 ** 30
/**
 * Catalogues up to this size cannot hold a value larger than it: their zones are read without a look at each length.
 */
const SMALL_CATALOGUE_BYTES = 32 * 2 ** 20

/** A column as SQL: null where the value has another type or is too long, so that it is never read. */
type Guarded = readonly [name: string, type: 'integer' | 'real' | 'text' | 'blob', mostBytes?: number]

function selectList(columns: readonly Guarded[]): string {
  return columns
    .map(([name, type, most]) => {
      const length = most === undefined ? '' : ` AND octet_length(${name}) <= ${most}`
      return `iif(typeof(${name}) = '${type}'${length}, ${name}, NULL) AS ${name}`
    })
    .join(', ')
}

/** Reads the values of `meta` by their keys. */
export function readMeta(database: Database, path: string): Map<string, unknown> {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `table meta ${what}`, { path })
  // In the order of the tree: to look for a key would read other rows, values and all.
  const lengths = database
    .prepare('SELECT octet_length(key) AS a, octet_length(value) AS b FROM meta LIMIT ?')
    .all(MOST_META_ROWS + 1)
  if (lengths.length > MOST_META_ROWS) throw damage(`has more than ${MOST_META_ROWS} rows`)
  for (const [keyBytes, valueBytes] of lengths) {
    if (!(Number(keyBytes) <= MOST_KEY_BYTES && Number(valueBytes) <= MOST_META_BYTES))
      throw damage(`has a row of ${Number(keyBytes) + Number(valueBytes)} bytes`)
  }
  const values = new Map<string, unknown>()
  for (const row of database.prepare('SELECT key, value, crc FROM meta LIMIT ?').iterate(MOST_META_ROWS)) {
    const { key, value } = decodeMetaRow(row, path)
    values.set(key, value)
  }
  return values
}

/** Reads rows that are numbered 0, 1, 2, ... in their first column, one at a time: a row out of order ends it. */
function* numberedRows(
  database: Database,
  table: { name: string; columns: string; key: string },
  path: string
): Generator<unknown[]> {
  const { name, columns, key } = table
  let number = 0
  // By the table's own column: a guarded column has its name too, and to order by that would read all rows first.
  for (const row of database.prepare(`SELECT ${columns} FROM ${name} ORDER BY ${name}.${key}`).iterate()) {
    if (row[0] !== number++)
      throw new ZgqError('ZGQ_CORRUPT', `table ${name} has a row ${String(row[0])}, expected ${number - 1}`, { path })
    yield row
  }
}

/** Reads the rows of `files`, with their CRCs. */
export function readFiles(database: Database, meta: IndexMeta, path: string): { file: FileRecord; crc: number }[] {
  const columns = selectList([
    ['file', 'integer'],
    ['kind', 'text', MOST_TEXT_BYTES],
    ['name', 'text', MOST_TEXT_BYTES],
    ['byte_length', 'integer'],
    ['header_crc', 'integer'],
    ['crc', 'integer']
  ])
  const files: { file: FileRecord; crc: number }[] = []
  for (const row of numberedRows(database, { name: 'files', columns, key: 'file' }, path)) {
    files.push(decodeFileRow(row, path))
    if (files.length > meta.fileCount) break
  }
  return files
}

const ZONE_INTEGERS =
  'zone segment file row_count segment_offset columns_offset columns_byte_length columns_crc codes_file codes_offset ' +
  'codes_byte_length codes_crc'

const ZONE_COLUMNS: readonly Guarded[] = [
  ...ZONE_INTEGERS.split(' ').map((name): Guarded => [name, 'integer']),
  ...['min_norm', 'max_norm', 'radius'].map((name): Guarded => [name, 'real']),
  ['crc', 'integer']
]

/** Reads the rows of `zones`, with their CRCs. */
export function readZones(
  database: Database,
  of: { meta: IndexMeta; centroids: Float32Array; catalogueBytes: number },
  path: string
): { zone: CatalogueZone; crc: number }[] {
  const { dim, zoneCount } = of.meta
  const columns =
    of.catalogueBytes <= SMALL_CATALOGUE_BYTES
      ? ZONE_COLUMNS.map(([name]) => name).join(', ')
      : selectList(ZONE_COLUMNS)
  const codec = new ZoneRowCodec()
  const zones: { zone: CatalogueZone; crc: number }[] = []
  for (const row of numberedRows(database, { name: 'zones', columns, key: 'zone' }, path)) {
    const centroid = of.centroids.subarray(zones.length * dim, (zones.length + 1) * dim)
    zones.push(codec.decode(row, centroid, path))
    if (zones.length > zoneCount) break
  }
  return zones
}

/** Reads all centroids: float32, zoneCount * dim, and the CRCs of their rows. */
export function readCentroids(
  database: Database,
  of: { meta: IndexMeta; catalogueBytes: number },
  path: string
): { vectors: Float32Array; crcs: number[] } {
  const { meta } = of
  const byteLength = meta.zoneCount * meta.dim * ELEMENT_BYTES
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `the catalogue has ${what}`, { path })
  if (byteLength > of.catalogueBytes)
    throw damage(`${of.catalogueBytes} bytes, fewer than the centroids of ${meta.zoneCount} zones`)
  if (byteLength > MOST_CENTROID_BYTES)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `the centroids have ${byteLength} bytes, expected at most ${MOST_CENTROID_BYTES}: build with fewer zones`,
      { path }
    )
  const columns = selectList([
    ['first_zone', 'integer'],
    ['zone_count', 'integer'],
    ['vectors', 'blob', CENTROIDS_ROW_BYTES],
    ['crc', 'integer']
  ])
  const bytes = new Uint8Array(byteLength)
  const crcs: number[] = []
  let firstZone = 0
  for (const row of database.prepare(`SELECT ${columns} FROM centroids ORDER BY centroids.first_zone`).iterate()) {
    const { centroids, crc } = decodeCentroidsRow(row, { firstZone, dim: meta.dim }, path)
    if (firstZone + centroids.zoneCount > meta.zoneCount) throw damage(`centroids of more than ${meta.zoneCount} zones`)
    bytes.set(centroids.vectors, firstZone * meta.dim * ELEMENT_BYTES)
    firstZone += centroids.zoneCount
    crcs.push(crc)
  }
  if (firstZone !== meta.zoneCount) throw damage(`centroids for ${firstZone} zones, expected ${meta.zoneCount}`)
  const vectors = new Float32Array(bytes.buffer)
  if (!areFinite(bytes)) throw damage('a centroid that is not finite')
  return { vectors, crcs }
}
