// Which SQLite a process takes, and what users hear where better-sqlite3 does not load: never that an index is damaged.

import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'

import { ZgqIndex } from '../src/index.ts'
import { checkIndex } from '../src/check.ts'
import { loadNodeSqlite } from '../src/catalogue/node-sqlite.ts'
import { betterSqlite3 } from './support/drivers.ts'
import { nodeWithSqlite } from './support/node-24.ts'
import { buildSmall, DIM, SMALL } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { binaries, makeProject, runInProject, type SqlitePackage } from './support/sqlite-project.ts'
import { useTempFolder } from './support/temp-folder.ts'

const INSTALL_MS = 600_000
const temp = useTempFolder('sqlite-choice')
const index = join(temp.path, 'index')
const database = join(temp.path, 'app.db')
const query = 'SELECT id, vector FROM rows'

beforeAll(async () => {
  await buildSmall(index, { bits: 4 })
  const made = betterSqlite3().open(database, { mode: 'create' })
  made.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB)')
  const insert = made.prepare('INSERT INTO rows VALUES (?, ?)')
  made.exec('BEGIN')
  for (let id = 0; id < 100; id++) insert.run(id, new Uint8Array(SMALL.slice(id * DIM, (id + 1) * DIM).buffer))
  made.exec('COMMIT')
  made.close()
})

function project(sqlite: SqlitePackage): string {
  const folder = temp.fresh('project')
  mkdirSync(folder)
  makeProject(folder, sqlite)
  return folder
}

const ZGQ = `
  import { ZgqIndex } from 'zgq'
  import { buildIndex, calibrateIndex } from 'zgq/build'
  import { checkIndex } from 'zgq/check'`
/** Hides node:sqlite, as if this Node were older. */
const HIDDEN = `const find = process.getBuiltinModule
  process.getBuiltinModule = (id) => id === 'node:sqlite' ? undefined : find(id)`
/** Says of each way to use SQLite with which code it fails. */
const EVERY_WAY = `${ZGQ}
  ${HIDDEN}
  const [index, input, query, output] = ${JSON.stringify([index, database, query, join(temp.path, 'never')])}
  const failing = async (work) => { try { await work(); return 'worked' } catch ({ code, message }) { return { code, message } } }
  print({
    open: await failing(() => ZgqIndex.open(index)),
    check: await failing(() => checkIndex(index)),
    build: await failing(() => buildIndex({ input: new Float32Array(8), dim: 4, output })),
    calibrate: await failing(() => calibrateIndex(index)),
    query: await failing(() => buildIndex({ input, query, output }))
  })`

/** The same refusal of every way. */
function refusals(pattern: RegExp): unknown {
  const refusal = { code: 'ZGQ_UNSUPPORTED', message: expect.stringMatching(pattern) }
  return { open: refusal, check: refusal, build: refusal, calibrate: refusal, query: refusal }
}

const HERE = `Node ${process.versions.node.replaceAll('.', '\\.')} has no SQLite of its own`
const isOld = Number(process.versions.node.split('.')[0]) < 22

describe('without any SQLite, opening, checking, building, calibrating and queries are ZGQ_UNSUPPORTED with what to do:', () => {
  it.each<[SqlitePackage, string]>([
    [
      'missing',
      `better-sqlite3 is not installed, and ${HERE}\\. Either use Node 22\\.13 or newer, or: npm install better-sqlite3@12`
    ],
    [
      'without a binary',
      `better-sqlite3 \\S+ (has no binary|does not load).*, and ${HERE}\\. Either use Node 22\\.13 or newer, or: `
    ],
    ['with a broken binary', `better-sqlite3 \\S+ does not load: .*, and ${HERE}`],
    ...(isOld
      ? [
          [
            'of version 13',
            `better-sqlite3 13\\.0\\.0 crashes on Node ${process.versions.node}.*npm install better-sqlite3@12`
          ] satisfies [SqlitePackage, string]
        ]
      : [])
  ])('better-sqlite3 %s', (sqlite, message) => {
    expect(runInProject(project(sqlite), EVERY_WAY).printed).toEqual(refusals(new RegExp(message)))
  })

  it(
    'better-sqlite3 under node --permission',
    () => {
      const flags = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-worker', '--no-warnings']
      const { printed } = runInProject(project('sound'), EVERY_WAY, { node: nodeWithSqlite(), flags })
      expect(printed).toEqual(refusals(/native packages may not be loaded here.*start Node with --allow-addons/))
    },
    INSTALL_MS
  )
})

