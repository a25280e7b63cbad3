// Builds: the same bytes for the same input, even zones on any data, nothing half-written, nothing lost.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex, type BuildOptions, type BuildProgress, type BuildStage, type VectorBatch } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqError } from '../src/errors.ts'
import { createScalarKernel } from '../src/kernels/scalar-kernel.ts'
import type { OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { DATASETS, makeIds, makeVectors, type DataSetName } from './support/datasets.ts'
import { codeOf } from './support/errors.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { expectNearest } from './support/hits.ts'
import { randomFrom } from './support/random.ts'
import { ROOT } from './support/sources.ts'
import { dataFileDigests, fileDigests, readStored } from './support/stored-rows.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs, npy } from './support/vector-files.ts'

const kernels = vi.hoisted(() => ({ isScalar: false }))
vi.mock(import('../src/kernels/load-kernel.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return { loadKernel: () => (kernels.isScalar ? createScalarKernel() : original.loadKernel()) }
})
vi.mock('node:fs', async (importOriginal) => (await import('./support/failing-fs.ts')).failingFs(await importOriginal()))
afterEach(resetFaults)

const temp = useTempFolder('build')
const MIB = 2 ** 20
const METRICS = ['l2', 'cosine', 'ip'] as const

/** Makes an empty folder and names an output in it. */
function place(): { folder: string; output: string } {
  const folder = temp.fresh('place')
  mkdirSync(folder)
  return { folder, output: join(folder, 'index') }
}

/** Returns what a promise rejects with. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => { throw new Error('it resolved') }, (reason: unknown) => reason)
}

/** Returns the ZgqError that a promise rejects with. */
async function errorFrom(promise: Promise<unknown>): Promise<ZgqError> {
  const reason = await rejection(promise)
  if (reason instanceof ZgqError) return reason
  throw reason
}

async function* batchesOf(vectors: Float32Array, dim: number, sizes: readonly number[], ids?: readonly number[]): AsyncGenerator<VectorBatch> {
  const count = vectors.length / dim
  for (let row = 0, batch = 0; row < count; batch++) {
    const end = Math.min(count, row + sizes[batch % sizes.length])
    await setImmediate()
    yield { vectors: vectors.slice(row * dim, end * dim), ...(ids === undefined ? {} : { ids: ids.slice(row, end) }) }
    row = end
  }
}

const DIM = 8
const SMALL = makeVectors('clustered', { count: 500, dim: DIM }, 1)

const buildSmall = (output: string, options: Partial<BuildOptions> = {}): ReturnType<typeof buildIndex> => buildIndex({ input: SMALL, dim: DIM, zones: 10, output, ...options })

describe('the same input, options and seed give the same data files', () => {
  const seed = 11
  const dim = 24
  const count = 3000
  const vectors = makeVectors('power-law clusters', { count, dim }, seed)
  const ids = makeIds(count, seed)
  const digests = async (options: Partial<BuildOptions>): Promise<unknown> => {
    const { output } = place()
    const { indexId } = await buildIndex({ input: vectors, dim, ids, zones: 40, output, ...options })
    return { indexId, files: dataFileDigests(output) }
  }
  let reference: unknown
  beforeAll(async () => { reference = await digests({}) })

  it('for a second build', async () => {
    expect(await digests({})).toEqual(reference)
  })

  it('for the options that have defaults', async () => {
    expect(await digests({ metric: 'l2', bits: 0, seed: 1, force: true })).toEqual(reference)
  })

  it.each([['fbin', fbin], ['fvecs', fvecs], ['npy', npy]] as const)('for a .%s file', async (ending, encode) => {
    const input = temp.fresh(`vectors.${ending}`)
    writeFileSync(input, encode(vectors, dim))
    expect(await digests({ input, dim: undefined })).toEqual(reference)
  })

  it.each([[[1]], [[997, 1, 64]], [[3000]], [[5000]]])('for batches of %j rows', async (sizes) => {
    expect(await digests({ input: batchesOf(vectors, dim, sizes, ids), ids: undefined })).toEqual(reference)
  })

  it('for ids in a file', async () => {
    const path = temp.fresh('ids.txt')
    writeFileSync(path, ids.join('\n'))
    expect(await digests({ ids: path })).toEqual(reference)
  })

  it.each(METRICS)('for either kernel (%s)', async (metric) => {
    const wasm = await digests({ metric })
    kernels.isScalar = true
    try {
      expect(await digests({ metric })).toEqual(wasm)
    } finally {
      kernels.isScalar = false
    }
  })

  it('for 64 MB of memory, where rows are in several runs, as for 512 MB', async () => {
    const many = { input: makeVectors('power-law clusters', { count: 60_000, dim: 80 }, seed), ids: undefined, dim: 80, zones: 100 }
    expect(await digests({ ...many, memoryBytes: 64 * MIB })).toEqual(await digests({ ...many, memoryBytes: 512 * MIB }))
  })

  it('and another seed gives another index id', async () => {
    expect(await digests({ seed: 2 })).not.toMatchObject({ indexId: Object(reference).indexId })
  })

  it('and other ids give another index id', async () => {
    expect(await digests({ ids: undefined })).not.toMatchObject({ indexId: Object(reference).indexId })
  })
})

/** Builds, and expects even zones that hold every row once, unchanged, and an exact search that is right. */
async function expectSound(options: { vectors: Float32Array; dim: number; ids: readonly number[]; metric: (typeof METRICS)[number]; zones: number | undefined }): Promise<void> {
  const { vectors, dim, ids, metric, zones } = options
  const { output } = place()
  await buildIndex({ input: vectors, dim, ids, metric, zones, output })
  const stored = readStored(output)
  const sizes = stored.map((zone) => zone.ids.length)
  expect(Math.min(...sizes)).toBeGreaterThan(0)
  expect(Math.max(...sizes)).toBeLessThanOrEqual((4 * ids.length) / stored.length)
  if (zones !== undefined) expect(stored.length).toBeLessThanOrEqual(2 * zones)
  const rowById = new Map(stored.flatMap((zone) => zone.ids.map((id, i) => [id, rowOf(zone.rows, dim, i)])))
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(ids.length)
  const bits = (row: Float32Array | undefined): string => (row === undefined ? 'missing' : Buffer.from(Float32Array.from(row).buffer).toString('hex'))
  const changed = ids.filter((id, i) => bits(rowById.get(id)) !== bits(rowOf(vectors, dim, i)))
  expect(changed).toEqual([])
  await checkIndex(output)
  const query = rowOf(vectors, dim, ids.length - 1)
  const index = ZgqIndex.open(output)
  try {
    expectNearest(index.search(query, { exact: true, k: 20 }), { metric, rows: vectors, ids, query }, 20)
  } finally {
    index.close()
  }
}

const DATASET_NAMES = Object.keys(DATASETS).filter((name): name is DataSetName => name in DATASETS)

describe('zones are even and hold every row once, unchanged', () => {
  const seed = 21

  it.each(DATASET_NAMES.flatMap((name) => METRICS.map((metric) => ({ name, metric }))))(`$name, $metric (seed ${seed})`, async ({ name, metric }) => {
    const shape = { count: 2000, dim: 6 }
    await expectSound({ vectors: makeVectors(name, shape, seed), dim: 6, ids: makeIds(shape.count, seed), metric, zones: 40 })
  })

  it.each([
    ['one vector', 1, undefined], ['one vector, many zones', 1, 50], ['two vectors, one zone', 2, 1], ['fewer vectors than zones', 10, 1000],
    ['one zone', 300, 1], ['as many zones as vectors', 300, 300], ['one zone less than vectors', 300, 299], ['half as many zones as vectors', 301, 150], ['zones by default', 3000, undefined]
  ])('%s', async (_, count, zones) => {
    for (const name of ['normal', 'one vector repeated', 'a line'] as const) {
      await expectSound({ vectors: makeVectors(name, { count, dim: 4 }, seed), dim: 4, ids: makeIds(count, seed), metric: 'l2', zones })
    }
  })

  it.each(Array.from({ length: 60 }, (_, i) => 1000 + i))('random case with seed %d', async (caseSeed) => {
    const random = randomFrom(caseSeed)
    const upTo = (most: number): number => 1 + Math.floor(random() * most)
    const shape = { count: upTo(random() < 0.3 ? 20 : 700), dim: upTo(12) }
    const name = DATASET_NAMES[upTo(DATASET_NAMES.length) - 1]
    const zones = random() < 0.1 ? undefined : upTo(random() < 0.3 ? shape.count : 40)
    await expectSound({ vectors: makeVectors(name, shape, caseSeed), dim: shape.dim, ids: makeIds(shape.count, caseSeed), metric: METRICS[upTo(3) - 1], zones })
  })

  it.each([4096, 65_536])('vectors of %d dimensions', async (dim) => {
    await expectSound({ vectors: makeVectors('normal', { count: 12, dim }, seed), dim, ids: makeIds(12, seed), metric: 'cosine', zones: 3 })
  })

  it('rows without ids are numbered in the order of the input', async () => {
    const { output } = place()
    await buildSmall(output)
    const stored = readStored(output)
    expect(stored.flatMap((zone) => zone.ids).sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i))
    const wrong = stored.flatMap((zone) => zone.ids.filter((id, i) => rowOf(SMALL, DIM, id).join() !== rowOf(zone.rows, DIM, i).join()))
    expect(wrong).toEqual([])
  })
})

