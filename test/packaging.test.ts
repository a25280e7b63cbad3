// The package as a program uses it: ES modules, CommonJS and types, from a project of its own that has zgq in
// node_modules.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('packaging')
const ENTRIES = {
  zgq: 'index',
  'zgq/build': 'build',
  'zgq/check': 'check',
  'zgq/publish': 'publish',
  'zgq/queue': 'queue',
  'zgq/s3': 's3'
} as const

beforeAll(() => {
  if (!existsSync(join(ROOT, 'dist/index.cjs'))) throw new Error('dist/ is missing: run npm run build first')
  mkdirSync(join(temp.path, 'node_modules/@types'), { recursive: true })
  symlinkSync(ROOT, join(temp.path, 'node_modules/zgq'), 'junction')
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(temp.path, 'node_modules/@types/node'), 'junction')
  writeFileSync(join(temp.path, 'package.json'), '{"name":"a-project","private":true}')
})

/** Runs a script in the project; returns the JSON that it prints. */
function run(name: string, script: string): unknown {
  const path = join(temp.path, name)
  writeFileSync(path, script)
  return JSON.parse(execFileSync(process.execPath, [path], { encoding: 'utf8', cwd: temp.path }))
}

const IMPORTS = {
  mjs:
    `import * as zgq from 'zgq'; import * as build from 'zgq/build'; import * as check from 'zgq/check'; import ` +
    `{ createRequire } from 'node:module'; const require = createRequire(import.meta.url)`,
  cjs: `const zgq = require('zgq'); const build = require('zgq/build'); const check = require('zgq/check')`
} as const

/** Builds, searches and checks, and fails on purpose. */
const story = (ending: keyof typeof IMPORTS): string => `${IMPORTS[ending]}
async function main() {
  const output = ${JSON.stringify(join(temp.path, `index-${ending}`))}
  const report = await build.buildIndex({ input: Float32Array.from({ length: 400 }, (_, i) => (i * 7919) % 101), dim: 4, output, zones: 5 })
  const index = zgq.ZgqIndex.open(output)
  const hits = index.search([1, 2, 3, 4], { k: 3, exact: true })
  const info = index.info()
  index.close()
  const { ok } = await check.checkIndex(output)
  const again = await build.buildIndex({ input: new Float32Array(4), dim: 4, output }).catch((error) => error)
  const missing = await check.checkIndex(output + '-nowhere').catch((error) => error)
  console.log(JSON.stringify({
    exports: [zgq, build, check].map((entry) => Object.keys(entry).filter((name) => name !== '__esModule' && name !== 'module.exports').sort()),
    indexId: report.indexId, hits, count: info.count, kernel: info.kernel, reader: info.reader.kind, ok,
    isZgqError: [again instanceof zgq.ZgqError, again instanceof build.ZgqError, missing instanceof zgq.ZgqError], codes: [again.code, missing.code],
    version: require('zgq/package.json').version
  }))
}
main()`

describe.each(['mjs', 'cjs'] as const)('a program in a .%s file', (ending) => {
  it('builds, opens, searches and checks', () => {
    expect(run(`story.${ending}`, story(ending))).toMatchObject({
      exports: [
        ['DEFAULT_RECALL', 'ZgqError', 'ZgqIndex'],
        [
          'ZgqError',
          'buildIndex',
          'buildStage',
          'calibrateIndex',
          'openVectorFile',
          'readIvecs',
          'readRows',
          'readVectors'
        ],
        ['ZgqError', 'checkIndex', 'repairIndex']
      ],
      count: 100,
      kernel: 'wasm',
      ok: true,
      hits: [{ id: expect.any(Number) }, {}, {}],
      isZgqError: [true, true, true],
      codes: ['ZGQ_EXISTS', 'ZGQ_NOT_FOUND'],
      version: expect.stringMatching(/^\d+\.\d+\.\d+/)
    })
  })
})

it('ES modules and CommonJS behave the same', () => {
  expect(run('story-again.mjs', story('mjs').replace('index-mjs', 'again-mjs'))).toEqual(
    run('story-again.cjs', story('cjs').replace('index-cjs', 'again-cjs'))
  )
})

