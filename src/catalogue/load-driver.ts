// Chooses the driver of SQLite: once a process, for all its threads. Two SQLite libraries in one process do not know of
// each other, and on one file the one that closes it drops the locks of the other (POSIX).

import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'

import { ZgqError } from '../errors.ts'
import type { SqliteDriverName, SqliteInfo } from '../info-types.ts'
import { loadBetterSqlite3 } from './better-sqlite3.ts'
import type { Driver, LoadedDriver } from './driver.ts'
import { loadNodeSqlite } from './node-sqlite.ts'

/** Worker threads inherit what stands under this name, and so do the other builds of zgq in this thread. */
const ENVIRONMENT_KEY = 'zgq:sqlite'

const LOADERS: Readonly<Record<SqliteDriverName, () => LoadedDriver>> = {
  'better-sqlite3': loadBetterSqlite3,
  'node:sqlite': loadNodeSqlite
}

interface Choice {
  readonly driver: Driver
  readonly reason: string
}

let choice: Choice | undefined

/** Returns the driver of this process; throws ZGQ_UNSUPPORTED where there is none, with what to do. */
export function loadDriver(): Driver {
  return choose().driver
}

/** Says which driver this process uses, and why; throws as `loadDriver` does. */
export function sqliteInfo(): SqliteInfo {
  const { driver, reason } = choose()
  return { driver: driver.name, version: driver.version, reason }
}

function choose(): Choice {
  if (choice !== undefined) return choice
  const inherited = getEnvironmentData(ENVIRONMENT_KEY)
  choice = inherited === 'better-sqlite3' || inherited === 'node:sqlite' ? loadInherited(inherited) : loadFirst()
  setEnvironmentData(ENVIRONMENT_KEY, choice.driver.name)
  return choice
}

function loadInherited(name: SqliteDriverName): Choice {
  const loaded = LOADERS[name]()
  if ('driver' in loaded) return { driver: loaded.driver, reason: `this process uses ${loaded.driver.origin}` }
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `this process uses ${name}, and in this thread ${loaded.reason}; ${loaded.remedy}`,
    { cause: loaded.cause }
  )
}

function loadFirst(): Choice {
  const packaged = loadBetterSqlite3()
  if ('driver' in packaged) return { driver: packaged.driver, reason: `${packaged.driver.origin} is installed` }
  const builtIn = loadNodeSqlite()
  if ('driver' in builtIn) return { driver: builtIn.driver, reason: packaged.reason }
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `no SQLite can be used: ${packaged.reason}, and ${builtIn.reason}. ` +
      `Either ${builtIn.remedy}, or: ${packaged.remedy}`,
    { cause: packaged.cause }
  )
}
