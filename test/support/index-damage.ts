// Damage to an index on disk: bytes changed and put back, catalogues forged with checksums that fit, and what a reader
// then says.

import { closeSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'

import { ZgqError } from '../../src/errors.ts'
import {
  metaChecksum,
  rowChecksum,
  rowsDigest,
  type CatalogueZone,
  type TypedValue
} from '../../src/format/catalogue.ts'
import { encodeMessagePack } from '../../src/format/message-pack.ts'
import {
  COLUMN_ENTRY,
  COLUMN_KINDS,
  COLUMNS_HEADER,
  columnsTableBytes,
  decodeColumns,
  encodeColumns,
  type ColumnsLayout
} from '../../src/format/columns.ts'
import { directoryRecordBytes, FOOTER } from '../../src/format/directory.ts'
import { alignUp, CATALOGUE_NAME, PAGE_BYTES, type Extent, type FileKind } from '../../src/format/layout.ts'
import { readCatalogue } from '../../src/catalogue/reader.ts'
import type { Hit, OpenOptions } from '../../src/types.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'

/** An index, its bytes as they were, and the answers that it gave. */
export interface Specimen {
  readonly folder: string
  readonly queries: readonly Float32Array[]
  readonly answers: string
  readonly files: ReadonlyMap<string, Buffer>
}

/** Remembers an index and its answers to some queries. */
export function specimenOf(folder: string, queries: readonly Float32Array[]): Specimen {
  const files = new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name))])
  )
  return { folder, queries, files, answers: answersOf(folder, queries, {}) }
}

export function bytesOf(specimen: Specimen, name: string): Buffer {
  const bytes = specimen.files.get(name)
  if (bytes === undefined) throw new Error(`the index has no file ${name}`)
  return bytes
}

/** The name of the one data file of a kind. */
export function dataFileOf(specimen: Specimen, kind: FileKind = 'vectors'): string {
  const [name] = Array.from(specimen.files.keys()).filter((other) => other.startsWith(`${kind}-`))
  return name
}

/** By codes, where there are any, then by rows: together they read all of an index that is not padding. */
export const SEARCHES = [
  { nprobe: 1000, rerank: 1, k: 20 },
  { exact: true, k: 20 }
]

function answersOf(folder: string, queries: readonly Float32Array[], options: OpenOptions): string {
  const index = ZgqIndex.open(folder, options)
  try {
    return JSON.stringify(queries.map((query): Hit[][] => SEARCHES.map((search) => index.search(query, search))))
  } finally {
    index.close()
  }
}

/** Opens and searches: `right`, `wrong`, the code of a ZgqError, or what else was thrown. */
export function outcomeOf(specimen: Specimen, options: OpenOptions): string {
  try {
    return answersOf(specimen.folder, specimen.queries, options) === specimen.answers ? 'right' : 'wrong'
  } catch (error) {
    return describeError(error)
  }
}

export function describeError(error: unknown): string {
  return error instanceof ZgqError ? error.code : `not a ZgqError: ${String(error)}`
}

/** Tells whether an outcome is allowed of a damaged index: the right answer or a ZgqError. */
export function isSafe(outcome: string): boolean {
  return outcome === 'right' || /^ZGQ_[A-Z_]+$/.test(outcome)
}

/** Writes bytes over a file of the index, lets `work` look, and puts the old ones back. */
export function withBytes<T>(
  specimen: Specimen,
  change: { name: string; offset: number; bytes: Uint8Array },
  work: () => T
): T {
  const { name, offset, bytes } = change
  const old = bytesOf(specimen, name).subarray(offset, offset + bytes.byteLength)
  overwrite(join(specimen.folder, name), offset, bytes)
  const restore = (): void => {
    overwrite(join(specimen.folder, name), offset, old)
  }
  let result: T
  try {
    result = work()
  } catch (error) {
    restore()
    throw error
  }
  if (!(result instanceof Promise)) {
    restore()
    return result
  }
  void result.finally(restore).catch(() => undefined)
  return result
}

function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, bytes, 0, bytes.byteLength, offset)
  closeSync(descriptor)
}

/** Puts other contents in the place of a whole file. */
export function replaceFile(specimen: Specimen, name: string, bytes: Uint8Array): void {
  writeFileSync(join(specimen.folder, name), bytes)
}