/** A whole life of an index with whatever SQLite there is; prints what it took, and what it found. */
const story = (output: string): string => `${ZGQ}
  const [input, query, output] = ${JSON.stringify([database, query, output])}
  const vectors = Float32Array.from({ length: 8192 * 64 }, (_, i) => (i * 7919) % 101)
  const { indexId } = await buildIndex({ input: vectors, dim: 64, output, workers: 2 })
  await calibrateIndex(output, { queries: vectors.slice(0, 64 * 20) })
  const index = ZgqIndex.open(output)
  const hits = index.search(vectors.subarray(0, 64), { k: 3, exact: true })
  const { sqlite, calibration, reader } = index.info()
  index.close()
  const { ok } = await checkIndex(output)
  await buildIndex({ input, query, output: output + '-queried' })
  const queried = ZgqIndex.open(output + '-queried')
  print({ indexId, hits, sqlite, source: calibration.source, reader: reader.kind, ok, queried: queried.info().count })
  queried.close()`

describe('with node:sqlite instead,', () => {
  const cases: [SqlitePackage, RegExp][] = [
    ['missing', /^better-sqlite3 is not installed$/],
    ['without a binary', /^better-sqlite3 \S+ (has no binary|does not load)/],
    ['with a broken binary', /^better-sqlite3 \S+ does not load/]
  ]
  it.each(cases)(
    'an index is built, calibrated, opened, searched, checked, and built from a query (better-sqlite3 %s)',
    async (sqlite, reason) => {
      const output = temp.fresh('built')
      const { printed, stderr } = runInProject(project(sqlite), story(output), { node: nodeWithSqlite() })
      expect(printed).toMatchObject({
        hits: [{}, {}, {}],
        sqlite: {
          driver: 'node:sqlite',
          version: expect.stringMatching(/^3\./),
          reason: expect.stringMatching(reason)
        },
        source: 'queries',
        ok: true,
        queried: 100
      })
      expect(stderr).toBe('')
      // This process reads with better-sqlite3 what the other wrote.
      expect(await checkIndex(output)).toMatchObject({ ok: true })
      const { indexId, hits } = Object(printed)
      const opened = ZgqIndex.open(output)
      const vectors = Float32Array.from({ length: 64 }, (_, i) => (i * 7919) % 101)
      expect([opened.info().indexId, opened.search(vectors, { k: 3, exact: true })]).toEqual([indexId, hits])
      opened.close()
    },
    INSTALL_MS
  )

  it(
    'the same folder is read as with better-sqlite3',
    () => {
      const script = `${ZGQ}
      const index = ZgqIndex.open(${JSON.stringify(index)})
      print([index.info().indexId, index.search(${JSON.stringify(Array.from(SMALL.slice(0, DIM)))}, { k: 9 })])`
      const [there, here] = [
        runInProject(project('missing'), script, { node: nodeWithSqlite() }).printed,
        runInProject(project('sound'), script).printed
      ]
      expect(there).toEqual(here)
    },
    INSTALL_MS
  )

  // Node 22 and newer take better-sqlite3 13, which has one binary for all of them.
  if (isOld)
    it(
      'a better-sqlite3 that was compiled for another Node is left alone',
      () => {
        const script = `${ZGQ}
      print(ZgqIndex.open(${JSON.stringify(index)}).info().sqlite)`
        expect(runInProject(project('sound'), script, { node: nodeWithSqlite() }).printed).toMatchObject({
          driver: 'node:sqlite',
          reason: expect.stringMatching(/was compiled for another Node\.js or Electron$/)
        })
      },
      INSTALL_MS
    )

  it(
    'node --permission opens, searches and checks without addons, and says what a query needs',
    () => {
      const script = `${ZGQ}
      const index = ZgqIndex.open(${JSON.stringify(index)})
      const { sqlite, reader } = index.info()
      const hits = index.search(${JSON.stringify(Array.from(SMALL.slice(0, DIM)))}, { k: 1 }).length
      const { ok } = await checkIndex(${JSON.stringify(index)})
      const failed = await buildIndex({ input: ${JSON.stringify(database)}, query: 'SELECT 1', output: ${JSON.stringify(join(temp.path, 'never'))} }).catch(({ code, message }) => ({ code, message }))
      print({ sqlite, reader: reader.kind, hits, ok, failed })`
      const flags = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--no-warnings']
      expect(runInProject(project('sound'), script, { node: nodeWithSqlite(), flags }).printed).toMatchObject({
        sqlite: { driver: 'node:sqlite', reason: 'native packages may not be loaded here' },
        reader: 'pread',
        hits: 1,
        ok: true,
        failed: { code: 'ZGQ_UNSUPPORTED', message: expect.stringContaining('--allow-child-process') }
      })
    },
    INSTALL_MS
  )
})

