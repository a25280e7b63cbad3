// The second driver of SQLite, node:sqlite. On a Node that does not have it, Node 24 from npm runs this very file.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, delimiter } from 'node:path'
import { describe, expect, it } from 'vitest'

import { loadNodeSqlite } from '../src/catalogue/node-sqlite.ts'
import { describeDriver } from './support/driver-contract.ts'
import { nodeSqlite } from './support/drivers.ts'
import { nodeWithSqlite } from './support/node-24.ts'
import { ROOT } from './support/sources.ts'
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
        const results = temp.fresh('results.json')
        const node = nodeWithSqlite()
        // What this runner tells its own workers is not for another runner.
        const env = Object.fromEntries(
          Object.entries(process.env).filter(([name]) => !/^(VITEST|TINYPOOL|ZGQ_TEST_RESULTS)/.test(name))
        )
        const { stdout, stderr } = spawnSync(
          node,
          [
            join(ROOT, 'node_modules/vitest/vitest.mjs'),
            'run',
            'test/node-sqlite.test.ts',
            '--reporter=default',
            '--reporter=json',
            `--outputFile.json=${results}`
          ],
          {
            cwd: ROOT,
            encoding: 'utf8',
            env: { ...env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` }
          }
        )
        let found: unknown
        try {
          found = JSON.parse(readFileSync(results, 'utf8'))
        } catch (cause) {
          throw new Error(`no results: ${stdout}${stderr}`, { cause })
        }
        const { success, numPassedTests, numFailedTests, numPendingTests } = Object(found)
        expect({ success, numFailedTests, numPendingTests }, stdout + stderr).toEqual({
          success: true,
          numFailedTests: 0,
          numPendingTests: 0
        })
        expect(numPassedTests).toBeGreaterThanOrEqual(LEAST_TESTS)
      },
      INSTALL_MS
    )
  })
}
