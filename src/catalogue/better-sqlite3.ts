// The driver over the package better-sqlite3. Nothing else loads it.

import { createRequire } from 'node:module'
import { resolve } from 'node:path'

import type BetterSqlite3 from 'better-sqlite3'

import { ZgqError } from '../errors.ts'
import { MODULE_URL } from '../module-url.ts'
import type { Database, Driver, Statement } from './driver.ts'

const requirePackage = createRequire(MODULE_URL)

type Sqlite = typeof BetterSqlite3

/** Loads better-sqlite3; throws ZGQ_UNSUPPORTED where it is missing or would crash this Node. */
export function loadBetterSqlite3(): Sqlite {
  try {
    const manifest: { version: string } = requirePackage('better-sqlite3/package.json')
    refuseCrash(manifest.version)
    const sqlite: Sqlite = requirePackage('better-sqlite3')
    return sqlite
  } catch (cause) {
    if (cause instanceof ZgqError) throw cause
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `better-sqlite3 does not load: ${reason}. Install it beside zgq: npm install better-sqlite3`,
      { cause }
    )
  }
}

/** Version 13 segfaults on Node below 22, so it must be refused before it is loaded. */
function refuseCrash(version: string): void {
  const node = Number(process.versions.node.split('.')[0])
  if (Number(version.split('.')[0]) >= 13 && node < 22) {
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `better-sqlite3 ${version} crashes on Node ${process.versions.node}: use Node 22 or newer, or npm ` +
        'install better-sqlite3@12'
    )
  }
}

/** Makes the driver; throws ZGQ_UNSUPPORTED. */
export function betterSqlite3Driver(): Driver {
  const Sqlite = loadBetterSqlite3()
  return {
    name: 'better-sqlite3',
    open: (path, { mode }) =>
      // Absolute: the package trims the white space that a relative name may begin with.
      wrapDatabase(new Sqlite(resolve(path), { readonly: mode === 'read', fileMustExist: mode !== 'create' }))
  }
}

function wrapDatabase(database: BetterSqlite3.Database): Database {
  return {
    exec(sql) {
      database.exec(sql)
    },
    prepare: (sql) => wrapStatement(database.prepare(sql)),
    pragma: (sql) => database.pragma(sql, { simple: true }),
    close() {
      database.close()
    }
  }
}

function wrapStatement(statement: BetterSqlite3.Statement<unknown[], unknown>): Statement {
  return {
    *iterate(...values) {
      for (const row of statement.raw().iterate(...values)) if (Array.isArray(row)) yield row
    },
    all: (...values) =>
      statement
        .raw()
        .all(...values)
        .filter((row): row is unknown[] => Array.isArray(row)),
    run(...values) {
      statement.run(...values)
    }
  }
}