/** Puts every file back as it was. */
export function restoreAll(specimen: Specimen): void {
  for (const [name, bytes] of specimen.files) writeFileSync(join(specimen.folder, name), bytes)
}

/** What a byte of a data file belongs to; `padding` is what no checksum covers. */
export type Region = 'header' | 'segment' | 'columns' | 'codes' | 'directory' | 'footer' | 'padding'

/** Names the region of every byte of a data file. */
export function regionsOf(specimen: Specimen, kind: FileKind): Region[] {
  return kind === 'vectors' ? vectorsRegions(specimen) : codesRegions(specimen)
}

/** Codes of a zone as they lie in the file. */
export function codesOf(specimen: Specimen, zone: CatalogueZone): { extent: Uint8Array; layout: ColumnsLayout } {
  const { meta } = readCatalogue(specimen.folder)
  const extent = Uint8Array.from(
    bytesOf(specimen, dataFileOf(specimen, 'codes')).subarray(zone.codesOffset, zone.codesOffset + zone.codesByteLength)
  )
  const layout = decodeColumns(extent, {
    path: specimen.folder,
    offset: 0,
    segment: zone.segment,
    rowCount: zone.rowCount,
    dim: meta.dim,
    hasInverseNorms: false,
    headerCrc: zone.codesCrc,
    bits: meta.bits
  })
  return { extent, layout }
}

function codesRegions(specimen: Specimen): Region[] {
  const regions = new Array<Region>(bytesOf(specimen, dataFileOf(specimen, 'codes')).byteLength).fill('padding')
  regions.fill('header', 0, PAGE_BYTES)
  for (const zone of readCatalogue(specimen.folder).zones) {
    const { extent, layout } = codesOf(specimen, zone)
    const { ids, pageCrcs, signs, refinedCodes } = layout
    const mark = (region: Region, { offset, byteLength }: Extent): void => {
      regions.fill(region, zone.codesOffset + offset, zone.codesOffset + offset + byteLength)
    }
    mark('columns', {
      offset: 0,
      byteLength: columnsTableBytes(
        new DataView(extent.buffer).getUint32(COLUMNS_HEADER.fields.columnCount.offset, true)
      )
    })
    for (const part of [ids, pageCrcs]) mark('columns', part)
    for (const part of [signs, refinedCodes]) if (part !== undefined) mark('codes', part)
  }
  return regions
}

/** Changes a column of the codes of a zone, and makes all checksums fit again. */
export function forgeCodes(
  specimen: Specimen,
  zone: CatalogueZone,
  column: (layout: ColumnsLayout) => Extent | undefined,
  change: (bytes: Uint8Array) => void
): void {
  const { extent, layout } = codesOf(specimen, zone)
  const changed = column(layout)
  if (changed === undefined) throw new Error('there is no such column')
  change(extent.subarray(changed.offset, changed.offset + changed.byteLength))
  const places = [
    [COLUMN_KINDS.ids, layout.ids],
    [COLUMN_KINDS.pageCrcs, layout.pageCrcs],
    [COLUMN_KINDS.signs, layout.signs],
    [COLUMN_KINDS.refinedCodes, layout.refinedCodes]
  ] as const
  const columns = places.flatMap(([kind, place]) =>
    place === undefined ? [] : [{ kind, bytes: extent.slice(place.offset, place.offset + place.byteLength) }]
  )
  const { bytes, headerCrc } = encodeColumns(zone.segment, zone.rowCount, columns)
  overwrite(join(specimen.folder, dataFileOf(specimen, 'codes')), zone.codesOffset, bytes)
  forgeCatalogue(specimen.folder, {}, `UPDATE zones SET codes_crc = ${headerCrc} WHERE zone = ${zone.zone}`)
}

