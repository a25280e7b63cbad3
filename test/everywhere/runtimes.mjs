// npm run test:runtimes: a small program on Bun, Deno, under Jest, with node --permission, and in bundles by webpack and
// rollup, all from npm, in a project that installs the package from its tarball. Prints one line for each: what it did,
// or the reason that it was given. What must work decides the exit code; the others are reported.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ROOT, run } from './project-copy.mjs'

const PACKAGES = [
  '@oven/bun-linux-x64',
  '@deno/linux-x64-glibc',
  'jest',
  'webpack',
  'rollup',
  '@rollup/plugin-node-resolve',
  '@rollup/plugin-commonjs'
]
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund']
const NATIVE = /^(koffi|better-sqlite3|h5wasm|mmap-io)/
const PATIENCE_MS = 300_000

const folder = mkdtempSync(join(tmpdir(), 'zgq-runtimes-'))
const modules = join(folder, 'node_modules')

/** Installs the package from its tarball, the runtimes and bundlers, and the better-sqlite3 that fits this Node. */
function install() {
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
  )
  writeFileSync(join(folder, 'package.json'), '{"name":"a-project","private":true}')
  run('npm', ['install', '--omit=peer', ...QUIET, `./${filename}`, ...PACKAGES], { cwd: folder })
  for (const name of ['better-sqlite3', 'bindings', 'file-uri-to-path'])
    cpSync(join(ROOT, 'node_modules', name), join(modules, name), { recursive: true })
  cpSync(join(import.meta.dirname, 'program.mjs'), join(folder, 'program.mjs'))
}

/** Runs a program; returns the JSON that it printed last, or what it said in place of that. */
function found(program, args) {
  const { stdout, stderr, error } = spawnSync(program, args, { cwd: folder, encoding: 'utf8', timeout: PATIENCE_MS })
  const line = /^\s*(\{.*\})\s*$/m.exec(stdout ?? '')
  return line === null ? { error: (error?.message ?? `${stdout}${stderr}`).trim().slice(0, 400) } : JSON.parse(line[1])
}

const index = (name) => join(folder, `${name}.zgq`)

function runJest() {
  mkdirSync(join(folder, 'jest'))
  // Jest runs CommonJS; the program is read as it is, its imports written as require.
  const program = readFileSync(join(folder, 'program.mjs'), 'utf8').replaceAll(
    /^import (\{.*\}) from ('.*')$/gm,
    'const $1 = require($2)'
  )
  const body = program.slice(0, program.indexOf('main(process.argv[2]'))
  writeFileSync(
    join(folder, 'jest/zgq.test.js'),
    `${body}
test('works', async () => {
  const found = await main(${JSON.stringify(index('jest'))})
  let code
  try { ZgqIndex.open('nowhere') } catch (error) { code = error.code }
  require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'jest.json'))}, JSON.stringify({ ...found, ok: found.ok && code === 'ZGQ_NOT_FOUND' }))
}, ${PATIENCE_MS})`
  )
  const { stdout, stderr } = spawnSync(process.execPath, [join(modules, 'jest/bin/jest.js'), '--rootDir', 'jest'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: PATIENCE_MS
  })
  try {
    return JSON.parse(readFileSync(join(folder, 'jest.json'), 'utf8'))
  } catch {
    return { error: `${stdout}${stderr}`.trim().slice(0, 400) }
  }
}

function runWebpack(name, isOutside) {
  const out = join(folder, name)
  writeFileSync(
    join(folder, `${name}.cjs`),
    `require('webpack')({
      mode: 'production', target: 'node20', context: __dirname, entry: './program.mjs', devtool: false,
      output: { path: ${JSON.stringify(out)}, filename: 'out.cjs', chunkFilename: '[id].cjs' },
      externals: [({ request }, done) => ${isOutside ? '/^zgq/' : NATIVE}.test(request) ? done(null, 'commonjs ' + request) : done()]
    }, (error, stats) => {
      const problems = error ? [error] : stats.toJson({ errors: true, warnings: true }).errors
      if (problems.length > 0) { console.error(problems); process.exitCode = 1 }
    })`
  )
  run(process.execPath, [`${name}.cjs`], { cwd: folder })
  return found(process.execPath, [join(out, 'out.cjs'), index(name)])
}

function runRollup(name, withWorkers) {
  const entries = { out: 'program.mjs' }
  if (withWorkers) for (const worker of ['search-worker', 'build-worker']) entries[worker] = `zgq/${worker}`
  writeFileSync(
    join(folder, `${name}.mjs`),
    `import { rollup } from 'rollup'
     import { nodeResolve } from '@rollup/plugin-node-resolve'
     import commonjs from '@rollup/plugin-commonjs'
     const bundle = await rollup({ input: ${JSON.stringify(entries)}, external: (id) => ${NATIVE}.test(id), onwarn() {}, plugins: [nodeResolve(), commonjs()] })
     await bundle.write({ dir: ${JSON.stringify(name)}, format: 'es', entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' })`
  )
  run(process.execPath, [`${name}.mjs`], { cwd: folder })
  return found(process.execPath, [join(folder, name, 'out.mjs'), index(name)])
}

/** Node disables fsync there, which a build needs: these trials open the index that plain Node built. */
const permission = [
  process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission',
  '--allow-fs-read=*',
  '--allow-fs-write=*'
]
const bun = join(modules, '@oven/bun-linux-x64/bin/bun')
const deno = join(modules, '@deno/linux-x64-glibc/deno')

const TRIALS = [
  ['node', true, () => found(process.execPath, ['program.mjs', index('node')])],
  [
    'node --permission --allow-addons --allow-worker',
    true,
    () =>
      found(process.execPath, [
        ...permission,
        ...['--allow-addons', '--allow-worker'].filter((flag) => process.allowedNodeEnvironmentFlags.has(flag)),
        'program.mjs',
        index('node'),
        'open'
      ])
  ],
  ['node --permission', false, () => found(process.execPath, [...permission, 'program.mjs', index('node'), 'open'])],
  ['Jest', true, runJest],
  ['webpack, zgq outside', true, () => runWebpack('webpack-outside', true)],
  ['webpack, zgq inside', true, () => runWebpack('webpack-inside', false)],
  ['rollup, zgq inside', true, () => runRollup('rollup-inside', false)],
  ['rollup, zgq inside, worker entries', true, () => runRollup('rollup-workers', true)],
  ['Bun', false, () => found(bun, ['program.mjs', index('bun')])],
  ['Deno', false, () => found(deno, ['run', '-A', 'program.mjs', index('deno')])]
]

install()
let isFine = true
const wanted = process.argv.slice(2)
for (const [name, isNeeded, trial] of TRIALS) {
  if (wanted.length > 0 && name !== 'node' && !wanted.some((word) => name.includes(word))) continue
  let result
  try {
    result = trial()
  } catch (error) {
    result = { error: error.message.slice(0, 400) }
  }
  isFine &&= !isNeeded || result.ok === true
  console.log(`${name}: ${JSON.stringify(result)}`)
}
if (isFine) rmSync(folder, { recursive: true, force: true })
else console.log(`kept: ${folder}`)
process.exitCode = isFine ? 0 : 1
