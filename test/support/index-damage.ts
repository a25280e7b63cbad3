// Damage to an index on disk: bytes changed and put back, catalogues forged with checksums that fit, and what a reader
// then says.

import { closeSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'

import { ZgqError } from '../../src/errors.ts'
import { chunksDigest } from '../../src/catalogue/chunks-digest.ts'
import { CHUNK_TABLES, chunkChecksum, type ChunkTable } from '../../src/format/chunks.ts'
import {
  COLUMN_ENTRY,
  COLUMNS_HEADER,
  columnsTableBytes,
  decodeColumns,
  encodeColumns,
  type ColumnsLayout
} from '../../src/format/columns.ts'
import { directoryRecordBytes, FOOTER } from '../../src/format/directory.ts'
import { FILE_RECORD } from '../../src/format/file-record.ts'
import { INDEX_RECORD } from '../../src/format/index-record.ts'
import type { FileKind } from '../../src/format/kinds.ts'
import { alignUp, CATALOGUE_NAME, PAGE_BYTES, type Extent } from '../../src/format/layout.ts'
import { SEGMENT_RECORD } from '../../src/format/segment-record.ts'
import type { Segment } from '../../src/format/segment-table.ts'
import type { Field, Struct } from '../../src/format/struct.ts'
import { readCatalogue } from '../../src/catalogue/reader.ts'
import { metaChecksum } from '../../src/catalogue/rows.ts'
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

/** Codes of a segment as they lie in the file. */
export function codesOf(specimen: Specimen, segment: Segment): { extent: Uint8Array; layout: ColumnsLayout } {
  const { meta } = readCatalogue(specimen.folder)
  const extent = Uint8Array.from(
    bytesOf(specimen, dataFileOf(specimen, 'codes')).subarray(
      segment.codes.offset,
      segment.codes.offset + segment.codes.byteLength
    )
  )
  const layout = decodeColumns(extent, {
    path: specimen.folder,
    offset: 0,
    segment: segment.segment,
    rowCount: segment.rowCount,
    dim: meta.dim,
    idType: meta.idType,
    hasInverseNorms: false,
    headerCrc: segment.codes.crc,
    bits: meta.bits
  })
  return { extent, layout }
}

function codesRegions(specimen: Specimen): Region[] {
  const regions = new Array<Region>(bytesOf(specimen, dataFileOf(specimen, 'codes')).byteLength).fill('padding')
  regions.fill('header', 0, PAGE_BYTES)
  for (const segment of readCatalogue(specimen.folder).segments) {
    const { extent, layout } = codesOf(specimen, segment)
    const { ids, pageCrcs, planes, refinedCodes } = layout
    const mark = (region: Region, { offset, byteLength }: Extent): void => {
      regions.fill(region, segment.codes.offset + offset, segment.codes.offset + offset + byteLength)
    }
    mark('columns', {
      offset: 0,
      byteLength: columnsTableBytes(
        new DataView(extent.buffer).getUint32(COLUMNS_HEADER.fields.columnCount.offset, true)
      )
    })
    for (const part of [ids, pageCrcs]) if (part !== undefined) mark('columns', part)
    for (const part of [planes, refinedCodes]) if (part !== undefined) mark('codes', part)
  }
  return regions
}

/** Changes a column of the codes of a segment, and makes all checksums fit again. */
export function forgeCodes(
  specimen: Specimen,
  segment: Segment,
  column: (layout: ColumnsLayout) => Extent | undefined,
  change: (bytes: Uint8Array) => void
): void {
  const { extent, layout } = codesOf(specimen, segment)
  const changed = column(layout)
  if (changed === undefined) throw new Error('there is no such column')
  change(extent.subarray(changed.offset, changed.offset + changed.byteLength))
  const places = [
    ['ids', layout.ids],
    ['pageCrcs', layout.pageCrcs],
    ['planes', layout.planes],
    ['refinedCodes', layout.refinedCodes]
  ] as const
  const columns = places.flatMap(([kind, place]) =>
    place === undefined ? [] : [{ kind, bytes: extent.slice(place.offset, place.offset + place.byteLength) }]
  )
  const { bytes, headerCrc } = encodeColumns(segment.segment, segment.rowCount, columns)
  overwrite(join(specimen.folder, dataFileOf(specimen, 'codes')), segment.codes.offset, bytes)
  forgeCatalogue(specimen.folder, ({ segments }) => {
    segments.set(segment.slot, 'codesCrc', headerCrc)
  })
}

function vectorsRegions(specimen: Specimen): Region[] {
  const { meta, segments } = readCatalogue(specimen.folder)
  const file = bytesOf(specimen, dataFileOf(specimen))
  const regions = new Array<Region>(file.byteLength).fill('padding')
  const mark = (region: Region, { offset, byteLength }: Extent): void => {
    regions.fill(region, offset, offset + byteLength)
  }
  mark('header', { offset: 0, byteLength: PAGE_BYTES })
  for (const { segment, rowCount, rows, columns: place } of segments) {
    mark('segment', { offset: rows.offset, byteLength: alignUp(rowCount * meta.dim * 4, PAGE_BYTES) })
    const extent = Uint8Array.from(file.subarray(place.offset, place.offset + place.byteLength))
    const hasInverseNorms = meta.metric === 'cosine'
    const columns = decodeColumns(extent, {
      path: specimen.folder,
      offset: 0,
      segment,
      rowCount,
      dim: meta.dim,
      idType: meta.idType,
      hasInverseNorms,
      headerCrc: place.crc,
      bits: 0
    })
    const table = {
      offset: 0,
      byteLength: COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * (hasInverseNorms ? 3 : 2)
    }
    for (const part of [table, columns.ids, columns.stringIds, columns.inverseNorms, columns.pageCrcs]) {
      if (part !== undefined) mark('columns', { offset: place.offset + part.offset, byteLength: part.byteLength })
    }
  }
  const footerOffset = file.byteLength - FOOTER.byteLength
  mark('footer', { offset: footerOffset, byteLength: FOOTER.byteLength })
  mark('directory', {
    offset: FOOTER.decode(file, footerOffset, specimen.folder).directoryOffset,
    byteLength: directoryRecordBytes(meta.dim) * segments.count
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

/** Packed records, to be changed. */
export interface ForgedRecords<F extends Record<string, Field>> {
  get(position: number, field: keyof F & string): number
  /** Sets a field of one record; a bigint where a number cannot hold it, bytes where the field is bytes. */
  set(position: number, field: keyof F & string, value: number | bigint | Uint8Array): void
}

/** What a catalogue holds, to be changed. */
export interface ForgedCatalogue {
  readonly files: ForgedRecords<typeof FILE_RECORD.fields>
  readonly segments: ForgedRecords<typeof SEGMENT_RECORD.fields>
  /** One record. */
  readonly index: ForgedRecords<typeof INDEX_RECORD.fields>
  /** Records of the other tables as they are. */
  readonly zones: Uint8Array
  readonly zoneCodes: Uint8Array
}

function forgedRecords<F extends Record<string, Field>>(of: Struct<F>, bytes: Uint8Array): ForgedRecords<F> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const placeOf = (position: number, field: keyof F & string): number => {
    if (position * of.byteLength >= bytes.byteLength) throw new Error(`there is no record ${position}`)
    return position * of.byteLength + of.fields[field].offset
  }
  return {
    get(position, field) {
      const at = placeOf(position, field)
      const { type } = of.fields[field]
      if (type === 'u32') return view.getUint32(at, true)
      return type === 'f64' ? view.getFloat64(at, true) : Number(view.getBigUint64(at, true))
    },
    set(position, field, value) {
      const at = placeOf(position, field)
      const { type } = of.fields[field]
      if (value instanceof Uint8Array) bytes.set(value, at)
      else if (type === 'u32') view.setUint32(at, Number(value), true)
      else if (type === 'f64') view.setFloat64(at, Number(value), true)
      else view.setBigUint64(at, BigInt(value), true)
    }
  }
}

/**
 * Changes what the catalogue says, then makes the checksums of all chunks, the digest and the CRC of the index record
 * fit again. The index is small: each table has one chunk.
 */
export function forgeCatalogue(folder: string, change: (catalogue: ForgedCatalogue) => void): void {
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    const bytesIn = (sql: string): Uint8Array => Uint8Array.from(database.prepare<[], Buffer>(sql).pluck().get() ?? [])
    const records = Object.fromEntries(
      CHUNK_TABLES.map((table) => [table, bytesIn(`SELECT records FROM ${table}`)])
    ) as Record<ChunkTable, Uint8Array>
    const index = bytesIn("SELECT value FROM meta WHERE key = 'index'")
    const forgedIndex = forgedRecords(INDEX_RECORD, index)
    change({
      files: forgedRecords(FILE_RECORD, records.files),
      segments: forgedRecords(SEGMENT_RECORD, records.segments),
      index: forgedIndex,
      zones: records.zones,
      zoneCodes: records.zone_codes
    })
    const crcs = CHUNK_TABLES.flatMap((table) => {
      const count = database.prepare<[], number>(`SELECT count FROM ${table}`).pluck().get()
      if (count === undefined) return []
      // Files and segments begin with their number.
      const first = table.includes('zone') ? 0 : Number(Buffer.from(records[table]).readBigUInt64LE())
      const crc = chunkChecksum({ first, count, records: records[table] })
      database.prepare(`UPDATE ${table} SET first = ?, records = ?, crc = ?`).run(first, records[table], crc)
      return crc
    })
    forgedIndex.set(0, 'digest', chunksDigest(crcs))
    setMeta(database, 'index', index)
  } finally {
    database.close()
  }
}

/** Puts other bytes under a key of `meta`, with a CRC that fits. */
export function forgeMeta(folder: string, key: string, bytes: Uint8Array): void {
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    setMeta(database, key, bytes)
  } finally {
    database.close()
  }
}

function setMeta(database: Sqlite.Database, key: string, bytes: Uint8Array): void {
  database.prepare('UPDATE meta SET value = ?, crc = ? WHERE key = ?').run(bytes, metaChecksum(key, bytes), key)
}
