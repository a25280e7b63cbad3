// The drivers of SQLite keep one contract; which one a process takes, and what it says where there is none.
// node:sqlite is in node-sqlite.test.ts.

import { betterSqlite3 } from './support/drivers.ts'
import { describeDriver } from './support/driver-contract.ts'

describeDriver('better-sqlite3', betterSqlite3)
