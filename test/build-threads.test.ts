// Worker threads of a build: the same bytes whatever their number and memory, and no trace of them when a build fails,
// is aborted, or one of them dies.

import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'

import { buildIndex, type BuildOptions, type BuildProgress } from '../src/build.ts'
import { chooseThreads } from '../src/build/resources.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { trainedFactsIn } from './support/artifacts.ts'
import { randomFrom } from './support/random.ts'
import { printedBy } from './support/run-node.ts'
import { errorFrom, placeIn, rejection } from './support/small-build.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'
import { resetWorkers, workers } from './support/watched-workers.ts'

vi.mock('node:worker_threads', async (importOriginal) =>
  (await import('./support/watched-workers.ts')).watchedWorkers(await importOriginal())
)

const temp = useTempFolder('threads', IN_MEMORY)
const place = (): ReturnType<typeof placeIn> => placeIn(temp)

const MIB = 2 ** 20
/** Enough values for worker threads: 2^22 at least. */
const COUNT = 65_536
const DIM = 64
const SEED = 91
const input = temp.fresh('input.fbin')
const queries = new Float32Array(20 * DIM)

beforeAll(() => {
  const random = randomFrom(SEED)
  const vectors = new Float32Array(COUNT * DIM)
  for (let i = 0; i < vectors.length; i++) vectors[i] = ((Math.floor(i / DIM) % 23) * (i % 5)) / 4 + random()
  queries.set(vectors.subarray(0, queries.length))
  writeFileSync(input, fbin(vectors, DIM))
})

beforeEach(resetWorkers)
afterEach(() => {
  expect({ ended: workers.ended }).toEqual({ ended: workers.started.length })
})

const build = (output: string, options: Partial<BuildOptions> = {}): ReturnType<typeof buildIndex> =>
  buildIndex({ input, output, queries, zones: 50, bits: 1, memoryBytes: 512 * MIB, workers: 2, ...options })

describe('a build makes the same data files and the same calibration', () => {
  const ways = [
    { workers: 0 },
    { workers: 1 },
    { workers: 2 },
    { workers: 4 },
    { workers: undefined },
    ...[128, 192, 2048].map((mb) => ({ memoryBytes: mb * MIB, workers: 2 })),
    { memoryBytes: 64 * MIB, workers: undefined }
  ]

  it.each([
    { metric: 'l2', bits: 4 },
    { metric: 'cosine', bits: 0 }
  ] as const)('whatever the workers and the memory: $metric, $bits bits', async (options) => {
    const made: unknown[] = []
    for (const way of ways) {
      const { output } = place()
      await build(output, { ...options, ...way })
      const index = ZgqIndex.open(output)
      made.push({ files: dataFileDigests(output), calibration: index.info().calibration, id: index.info().indexId })
      index.close()
    }
    expect(made).toEqual(ways.map(() => made[0]))
  })
})

describe('threads', () => {
  const large = { count: 1e6, dim: 128, zones: 4000, memoryBytes: 2048 * MIB }

  it('are as many as were asked for where memory holds them, fewer where not', () => {
    expect([0, 1, 4, 16].map((asked) => chooseThreads(asked, large))).toEqual([0, 1, 4, 16])
    expect([64, 128, 256, 512].map((mb) => chooseThreads(16, { ...large, memoryBytes: mb * MIB }))).toEqual([
      0, 1, 3, 7
    ])
  })

  it('are fewer where centroids are many', () => {
    expect(chooseThreads(16, { ...large, zones: 64_000 })).toBeLessThan(16)
  })

  it('are none for few values', () => {
    expect(chooseThreads(4, { ...large, count: 1000 })).toBe(0)
  })

  it('are started, two of them, for a build that asks for two', async () => {
    await build(place().output)
    expect(workers.started).toHaveLength(2)
  })
})

const STAGES = ['sample', 'train', 'assign', 'write', 'calibrate', 'publish'] as const

/** Calls `act` at the first note of a stage. */
const at = (stage: string, act: () => void): ((progress: BuildProgress) => void) => {
  let isDone = false
  return (progress) => {
    if (progress.stage !== stage || isDone) return
    isDone = true
    act()
  }
}

