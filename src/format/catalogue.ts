// Schema and rows of the catalogue (spec, section 7): SQL values <-> objects, row checksums, the digest. No SQLite
// here.

import { createHash } from 'node:crypto'

import { ZgqError } from '../errors.ts'
import type { ZoneRecord } from './directory.ts'
import { isCount } from './catalogue-values.ts'
import { checksum, ELEMENT_BYTES, type FileKind } from './layout.ts'
import { decodeMessagePack } from './message-pack.ts'

/** "ZGQ1" */
export const APPLICATION_ID = 0x5a475131

export const CATALOGUE_DDL = `CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL,
  crc INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE files (
  file INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  byte_length INTEGER NOT NULL,
  header_crc INTEGER NOT NULL,
  crc INTEGER NOT NULL
);
CREATE TABLE zones (
  zone INTEGER PRIMARY KEY,
  segment INTEGER NOT NULL UNIQUE,
  file INTEGER NOT NULL,
  row_count INTEGER NOT NULL,
  segment_offset INTEGER NOT NULL,
  columns_offset INTEGER NOT NULL,
  columns_byte_length INTEGER NOT NULL,
  columns_crc INTEGER NOT NULL,
  codes_file INTEGER NOT NULL,
  codes_offset INTEGER NOT NULL,
  codes_byte_length INTEGER NOT NULL,
  codes_crc INTEGER NOT NULL,
  min_norm REAL NOT NULL,
  max_norm REAL NOT NULL,
  radius REAL NOT NULL,
  crc INTEGER NOT NULL
);
CREATE TABLE centroids (
  first_zone INTEGER PRIMARY KEY,
  zone_count INTEGER NOT NULL,
  vectors BLOB NOT NULL,
  crc INTEGER NOT NULL
);
`

export interface FileRecord {
  readonly file: number
  readonly kind: FileKind
  readonly name: string
  readonly byteLength: number
  readonly headerCrc: number
}

/** Where the codes of a zone are; all 0 without codes. */
export interface CodesPlace {
  readonly codesFile: number
  readonly codesOffset: number
  readonly codesByteLength: number
  /** CRC of header and entries of the extent. */
  readonly codesCrc: number
}

/** A zone as the catalogue has it: the directory's record, the file it is in, and where its codes are. */
export interface CatalogueZone extends ZoneRecord, CodesPlace {
  readonly file: number
}

/** A value of a row, with the SQL type that its column declares. */
export type TypedValue =
  | { readonly type: 'INTEGER' | 'REAL'; readonly value: number }
  | { readonly type: 'TEXT'; readonly value: string }
  | { readonly type: 'BLOB'; readonly value: Uint8Array }

/** Computes the checksum of a row from its typed values (spec, section 7, "Row CRC"). */
export function rowChecksum(values: readonly TypedValue[]): number {
  const parts = values.map((item) => {
    if (item.type === 'TEXT') return withLength(Buffer.from(item.value, 'utf8'))
    if (item.type === 'BLOB') return withLength(item.value)
    const bytes = Buffer.allocUnsafe(8)
    if (item.type === 'REAL') bytes.writeDoubleLE(item.value)
    else bytes.writeBigInt64LE(BigInt(item.value))
    return bytes
  })
  return checksum(Buffer.concat(parts))
}

function withLength(bytes: Uint8Array): Uint8Array {
  const joined = new Uint8Array(4 + bytes.byteLength)
  new DataView(joined.buffer).setUint32(0, bytes.byteLength, true)
  joined.set(bytes, 4)
  return joined
}

export function fileChecksum(file: Omit<FileRecord, 'kind'> & { readonly kind: string }): number {
  return rowChecksum([
    integer(file.file),
    text(file.kind),
    text(file.name),
    integer(file.byteLength),
    integer(file.headerCrc)
  ])
}

export function metaChecksum(key: string, value: Uint8Array): number {
  return rowChecksum([text(key), { type: 'BLOB', value }])
}

