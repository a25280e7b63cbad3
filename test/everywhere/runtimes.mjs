// npm run test:runtimes [-- VERSION... WORD...]: a small program on Node, with node --permission, under Jest, in
// bundles, on Bun and Deno, all from npm, in a project that installs the package from its tarball; with versions, on
// those of Node instead of this one; with words, only trials whose names have one of them. Prints one line for each:
// what worked, or the reason that it was given. The exit code says whether all did what it is to do.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { BUNDLERS, BUNDLES } from './bundles.mjs'
import { installNode } from './install-node.mjs'
import { ROOT, run } from './project-copy.mjs'

const PACKAGES = ['@oven/bun-linux-x64', '@deno/linux-x64-glibc', 'jest', ...BUNDLERS]
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund']
const PATIENCE_MS = 300_000
const ROWS = 100

const folder = mkdtempSync(join(tmpdir(), 'zgq-runtimes-'))
const modules = join(folder, 'node_modules')
const deployed = mkdtempSync(join(tmpdir(), 'zgq-deployed-'))
const database = join(folder, 'rows.db')

/** Installs the package from its tarball, the runtimes and bundlers, and better-sqlite3 as this project has it. */
function install() {
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
  )
  writeFileSync(join(folder, 'package.json'), '{"name":"a-project","private":true}')
  run('npm', ['install', '--omit=peer', ...QUIET, `./${filename}`, ...PACKAGES], { cwd: folder })
  const sqlite = ['better-sqlite3', 'bindings', 'file-uri-to-path']
  for (const name of sqlite) cpSync(join(ROOT, 'node_modules', name), join(modules, name), { recursive: true })
  for (const name of ['koffi', '@koromix', ...sqlite])
    cpSync(join(modules, name), join(deployed, 'node_modules', name), { recursive: true })
  cpSync(join(import.meta.dirname, 'program.mjs'), join(folder, 'program.mjs'))
}

/** A database as an app has it: an id and a vector in each row. */
function makeDatabase() {
  const Database = createRequire(import.meta.url)('better-sqlite3')
  const rows = new Database(database)
  rows.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB)')
  const insert = rows.prepare('INSERT INTO rows VALUES (?, ?)')
  for (let id = 1; id <= ROWS; id++)
    insert.run(id, Buffer.from(Float32Array.from({ length: 8 }, (_, i) => i * id).buffer))
  rows.close()
}

/** Lines of a bundle may be endless. */
function shortened(text) {
  const lines = text.trim().split('\n')
  return lines
    .map((line) => line.trim().slice(0, 200))
    .join('; ')
    .slice(0, 600)
}

/** Runs a program; returns the JSON that it printed last, or what it said in place of that. */
function found(program, args) {
  const { stdout, stderr, error } = spawnSync(program, args, { cwd: folder, encoding: 'utf8', timeout: PATIENCE_MS })
  const line = /^\s*(\{.*\})\s*$/m.exec(stdout ?? '')
  return line === null ? { error: shortened(error?.message ?? `${stdout}${stderr}`) } : JSON.parse(line[1])
}

const index = (name) => join(folder, `${name.replaceAll(/\W+/g, '-')}.zgq`)

/** Jest runs CommonJS: the program is read as it is, its imports written as require. */
function runJest(node) {
  mkdirSync(join(folder, 'jest'), { recursive: true })
  const program = readFileSync(join(folder, 'program.mjs'), 'utf8').replaceAll(
    /^import (\{.*\}) from ('.*')$/gm,
    'const $1 = require($2)'
  )
  const [output, results] = [index('jest'), join(folder, 'jest.json')].map((path) => JSON.stringify(path))
  writeFileSync(
    join(folder, 'jest/zgq.test.js'),
    `${program.slice(0, program.indexOf('main(process.argv[2]'))}
test('works', async () => {
  const found = await main(${output}, ${JSON.stringify(database)})
  let code
  try { ZgqIndex.open('nowhere') } catch (error) { code = error.code }
  const text = JSON.stringify({ ...found, ok: found.ok && code === 'ZGQ_NOT_FOUND' })
  require('node:fs').writeFileSync(${results}, text)
}, ${PATIENCE_MS})`
  )
  rmSync(join(folder, 'jest.json'), { force: true })
  const { stdout, stderr } = spawnSync(node, [join(modules, 'jest/bin/jest.js'), '--rootDir', 'jest'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: PATIENCE_MS
  })
  try {
    return JSON.parse(readFileSync(join(folder, 'jest.json'), 'utf8'))
  } catch {
    return { error: shortened(`${stdout}${stderr}`) }
  }
}