describe('a build by threads leaves nothing, neither files nor threads', () => {
  it.each(STAGES)('when it is aborted, and rejects with the reason: at %s', async (stage) => {
    const { folder, output } = place()
    const controller = new AbortController()
    const reason = new Error('enough')
    expect(
      await rejection(
        build(output, {
          signal: controller.signal,
          onProgress: at(stage, () => {
            controller.abort(reason)
          })
        })
      )
    ).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(STAGES)('when it is aborted a moment after a note: at %s', async (stage) => {
    const { folder, output } = place()
    const controller = new AbortController()
    const reason = { not: 'an error' }
    expect(
      await rejection(
        build(output, {
          signal: controller.signal,
          onProgress: at(stage, () => {
            setImmediate(() => {
              controller.abort(reason)
            })
          })
        })
      )
    ).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(STAGES)('when onProgress throws, and rejects with what it threw: at %s', async (stage) => {
    const { folder, output } = place()
    const thrown = new Error('no terminal')
    expect(
      await rejection(
        build(output, {
          onProgress: at(stage, () => {
            throw thrown
          })
        })
      )
    ).toBe(thrown)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(['sample', 'train', 'assign', 'write', 'calibrate'] as const)(
    'when a thread ends, and rejects with ZGQ_IO: at %s',
    async (stage) => {
      const { folder, output } = place()
      const error = await errorFrom(
        build(output, {
          onProgress: at(stage, () => {
            for (const worker of workers.started) void worker.terminate()
          })
        })
      )
      expect({ code: error.code, message: error.message }).toEqual({
        code: 'ZGQ_IO',
        message: expect.stringContaining('worker thread')
      })
      expect(readdirSync(folder)).toEqual([])
    }
  )

  it('when threads run out of memory, and rejects with ZGQ_IO', async () => {
    const { folder, output } = place()
    workers.limits = { maxOldGenerationSizeMb: 5, maxYoungGenerationSizeMb: 1 }
    const error = await errorFrom(build(output, { zones: 4000, memoryBytes: 1024 * MIB }))
    expect({ code: error.code, cause: Object(error.cause).code }).toEqual({
      code: 'ZGQ_IO',
      cause: 'ERR_WORKER_OUT_OF_MEMORY'
    })
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(['sample', 'assign'] as const)(
    'when the input is cut short under it, and rejects with ZGQ_TRUNCATED: at %s',
    async (stage) => {
      const { folder, output } = place()
      const cut = temp.fresh('cut.fbin')
      writeFileSync(cut, readFileSync(input))
      const error = await errorFrom(
        build(output, {
          input: cut,
          onProgress: at(stage, () => {
            truncateSync(cut, COUNT * DIM * 2)
          })
        })
      )
      expect({ code: error.code, path: error.path }).toEqual({ code: 'ZGQ_TRUNCATED', path: cut })
      expect(readdirSync(folder)).toEqual([])
    }
  )

  it('when a file that a stage left is damaged under it, and rejects with ZGQ_IO', async () => {
    const { folder, output } = place()
    const error = await errorFrom(
      build(output, {
        onProgress: at('write', () => {
          truncateSync(trainedFactsIn(`${output}.building`), 10)
        })
      })
    )
    expect(error.code).toBe('ZGQ_IO')
    expect(readdirSync(folder)).toEqual([])
  })

  it('when rows are not finite, and names the first of them whichever thread comes to one first', async () => {
    const { folder, output } = place()
    const bad = temp.fresh('bad.fbin')
    const bytes = readFileSync(input)
    for (const row of [60_000, 40_001, 20_002]) bytes.writeFloatLE(NaN, 8 + row * DIM * 4)
    writeFileSync(bad, bytes)
    const error = await errorFrom(build(output, { input: bad, seed: 5 }))
    expect({ code: error.code, message: error.message }).toEqual({
      code: 'ZGQ_NON_FINITE',
      message: expect.stringMatching(/^row 20002 /)
    })
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('a process whose build was aborted', () => {
  it('ends by itself, and no rejection goes unhandled', () => {
    const folder = temp.fresh('process')
    mkdirSync(folder)
    const script = `
      const unhandled = []
      process.on('unhandledRejection', (reason) => { unhandled.push(String(reason)) })
      const ends = []
      for (const stage of ${JSON.stringify(STAGES)}) {
        const controller = new AbortController()
        const onProgress = (note) => { if (note.stage === stage) controller.abort(stage) }
        const options = { input: ${JSON.stringify(input)}, output: ${JSON.stringify(join(folder, 'index'))}, queries: new Float32Array(${queries.length}).fill(1), zones: 50, bits: 1, memoryBytes: 2 ** 28, workers: 2, signal: controller.signal, onProgress }
        ends.push(await buildIndex(options).then(() => 'built', (reason) => reason))
      }
      process.on('exit', () => { print({ ends, unhandled, left: process.getActiveResourcesInfo().filter((name) => name === 'Worker' || name === 'MessagePort') }) })`
    expect(printedBy(script)).toEqual({ ends: [...STAGES], unhandled: [], left: [] })
    expect(readdirSync(folder)).toEqual([])
  })
})