describe('what a build tells', () => {
  const STAGES: readonly BuildStage[] = ['read', 'sample', 'train', 'assign', 'write', 'publish']

  it('is the stages in order, never done beyond their total', async () => {
    const told: BuildProgress[] = []
    await buildSmall(place().output, { input: batchesOf(SMALL, DIM, [100]), onProgress: (progress) => { told.push(progress) } })
    const order = told.map((progress) => STAGES.indexOf(progress.stage))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(new Set(order).size).toBe(STAGES.length)
    expect(told.filter(({ done, total }) => total !== 0 && done > total)).toEqual([])
  })

  it('ends with the index in its place', async () => {
    const { output } = place()
    const seen: boolean[] = []
    await buildSmall(output, { onProgress: () => { seen.push(existsSync(output)) } })
    expect(seen.indexOf(true)).toBe(seen.length - 1)
  })

  it('is at last a report of what the index holds', async () => {
    const { folder, output } = place()
    const report = await buildSmall(output, { metric: 'cosine' })
    const bytes = readdirSync(output).reduce((sum, name) => sum + readFileSync(join(output, name)).byteLength, 0)
    expect(readdirSync(folder)).toEqual(['index'])
    expect(report).toEqual({ path: output, count: 500, dim: DIM, metric: 'cosine', zones: readStored(output).length, bits: 0, bytes, indexId: expect.stringMatching(/^[0-9a-f]{32}$/) })
  })
})

