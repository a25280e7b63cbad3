// The tables of the catalogue, each declared once (spec, section 7): from the declarations come the statements that
// make them, that read a row within bounds, and that write one.

import { CHUNK_TABLES } from '../format/chunks.ts'

/** "ZGQ1" */
export const APPLICATION_ID = 0x5a475131

/** A column: its type, as SQLite's typeof names it, and what stands behind the type in the schema. */
interface ColumnDeclaration {
  readonly name: string
  readonly type: 'integer' | 'text' | 'blob'
  readonly constraint: 'PRIMARY KEY' | 'NOT NULL'
}

export interface TableDeclaration {
  readonly name: string
  readonly columns: readonly ColumnDeclaration[]
  readonly isWithoutRowid: boolean
}

/** Structured values by their keys. */
export const META_TABLE: TableDeclaration = {
  name: 'meta',
  columns: [
    { name: 'key', type: 'text', constraint: 'PRIMARY KEY' },
    { name: 'value', type: 'blob', constraint: 'NOT NULL' },
    { name: 'crc', type: 'integer', constraint: 'NOT NULL' }
  ],
  isWithoutRowid: true
}

/** Packed chunks; all tables of chunks are alike. */
export const CHUNK_DECLARATIONS: readonly TableDeclaration[] = CHUNK_TABLES.map((name) => ({
  name,
  columns: [
    { name: 'first', type: 'integer', constraint: 'PRIMARY KEY' },
    { name: 'count', type: 'integer', constraint: 'NOT NULL' },
    { name: 'records', type: 'blob', constraint: 'NOT NULL' },
    { name: 'crc', type: 'integer', constraint: 'NOT NULL' }
  ],
  isWithoutRowid: false
}))

/** Rows that were added since the last fold. */
export const FRESH_TABLE: TableDeclaration = numberedTable('fresh', 'sequence', {
  id: 'blob',
  vector: 'blob',
  payload: 'blob'
})

/** Which rows of a segment are deleted. */
export const MASKS_TABLE: TableDeclaration = numberedTable('masks', 'sequence', { segment: 'integer', deleted: 'blob' })

/** Payloads that replace those of rows of segments. */
export const PATCHES_TABLE: TableDeclaration = numberedTable('patches', 'sequence', {
  segment: 'integer',
  row: 'integer',
  payload: 'blob'
})

/** Who has the index open for writing; for messages only. */
export const WRITERS_TABLE: TableDeclaration = numberedTable('writers', 'writer', { about: 'blob' })

/** Numbers that a fold has taken for files which it has not published yet. */
export const RESERVATIONS_TABLE: TableDeclaration = numberedTable('reservations', 'generation', { about: 'blob' })

/** Files that are no part of the index any more, and may still be read by who opened it before. */
export const SUPERSEDED_TABLE: TableDeclaration = numberedTable('superseded', 'file', {
  record: 'blob',
  since: 'integer'
})

/** A table of rows that have a number each, and a checksum. */
function numberedTable(
  name: string,
  key: string,
  columns: Readonly<Record<string, ColumnDeclaration['type']>>
): TableDeclaration {
  return {
    name,
    columns: [
      { name: key, type: 'integer', constraint: 'PRIMARY KEY' },
      ...Object.entries(columns).map(([column, type]): ColumnDeclaration => ({
        name: column,
        type,
        constraint: 'NOT NULL'
      })),
      { name: 'crc', type: 'integer', constraint: 'NOT NULL' }
    ],
    isWithoutRowid: false
  }
}

const TABLES = [
  META_TABLE,
  ...CHUNK_DECLARATIONS,
  FRESH_TABLE,
  MASKS_TABLE,
  PATCHES_TABLE,
  WRITERS_TABLE,
  RESERVATIONS_TABLE,
  SUPERSEDED_TABLE
]

function createTable({ name, columns, isWithoutRowid }: TableDeclaration): string {
  const lines = columns.map((column) => `  ${column.name} ${column.type.toUpperCase()} ${column.constraint}`)
  return `CREATE TABLE ${name} (\n${lines.join(',\n')}\n)${isWithoutRowid ? ' WITHOUT ROWID' : ''};\n`
}

/** Makes all tables. */
export const CATALOGUE_DDL = TABLES.map(createTable).join('')

/** Rows of sqlite_schema that the statements make: type, name, name of the table, SQL. */
export const SCHEMA_ROWS: readonly (readonly string[])[] = TABLES.map((table) => [
  'table',
  table.name,
  table.name,
  createTable(table).replace(/;\n$/, '')
])

/** Inserts a row, its values in the order of the columns. */
export function insertStatement({ name, columns }: TableDeclaration): string {
  return `INSERT INTO ${name} (${columns.map((column) => column.name).join(', ')}) VALUES (${columns
    .map(() => '?')
    .join(', ')})`
}

/**
 * Selects rows in the order of the key; with `from`, those whose key is a value or above. A value of another type than
 * declared, or bytes or text beyond `mostBytes`, come as null: they are never read.
 */
export function selectStatement({ name, columns }: TableDeclaration, mostBytes: number, from?: 'from'): string {
  const guarded = columns.map((column) => {
    const length = column.type === 'integer' ? '' : ` AND octet_length(${column.name}) <= ${mostBytes}`
    return `iif(typeof(${column.name}) = '${column.type}'${length}, ${column.name}, NULL) AS ${column.name}`
  })
  // By the table's own column: a guarded one has its name too, and to order by that would read all rows first.
  const key = `${name}.${columns[0].name}`
  return `SELECT ${guarded.join(', ')} FROM ${name}${from === undefined ? '' : ` WHERE ${key} >= ?`} ORDER BY ${key}`
}