it('a program that opens an index in a worker thread finds the same', () => {
  const found = run(
    'worker.mjs',
    `
    import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
    import { ZgqIndex } from 'zgq'
    import { buildIndex } from 'zgq/build'
    const output = ${JSON.stringify(join(temp.path, 'index-worker'))}
    const search = (path) => {
      const index = ZgqIndex.open(path)
      const hits = index.search([1, 2, 3, 4], { k: 3 })
      index.close()
      return hits
    }
    if (isMainThread) {
      await buildIndex({ input: Float32Array.from({ length: 400 }, (_, i) => (i * 7919) % 101), dim: 4, output })
      const here = search(output)
      const there = await new Promise((resolve, reject) => { new Worker(new URL(import.meta.url), { workerData: output }).on('message', resolve).on('error', reject) })
      console.log(JSON.stringify({ here, there }))
    } else {
      parentPort.postMessage(search(workerData))
    }`
  )
  const { here, there } = Object(found)
  expect(there).toEqual(here)
})

describe('zgq/queue', () => {
  const PROGRAM = `
const found = { exports: Object.keys(queue).filter((name) => name !== '__esModule' && name !== 'module.exports').sort() }
queue.openWorker({ queue: 'redis://127.0.0.1', store: '.', stores: '.' }).catch((error) => {
  console.log(JSON.stringify({ ...found, wrong: error.name + ': ' + error.message }))
})`

  it.each([
    ['mjs', `import * as queue from 'zgq/queue'`],
    ['cjs', `const queue = require('zgq/queue')`]
  ])('has what it promises in a .%s file', (ending, load) => {
    expect(run(`queue.${ending}`, load + PROGRAM)).toEqual({
      exports: ['ZgqError', 'buildOnQueue', 'openWorker'],
      wrong: expect.stringMatching(/^TypeError: .*stores/)
    })
  })

  it('is loaded with neither bullmq nor ioredis', () => {
    const loaded = run('load.cjs', `require('zgq/queue'); console.log(JSON.stringify(Object.keys(require.cache)))`)
    const files = Array.isArray(loaded) ? loaded.map(String) : []
    expect(files.filter((path) => /dist[/\\\\]queue/.test(path))).toHaveLength(1)
    expect(files.filter((path) => /bullmq|ioredis/.test(path))).toEqual([])
  })
})