/** Node disables fsync there, which a build needs: these trials open the index that plain Node built. */
function runPermitted(node, flags) {
  const isNamedSo = run(node, ['-p', `process.allowedNodeEnvironmentFlags.has('--permission')`]).trim() === 'true'
  const all = [isNamedSo ? '--permission' : '--experimental-permission', '--allow-fs-read=*', '--allow-fs-write=*']
  return found(node, [...all, ...flags, 'program.mjs', index('node'), database, 'open'])
}

const bun = join(modules, '@oven/bun-linux-x64/bin/bun')
const deno = join(modules, '@deno/linux-x64-glibc/deno')
const bundles = new Map()

/** A bundle with zgq inside runs where only native packages are, and what it was made of is out of reach. */
async function runBundle(node, [name, bundler, options]) {
  const place = options.isOutside === true ? folder : deployed
  const out = join(place, name.replaceAll(/\W+/g, '-'))
  if (!bundles.has(name)) bundles.set(name, await bundler(folder, { ...options, out }))
  const away = `${modules}-away`
  if (place === deployed) renameSync(modules, away)
  try {
    return found(node, [bundles.get(name), index(name), database])
  } finally {
    if (place === deployed) renameSync(away, modules)
  }
}

/** What a trial is to do: all of it, or all but threads and queries with the reason why not, or whatever it does. */
const doesAll = ({ ok, build, query, threads }) =>
  ok && build === 'with threads' && query === `${ROWS} rows` && threads === 'run'
const saysWhy = ({ ok, build, query, threads }) =>
  ok && [build, query, threads].every((said) => /beside the code of zgq/.test(said))

/** Trials on one version of Node. */
const onNode = (node) => [
  ['node', () => found(node, ['program.mjs', index('node'), database]), doesAll],
  [
    'node --permission --allow-addons --allow-worker --allow-child-process',
    () => runPermitted(node, ['--allow-addons', '--allow-worker', '--allow-child-process']),
    ({ ok, threads }) => ok && threads === 'run'
  ],
  [
    'node --permission',
    () => runPermitted(node, []),
    ({ ok, code, threads }) => (ok ? /--allow-worker/.test(threads) : code === 'ZGQ_UNSUPPORTED')
  ],
  ['Jest', () => runJest(node), doesAll],
  ...BUNDLES.map((bundle) => [bundle[0], () => runBundle(node, bundle), bundle[3] ? doesAll : saysWhy])
]
const ELSEWHERE = [
  ['Bun', () => found(bun, ['program.mjs', index('bun'), database]), doesAll],
  ['Deno', () => found(deno, ['run', '-A', 'program.mjs', index('deno'), database]), doesAll]
]

const given = process.argv.slice(2)
const isVersion = (argument) => /^\d+(\.\d+)*$/.test(argument)
const words = given.filter((argument) => !isVersion(argument))
let isFine = true

async function tryAll(trials) {
  for (const [name, trial, isAsExpected] of trials) {
    if (words.length > 0 && name !== 'node' && !words.some((word) => name.includes(word))) continue
    const result = await Promise.resolve()
      .then(trial)
      .catch((error) => ({ error: shortened(error.message) }))
    const isGood = isAsExpected(result)
    isFine &&= isGood
    console.log(`${isGood ? 'fine' : 'NOT AS EXPECTED'}  ${name}: ${JSON.stringify(result)}`)
  }
}

install()
makeDatabase()
const versions = given.filter(isVersion)
const nodes = versions.map((version) => installNode(version, mkdtempSync(join(folder, 'node-'))))
for (const node of versions.length === 0 ? [process.execPath] : nodes) {
  console.log(`Node ${run(node, ['--version']).trim()}`)
  await tryAll(onNode(node))
}
console.log(`Bun ${run(bun, ['--version']).trim()}, ${run(deno, ['--version']).split('\n')[0]}`)
await tryAll(ELSEWHERE)
if (isFine) for (const path of [folder, deployed]) rmSync(path, { recursive: true, force: true })
else console.log(`kept: ${folder}, ${deployed}`)
process.exitCode = isFine ? 0 : 1
