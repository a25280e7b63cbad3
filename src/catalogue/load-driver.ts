// Chooses the driver of this process.

import { betterSqlite3Driver } from './better-sqlite3.ts'
import type { Driver } from './driver.ts'

/** Loads the driver; throws ZGQ_UNSUPPORTED where there is none. */
export function loadDriver(): Driver {
  return betterSqlite3Driver()
}