/** The zone's values, in the order of the table, without its CRC. */
export function zoneNumbers(zone: CatalogueZone): number[] {
  return [
    zone.zone,
    zone.segment,
    zone.file,
    zone.rowCount,
    zone.segmentOffset,
    zone.columnsOffset,
    zone.columnsByteLength,
    zone.columnsCrc,
    zone.codesFile,
    zone.codesOffset,
    zone.codesByteLength,
    zone.codesCrc,
    zone.minNorm,
    zone.maxNorm,
    zone.radius
  ]
}

const ZONE_INTEGERS = 12
const ZONE_REALS = 3
const ZONE_VALUES = ZONE_INTEGERS + ZONE_REALS

/** Rows of table `zones`. Keeps the buffer in which their checksums are computed: open does that for every zone. */
export class ZoneRowCodec {
  readonly #bytes = new Uint8Array(ZONE_VALUES * 8)
  readonly #view = new DataView(this.#bytes.buffer)

  /** Computes the checksum of a row by the rule of `rowChecksum`; `values` may have more than the row's. */
  checksum(values: readonly number[]): number {
    for (let i = 0; i < ZONE_INTEGERS; i++) {
      this.#view.setUint32(i * 8, values[i] >>> 0, true)
      this.#view.setInt32(i * 8 + 4, Math.floor(values[i] / 2 ** 32), true)
    }
    for (let i = ZONE_INTEGERS; i < ZONE_VALUES; i++) this.#view.setFloat64(i * 8, values[i], true)
    return checksum(this.#bytes)
  }

  /** Decodes a row as SQLite returned it and joins it with its centroid; throws ZGQ_CORRUPT. */
  decode(row: readonly unknown[], centroid: Float32Array, path: string): { zone: CatalogueZone; crc: number } {
    if (!areNumbers(row)) throw new ZgqError('ZGQ_CORRUPT', 'a row of table zones has values of wrong types', { path })
    const [
      zone,
      segment,
      file,
      rowCount,
      segmentOffset,
      columnsOffset,
      columnsByteLength,
      columnsCrc,
      codesFile,
      codesOffset,
      codesByteLength,
      codesCrc,
      minNorm,
      maxNorm,
      radius,
      crc
    ] = row
    for (let i = 0; i < ZONE_INTEGERS; i++) {
      if (!isCount(row[i]))
        throw new ZgqError('ZGQ_CORRUPT', `row ${zone} of table zones holds ${row[i]}, expected a count`, { path })
    }
    if (this.checksum(row) !== crc)
      throw new ZgqError('ZGQ_CORRUPT', `row ${zone} of table zones does not fit its CRC`, { path })
    if (!(minNorm >= 0 && minNorm <= maxNorm && maxNorm < Infinity && radius >= 0 && radius < Infinity))
      throw new ZgqError('ZGQ_CORRUPT', `row ${zone} of table zones has a norm or a radius out of its range`, { path })
    return {
      zone: {
        zone,
        segment,
        file,
        rowCount,
        segmentOffset,
        columnsOffset,
        columnsByteLength,
        columnsCrc,
        codesFile,
        codesOffset,
        codesByteLength,
        codesCrc,
        minNorm,
        maxNorm,
        radius,
        centroid
      },
      crc
    }
  }
}

function areNumbers(row: readonly unknown[]): row is readonly number[] {
  for (let i = 0; i <= ZONE_VALUES; i++) {
    if (typeof row[i] !== 'number') return false
  }
  return true
}

/** Bytes of centroids that a row of table `centroids` holds at most, unless one zone has more. */
export const CENTROIDS_ROW_BYTES = 2 ** 20

/** Centroids of consecutive zones. */
export interface CentroidsRecord {
  readonly firstZone: number
  readonly zoneCount: number
  /** float32, zoneCount * dim */
  readonly vectors: Uint8Array
}

export function centroidsChecksum(record: CentroidsRecord): number {
  return rowChecksum([integer(record.firstZone), integer(record.zoneCount), { type: 'BLOB', value: record.vectors }])
}

/** Decodes a row of `centroids` as SQLite returned it, which must start at zone `firstZone`; throws ZGQ_CORRUPT. */
export function decodeCentroidsRow(
  row: readonly unknown[],
  expected: { firstZone: number; dim: number },
  path: string
): { centroids: CentroidsRecord; crc: number } {
  const [firstZone, zoneCount, vectors, crc] = row
  if (!isCount(firstZone) || !isCount(zoneCount) || !(vectors instanceof Uint8Array) || !isCount(crc)) {
    throw new ZgqError('ZGQ_CORRUPT', 'a row of table centroids has values of wrong types', { path })
  }
  const centroids = { firstZone, zoneCount, vectors }
  if (centroidsChecksum(centroids) !== crc)
    throw new ZgqError('ZGQ_CORRUPT', `row ${firstZone} of table centroids does not fit its CRC`, { path })
  if (
    firstZone !== expected.firstZone ||
    zoneCount === 0 ||
    vectors.byteLength !== zoneCount * expected.dim * ELEMENT_BYTES
  ) {
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `row ${firstZone} of table centroids has ${vectors.byteLength} bytes for ${zoneCount} zones; expected ` +
        `zone ${expected.firstZone} and ${ELEMENT_BYTES * expected.dim} bytes each`,
      { path }
    )
  }
  return { centroids, crc }
}

