// Searches that wait for their bytes: the same hits as those that read, in as few rounds, however late and in whatever
// order a reader answers, and however many wait at a time.

import { setImmediate } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { SearchResult } from '../src/search/search-context.ts'
import type { Metric } from '../src/types.ts'
import { makeIds, makeVectors, shuffled } from './support/datasets.ts'
import { essence, LaterIndex, type Asked, type LaterOptions } from './support/later-index.ts'
import { randomFrom } from './support/random.ts'
import { writeSegmentedIndex } from './support/segmented-index.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('later', IN_MEMORY)
const SEED = 900
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const SHAPES = {
  'few zones': { count: 1000, dim: 64, zones: 10 },
  'several hundred zones': { count: 3000, dim: 12, zones: 260 },
  'several segments a zone': { count: 800, dim: 32, zones: 12 }
} as const

interface Case {
  readonly shape: keyof typeof SHAPES
  readonly metric: Metric
  readonly bits: number
}

const casesOf = (shape: Case['shape'], all: readonly (readonly [Metric, number])[]): Case[] =>
  all.map(([metric, bits]) => ({ shape, metric, bits }))

const CASES: readonly Case[] = [
  ...casesOf(
    'few zones',
    METRICS.flatMap((metric) => [0, 1, 2, 4].map((bits) => [metric, bits] as const))
  ),
  ...casesOf('several hundred zones', [
    ['l2', 4],
    ['cosine', 1],
    ['ip', 2],
    ['l2', 0]
  ]),
  ...casesOf('several segments a zone', [
    ['l2', 1],
    ['cosine', 4],
    ['ip', 4],
    ['cosine', 0]
  ])
]

/** Codes first, so that searches of rows find what these left behind, then rows, then what finds all of it. */
const ASKED: readonly Asked[] = [
  { rerank: 1, nprobe: 3 },
  { rerank: 40, k: 10 },
  { nprobe: 5, k: 100, rerank: 200 },
  {},
  { k: 0 },
  { k: 1 },
  { k: 100 },
  { nprobe: 1 },
  { nprobe: 9, k: 10 },
  { exact: true },
  { exact: true, k: 100 },
  { nprobe: 1000, rerank: 30, k: 10 }
]

interface Specimen {
  readonly folder: string
  /** Like the rows, and far from all of them. */
  readonly like: readonly Float32Array[]
  readonly unlike: readonly Float32Array[]
  /** What a search finds that reads. */
  expected(task: Task): string
}

interface Task {
  readonly query: Float32Array
  readonly asked: Asked
}

const specimens = new Map<Case, Specimen>()

beforeAll(async () => {
  for (const of of CASES) specimens.set(of, await makeSpecimen(of))
})

async function makeSpecimen({ shape, metric, bits }: Case): Promise<Specimen> {
  const { count, dim, zones } = SHAPES[shape]
  const rows = makeVectors('clustered', { count, dim }, SEED)
  const ids = makeIds(count, SEED)
  const folder = temp.fresh('index')
  if (shape === 'several segments a zone') {
    const of = { folder, dim, metric, bits, vectors: rows, ids: Float64Array.from(ids), zones, seed: SEED }
    writeSegmentedIndex(of)
  } else {
    // Calibrating takes longer than all else; two of these say what a query with many zones does.
    const calibrate = shape === 'few zones' || bits === 4
    await buildIndex({ input: rows, dim, ids, metric, output: folder, zones, bits, seed: SEED, calibrate })
  }
  const random = randomFrom(SEED + 1)
  const near = (at: number): Float32Array => rows.slice(at * dim, (at + 1) * dim).map((x) => x + random() - 0.5)
  const reading = new LaterIndex(folder, { seed: SEED, cacheBytes: 2 ** 28 })
  const known = new Map<Float32Array, Map<Asked, string>>()
  return {
    folder,
    like: [near(1), near(700)],
    unlike: [Float32Array.from({ length: dim }, () => (random() - 0.5) * 300)],
    expected({ query, asked }) {
      const ofQuery = known.get(query) ?? new Map<Asked, string>()
      known.set(query, ofQuery)
      const found = ofQuery.get(asked) ?? essence(reading.search(query, asked))
      ofQuery.set(asked, found)
      return found
    }
  }
}

function specimenOf(of: Case): Specimen {
  const specimen = specimens.get(of)
  if (specimen === undefined) throw new Error('it was not made')
  return specimen
}

/** Every query with everything that may be asked, in random order if `random` is given. */
function tasksOf({ like, unlike }: Specimen, random?: () => number): Task[] {
  const tasks = [...like, ...unlike].flatMap((query) => ASKED.map((asked) => ({ query, asked })))
  return random === undefined ? tasks : shuffled(tasks, random)
}

const roundsOf = ({ explain }: SearchResult): number => explain?.ioRounds ?? NaN

const OPTIONS: readonly Omit<LaterOptions, 'seed'>[] = [
  {},
  { verify: 'none' },
  { cacheBytes: 0 },
  { cacheBytes: 40_000 }
]

