// The package as npm installs it, from its tarball and with scripts blocked: run from ES modules and CommonJS, bundled,
// and typed.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join, posix } from 'node:path'
import { build as esbuild } from 'esbuild'
import { build as vite } from 'vite'
import { beforeAll, describe, expect, it } from 'vitest'

import { betterSqlite3 } from './support/drivers.ts'
import { nodeWithSqlite } from './support/node-24.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('installed')
const modules = join(temp.path, 'node_modules')
/** The same project without better-sqlite3; elsewhere, for packages are looked for in the folders above, too. */
const bare = useTempFolder('installed-bare').path
const MOST_BYTES = 12 * 2 ** 20
let packed: string[] = []
let installedBytes = 0

/** Runs npm without the settings that an npm which runs these tests hands down. */
function npm(args: readonly string[], cwd: string): string {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(config_(?!registry|cache|userconfig)|lifecycle|package|command)/i.test(name)
    )
  )
  return execFileSync('npm', [...args, '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32'
  })
}

beforeAll(() => {
  const [tarball]: { filename: string; files: { path: string }[] }[] = JSON.parse(
    npm(['pack', '--json', '--pack-destination', temp.path], ROOT)
  )
  packed = tarball.files.map((file) => file.path)
  writeFileSync(join(temp.path, 'package.json'), '{"name":"a-project","private":true}')
  // What the project itself was installed from is in npm's cache.
  npm(['install', '--prefer-offline', '--omit=peer', `./${tarball.filename}`], temp.path)
  installedBytes = bytesBelow(modules)
  cpSync(modules, join(bare, 'node_modules'), { recursive: true, verbatimSymlinks: true })
  // Compiled for this Node already; @types as a TypeScript project has them.
  mkdirSync(join(modules, '@types'))
  for (const name of ['better-sqlite3', 'bindings', 'file-uri-to-path', '@types/node', 'undici-types']) {
    if (readdirSync(join(ROOT, 'node_modules')).includes(name.split('/')[0]))
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'junction')
  }
  makeDatabase()
})

/** Bytes of all files below a folder. */
function bytesBelow(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
    const found = lstatSync(join(folder, name))
    return sum + (found.isFile() ? found.size : 0)
  }, 0)
}

/**
 * A program that uses the library. Its arguments: the path of its index, and a size; a large input is built by worker
 * threads. Or a database as size: it is built from, which a process of its own reads.
 */
const USES = `
export async function main(output, size) {
  if (size.endsWith('.db')) {
    const { count } = await buildIndex({ input: size, query: 'SELECT id, vector FROM rows', output })
    console.log(JSON.stringify({ count }))
    return
  }
  const [count, dim] = size === 'large' ? [8192, 512] : [100, 4]
  const input = Float32Array.from({ length: count * dim }, (_, i) => (i * 7919) % 101)
  const { indexId } = await buildIndex({ input, dim, output, zones: 5, workers: 2 })
  const index = ZgqIndex.open(output)
  const hits = index.search(input.subarray(0, dim), { k: 3, exact: true })
  const { kernel, reader } = index.info()
  index.close()
  const { ok } = await checkIndex(output)
  console.log(JSON.stringify({ indexId, hits, kernel, reader: reader.kind, ok }))
}
void main(process.argv[2], process.argv[3]).catch((error) => { console.log(JSON.stringify({ error: String(error), code: error.code })) })`
const IMPORTS = `import { ZgqIndex } from 'zgq'; import { buildIndex } from 'zgq/build'; import { checkIndex } from 'zgq/check'`
const REQUIRES =
  `const { ZgqIndex } = require('zgq'); const { buildIndex } = require('zgq/build'); const { checkIndex } = ` +
  `require('zgq/check')`