function vectorsRegions(specimen: Specimen): Region[] {
  const { meta, zones } = readCatalogue(specimen.folder)
  const file = bytesOf(specimen, dataFileOf(specimen))
  const regions = new Array<Region>(file.byteLength).fill('padding')
  const mark = (region: Region, { offset, byteLength }: Extent): void => {
    regions.fill(region, offset, offset + byteLength)
  }
  mark('header', { offset: 0, byteLength: PAGE_BYTES })
  for (const zone of zones) {
    mark('segment', { offset: zone.segmentOffset, byteLength: alignUp(zone.rowCount * meta.dim * 4, PAGE_BYTES) })
    const extent = Uint8Array.from(file.subarray(zone.columnsOffset, zone.columnsOffset + zone.columnsByteLength))
    const hasInverseNorms = meta.metric === 'cosine'
    const columns = decodeColumns(extent, {
      path: specimen.folder,
      offset: 0,
      segment: zone.segment,
      rowCount: zone.rowCount,
      dim: meta.dim,
      hasInverseNorms,
      headerCrc: zone.columnsCrc,
      bits: 0
    })
    const table = {
      offset: 0,
      byteLength: COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * (hasInverseNorms ? 3 : 2)
    }
    for (const part of [
      table,
      columns.ids,
      columns.pageCrcs,
      ...(columns.inverseNorms === undefined ? [] : [columns.inverseNorms])
    ]) {
      mark('columns', { offset: zone.columnsOffset + part.offset, byteLength: part.byteLength })
    }
  }
  const footerOffset = file.byteLength - FOOTER.byteLength
  mark('footer', { offset: footerOffset, byteLength: FOOTER.byteLength })
  mark('directory', {
    offset: FOOTER.decode(file, footerOffset, specimen.folder).directoryOffset,
    byteLength: directoryRecordBytes(meta.dim) * zones.length
  })
  return regions
}

/** Runs statements on the catalogue, without mending any checksum. */
export function changeCatalogue(folder: string, ...statements: readonly string[]): void {
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    for (const statement of statements) database.exec(statement)
  } finally {
    database.close()
  }
}

const COLUMN_TYPES: Record<string, readonly TypedValue['type'][]> = {
  files: ['INTEGER', 'TEXT', 'TEXT', 'INTEGER', 'INTEGER'],
  zones: [...Array<TypedValue['type']>(12).fill('INTEGER'), 'REAL', 'REAL', 'REAL'],
  centroids: ['INTEGER', 'INTEGER', 'BLOB']
}

/** Primary key of each table. */
const KEY_COLUMNS: Record<string, string> = { files: 'file', zones: 'zone', centroids: 'first_zone' }

/**
 * Runs statements on the catalogue and overwrites keys of `meta` value `index`, then makes all row CRCs and the digest
 * fit again.
 */
export function forgeCatalogue(folder: string, meta: object, ...statements: readonly string[]): void {
  const { meta: old } = readCatalogue(folder)
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    for (const statement of statements) database.exec(statement)
    const crcs = Object.entries(COLUMN_TYPES).flatMap(([table, types]) =>
      database
        .prepare<[], unknown[]>(`SELECT * FROM ${table} ORDER BY 1`)
        .raw()
        .all()
        .map((row) => {
          const crc = rowChecksum(types.map((type, i) => typedValue(type, row[i])))
          database.prepare(`UPDATE ${table} SET crc = ? WHERE ${KEY_COLUMNS[table]} = ?`).run(crc, row[0])
          return crc
        })
    )
    const value = encodeMessagePack({ ...old, digest: rowsDigest(crcs), ...meta })
    database
      .prepare('UPDATE meta SET value = ?, crc = ? WHERE key = ?')
      .run(value, metaChecksum('index', value), 'index')
  } finally {
    database.close()
  }
}

/** Puts another value under a key of `meta`, with a CRC that fits. */
export function forgeMeta(folder: string, key: string, value: unknown): void {
  const bytes = encodeMessagePack(value)
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    database.prepare('UPDATE meta SET value = ?, crc = ? WHERE key = ?').run(bytes, metaChecksum(key, bytes), key)
  } finally {
    database.close()
  }
}

function typedValue(type: TypedValue['type'], value: unknown): TypedValue {
  if (type === 'BLOB' && value instanceof Uint8Array) return { type, value }
  if (type === 'TEXT' && typeof value === 'string') return { type, value }
  if ((type === 'INTEGER' || type === 'REAL') && typeof value === 'number') return { type, value }
  throw new Error(`the catalogue holds ${String(value)} where ${type} is declared`)
}
