// npm run test:nodes [-- VERSION... FILE...]: the tests on several versions of Node, each in a copy of the project that
// is installed for it. Needs a build (dist/) and the npm registry; prints one line a version, then what failed.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

import { installNode } from './install-node.mjs'
import { copyProject, readResults, ROOT, run } from './project-copy.mjs'

const VERSIONS = ['20', '22', '24', '26']
/** better-sqlite3 13 brings its binaries along and crashes on Node 20, which needs 12, compiled. */
const SQLITE_13_FROM = 22
const QUIET = ['--no-audit', '--no-fund']

/**
 * Installs what the project needs under this Node, without scripts but the compiler's for better-sqlite3 12; returns
 * the version of better-sqlite3.
 */
function installProject(folder, version, env) {
  run('npm', ['ci', '--ignore-scripts', ...QUIET], { cwd: folder, env })
  if (Number(version.split('.')[0]) >= SQLITE_13_FROM) {
    run('npm', ['install', '--no-save', '--ignore-scripts', ...QUIET, 'better-sqlite3@13'], { cwd: folder, env })
  } else if (!takesCompiled(folder, env)) {
    run('npm', ['rebuild', 'better-sqlite3', '--ignore-scripts=false'], { cwd: folder, env })
  }
  return JSON.parse(readFileSync(join(folder, 'node_modules/better-sqlite3/package.json'), 'utf8')).version
}

/** Compiling takes minutes: tries what was compiled for the Node of this project first. */
function takesCompiled(folder, env) {
  const compiled = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node'
  if (!existsSync(join(ROOT, compiled))) return false
  cpSync(join(ROOT, compiled), join(folder, compiled), { recursive: true })
  try {
    run('node', ['-e', `new (require('better-sqlite3'))(':memory:')`], { cwd: folder, env })
    return true
  } catch {
    return false
  }
}

function testOn(version, filters) {
  const folder = copyProject(`node-${version}`)
  const nodes = mkdtempSync(join(tmpdir(), 'zgq-node-'))
  const started = performance.now()
  const node = installNode(version, nodes)
  const env = {
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
    ZGQ_TEST_RESULTS: join(nodes, 'results.json')
  }
  const sqlite = installProject(folder, version, env)
  const installed = performance.now()
  try {
    run(node, ['node_modules/vitest/vitest.mjs', 'run', ...filters], { cwd: folder, env })
  } catch {
    // The results say what failed.
  }
  const { passed, skipped, failures } = readResults(env.ZGQ_TEST_RESULTS)
  const seconds = [installed - started, performance.now() - installed].map((ms) => Math.round(ms / 1000))
  const exact = run(node, ['--version']).trim()
  console.log(
    `Node ${exact}  better-sqlite3 ${sqlite}  ${passed} passed, ${failures.length} failed, ${skipped} skipped  ` +
      `(installed in ${seconds[0]} s, tested in ${seconds[1]} s)`
  )
  for (const line of failures) console.log(`  ${line}`)
  rmSync(nodes, { recursive: true, force: true })
  if (failures.length === 0) rmSync(folder, { recursive: true, force: true })
  else console.log(`  kept: ${folder}`)
  return failures.length === 0
}

const given = process.argv.slice(2)
const versions = given.filter((argument) => /^\d+(\.\d+)*$/.test(argument))
const filters = given.filter((argument) => !versions.includes(argument))
let isFine = true
for (const version of versions.length === 0 ? VERSIONS : versions) {
  try {
    isFine = testOn(version, filters) && isFine
  } catch (error) {
    isFine = false
    console.log(`Node ${version}  ${error.message}`)
  }
}
process.exitCode = isFine ? 0 : 1
