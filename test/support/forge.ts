// Forges an index: changes what its catalogue, headers, extents and rows say, and mends every checksum up the chain
// (page -> column -> extent header -> row of the catalogue -> digest; directory -> footer), so that only what was
// forged is wrong. Knows the layout by the spec, and places by the index as it was: a forged number moves nothing.

import { readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import Sqlite from 'better-sqlite3'
import { unpack } from 'msgpackr'

import { encodeMessagePack } from '../../src/format/message-pack.ts'

export type SqlValue = number | bigint | string | Uint8Array | null
export type SqlRow = Record<string, SqlValue>
export type ExtentKind = 'vectors' | 'codes'

export const CATALOGUE = 'catalogue.sqlite'
export const COLUMN = { ids: 1, inverseNorms: 2, pageCrcs: 3, signs: 16, refinedCodes: 17 } as const
const PAGE = 4096
const TABLES = ['files', 'zones', 'centroids'] as const
type TableName = (typeof TABLES)[number]
const ENTRY = { start: 24, byteLength: 32, offset: 8, size: 16, crc: 24 } as const

/** Opens the catalogue and lets a forger do what a sane program never does. */
export function withDatabase(folder: string, work: (database: Sqlite.Database) => void): void {
  const database = new Sqlite(join(folder, CATALOGUE))
  try {
    database.unsafeMode(true)
    database.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY') // nothing here has to outlive a crash
    work(database)
  } finally {
    database.close()
  }
}

/** Runs statements on the catalogue; nothing is mended. */
export function runSql(folder: string, ...statements: readonly string[]): void {
  withDatabase(folder, (database) => {
    for (const statement of statements) database.exec(statement)
  })
}

/** Writes over rows of sqlite_schema. */
export function editSchema(folder: string, ...statements: readonly string[]): void {
  runSql(folder, 'PRAGMA writable_schema = ON', ...statements)
}

/** The parts of an index, to be changed by a forger. */
export class Parts {
  readonly folder: string
  readonly tables: Record<TableName, SqlRow[]>
  /** Maps of `meta` by key; bytes are written as they are, undefined: the row goes. */
  readonly meta: Map<string, unknown>
  readonly data = new Map<string, Uint8Array>()
  readonly #originals: Record<TableName, SqlRow[]>
  /** As the index had them before it was forged. */
  readonly dim: number
  readonly #bits: number
  readonly #digest: unknown

  constructor(folder: string) {
    this.folder = folder
    const rowsOf = (table: string): SqlRow[] => {
      let rows: SqlRow[] = []
      withDatabase(folder, (database) => {
        rows = database.prepare<[], SqlRow>(`SELECT * FROM ${table} ORDER BY 1`).all()
      })
      return rows
    }
    this.tables = { files: rowsOf('files'), zones: rowsOf('zones'), centroids: rowsOf('centroids') }
    this.#originals = structuredClone(this.tables)
    this.meta = new Map(rowsOf('meta').map((row) => [String(row['key']), unpack(bytesOf(row['value']))]))
    const { dim, bits, digest } = Object(this.meta.get('index'))
    this.dim = Number(dim)
    this.#bits = Number(bits)
    this.#digest = digest
    for (const { name } of this.tables.files)
      this.data.set(String(name), Uint8Array.from(readFileSync(join(folder, String(name)))))
  }

  /** Puts a value under a key of `meta`. */
  setMeta(key: string, value: unknown): void {
    this.meta.set(key, value)
  }

  /** Changes keys of a map under a key of `meta`. */
  changeMeta(key: string, changes: object): void {
    this.setMeta(key, { ...Object(this.meta.get(key)), ...changes })
  }

  zone(number: number): SqlRow {
    return this.tables.zones[number]
  }

  #fileOf(zone: number, kind: ExtentKind): Uint8Array {
    const file = Number(this.#originals.zones[zone][kind === 'codes' ? 'codes_file' : 'file'])
    return this.fileBytes(String(this.#originals.files[file]['name']))
  }

  fileBytes(name: string): Uint8Array {
    const bytes = this.data.get(name)
    if (bytes === undefined) throw new Error(`there is no file ${name}`)
    return bytes
  }

  nameOf(kind: ExtentKind): string {
    return String(this.#originals.files.find((file) => file['kind'] === kind)?.['name'])
  }

  /** The values of a zone's rows. */
  rows(zone: number): Float32Array {
    const row = this.#originals.zones[zone]
    const count = Number(row['row_count']) * this.dim
    return new Float32Array(this.#fileOf(zone, 'vectors').buffer, Number(row['segment_offset']), count)
  }

  /** The bytes of a columns extent. */
  extent(zone: number, kind: ExtentKind): DataView {
    const row = this.#originals.zones[zone]
    const prefix = kind === 'codes' ? 'codes' : 'columns'
    return new DataView(
      this.#fileOf(zone, kind).buffer,
      Number(row[`${prefix}_offset`]),
      Number(row[`${prefix}_byte_length`])
    )
  }

  /** Where the entry of a column is in its extent. */
  entry(zone: number, kind: ExtentKind, column: number): number {
    const extent = this.extent(zone, kind)
    for (let i = 0; i < extent.getUint32(4, true); i++) {
      const at = ENTRY.start + i * ENTRY.byteLength
      if (extent.getUint32(at, true) === column) return at
    }
    throw new Error(`zone ${zone} has no column ${column}`)
  }

  /** The bytes of a column. */
  column(zone: number, kind: ExtentKind, column: number): DataView {
    const extent = this.extent(zone, kind)
    const at = this.entry(zone, kind, column)
    return new DataView(
      extent.buffer,
      extent.byteOffset + Number(extent.getBigUint64(at + ENTRY.offset, true)),
      Number(extent.getBigUint64(at + ENTRY.size, true))
    )
  }

  header(kind: ExtentKind): DataView {
    return new DataView(this.fileBytes(this.nameOf(kind)).buffer, 0, PAGE)
  }

  /** Changes a value in all rows of `centroids` as if they were one array. */
  changeCentroids(change: (values: Float32Array) => void): void {
    for (const row of this.tables.centroids) {
      const values = new Float32Array(Uint8Array.from(bytesOf(row['vectors'])).buffer)
      change(values)
      row['vectors'] = new Uint8Array(values.buffer)
    }
  }

  /** Mends all checksums and writes everything back. */
  save(): void {
    const before = new Map([...this.data].map(([name]) => [name, readFileSync(join(this.folder, name))]))
    for (const [number] of this.#originals.zones.entries()) this.#mendZone(number)
    for (const [number, file] of this.#originals.files.entries()) this.#mendFile(number, file)
    for (const [name, bytes] of this.data) {
      if (Buffer.compare(bytes, before.get(name) ?? Buffer.alloc(0)) !== 0)
        writeFileSync(join(this.folder, name), bytes)
    }
    this.#saveCatalogue()
  }

  #mendZone(zone: number): void {
    const row = this.#originals.zones[zone]
    const pages = Math.ceil(this.rows(zone).byteLength / PAGE)
    for (const kind of this.#bits > 0 ? (['vectors', 'codes'] as const) : (['vectors'] as const)) {
      const extent = this.extent(zone, kind)
      const crcs = this.#find(() => this.column(zone, kind, COLUMN.pageCrcs))
      for (let page = 0; crcs !== undefined && page < pages && page * 4 < crcs.byteLength; page++) {
        const start = Number(row['segment_offset']) + page * PAGE
        crcs.setUint32(page * 4, crc32(this.#fileOf(zone, 'vectors').subarray(start, start + PAGE)), true)
      }
      const count = extent.getUint32(4, true)
      if (ENTRY.start + count * ENTRY.byteLength > extent.byteLength) continue
      for (let i = 0; i < count; i++) {
        const at = ENTRY.start + i * ENTRY.byteLength
        const offset = Number(extent.getBigUint64(at + ENTRY.offset, true))
        const end = offset + Number(extent.getBigUint64(at + ENTRY.size, true))
        if (end <= extent.byteLength) extent.setUint32(at + ENTRY.crc, crc32(bytesAt(extent, offset, end)), true)
      }
      const table = crc32(bytesAt(extent, 0, ENTRY.start + count * ENTRY.byteLength))
      this.#update('zones', zone, kind === 'codes' ? 'codes_crc' : 'columns_crc', table)
    }
  }

  #find<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch {
      return undefined
    }
  }

  /** Sets a checksum unless the forger chose another. */
  #update(table: TableName, number: number, name: string, value: number): void {
    const row = this.tables[table].at(number)
    if (row?.[name] === this.#originals[table][number][name]) row[name] = value
  }

  #mendFile(number: number, file: SqlRow): void {
    const bytes = this.fileBytes(String(file['name']))
    const view = new DataView(bytes.buffer)
    view.setUint32(PAGE - 4, crc32(bytes.subarray(0, PAGE - 4)), true)
    this.#update('files', number, 'header_crc', view.getUint32(PAGE - 4, true))
    if (file['kind'] === 'vectors' && bytes.byteLength === file['byte_length']) this.#mendDirectory(number, bytes)
  }

  /** Writes the directory anew from the rows of the catalogue, where it still has the same length. */
  #mendDirectory(number: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer)
    const footer = bytes.byteLength - 64
    const start = Number(view.getBigUint64(footer, true))
    const recordBytes = Math.ceil((80 + this.dim * 4) / 8) * 8
    const zones = [...this.tables.zones.keys()].filter((zone) => this.tables.zones[zone]['file'] === number)
    const areNumbers = zones.every((zone) =>
      Object.values(this.zone(zone)).every((value) => typeof value === 'number' && value >= 0)
    )
    if (!areNumbers || zones.length * recordBytes !== Number(view.getBigUint64(footer + 8, true))) return
    const vectors = this.tables.centroids.map((row) => row['vectors'])
    const centroids = Buffer.concat(vectors.filter((blob) => blob instanceof Uint8Array))
    for (const [i, zone] of zones.entries()) {
      const row = this.zone(zone)
      const at = start + i * recordBytes
      const integers = ['zone', 'segment', 'row_count', 'segment_offset', 'columns_offset', 'columns_byte_length']
      integers.forEach((name, j) => {
        view.setBigUint64(at + j * 8, BigInt(Math.trunc(Number(row[name]))), true)
      })
      ;['min_norm', 'max_norm', 'radius'].forEach((name, j) => {
        view.setFloat64(at + 48 + j * 8, Number(row[name]), true)
      })
      view.setUint32(at + 72, Number(row['columns_crc']), true)
      bytes.set(centroids.subarray(zone * this.dim * 4, (zone + 1) * this.dim * 4), at + 80)
    }
    view.setUint32(footer + 40, crc32(bytes.subarray(start, start + zones.length * recordBytes)), true)
    view.setUint32(footer + 60, crc32(bytes.subarray(footer, footer + 60)), true)
  }

  #saveCatalogue(): void {
    const crcs: number[] = []
    for (const table of TABLES) {
      for (const [i, row] of this.tables[table].entries()) {
        const forged = row['crc'] !== this.#originals[table].at(i)?.['crc'] && row['crc'] !== undefined
        const crc = forged ? Number(row['crc']) : rowCrc(Object.entries(row).filter(([name]) => name !== 'crc'))
        if (!forged) row['crc'] = crc
        crcs.push(crc)
      }
    }
    const index = this.meta.get('index')
    if (typeof index === 'object' && index !== null && 'digest' in index && index.digest === this.#digest) {
      const words = Uint32Array.from(crcs)
      index.digest = createHash('sha256').update(new Uint8Array(words.buffer)).digest()
    }
    withDatabase(this.folder, (database) => {
      database.exec('BEGIN')
      for (const table of TABLES) {
        database.exec(`DELETE FROM ${table}`)
        for (const row of this.tables[table])
          database
            .prepare(
              `INSERT INTO ${table} VALUES (${Object.keys(row)
                .map(() => '?')
                .join()})`
            )
            .run(...Object.entries(row).map(([name, value]) => sqlValue(name, value)))
      }
      database.exec('DELETE FROM meta')
      for (const [key, value] of this.meta) {
        const bytes = value instanceof Uint8Array ? value : encodeMessagePack(value)
        const crc = rowCrc([
          ['key', key],
          ['value', bytes]
        ])
        database.prepare('INSERT INTO meta VALUES (?, ?, ?)').run(key, bytes, crc)
      }
      database.exec('COMMIT')
    })
  }
}

/** Reads an index, lets `change` forge it, mends the checksums and writes it back. */
export function forge(folder: string, change: (parts: Parts) => void): void {
  const parts = new Parts(folder)
  change(parts)
  parts.save()
}

const REALS = ['min_norm', 'max_norm', 'radius']

/** better-sqlite3 binds every number as REAL; the columns' affinity makes integers of those that fit. */
function sqlValue(name: string, value: SqlValue): SqlValue {
  return typeof value === 'number' && !REALS.includes(name) && Number.isSafeInteger(value) ? BigInt(value) : value
}

function bytesOf(value: SqlValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new Error(`expected bytes, found ${String(value)}`)
}

function bytesAt(extent: DataView, start: number, end: number): Uint8Array {
  return new Uint8Array(extent.buffer, extent.byteOffset + start, end - start)
}

/** The CRC of a row (spec, section 7); what no row may hold counts as its nearest. */
export function rowCrc(entries: readonly (readonly [string, SqlValue])[]): number {
  const parts = entries.map(([name, value]) => {
    if (value === null) return new Uint8Array(0)
    if (typeof value === 'string' || value instanceof Uint8Array) {
      const bytes = Buffer.from(value)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.byteLength)
      return Buffer.concat([length, bytes])
    }
    const bytes = Buffer.alloc(8)
    if (REALS.includes(name)) bytes.writeDoubleLE(Number(value))
    else if (typeof value === 'bigint') bytes.writeBigInt64LE(value)
    else if (Number.isSafeInteger(value)) bytes.writeBigInt64LE(BigInt(value))
    return bytes
  })
  return crc32(Buffer.concat(parts))
}