/** Runs a program of the project; returns what it prints. */
function run(program: string, size: string, node = process.execPath): unknown {
  const { stdout, stderr } = spawnSync(node, [program, temp.fresh('index'), size], {
    encoding: 'utf8',
    cwd: temp.path
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

const ROWS = 20
const database = join(temp.path, 'rows.db')

/** A database as an app has it. */
function makeDatabase(): void {
  const made = betterSqlite3().open(database, { mode: 'create' })
  made.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB)')
  const insert = made.prepare('INSERT INTO rows VALUES (?, ?)')
  for (let id = 1; id <= ROWS; id++) insert.run(id, new Uint8Array(Float32Array.of(id, 1).buffer))
  made.close()
}

function writeProgram(name: string, imports = IMPORTS): string {
  const path = join(temp.path, name)
  writeFileSync(path, imports + (imports === IMPORTS ? USES : USES.replace('export ', '')))
  return path
}

const FINE = {
  hits: [{ id: expect.any(Number) }, {}, {}],
  kernel: 'wasm',
  reader: process.platform === 'win32' ? 'pread' : 'mmap',
  ok: true
}

describe('the tarball', () => {
  it('holds what is built, the spec and what people read, and no sources, tests or demo', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'dist/index.js',
        'dist/index.cjs',
        'dist/index.d.ts',
        'dist/zgq.js',
        'dist/build-worker.js',
        'format-spec/README.md',
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'package.json'
      ])
    )
    expect(
      packed.filter(
        (path) => !/^(dist|docs|format-spec)\/|\.(md|svg)$|^(LICENSE|package\.json)$/.test(path) || /demo/.test(path)
      )
    ).toEqual([])
  })

  it('holds whatever the links of its pages lead to', () => {
    const pages = packed.filter((path) => path.endsWith('.md'))
    const links = pages.flatMap((page) =>
      Array.from(readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g), ([, to]) => ({
        page,
        to: posix.join(posix.dirname(page), to)
      }))
    )
    expect(links.length).toBeGreaterThan(10)
    expect(links.filter(({ to }) => !packed.some((path) => path === to || path.startsWith(`${to}/`)))).toEqual([])
  })

  it('runs what its README shows first', () => {
    const code = /```js\n([^]*?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1] ?? ''
    const program = join(temp.path, 'readme.mjs')
    writeFileSync(program, code)
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8', cwd: temp.path })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^\[\n? *\{ id: 0, distance: /)
  })

  it('takes no more than 12 MB with all that it needs besides better-sqlite3', () => {
    expect(installedBytes).toBeLessThan(MOST_BYTES)
    expect(installedBytes).toBeGreaterThan(2 ** 20)
  })
})

describe('the installed package', () => {
  it.each(['small', 'large'] as const)(
    'builds, opens, searches and checks from ES modules and from CommonJS, alike (a %s input)',
    (size) => {
      const found = [writeProgram('program.mjs'), writeProgram('program.cjs', REQUIRES)].map((path) => run(path, size))
      expect(found[0]).toMatchObject(FINE)
      expect(found[1]).toEqual(found[0])
    }
  )

  it('does all that without better-sqlite3, on Node 22.13 and newer', () => {
    expect(existsSync(join(bare, 'node_modules/better-sqlite3'))).toBe(false)
    const found = [
      ['program.mjs', IMPORTS],
      ['program.cjs', REQUIRES]
    ].map(([name, imports]) => {
      const program = join(bare, name)
      copyFileSync(writeProgram(name, imports), program)
      return run(program, 'large', nodeWithSqlite())
    })
    expect(found).toMatchObject([FINE, FINE])
  })

  it('without any SQLite says what to install', () => {
    const program = join(bare, 'hidden.cjs')
    writeFileSync(program, `process.getBuiltinModule = () => undefined; ${REQUIRES}${USES.replace('export ', '')}`)
    expect(run(program, 'small')).toMatchObject({
      code: 'ZGQ_UNSUPPORTED',
      error: expect.stringContaining('npm install better-sqlite3@12')
    })
  })

  it('says what builds on many machines need', () => {
    const program = join(temp.path, 'queue.cjs')
    writeFileSync(
      program,
      `require('zgq/queue').openWorker({ queue: 'redis://127.0.0.1', store: '.' })
        .catch(({ code, message }) => console.log(JSON.stringify({ code, message })))`
    )
    expect(run(program, '')).toEqual({
      code: 'ZGQ_UNSUPPORTED',
      message: expect.stringContaining('npm install bullmq ioredis')
    })
  })

  it('starts its command', () => {
    const { stdout, status } = spawnSync(join(modules, '.bin/zgq'), ['--help'], {
      encoding: 'utf8',
      shell: process.platform === 'win32'
    })
    expect({ stdout, status }).toEqual({ stdout: expect.stringContaining('Usage: zgq COMMAND'), status: 0 })
  })
})

type Format = 'esm' | 'cjs'

/** Bundles the program and returns where the bundle is. */
const BUNDLERS: Readonly<Record<'esbuild' | 'vite', (format: Format, isOutside: boolean) => Promise<string>>> = {
  async esbuild(format, isOutside) {
    const outfile = join(temp.fresh('bundle'), format === 'esm' ? 'out.mjs' : 'out.cjs')
    await esbuild({
      entryPoints: [writeProgram('bundled.mjs')],
      absWorkingDir: temp.path,
      bundle: true,
      platform: 'node',
      format,
      outfile,
      logLevel: 'silent',
      ...(isOutside ? { packages: 'external' } : { external: ['better-sqlite3', 'koffi'] })
    })
    return outfile
  },
  async vite(format, isOutside) {
    const outDir = temp.fresh('bundle')
    await vite({
      root: temp.path,
      configFile: false,
      logLevel: 'silent',
      // Vite leaves packages out of a build for Node unless it is told otherwise.
      ssr: isOutside ? {} : { noExternal: ['zgq', 'msgpackr'], external: ['better-sqlite3', 'koffi'] },
      build: {
        ssr: writeProgram('bundled.mjs'),
        outDir,
        rollupOptions: { output: { format, entryFileNames: format === 'esm' ? 'out.mjs' : 'out.cjs' } }
      }
    })
    return join(outDir, format === 'esm' ? 'out.mjs' : 'out.cjs')
  }
}
const BUNDLES = (['esbuild', 'vite'] as const).flatMap((bundler) =>
  (['esm', 'cjs'] as const).map((format) => [bundler, format] as const)
)

describe.each(BUNDLES)('a bundle by %s (%s)', (bundler, format) => {
  it('with zgq left outside does all that the package does', async () => {
    const bundle = await BUNDLERS[bundler](format, true)
    expect(readFileSync(bundle, 'utf8')).not.toContain('ZGQ_CORRUPT')
    expect([run(bundle, 'small'), run(bundle, 'large')]).toMatchObject([FINE, FINE])
  })

  it('with zgq inside builds without threads, opens and searches, and says what threads need', async () => {
    const bundle = await BUNDLERS[bundler](format, false)
    expect(readFileSync(bundle, 'utf8') + readChunks(bundle)).toContain('ZGQ_CORRUPT')
    expect(run(bundle, 'small')).toMatchObject(FINE)
    expect(run(bundle, 'large')).toMatchObject({ code: 'ZGQ_UNSUPPORTED' })
    expect(run(bundle, database)).toMatchObject({
      code: 'ZGQ_UNSUPPORTED',
      error: expect.stringContaining('zgq/query-process')
    })
  })
})

describe('a bundle by esbuild with the entries of threads and of the process beside it', () => {
  it.each(['esm', 'cjs'] as const)(
    'does all that the package does, threads and queries included (%s)',
    async (format) => {
      const outdir = temp.fresh('bundle')
      const ending = format === 'esm' ? '.mjs' : '.cjs'
      await esbuild({
        entryPoints: {
          out: writeProgram('bundled.mjs'),
          'search-worker': 'zgq/search-worker',
          'build-worker': 'zgq/build-worker',
          'query-process': 'zgq/query-process'
        },
        absWorkingDir: temp.path,
        bundle: true,
        platform: 'node',
        format,
        outdir,
        outExtension: { '.js': ending },
        logLevel: 'silent',
        external: ['better-sqlite3', 'koffi']
      })
      const bundle = join(outdir, `out${ending}`)
      expect([run(bundle, 'small'), run(bundle, 'large')]).toMatchObject([FINE, FINE])
      expect(run(bundle, database)).toEqual({ count: ROWS })
    }
  )
})

/** Bundlers may put what is imported late into files of its own. */
function readChunks(bundle: string): string {
  const folder = join(bundle, '..')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.m?js$/.test(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
}

describe('types of the installed package', () => {
  const PROGRAM = `
import { ZgqIndex, type Hit } from 'zgq'
import { buildIndex } from 'zgq/build'
import { checkIndex } from 'zgq/check'
export async function main(): Promise<boolean> {
  const { indexId } = await buildIndex({ input: new Float32Array(4), dim: 4, output: 'x' })
  const hits: Hit[] = ZgqIndex.open('x').search([1, 2, 3, 4], { k: 10 })
  // @ts-expect-error: an id is a number
  const id: string = hits[0].id
  return (await checkIndex('x')).ok && id === indexId
}`

  const MODES = [
    { module: 'node16', moduleResolution: 'node16', files: ['use.mts', 'use.cts'] },
    { module: 'nodenext', moduleResolution: 'nodenext', files: ['use.mts', 'use.cts'] },
    { module: 'esnext', moduleResolution: 'bundler', files: ['use.ts'] }
  ]
  it.each(MODES)(
    'resolve and fit with moduleResolution $moduleResolution, in $files',
    ({ module, moduleResolution, files }) => {
      const folder = temp.fresh('types')
      mkdirSync(folder)
      for (const file of files) writeFileSync(join(folder, file), PROGRAM)
      // skipLibCheck is off: the declarations of the package are checked as well.
      const compilerOptions = {
        module,
        moduleResolution,
        target: 'es2022',
        strict: true,
        noEmit: true,
        types: ['node']
      }
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
      const { stdout, status } = spawnSync(
        process.execPath,
        [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder],
        { encoding: 'utf8' }
      )
      expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
    }
  )
})