describe('one driver a process', () => {
  it('is that of info(), in worker threads too, whatever would load there', () => {
    const script = `${ZGQ}
      import { Worker } from 'node:worker_threads'
      const path = ${JSON.stringify(index)}
      const here = ZgqIndex.open(path).info().sqlite
      // In this thread better-sqlite3 loads no more.
      const code = \`
        const Module = require('node:module'); const load = Module._load
        Module._load = (name, ...rest) => { if (name === 'better-sqlite3') throw new Error('not here'); return load(name, ...rest) }
        const { ZgqIndex } = require(\${JSON.stringify(require.resolve('zgq'))})
        const { parentPort } = require('node:worker_threads')
        try { parentPort.postMessage(ZgqIndex.open(\${JSON.stringify(path)}).info().sqlite) } catch ({ code, message }) { parentPort.postMessage({ code, message }) }\`
      const there = await new Promise((resolve, reject) => { new Worker(code, { eval: true }).on('message', resolve).on('error', reject) })
      print({ here, there })`
    expect(runInProject(project('sound'), script).printed).toMatchObject({
      here: { driver: 'better-sqlite3', reason: expect.stringMatching(/^better-sqlite3 \S+ is installed$/) },
      there: {
        code: 'ZGQ_UNSUPPORTED',
        message: expect.stringMatching(
          /this process uses better-sqlite3, and in this thread better-sqlite3 \S+ does not load: not here/
        )
      }
    })
  })
})

describe('loading node:sqlite', () => {
  it('keeps back the one warning that SQLite is experimental, and no other', () => {
    const shown = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const patched = process.emitWarning
    const found = vi.spyOn(process, 'getBuiltinModule').mockImplementation(() => {
      process.emitWarning('SQLite is an experimental feature and might change at any time', 'ExperimentalWarning')
      process.emitWarning('something else', 'ExperimentalWarning')
      return undefined
    })
    try {
      expect(loadNodeSqlite()).toMatchObject({ remedy: 'use Node 22.13 or newer' })
      expect(shown.mock.calls).toEqual([['something else', 'ExperimentalWarning']])
      expect(process.emitWarning).toBe(patched)
    } finally {
      found.mockRestore()
      shown.mockRestore()
    }
  })
})

describe.runIf(process.platform === 'linux')('a database that the app has open with another SQLite library', () => {
  it('keeps its locks while and after a build reads it', () => {
    const path = join(temp.path, 'open.db')
    copyFileSync(database, path)
    const folder = project('sound')
    // A second copy of the binary is a library of its own, as another package of SQLite would be.
    const copy = join(folder, 'another.node')
    copyFileSync(join(ROOT, 'node_modules/better-sqlite3', binaries()[0]), copy)
    expect(existsSync(copy)).toBe(true)
    const script = `${ZGQ}
      import { spawnSync } from 'node:child_process'
      const Sqlite = require('better-sqlite3')
      const [path, copy, output] = ${JSON.stringify([path, copy, join(temp.path, 'from-open')])}
      const rival = () => spawnSync(process.execPath, ['-e', \`
        const database = new (require('better-sqlite3'))(\${JSON.stringify(path)}, { timeout: 0 })
        try { database.exec('BEGIN IMMEDIATE'); console.log('got in') } catch ({ code }) { console.log(code) }\`], { encoding: 'utf8' }).stdout.trim()
      const app = new Sqlite(path, { nativeBinding: copy })
      app.exec('BEGIN IMMEDIATE; DELETE FROM rows WHERE id = 1')
      const before = rival()
      await buildIndex({ input: path, query: ${JSON.stringify(query)}, output })
      const after = rival()
      app.exec('COMMIT')
      print({ before, after, count: ZgqIndex.open(output).info().count })`
    expect(runInProject(folder, script).printed).toEqual({ before: 'SQLITE_BUSY', after: 'SQLITE_BUSY', count: 100 })
  })
})