describe.each(CASES)('a search that waits ($shape, $metric, $bits bits)', (of) => {
  it.each(OPTIONS)(
    `finds what a search finds that reads, and reads nothing itself (%j, seed ${SEED + 2})`,
    async (options) => {
      const specimen = specimenOf(of)
      using index = new LaterIndex(specimen.folder, { seed: SEED + 2, ...options })
      for (const task of tasksOf(specimen, options.verify === undefined ? undefined : randomFrom(SEED + 2)))
        expect(essence(await index.later(task.query, task.asked)), JSON.stringify(task.asked)).toBe(
          specimen.expected(task)
        )
      expect(index.context.states.inUse).toBe(0)
    }
  )

  it(`finds the same in turns that end now and then, whatever comes between (seed ${SEED + 4})`, async () => {
    const specimen = specimenOf(of)
    const random = randomFrom(SEED + 4)
    using index = new LaterIndex(specimen.folder, { seed: SEED + 4, ...OPTIONS[CASES.indexOf(of) % OPTIONS.length] })
    index.turns.isShort = () => random() < 0.7
    const tasks = tasksOf(specimen, randomFrom(SEED + 5))
    const searches = tasks.map(async (task) => ({ task, result: await index.later(task.query, task.asked) }))
    for (const { task, result } of await Promise.all(searches))
      expect(essence(result), JSON.stringify(task.asked)).toBe(specimen.expected(task))
    expect(index.context.states.inUse).toBe(0)
  })

  it(`finds the same while many others wait, and some read (seeds from ${SEED + 6} on)`, async () => {
    const specimen = specimenOf(of)
    const seed = SEED + 6 + CASES.indexOf(of)
    const random = randomFrom(seed)
    using index = new LaterIndex(specimen.folder, { seed, ...OPTIONS[CASES.indexOf(of) % OPTIONS.length] })
    const tasks = [1, 2, 3, 4, 5, 6].flatMap(() => tasksOf(specimen, random)).slice(0, 200)
    const searches = tasks.map(async (task) => ({ task, result: await index.later(task.query, task.asked) }))
    expect(index.context.states.inUse).toBeGreaterThan(100)
    for (const task of tasksOf(specimen, random).slice(0, 10)) {
      for (let turns = 0; turns < 6; turns++) await setImmediate()
      expect(essence(index.search(task.query, task.asked))).toBe(specimen.expected(task))
    }
    for (const { task, result } of await Promise.all(searches))
      expect(essence(result), JSON.stringify(task.asked)).toBe(specimen.expected(task))
    expect(index.reader.waiting).toBe(0)
    expect(index.context.states.inUse).toBe(0)
  })

  it('takes one round for rows and two for codes, and none once all is in memory', async () => {
    const { folder, like } = specimenOf(of)
    for (const [i, asked] of ASKED.entries()) {
      const query = like[i % like.length]
      using index = new LaterIndex(folder, { seed: SEED })
      const where = JSON.stringify(asked)
      const result = await index.later(query, asked)
      expect(result.isUnlike, where).toBe(false)
      expect(index.reader.calls, where).toBe(roundsOf(result))
      const isCoded = result.explain?.rowsReranked !== 0
      // Nobody asked for hits, or the nearest zone has no segment.
      const isEmpty = result.explain?.vectorsScanned === 0
      expect(roundsOf(result), where).toBe(isEmpty ? 0 : isCoded ? 2 : 1)
      const again = index.later(query, asked)
      if (again instanceof Promise) throw new Error(`it waits again: ${where}`)
      expect(again.explain, where).toMatchObject({ ioRounds: 0, bytesRead: 0, pagesVerified: 0 })
      expect(essence(again), where).toBe(essence(result))
    }
  })
})

it(`unlike queries that go on pass by pass, many at a time, find the same with room for one segment only (seed ${SEED + 50})`, async () => {
  // What a pass reads, others have pushed out by the next.
  const of = CASES.find(({ shape, bits }) => shape === 'several hundred zones' && bits === 4)
  if (of === undefined) throw new Error('there is no such case')
  const { folder } = specimenOf(of)
  const { dim } = SHAPES[of.shape]
  const random = randomFrom(SEED + 50)
  using index = new LaterIndex(folder, { seed: SEED + 50, cacheBytes: 0 })
  using other = new LaterIndex(folder, { seed: SEED, cacheBytes: 2 ** 28 })
  let unlike = 0
  for (let batch = 0; batch < 6; batch++) {
    const queries = Array.from({ length: 20 }, () => Float32Array.from({ length: dim }, () => (random() - 0.5) * 300))
    const searches = queries.map(async (query, i) => {
      const asked = i % 2 === 0 ? { rerank: 5, k: 5 } : { k: 5 }
      const result = await index.later(query, asked)
      if (result.isUnlike) unlike++
      expect(essence(result)).toBe(essence(other.search(query, asked)))
    })
    await Promise.all(searches)
  }
  expect(unlike).toBeGreaterThan(50)
})