describe('loading zgq', () => {
  /** Only the code of a build refuses what stands at its output. */
  const BUILD_MARK = 'choose another output'
  const CHECK_MARK = ': two rows have it'

  it('with require loads no code of builds or checks, and no native module', () => {
    const loaded: unknown = run('cache.cjs', `require('zgq'); console.log(JSON.stringify(Object.keys(require.cache)))`)
    const files = Array.isArray(loaded) ? loaded.map(String).filter((path) => !path.endsWith('cache.cjs')) : []
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((path) => /better-sqlite3|koffi/.test(path))).toEqual([])
    const text = files.map((path) => readFileSync(path, 'utf8')).join('\n')
    expect([text.includes(BUILD_MARK), text.includes(CHECK_MARK)]).toEqual([false, false])
  })

  it('with import loads no code of builds or checks', () => {
    const seen = new Set<string>()
    const follow = (path: string): void => {
      if (seen.has(path)) return
      seen.add(path)
      for (const [, target] of readFileSync(path, 'utf8').matchAll(/^(?:import|export)\b[^'"]*["'](\.[^'"]+)["']/gm))
        follow(join(dirname(path), target))
    }
    follow(join(ROOT, 'dist/index.js'))
    const text = Array.from(seen, (path) => readFileSync(path, 'utf8')).join('\n')
    expect([text.includes('class ZgqIndex'), text.includes(BUILD_MARK), text.includes(CHECK_MARK)]).toEqual([
      true,
      false,
      false
    ])
  })

  it.each(Object.keys(ENTRIES))('with require works without waiting: %s has no top-level await', (entry) => {
    expect(run('sync.cjs', `console.log(JSON.stringify(typeof require(${JSON.stringify(entry)})))`)).toBe('object')
  })

  it('refuses a path that is not exported', () => {
    const path = join(temp.path, 'inside.cjs')
    writeFileSync(path, `require('zgq/dist/index.cjs')`)
    expect(spawnSync(process.execPath, [path], { encoding: 'utf8' }).stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED')
  })
})

describe('types', () => {
  const PROGRAM = `
import { ZgqError, ZgqIndex, type ExplainedHits, type Hit, type IndexInfo } from 'zgq'
import { buildIndex, type BuildProgress, type VectorBatch } from 'zgq/build'
import { checkIndex, type CheckReport } from 'zgq/check'
import { folderStore, publishIndex, type ObjectStore, type PublishReport } from 'zgq/publish'
import { buildOnQueue, openWorker, type BuildWorker, type QueueBuildOptions, type QueueFacts, type TaskDone } from 'zgq/queue'
import { s3Source, type ByteSource } from 'zgq/s3'

async function* batches(): AsyncGenerator<VectorBatch> {
  yield { vectors: new Float32Array(4), ids: [1] }
}

export async function main(): Promise<void> {
  const { indexId } = await buildIndex({ input: batches(), dim: 4, output: 'x', metric: 'cosine', onProgress: (progress: BuildProgress) => progress.stage, signal: AbortSignal.timeout(1) })
  const index = ZgqIndex.open('x', { mapping: 'auto', cacheBytes: 2 ** 20, verify: 'touch' })
  const hits: Hit[] = index.search([1, 2, 3, 4], { k: 10, nprobe: 3 })
  const { explain } = index.search(new Float32Array(4), { exact: true, explain: true })
  const later: Promise<Hit[][]> = index.searchBatch(new Float32Array(8), { signal: AbortSignal.timeout(1) })
  const explained: Promise<ExplainedHits[]> = index.searchBatch(new Float32Array(8), { explain: true })
  const one: Hit[] = await index.searchAsync([1, 2, 3, 4])
  // @ts-expect-error: search ends before it could be aborted
  index.search([1], { signal: AbortSignal.timeout(1) })
  const info: IndexInfo = index.info()
  const report: CheckReport = await checkIndex('x')
  // @ts-expect-error: an unknown option
  index.search([1], { nprobes: 3 })
  // @ts-expect-error: an unknown metric
  await buildIndex({ input: 'x.fbin', output: 'x', metric: 'dot' })
  const store: ObjectStore = folderStore('y')
  const published: PublishReport = await publishIndex({ index: 'x', to: store, signal: AbortSignal.timeout(1) })
  const source: ByteSource = s3Source({ bucket: 'b', prefix: published.digest })
  // @ts-expect-error: no client
  s3Source({ bucket: 'b', client: { put: source } })
  const worker: BuildWorker = await openWorker({ queue: 'redis://localhost', store: 'y', concurrency: 2, onTask: ({ kind, runMs }: TaskDone) => kind + String(runMs) })
  const shared: QueueBuildOptions = { input: 's3://b/x.fbin', output: 'x', queue: 'redis://localhost', store: 's3://b/builds', onQueue: ({ workers }: QueueFacts) => workers }
  const built: string = (await buildOnQueue(shared)).indexId
  await worker.close(true)
  // @ts-expect-error: no store
  await openWorker({ queue: built })
  index.close()
  if (report.ok && hits[0].id > explain.vectorsScanned) throw new ZgqError('ZGQ_IO', indexId + info.metric + String(await later) + String(await explained) + String(one))
}`

  it.each(['mts', 'cts'] as const)('resolve and fit in a .%s file', (ending) => {
    const folder = join(temp.path, ending)
    mkdirSync(folder)
    writeFileSync(join(folder, `use.${ending}`), PROGRAM)
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      noEmit: true,
      exactOptionalPropertyTypes: true,
      types: ['node']
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [`use.${ending}`] }))
    const { stdout, status } = spawnSync(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder],
      { encoding: 'utf8' }
    )
    expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
  })
})

describe('package.json', () => {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

  it('names files that exist, for every entry and way to load it', () => {
    const named =
      JSON.stringify([
        Object(manifest).exports,
        Object(manifest).bin,
        Object(manifest).main,
        Object(manifest).types
      ]).match(/(?:\.\/)?dist\/[\w.-]+/g) ?? []
    expect(named.length).toBeGreaterThan(12)
    expect(named.filter((name) => !existsSync(join(ROOT, name)))).toEqual([])
  })

  it('has no script that runs when the package is installed', () => {
    expect(Object.keys(Object(manifest).scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual(
      []
    )
  })

  it('makes the command one that a shell can start', () => {
    expect(readFileSync(join(ROOT, 'dist/zgq.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })
})