describe('an aborted build', () => {
  const reason = new Error('enough')

  it('rejects with the reason and leaves nothing: aborted before it starts', async () => {
    const { folder, output } = place()
    expect(await rejection(buildSmall(output, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(['read', 'sample', 'train', 'assign', 'write', 'publish'] as const)('rejects with the reason and leaves nothing: aborted at %s', async (stage) => {
    const { folder, output } = place()
    const controller = new AbortController()
    const onProgress = (progress: BuildProgress): void => { if (progress.stage === stage) controller.abort(reason) }
    expect(await rejection(buildSmall(output, { input: batchesOf(SMALL, DIM, [100]), signal: controller.signal, onProgress }))).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })

  it('rejects with the reason while it waits for the next batch', async () => {
    const controller = new AbortController()
    const gate = new Gate()
    async function* slow(): AsyncGenerator<VectorBatch> {
      yield { vectors: SMALL }
      await gate.opened
    }
    let found: unknown = 'nothing yet'
    const build = rejection(buildSmall(place().output, { input: slow(), signal: controller.signal })).then((thrown) => { found = thrown })
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    controller.abort(reason)
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    const before = found
    gate.open()
    await build
    expect(before).toBe(reason)
  })

  it('leaves the index that it was to replace', async () => {
    const { folder, output } = place()
    await buildSmall(output)
    const before = fileDigests(output)
    const controller = new AbortController()
    const onProgress = (progress: BuildProgress): void => { if (progress.stage === 'publish') controller.abort(reason) }
    await rejection(buildSmall(output, { seed: 2, force: true, signal: controller.signal, onProgress }))
    expect(readdirSync(folder)).toEqual(['index'])
    expect(fileDigests(output)).toEqual(before)
  })

  it('rejects with what onProgress throws, and leaves nothing', async () => {
    const { folder, output } = place()
    expect(await rejection(buildSmall(output, { onProgress: () => { throw reason } }))).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })
})

/** A promise that is opened from outside. */
class Gate {
  open: () => void = () => undefined
  readonly opened = new Promise<void>((resolve) => { this.open = resolve })
}

describe('the place of the output', () => {
  it('is refused with ZGQ_EXISTS where an index is, which stays as it was', async () => {
    const { folder, output } = place()
    await buildSmall(output)
    const before = fileDigests(output)
    expect((await errorFrom(buildSmall(output, { seed: 2 }))).code).toBe('ZGQ_EXISTS')
    expect(readdirSync(folder)).toEqual(['index'])
    expect(fileDigests(output)).toEqual(before)
  })

  it('is taken over with force where an index is', async () => {
    const { folder, output } = place()
    const old = await buildSmall(output)
    const report = await buildSmall(output, { seed: 2, force: true })
    const index = ZgqIndex.open(output)
    const { indexId } = index.info()
    index.close()
    expect(readdirSync(folder)).toEqual(['index'])
    expect(report.indexId).not.toBe(old.indexId)
    expect(indexId).toBe(report.indexId)
  })

  it('is taken over with force while the index there is open, which goes on to answer', async () => {
    const { output } = place()
    await buildSmall(output)
    const open = (['mmap', 'pread'] as const).map((mapping) => ZgqIndex.open(output, { mapping, cacheBytes: 0 }))
    const before = open.map((index) => index.search(rowOf(SMALL, DIM, 0), { exact: true }))
    await buildIndex({ input: makeVectors('uniform', { count: 9, dim: 2 }, 5), dim: 2, output, force: true })
    const after = open.map((index) => index.search(rowOf(SMALL, DIM, 0), { exact: true }))
    for (const index of open) index.close()
    expect(after).toEqual(before)
  })

  const others: readonly (readonly [string, (output: string) => void])[] = [
    ['a folder with a file', (output) => {
      mkdirSync(output)
      writeFileSync(join(output, 'diary.txt'), 'dear diary')
    }],
    ['an empty folder', (output) => { mkdirSync(output) }],
    ['a folder whose catalogue.sqlite is something else', (output) => {
      mkdirSync(output)
      writeFileSync(join(output, 'catalogue.sqlite'), 'my own catalogue')
      writeFileSync(join(output, 'diary.txt'), 'dear diary')
    }]
  ]

  it.each(others)('is refused with ZGQ_EXISTS where %s is', async (_, make) => {
    const { folder, output } = place()
    make(output)
    const before = fileDigests(output)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect([readdirSync(folder), fileDigests(output)]).toEqual([['index'], before])
  })

  it.each(others)('is refused with ZGQ_NOT_AN_INDEX, force or not, where %s is', async (_, make) => {
    const { folder, output } = place()
    make(output)
    const before = fileDigests(output)
    expect((await errorFrom(buildSmall(output, { force: true }))).code).toBe('ZGQ_NOT_AN_INDEX')
    expect([readdirSync(folder), fileDigests(output)]).toEqual([['index'], before])
  })

  it.each([[false, 'ZGQ_EXISTS'], [true, 'ZGQ_NOT_AN_INDEX']] as const)('is refused where a plain file is (force %s: %s)', async (force, code) => {
    const { folder, output } = place()
    writeFileSync(output, 'a plain file')
    expect((await errorFrom(buildSmall(output, { force }))).code).toBe(code)
    expect([readdirSync(folder), readFileSync(output, 'utf8')]).toEqual([['index'], 'a plain file'])
  })

  it('is refused with ZGQ_NOT_FOUND where the folder for it is missing', async () => {
    const { folder, output } = place()
    expect((await errorFrom(buildSmall(join(output, 'below')))).code).toBe('ZGQ_NOT_FOUND')
    expect(readdirSync(folder)).toEqual([])
  })

  it('may be a relative path', async () => {
    const { folder } = place()
    const work = process.cwd()
    process.chdir(folder)
    try {
      await buildSmall('index')
    } finally {
      process.chdir(work)
    }
    expect(readdirSync(folder)).toEqual(['index'])
  })
})

/** Starts a process that builds into `output` and waits for its second batch for ever. */
async function startBuild(output: string): Promise<ChildProcess> {
  const script = `
    import { buildIndex } from ${JSON.stringify(join(ROOT, 'dist/build.js'))}
    async function* batches() {
      yield { vectors: new Float32Array(8).fill(1) }
      process.stdout.write('building')
      process.stdin.resume()
      await new Promise(() => {})
    }
    await buildIndex({ input: batches(), dim: 8, output: ${JSON.stringify(output)}, force: true })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

describe('another build into the same output', () => {
  it('is refused with ZGQ_LOCKED while a process builds, which goes on', async () => {
    const { folder, output } = place()
    const child = await startBuild(output)
    try {
      expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
      expect(readdirSync(folder)).toEqual(['index.building'])
      expect(readdirSync(join(folder, 'index.building'))).toContain('lock.json')
    } finally {
      await kill(child)
    }
  })

  it('is refused with ZGQ_LOCKED while this process builds', async () => {
    const { output } = place()
    const first = buildSmall(output)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
    await first
  })

  it('clears away what a killed build left', async () => {
    const { folder, output } = place()
    await kill(await startBuild(output))
    expect(readdirSync(folder)).toEqual(['index.building'])
    await buildSmall(output)
    expect(readdirSync(folder)).toEqual(['index'])
    await checkIndex(output)
  })

  it('is refused with ZGQ_LOCKED where a process of another host has the lock', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, { pid: 1, host: 'another.example' })
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
  })

  it('is refused with ZGQ_LOCKED where a third one cleared away a dead build and took the place meanwhile', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, DEAD)
    const alive = { pid: process.ppid, host: hostname() }
    resetFaults()
    faults.afterCall = (call) => {
      if (faults.calls[call] !== 'readFileSync' || faults.calls.indexOf('readFileSync') !== call) return
      rmSync(join(folder, 'index.building'), { recursive: true })
      leaveBuilding(folder, alive)
    }
    const error = await errorFrom(buildSmall(output))
    resetFaults()
    expect(error.code).toBe('ZGQ_LOCKED')
    expect(readdirSync(folder)).toEqual(['index.building'])
    expect(JSON.parse(readFileSync(join(folder, 'index.building/lock.json'), 'utf8'))).toEqual(alive)
  })

  it.each([
    ['a folder that no build made', (path: string) => {
      mkdirSync(path)
      writeFileSync(join(path, 'diary.txt'), 'dear diary')
    }],
    ['a plain file', (path: string) => { writeFileSync(path, 'dear diary') }]
  ])('does not remove %s at OUTPUT.building', async (_, make) => {
    const { output } = place()
    make(`${output}.building`)
    await buildSmall(output).catch(() => undefined)
    expect(existsSync(`${output}.building`)).toBe(true)
  })

  it('does not remove a folder that is no index at OUTPUT.replaced', async () => {
    const { output } = place()
    await buildSmall(output)
    mkdirSync(`${output}.replaced`)
    writeFileSync(join(`${output}.replaced`, 'diary.txt'), 'dear diary')
    await buildSmall(output, { force: true }).catch(() => undefined)
    expect(existsSync(join(`${output}.replaced`, 'diary.txt'))).toBe(true)
  })
})

const DEAD = { pid: 2 ** 22 + 1, host: hostname() } // above the largest pid of Linux
const ALIVE = { pid: process.pid, host: hostname() }

function leaveBuilding(folder: string, lock: { pid: number; host: string }): void {
  mkdirSync(join(folder, 'index.building'))
  writeFileSync(join(folder, 'index.building', 'lock.json'), JSON.stringify(lock))
  writeFileSync(join(folder, 'index.building', 'run-0.rows'), 'half of something')
}

describe('what a crash leaves (spec, section 10)', () => {
  const openSeed = (path: string): unknown => {
    const index = ZgqIndex.open(path)
    try {
      index.search(new Float32Array(DIM), { exact: true })
      return index.info().build['seed']
    } finally {
      index.close()
    }
  }

  /** Builds an index with seed 1 under a name in a new folder. */
  const placeWith = async (...names: string[]): Promise<{ folder: string; output: string }> => {
    const { folder, output } = place()
    for (const [i, name] of names.entries()) {
      await buildSmall(output, { seed: i + 1 })
      renameSync(output, join(folder, `${name}-`))
    }
    for (const name of names) renameSync(join(folder, `${name}-`), join(folder, name))
    return { folder, output }
  }

  it('OUTPUT.building: a reader finds no index', () => {
    const { folder, output } = place()
    leaveBuilding(folder, DEAD)
    expect(codeOf(() => ZgqIndex.open(output))).toBe('ZGQ_NOT_FOUND')
  })

  it('OUTPUT.building: the next build removes it if its process is dead', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, DEAD)
    await buildSmall(output)
    expect(readdirSync(folder)).toEqual(['index'])
  })

  it('OUTPUT.building: the next build is refused if its process lives, and changes nothing', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, ALIVE)
    const before = fileDigests(join(folder, 'index.building'))
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
    expect(readdirSync(folder)).toEqual(['index.building'])
    expect(fileDigests(join(folder, 'index.building'))).toEqual(before)
  })

  it('OUTPUT and OUTPUT.building: a reader opens OUTPUT', async () => {
    const { folder, output } = await placeWith('index')
    leaveBuilding(folder, DEAD)
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT and OUTPUT.building: the next build with force replaces both', async () => {
    const { folder, output } = await placeWith('index')
    leaveBuilding(folder, DEAD)
    await buildSmall(output, { seed: 9, force: true })
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(9)
  })

  it('OUTPUT and OUTPUT.building: the next build without force leaves OUTPUT alone', async () => {
    const { folder, output } = await placeWith('index')
    leaveBuilding(folder, DEAD)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: a reader opens OUTPUT.replaced', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD)
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: a reader of a path that ends in a slash opens OUTPUT.replaced', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD)
    expect(openSeed(`${output}/`)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: the next build without force renames OUTPUT.replaced back', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: the next build that fails has renamed OUTPUT.replaced back', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD)
    expect((await errorFrom(buildSmall(output, { input: new Float32Array(DIM).fill(NaN), force: true }))).code).toBe('ZGQ_NON_FINITE')
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: the next build with force puts the new index there', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD)
    await buildSmall(output, { seed: 9, force: true })
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(9)
  })

  it('OUTPUT and OUTPUT.replaced: a reader opens OUTPUT', async () => {
    const { output } = await placeWith('index.replaced', 'index')
    expect(openSeed(output)).toBe(2)
  })

  it('OUTPUT and OUTPUT.replaced: the next build removes OUTPUT.replaced', async () => {
    const { folder, output } = await placeWith('index.replaced', 'index')
    await buildSmall(output, { seed: 9, force: true })
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(9)
  })

  it('is noted by a check, which passes', async () => {
    const { folder, output } = await placeWith('index.replaced', 'index')
    leaveBuilding(folder, DEAD)
    const { ok, notes } = await checkIndex(output)
    expect({ ok, notes: notes.length }).toEqual({ ok: true, notes: 2 })
  })
})

describe('bad input is refused, and nothing is left', () => {
  const bad = (row: number, value: number): Float32Array => {
    const vectors = SMALL.slice()
    vectors[row * DIM + 3] = value
    return vectors
  }
  const zeroRow = (row: number): Float32Array => SMALL.slice().fill(0, row * DIM, (row + 1) * DIM)
  const numbers = Array.from({ length: 500 }, (_, i) => i)

  const cases: readonly (readonly [string, Partial<BuildOptions>, string, RegExp])[] = [
    ...[0, 1, 250, 499].map((row) => [`NaN in row ${row}`, { input: bad(row, NaN) }, 'ZGQ_NON_FINITE', new RegExp(`row ${row}\\b`)] as const),
    ['Infinity', { input: bad(77, Infinity) }, 'ZGQ_NON_FINITE', /row 77\b/],
    ['-Infinity', { input: bad(77, -Infinity) }, 'ZGQ_NON_FINITE', /row 77\b/],
    ['a zero vector under cosine', { input: zeroRow(123), metric: 'cosine' }, 'ZGQ_ZERO_VECTOR', /row 123\b/],
    ['an id that stands twice', { ids: numbers.with(400, 17) }, 'ZGQ_ID_EXISTS', /17.*rows 17 and 400/],
    ['an id that stands twice at the end', { ids: numbers.with(499, 0) }, 'ZGQ_ID_EXISTS', /rows 0 and 499/],
    ['too few ids', { ids: numbers.slice(1) }, 'ZGQ_BUILD_INPUT', /499 ids for 500/],
    ['too many ids', { ids: [...numbers, 500] }, 'ZGQ_BUILD_INPUT', /501 ids for 500/],
    ['no ids', { ids: [] }, 'ZGQ_BUILD_INPUT', /./],
    ['a negative id', { ids: numbers.with(3, -1) }, 'ZGQ_BUILD_INPUT', /row 3\b/],
    ['an id that is no integer', { ids: numbers.with(3, 1.5) }, 'ZGQ_BUILD_INPUT', /row 3\b/],
    ['an id above 2^53 - 1', { ids: numbers.with(3, 2 ** 53) }, 'ZGQ_BUILD_INPUT', /row 3\b/],
    ['an id that is NaN', { ids: numbers.with(3, NaN) }, 'ZGQ_BUILD_INPUT', /row 3\b/],
    ['no vectors', { input: new Float32Array(0) }, 'ZGQ_BUILD_INPUT', /./],
    ['half a vector', { input: SMALL.subarray(0, DIM + 1) }, 'ZGQ_DIMENSION', /./],
    ['a file that is missing', { input: '/nowhere/vectors.fbin', dim: undefined }, 'ZGQ_NOT_FOUND', /vectors\.fbin/],
    ['a file of an unknown kind', { input: join(ROOT, 'package.json'), dim: undefined }, 'ZGQ_BUILD_INPUT', /package\.json/],
    ['a file of ids that is missing', { ids: '/nowhere/ids.txt' }, 'ZGQ_NOT_FOUND', /ids\.txt/]
  ]

  it.each(cases)('%s', async (_, options, code, message) => {
    const { folder, output } = place()
    const error = await errorFrom(buildSmall(output, options))
    expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringMatching(message) })
    expect(readdirSync(folder)).toEqual([])
  })

  const one = SMALL.subarray(0, DIM)
  const batches: readonly (readonly [string, readonly unknown[], string])[] = [
    ['half a vector', [{ vectors: one }, { vectors: SMALL.subarray(0, DIM + 1) }], 'ZGQ_DIMENSION'],
    ['ids in some batches only', [{ vectors: one, ids: [1] }, { vectors: one }], 'ZGQ_BUILD_INPUT'],
    ['ids from the second batch on', [{ vectors: one }, { vectors: one, ids: [1] }], 'ZGQ_BUILD_INPUT'],
    ['too few ids', [{ vectors: SMALL, ids: [1] }], 'ZGQ_BUILD_INPUT'],
    ['no vectors', [], 'ZGQ_BUILD_INPUT'],
    ['only batches of no vectors', [{ vectors: new Float32Array(0) }], 'ZGQ_BUILD_INPUT'],
    ['vectors of another type', [{ vectors: new Float64Array(DIM) }], 'ZGQ_BUILD_INPUT'],
    ['nothing', [undefined], 'ZGQ_BUILD_INPUT'],
    ['a bare array', [one], 'ZGQ_BUILD_INPUT'],
    ['an id that stands twice', [{ vectors: one, ids: [5] }, { vectors: one, ids: [5] }], 'ZGQ_ID_EXISTS'],
    ['a negative id', [{ vectors: one, ids: [-1] }], 'ZGQ_BUILD_INPUT'],
    ['an id that is no integer', [{ vectors: one, ids: [1.5] }], 'ZGQ_BUILD_INPUT'],
    ['an id above 2^53 - 1', [{ vectors: one, ids: [2 ** 53] }], 'ZGQ_BUILD_INPUT'],
    ['an id that is NaN', [{ vectors: one, ids: [NaN] }], 'ZGQ_BUILD_INPUT'],
    ['an id that is text', [{ vectors: one, ids: ['x'] }], 'ZGQ_BUILD_INPUT'],
    ['NaN', [{ vectors: one }, { vectors: new Float32Array(DIM).fill(NaN) }], 'ZGQ_NON_FINITE']
  ]

  it.each(batches)('batches with %s', async (_, items, code) => {
    const { folder, output } = place()
    async function* input(): AsyncGenerator<unknown> {
      yield* items
    }
    const build: Promise<unknown> = Reflect.apply(buildIndex, undefined, [{ input: input(), dim: DIM, output }])
    expect((await errorFrom(build)).code).toBe(code)
    expect(readdirSync(folder)).toEqual([])
  })

  it('an iterable that throws in the middle: its own error', async () => {
    const { folder, output } = place()
    const own = new Error('the network is down')
    async function* input(): AsyncGenerator<VectorBatch> {
      yield { vectors: SMALL }
      throw own
    }
    expect(await rejection(buildSmall(output, { input: input() }))).toBe(own)
    expect(readdirSync(folder)).toEqual([])
  })

  it('batches that were read are not held in memory', async () => {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const given: WeakRef<Float32Array>[] = []
    let held = 0
    async function* input(): AsyncGenerator<VectorBatch> {
      for (let i = 0; i < 40; i++) {
        const vectors = makeVectors('uniform', { count: 1000, dim: DIM }, i)
        given.push(new WeakRef(vectors))
        yield { vectors }
        await setImmediate()
      }
      collect()
      held = given.filter((vectors) => vectors.deref() !== undefined).length
    }
    await buildSmall(place().output, { input: input(), signal: new AbortController().signal })
    expect(held).toBeLessThan(5)
  })

  it('an iterable is told when its batch was refused', async () => {
    let isReturned = false
    async function* input(): AsyncGenerator<VectorBatch> {
      try {
        yield { vectors: new Float32Array(DIM + 1) }
      } finally {
        isReturned = true
      }
    }
    await rejection(buildSmall(place().output, { input: input() }))
    expect(isReturned).toBe(true)
  })

  it('leaves no file open', async () => {
    if (process.platform !== 'linux') return
    const open = (): number => readdirSync('/proc/self/fd').length
    await buildSmall(place().output)
    const before = open()
    for (const options of [{ input: bad(499, NaN) }, { input: batchesOf(bad(499, NaN), DIM, [100]) }, { ids: numbers.with(400, 17) }]) {
      await rejection(buildSmall(place().output, options))
    }
    expect(open()).toBe(before)
  })
})

describe('a wrong option', () => {
  const build = (options: object): Promise<unknown> => buildSmall(place().output, { ...options })

  it.each([
    ['an unknown name', { zone: 5 }], ['a metric that is not known', { metric: 'dot' }], ['metric null', { metric: null }], ['zones as text', { zones: '5' }],
    ['bits as text', { bits: '0' }], ['seed as text', { seed: '5' }], ['memoryBytes as text', { memoryBytes: '512MB' }], ['force as a number', { force: 1 }],
    ['onProgress that is no function', { onProgress: 5 }], ['signal that is no AbortSignal', { signal: {} }], ['ids as a number', { ids: 5 }], ['ids null', { ids: null }],
    ['input undefined', { input: undefined }], ['input as an array', { input: [1, 2, 3] }], ['input null', { input: null }], ['output empty', { output: '' }], ['output undefined', { output: undefined }],
    ['dim with a file', { input: 'x.fbin' }], ['dim missing', { dim: undefined }], ['dim as text', { dim: '8' }], ['ids beside batches', { input: batchesOf(SMALL, DIM, [9]), ids: [1] }]
  ])('throws TypeError: %s', async (_, options) => {
    expect(await rejection(build(options))).toBeInstanceOf(TypeError)
  })

  it.each([
    ['zones 0', { zones: 0 }], ['zones 1.5', { zones: 1.5 }], ['zones NaN', { zones: NaN }], ['bits 3', { bits: 3 }], ['bits -1', { bits: -1 }], ['bits 8', { bits: 8 }], ['seed -1', { seed: -1 }],
    ['seed 0.5', { seed: 0.5 }], ['memoryBytes of 1 MB', { memoryBytes: MIB }], ['dim 0', { dim: 0 }], ['dim 65,537', { dim: 65_537 }]
  ])('throws RangeError: %s', async (_, options) => {
    expect(await rejection(build(options))).toBeInstanceOf(RangeError)
  })

  it.each([1, 2, 4])('throws ZGQ_UNSUPPORTED: bits %d, which this version does not have', async (bits) => {
    expect((await errorFrom(build({ bits }))).code).toBe('ZGQ_UNSUPPORTED')
  })

  it('throws TypeError: no options', async () => {
    const call: Promise<unknown> = Reflect.apply(buildIndex, undefined, [])
    expect(await rejection(call)).toBeInstanceOf(TypeError)
  })
})

describe('a disk that is full', () => {
  const batches = (): Partial<BuildOptions> => ({ input: batchesOf(SMALL, DIM, [100]), metric: 'cosine' })
  const shares = Array.from({ length: 41 }, (_, i) => i / 40)
  let needed = 0
  beforeAll(async () => {
    resetFaults()
    await buildSmall(place().output, batches())
    needed = faults.bytesWritten
  })

  it.each(shares)('after %d of the bytes gives ZGQ_IO and leaves nothing', async (share) => {
    const { folder, output } = place()
    faults.bytesLeft = Math.floor((needed - 1) * share)
    const error = await errorFrom(buildSmall(output, batches()))
    expect({ code: error.code, cause: Object(error.cause).code }).toEqual({ code: 'ZGQ_IO', cause: 'ENOSPC' })
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(shares)('after %d of the bytes leaves the index that was to be replaced', async (share) => {
    const { folder, output } = place()
    await buildSmall(output)
    const before = fileDigests(output)
    faults.bytesLeft = Math.floor((needed - 1) * share)
    expect((await errorFrom(buildSmall(output, { ...batches(), force: true }))).code).toBe('ZGQ_IO')
    expect([readdirSync(folder), fileDigests(output)]).toEqual([['index'], before])
  })
})

describe('a build with force, where the file system fails it', () => {
  const seedOf = (path: string): unknown => {
    const index = ZgqIndex.open(path)
    try {
      index.search(new Float32Array(DIM), { exact: true })
      return index.info().build['seed']
    } finally {
      index.close()
    }
  }
  const old = temp.fresh('old')
  const replace = (output: string): Promise<unknown> => buildSmall(output, { input: SMALL.subarray(0, 40 * DIM), seed: 2, force: true, zones: 3 })
  let calls: string[] = []

  const placeOld = (): { folder: string; output: string } => {
    const { folder, output } = place()
    cpSync(old, output, { recursive: true })
    resetFaults()
    return { folder, output }
  }

  beforeAll(async () => {
    await buildSmall(old, { zones: 3 })
    await replace(placeOld().output)
    calls = [...faults.calls]
  })

  /** Numbers of the calls of a build, of equal calls in a row only the first and the last. */
  const chosenCalls = (): number[] => Array.from(calls.keys()).filter((i) => calls[i] !== calls[i - 1] || calls[i] !== calls[i + 1])

  /** Replaces an index while `fault` happens. */
  const interrupted = async (fault: Partial<typeof faults>): Promise<{ folder: string; output: string; error: unknown }> => {
    const { folder, output } = placeOld()
    Object.assign(faults, fault)
    const error = await replace(output).then(() => undefined, (thrown: unknown) => thrown)
    resetFaults()
    return { folder, output, error }
  }

  // What fsync did not report, close does not either: closeSync is not made to fail.
  const failingCalls = (): number[] => chosenCalls().filter((call) => calls[call] !== 'closeSync')

  it('leaves the old or the new index to be opened, whichever call fails', async () => {
    const wrong: unknown[] = []
    for (const failingCall of failingCalls()) {
      const { folder, output, error } = await interrupted({ failingCall })
      const seed = seedOf(output)
      await checkIndex(output)
      const isKept = seed === 2 || (seed === 1 && error !== undefined)
      const others = readdirSync(folder).filter((name) => name !== 'index' && name !== 'index.replaced')
      // What cannot be removed stays, for the next build to clear away.
      if (!isKept || (others.length > 0 && calls[failingCall] !== 'rmSync')) wrong.push({ failingCall, failed: calls[failingCall], error: String(error), seed, others })
    }
    expect(wrong).toEqual([])
  })

  it('rejects with a ZgqError, whichever call fails', async () => {
    const wrong: unknown[] = []
    for (const failingCall of failingCalls()) {
      const { error } = await interrupted({ failingCall })
      if (error !== undefined && !(error instanceof ZgqError)) wrong.push({ failingCall, failed: calls[failingCall], error: String(error) })
    }
    expect(wrong).toEqual([])
  })

  it('is not in the way of the next one if its process dies while it removes what it made of bad input', async () => {
    const bad = (output: string): Promise<unknown> => buildSmall(output, { input: SMALL.slice().fill(NaN, 3999), force: true }).catch(() => undefined)
    const { folder, output } = placeOld()
    await bad(output)
    const dyingCall = faults.calls.lastIndexOf('rmSync')
    resetFaults()
    faults.dyingCall = dyingCall
    await bad(output)
    resetFaults()
    for (const lock of readdirSync(folder).map((name) => join(folder, name, 'lock.json')).filter(existsSync)) writeFileSync(lock, JSON.stringify(DEAD))
    await replace(output)
    expect(readdirSync(folder)).toEqual(['index'])
  })

  it('leaves an index that opens, and nothing that the next build does not clear away, wherever the process dies', async () => {
    const wrong: unknown[] = []
    for (const dyingCall of chosenCalls()) {
      const { folder, output } = await interrupted({ dyingCall })
      const left = readdirSync(folder)
      const seed = seedOf(output)
      for (const lock of left.map((name) => join(folder, name, 'lock.json')).filter(existsSync)) writeFileSync(lock, JSON.stringify(DEAD))
      await replace(output)
      const after = readdirSync(folder).filter((name) => name !== 'index')
      const strange = readdirSync(output).filter((name) => !/^(catalogue\.sqlite|vectors-.*\.zgq)$/.test(name))
      if (after.length > 0 || strange.length > 0 || (seed !== 1 && seed !== 2)) wrong.push({ dyingCall, died: calls[dyingCall], left, seed, after, strange })
    }
    expect(wrong).toEqual([])
  })
})

describe('a reader that opens an index while it is replaced', () => {
  // Vectors mirrored at the origin: other bytes in files of one length, which then cannot tell a mixture of both.
  const [old, next] = [temp.fresh('old'), temp.fresh('next')]
  const answers = new Map<string, string>()

  const answerOf = (path: string, options: OpenOptions): string => {
    const index = ZgqIndex.open(path, options)
    try {
      return JSON.stringify(index.search(rowOf(SMALL, DIM, 0), { exact: true }))
    } finally {
      index.close()
    }
  }

  beforeAll(async () => {
    await buildSmall(old)
    await buildSmall(next, { input: SMALL.map((value) => -value) })
    answers.set(answerOf(old, {}), 'old').set(answerOf(next, {}), 'new')
    const byteLength = (path: string): number => readFileSync(join(path, 'vectors-000001-00000.zgq')).byteLength
    if (byteLength(old) !== byteLength(next)) throw new Error('the two indexes have files of different lengths')
  })

  /** Opens and searches an index; it is renamed away after one of the reader's calls, the next one put there after a later one. */
  const foundWhile = (when: { away: number; back: number }, options: OpenOptions): string => {
    const { folder, output } = place()
    cpSync(old, output, { recursive: true })
    cpSync(next, join(folder, 'index.building'), { recursive: true })
    resetFaults()
    faults.afterCall = (call) => {
      if (call === when.away) renameSync(output, `${output}.replaced`)
      if (call !== when.back) return
      renameSync(`${output}.building`, output)
      rmSync(`${output}.replaced`, { recursive: true })
    }
    try {
      return answers.get(answerOf(output, options)) ?? 'a wrong answer'
    } catch (error) {
      return `${String(Object(error).code)}: ${String(error)}`
    } finally {
      resetFaults()
    }
  }

  const CALLS = 14
  const ways = (['mmap', 'pread'] as const).flatMap((mapping) => (['touch', 'none'] as const).map((verify) => ({ mapping, verify })))

  it.each(ways)('finds the old one, wherever the builder dies between its renames ($mapping, verify $verify)', (options) => {
    const found = Array.from({ length: CALLS }, (_, away) => ({ away, found: foundWhile({ away, back: Infinity }, options) }))
    expect(found.filter((one) => one.found !== 'old')).toEqual([])
  })

  it.each(ways)('finds the old or the new one, whenever the builder renames them ($mapping, verify $verify)', (options) => {
    const moments = Array.from({ length: CALLS * 4 }, (_, i) => ({ away: Math.floor(i / 4), back: Math.floor(i / 4) + (i % 4) }))
    const found = moments.map((when) => ({ ...when, found: foundWhile(when, options) }))
    expect(found.filter((one) => one.found !== 'old' && one.found !== 'new')).toEqual([])
  })
})