/** Computes the digest over row checksums: files by number, zones by number, centroids by first zone. */
export function rowsDigest(rowChecksums: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(rowChecksums.length * 4)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < rowChecksums.length; i++) view.setUint32(i * 4, rowChecksums[i], true)
  return createHash('sha256').update(bytes).digest()
}

/** Decodes a row of `files` as SQLite returned it; throws ZGQ_CORRUPT. */
export function decodeFileRow(row: readonly unknown[], path: string): { file: FileRecord; crc: number } {
  const [file, kind, name, byteLength, headerCrc, crc] = row
  if (
    !isCount(file) ||
    typeof kind !== 'string' ||
    typeof name !== 'string' ||
    !isCount(byteLength) ||
    !isCount(headerCrc) ||
    !isCount(crc)
  ) {
    throw new ZgqError('ZGQ_CORRUPT', 'a row of table files has values of wrong types', { path })
  }
  const record = { file, kind: kind === 'codes' ? kind : 'vectors', name, byteLength, headerCrc } as const
  if (fileChecksum({ ...record, kind }) !== crc)
    throw new ZgqError('ZGQ_CORRUPT', `row ${file} of table files does not fit its CRC`, { path })
  if (kind !== record.kind)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `this index needs a newer version of zgq: files of kind ${JSON.stringify(kind)}`,
      { path }
    )
  if (!/^\w[\w.-]*$/.test(name))
    throw new ZgqError('ZGQ_CORRUPT', `table files names ${JSON.stringify(name)}, which is not a file of this folder`, {
      path
    })
  return { file: record, crc }
}

const META_KEYS: readonly string[] = ['index', 'build', 'quantizer', 'calibration']

/**
 * Decodes a row of `meta`; throws ZGQ_CORRUPT. Undefined is the value of a key that is not known: what it may mean is
 * not ours to say, and it is never decoded.
 */
export function decodeMetaRow(row: readonly unknown[], path: string): { key: string; value: unknown } {
  const [key, value, crc] = row
  if (typeof key !== 'string' || !(value instanceof Uint8Array) || metaChecksum(key, value) !== crc) {
    throw new ZgqError('ZGQ_CORRUPT', 'a row of table meta does not fit its CRC', { path })
  }
  return { key, value: META_KEYS.includes(key) ? decodeMessagePack(value, path) : undefined }
}

function integer(value: number): TypedValue {
  return { type: 'INTEGER', value }
}

function text(value: string): TypedValue {
  return { type: 'TEXT', value }
}
