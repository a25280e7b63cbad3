// The driver over node:sqlite, which Node.js has since 22.13 without a flag. Nothing else loads it.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'

import { systemCode, ZgqError } from '../errors.ts'
import { BUSY_MS, type Database, type LoadedDriver, type Query, type Statement } from './driver.ts'
import { sqliteCodeName } from './sqlite-codes.ts'

/** As much of node:sqlite as is used: the types of the oldest Node that zgq runs on do not have it. */
interface NodeSqlite {
  readonly DatabaseSync: new (path: string, options: { readOnly: boolean }) => NodeDatabase
}

interface NodeDatabase {
  exec(sql: string): void
  prepare(sql: string): NodeStatement
  close(): void
}

interface NodeStatement {
  all(...values: unknown[]): object[]
  run(...values: unknown[]): unknown
  iterate(...values: unknown[]): Iterator<unknown>
  setReadBigInts(isOn: boolean): void
  /** The first statement of the text that was prepared. */
  readonly sourceSQL: string
  /** The same, with what its parameters are bound to. */
  readonly expandedSQL: string
  /** Since Node 22.16. */
  columns?(): { readonly name: string }[]
  setReturnArrays?(isOn: boolean): void
}

/** An error of SQLite, with its name as `code`. */
class SqliteError extends Error {
  override readonly name = 'SqliteError'
  constructor(
    readonly code: string,
    cause: Error
  ) {
    super(cause.message, { cause })
  }
}

/** Loads node:sqlite, or says why that cannot be done. */
export function loadNodeSqlite(): LoadedDriver {
  const node = process.versions.node
  try {
    const sqlite = withoutWarning(() => process.getBuiltinModule('node:sqlite'))
    if (!isNodeSqlite(sqlite))
      return { reason: `Node ${node} has no SQLite of its own`, remedy: 'use Node 22.13 or newer' }
    const probe = wrapDatabase(new sqlite.DatabaseSync(':memory:', { readOnly: false }))
    const [[version]] = probe.prepare('SELECT sqlite_version()').all()
    probe.close()
    return {
      driver: {
        name: 'node:sqlite',
        version: String(version),
        origin: `node:sqlite of Node ${node}`,
        open(path, { mode }) {
          if (mode !== 'create') expectFile(path)
          return wrapDatabase(guarded(() => new sqlite.DatabaseSync(resolve(path), { readOnly: mode === 'read' })))
        }
      }
    }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    return { reason: `node:sqlite of Node ${node} does not load: ${message}`, remedy: 'use a newer Node', cause }
  }
}

function isNodeSqlite(found: object | undefined): found is NodeSqlite {
  return found !== undefined && 'DatabaseSync' in found && typeof found.DatabaseSync === 'function'
}

/** Loads a module without the one warning that says that SQLite is experimental; all others are passed on. */
function withoutWarning<T>(load: () => T): T {
  const { emitWarning } = process
  const isOurs = (args: readonly unknown[]): boolean =>
    args[1] === 'ExperimentalWarning' && String(args[0]).startsWith('SQLite is an experimental feature')
  process.emitWarning = (...args: unknown[]) => {
    if (!isOurs(args)) Reflect.apply(emitWarning, process, args)
  }
  try {
    return load()
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Opening for writing would make an empty database where none is. */
function expectFile(path: string): void {
  try {
    statSync(path)
  } catch (cause) {
    throw systemCode(cause) === 'ENOENT' && cause instanceof Error ? new SqliteError('SQLITE_CANTOPEN', cause) : cause
  }
}

/** Runs a call of node:sqlite; its errors get SQLite's names. */
function guarded<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if ('errcode' in error && typeof error.errcode === 'number')
      throw new SqliteError(sqliteCodeName(error.errcode), error)
    // An integer that no number holds.
    if (systemCode(error) === 'ERR_OUT_OF_RANGE') throw new SqliteError('SQLITE_MISMATCH', error)
    throw error
  }
}

function wrapDatabase(database: NodeDatabase): Database {
  const prepare = (sql: string): Statement => wrapStatement(guarded(() => database.prepare(sql)))
  let isClosed = false
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
  return {
    exec(sql) {
      guarded(() => {
        database.exec(sql)
      })
    },
    prepare,
    query(sql) {
      const statement = guarded(() => database.prepare(sql))
      expectWhole(statement, sql)
      return wrapQuery(statement)
    },
    pragma: (sql) => prepare(`PRAGMA ${sql}`).all()[0]?.[0],
    close() {
      if (!isClosed) database.close()
      isClosed = true
    }
  }
}

function wrapStatement(statement: NodeStatement): Statement {
  statement.setReturnArrays?.(true)
  return {
    *iterate(...values) {
      const rows = guarded(() => statement.iterate(...values))
      try {
        for (let next = guarded(() => rows.next()); next.done !== true; next = guarded(() => rows.next()))
          yield valuesOf(next.value)
      } finally {
        rows.return?.()
      }
    },
    all: (...values) => guarded(() => statement.all(...values)).map(valuesOf),
    run(...values) {
      guarded(() => statement.run(...values))
    }
  }
}

function valuesOf(row: unknown): unknown[] {
  if (Array.isArray(row)) return row
  return typeof row === 'object' && row !== null ? Object.values(row) : []
}

/** White space, semicolons and comments, which may follow a statement. */
const NOTHING = /^(?:[\s;]|--[^\n]*|\/\*[\s\S]*?\*\/)*$/

/** Refuses what node:sqlite would pass over: a second statement, and parameters, which it takes for NULL. */
function expectWhole({ sourceSQL, expandedSQL }: NodeStatement, sql: string): void {
  if (!sql.startsWith(sourceSQL) || !NOTHING.test(sql.slice(sourceSQL.length)))
    throw new RangeError('The supplied SQL string contains more than one statement')
  if (expandedSQL !== sourceSQL) throw new RangeError('Too few parameter values were provided')
}

function wrapQuery(statement: NodeStatement): Query {
  // Rows as objects would lose one of two columns of the same name.
  if (statement.columns === undefined || statement.setReturnArrays === undefined)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `a query by node:sqlite needs Node 22.16 or newer, found ${process.versions.node}: use that, or ` +
        'npm install better-sqlite3'
    )
  statement.setReturnArrays(true)
  statement.setReadBigInts(true)
  return {
    columnNames: statement.columns().map((column) => column.name),
    *rows() {
      const rows = statement.iterate()
      try {
        for (let next = guarded(() => rows.next()); next.done !== true; next = guarded(() => rows.next()))
          if (Array.isArray(next.value)) yield next.value
      } finally {
        rows.return?.()
      }
    }
  }
}
