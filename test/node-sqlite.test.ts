// The second driver of SQLite, node:sqlite. On a Node that does not have it, Node 24 from npm runs this very file.

import { describe, expect, it } from 'vitest'

import { loadNodeSqlite } from '../src/catalogue/node-sqlite.ts'
import { describeDriver } from './support/driver-contract.ts'
import { nodeSqlite } from './support/drivers.ts'
import { runUnderNode24 } from './support/node-24.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('node-sqlite')
const INSTALL_MS = 600_000
/** So few tests would mean that some were left out. */
const LEAST_TESTS = 34

if ('driver' in loadNodeSqlite()) {
  describeDriver('node:sqlite', nodeSqlite)
} else {
  describe('node:sqlite under Node 24', () => {
    it(
      'keeps the contract of drivers',
      () => {
        const { passed, output } = runUnderNode24(['test/node-sqlite.test.ts'], temp.fresh('results.json'))
        expect(passed, output).toBeGreaterThanOrEqual(LEAST_TESTS)
      },
      INSTALL_MS
    )
  })
}
