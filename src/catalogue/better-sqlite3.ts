// The driver over the package better-sqlite3, and in plain words why it does not load. Nothing else loads the package.

import { createRequire } from 'node:module'
import { resolve } from 'node:path'

import type BetterSqlite3 from 'better-sqlite3'

import { systemCode } from '../errors.ts'
import { MODULE_URL } from '../module-url.ts'
import { BUSY_MS, type Database, type Driver, type LoadedDriver, type Query, type Statement } from './driver.ts'

const requirePackage = createRequire(MODULE_URL)
/** Version 13 and newer end the process on a Node older than this. */
const NODE_OF_13 = 22

type Sqlite = typeof BetterSqlite3

/** Loads better-sqlite3 with its native part, or says why that cannot be done. */
export function loadBetterSqlite3(): LoadedDriver {
  let version: string
  try {
    const manifest: { version: string } = requirePackage('better-sqlite3/package.json')
    version = manifest.version
  } catch (cause) {
    return systemCode(cause) === 'MODULE_NOT_FOUND'
      ? { reason: 'better-sqlite3 is not installed', remedy: 'npm install better-sqlite3@12', cause }
      : { reason: `better-sqlite3 does not load: ${firstLine(cause)}`, remedy: 'install it again', cause }
  }
  const major = Number(version.split('.')[0])
  if (major >= 13 && nodeMajor() < NODE_OF_13) {
    return {
      reason: `better-sqlite3 ${version} crashes on Node ${process.versions.node}`,
      remedy: 'npm install better-sqlite3@12'
    }
  }
  try {
    const Sqlite: Sqlite = requirePackage('better-sqlite3')
    return { driver: makeDriver(Sqlite, version) }
  } catch (cause) {
    return { ...explain(cause, version), cause }
  }
}

function nodeMajor(): number {
  return Number(process.versions.node.split('.')[0])
}

/** The native part loads with the first database: what fails here has nothing to do with a file of ours. */
function makeDriver(Sqlite: Sqlite, version: string): Driver {
  const probe = wrapDatabase(new Sqlite(':memory:'))
  const [[sqliteVersion]] = probe.prepare('SELECT sqlite_version()').all()
  probe.close()
  return {
    name: 'better-sqlite3',
    version: String(sqliteVersion),
    origin: `better-sqlite3 ${version}`,
    open: (path, { mode }) =>
      wrapDatabase(
        // Absolute: the package trims the white space that a relative name may begin with.
        new Sqlite(resolve(path), { readonly: mode === 'read', fileMustExist: mode !== 'create', timeout: BUSY_MS })
      )
  }
}

function explain(cause: unknown, version: string): { reason: string; remedy: string } {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (systemCode(cause) === 'ERR_DLOPEN_DISABLED')
    return { reason: 'native packages may not be loaded here', remedy: 'start Node with --allow-addons' }
  if (message.includes('NODE_MODULE_VERSION'))
    return {
      reason: `better-sqlite3 ${version} was compiled for another Node.js or Electron`,
      remedy: 'npm rebuild better-sqlite3 (in Electron: npx @electron/rebuild)'
    }
  if (/^Could not locate the bindings file|^Cannot find module .*\.node'/.test(message))
    return {
      reason: `better-sqlite3 ${version} has no binary: its install script did not run`,
      remedy: 'npm rebuild better-sqlite3 --ignore-scripts=false'
    }
  return {
    reason: `better-sqlite3 ${version} does not load: ${firstLine(cause)}`,
    remedy: 'install it again'
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]
}

function wrapDatabase(database: BetterSqlite3.Database): Database {
  return {
    exec(sql) {
      database.exec(sql)
    },
    prepare: (sql) => wrapStatement(database.prepare(sql)),
    query: (sql) => wrapQuery(database.prepare(sql)),
    pragma: (sql) => database.pragma(sql, { simple: true }),
    close() {
      database.close()
    }
  }
}

type AnyStatement = BetterSqlite3.Statement<unknown[], unknown>

function wrapStatement(statement: AnyStatement): Statement {
  return {
    *iterate(...values) {
      for (const row of statement.raw().iterate(...values)) if (Array.isArray(row)) yield row
    },
    all: (...values) =>
      statement
        .raw()
        .all(...values)
        .filter(isRow),
    run(...values) {
      statement.run(...values)
    }
  }
}

function wrapQuery(statement: AnyStatement): Query {
  return {
    columnNames: statement.reader ? statement.columns().map((column) => column.name) : [],
    *rows() {
      for (const row of statement.raw(true).safeIntegers(true).iterate()) if (isRow(row)) yield row
    }
  }
}

function isRow(row: unknown): row is unknown[] {
  return Array.isArray(row)
}
