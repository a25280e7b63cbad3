// The drivers of SQLite for tests that need a certain one: what does not load is an error with its reason.

import { loadBetterSqlite3 } from '../../src/catalogue/better-sqlite3.ts'
import type { Driver, LoadedDriver } from '../../src/catalogue/driver.ts'
import { loadNodeSqlite } from '../../src/catalogue/node-sqlite.ts'

export function betterSqlite3(): Driver {
  return expectDriver(loadBetterSqlite3())
}

export function nodeSqlite(): Driver {
  return expectDriver(loadNodeSqlite())
}

function expectDriver(loaded: LoadedDriver): Driver {
  if ('driver' in loaded) return loaded.driver
  throw new Error(loaded.reason, { cause: loaded.cause })
}
