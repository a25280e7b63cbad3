// Shards that a build wrote are scanned one by one, before they are an index: what is found in them merges to what the
// index gives, and so does the calibration.

import { cpSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildStage } from '../src/build.ts'
import { calibrate } from '../src/build/calibrate.ts'
import { mergeNeighbours, type Neighbours } from '../src/build/calibration-lists.ts'
import { rowsOfIndex } from '../src/build/calibration-ranges.ts'
import { scanTogether } from '../src/build/calibration-scan.ts'
import { runStep, type StepRunner } from '../src/build/calibration-steps.ts'
import { scanShard, type ShardScan } from '../src/build/scan-shard.ts'
import { decodeNeighbours, encodeNeighbours } from '../src/build/stored-neighbours.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { slotOf } from '../src/format/ordinals.ts'
import { seededRandom } from '../src/quantizer/random.ts'
import { openContext, type OpenedContext } from '../src/search/open-context.ts'
import type { Calibration, Metric } from '../src/types.ts'
import { cutShards } from './support/artifacts.ts'
import { rowOf } from './support/brute-force.ts'
import { errorOf } from './support/errors.ts'
import { errorFrom, rejection } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('scan-shard', IN_MEMORY)
const SEED = 85
const COUNT = 3000
const DIM = 37
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
/** Of few values, so that very many rows are as far from a query as others. */
const random = seededRandom(SEED)
const rows = Float32Array.from({ length: COUNT * DIM }, (_, i) => (i % DIM === 0 ? 1 : Math.floor(random() * 2)))
const queries = Array.from({ length: 25 }, (_, i) => rowOf(rows, DIM, i * 119))

interface Built {
  readonly index: string
  /** Folders of the shards, as the stage write left them. */
  readonly shards: readonly string[]
}
const built = new Map<Metric, Built>()

beforeAll(async () => {
  const input = temp.fresh('input.fbin')
  writeFileSync(input, fbin(rows, DIM))
  for (const metric of METRICS) {
    const output = temp.fresh(metric)
    const options = { input, output, metric, zones: 24, bits: 4, calibrate: false }
    for (const stage of ['read', 'train', 'assign', 'write', 'publish'] as const) {
      if (stage === 'publish') cpSync(`${output}.building`, `${output}.written`, { recursive: true })
      await buildStage({ ...options, stage })
      if (stage === 'train') cutShards(`${output}.building`, [0, 7, 12, 24])
    }
    const shards = readdirSync(`${output}.written`).filter((name) => name.startsWith('shard-'))
    built.set(metric, { index: output, shards: shards.sort().map((name) => join(`${output}.written`, name)) })
  }
})

const builtFor = (metric: Metric): Built => built.get(metric) ?? { index: '', shards: [] }
const noTurn = (): Promise<void> => Promise.resolve()

const scanned = (folder: string, of: Partial<ShardScan> = {}): Promise<Neighbours[]> =>
  scanShard({ folder, dim: DIM, metric: 'l2', queries, k: 40, memoryBytes: 2 ** 26, ...of }, noTurn)

async function scanShards({ shards }: Built, of: Partial<ShardScan>): Promise<Neighbours[][]> {
  const lists: Neighbours[][] = []
  for (const folder of shards) lists.push(await scanned(folder, of))
  return lists
}

async function withIndex<T>({ index }: Built, use: (opened: OpenedContext) => Promise<T>): Promise<T> {
  const opened = openContext(readCatalogue(index), { mapping: 'pread', cacheBytes: 2 ** 20, verify: 'touch' })
  try {
    return await use(opened)
  } finally {
    opened.readers.close()
  }
}

describe.each(METRICS)(`written shards (%s, seed ${SEED})`, (metric) => {
  it.each([1, 33, 4000])('have neighbours that merge to those of the index, bit for bit: %d', async (k) => {
    const whole = await withIndex(builtFor(metric), ({ context, snapshot: { segments } }) =>
      scanTogether(rowsOfIndex(context, { first: 0, end: segments.count }), { vectors: queries, k }, noTurn)
    )
    // The least memory: queries one by one, and segments.
    for (const memoryBytes of [2 ** 26, 1]) {
      const lists = await scanShards(builtFor(metric), { metric, k, memoryBytes })
      expect(lists).toHaveLength(3)
      for (const list of lists) expect(list.map(({ ordinals }) => ordinals.length)).not.toContain(0)
      expect(mergeNeighbours(lists, k)).toEqual(whole)
      expect(mergeNeighbours(lists.toReversed(), k)).toEqual(whole)
    }
  })

  it('may have rows of other shards that are as near as the last of k', async () => {
    const k = 33
    const lists = await scanShards(builtFor(metric), { metric, k: k + 20 })
    const left = mergeNeighbours(lists, k + 20).filter(({ distances, ordinals }) => {
      const last = distances[k - 1]
      const equals = [...ordinals].filter((_, at) => distances[at] === last)
      const shardsOf = new Set(equals.map((ordinal) => lists.findIndex((list) => isIn(list, ordinal))))
      return distances[k] === last && shardsOf.size > 1
    })
    expect(left.length).toBeGreaterThan(5)
  })
})

it('written shards give the index its calibration', async () => {
  const calibrations = await withIndex(builtFor('cosine'), async ({ context, snapshot }) => {
    const kinds: string[] = []
    const run: StepRunner = async (steps, onAnswer) => {
      for (const [i, step] of steps.entries()) {
        kinds.push(step.kind)
        onAnswer(await runStep({ context, snapshot }, step, noTurn), i)
      }
    }
    const plan = { given: undefined, seed: SEED, onQueries: () => undefined }
    const usual = await calibrate(snapshot, run, plan)
    expect(kinds.splice(0)).toContain('scan')
    const elsewhere = await calibrate(snapshot, run, {
      ...plan,
      scan: async (vectors, k) =>
        mergeNeighbours(await scanShards(builtFor('cosine'), { metric: 'cosine', queries: vectors, k }), k)
    })
    expect(kinds).not.toContain('scan')
    return [usual, elsewhere] satisfies Calibration[]
  })
  expect(calibrations[1]).toEqual(calibrations[0])
})

function isIn(list: readonly Neighbours[], ordinal: number): boolean {
  return list.some(({ ordinals }) => ordinals.some((other) => slotOf(other) === slotOf(ordinal)))
}

describe('a scan of a shard', () => {
  it('of no queries finds nothing', async () => {
    expect(await scanned(builtFor('l2').shards[0], { queries: [] })).toEqual([])
  })

  it('is stopped by what turn throws', async () => {
    const reason = new Error('enough')
    const of = { folder: builtFor('l2').shards[0], dim: DIM, metric: 'l2', queries, k: 3, memoryBytes: 1 } as const
    expect(await rejection(scanShard(of, () => Promise.reject(reason)))).toBe(reason)
  })

  const copied = (): { folder: string; vectors: string } => {
    const folder = temp.fresh('damaged')
    cpSync(builtFor('l2').shards[1], folder, { recursive: true })
    const name = readdirSync(folder).find((file) => file.startsWith('vectors-')) ?? ''
    return { folder, vectors: join(folder, name) }
  }
  const flip = (path: string, at: (bytes: Buffer) => number): void => {
    const bytes = readFileSync(path)
    bytes[at(bytes)] ^= 1
    writeFileSync(path, bytes)
  }
  const factsOf = (folder: string): { segments: { rows: { offset: number }; columns: { offset: number } }[] } =>
    JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8'))

  it.each([
    [
      'ZGQ_NOT_FOUND',
      'a file that is missing',
      ({ vectors }) => {
        rmSync(vectors)
      }
    ],
    [
      'ZGQ_NOT_FOUND',
      'facts that are missing',
      ({ folder }) => {
        rmSync(join(folder, 'facts.json'))
      }
    ],
    [
      'ZGQ_TRUNCATED',
      'a file cut short',
      ({ vectors }) => {
        truncateSync(vectors, 8192)
      }
    ],
    [
      'ZGQ_CORRUPT',
      'a longer file',
      ({ vectors }) => {
        writeFileSync(vectors, 'x', { flag: 'a' })
      }
    ],
    [
      'ZGQ_CORRUPT',
      'another header',
      ({ vectors }) => {
        flip(vectors, () => 100)
      }
    ],
    [
      'ZGQ_CORRUPT',
      'another row',
      ({ folder, vectors }) => {
        flip(vectors, () => factsOf(folder).segments[2].rows.offset + 5)
      }
    ],
    [
      'ZGQ_CORRUPT',
      'other columns',
      ({ folder, vectors }) => {
        flip(vectors, () => factsOf(folder).segments[2].columns.offset + 12)
      }
    ]
  ] satisfies [string, string, (of: ReturnType<typeof copied>) => void][])(
    'rejects with %s for %s',
    async (code, _, change) => {
      const of = copied()
      expect(await scanned(of.folder)).toHaveLength(queries.length)
      change(of)
      expect((await errorFrom(scanned(of.folder))).code).toBe(code)
    }
  )

  it.each([{ dim: DIM + 1 }, { metric: 'ip' }] as const)(
    'rejects with ZGQ_MISMATCH for rows of another build: %o',
    async (of) => {
      expect((await errorFrom(scanned(builtFor('l2').shards[0], of))).code).toBe('ZGQ_MISMATCH')
    }
  )
})

describe('neighbours as bytes', () => {
  const lists: Neighbours[] = [
    { ordinals: Float64Array.of(2 ** 52, 7), distances: Float64Array.of(-0.5, Math.PI) },
    { ordinals: new Float64Array(0), distances: new Float64Array(0) },
    { ordinals: Float64Array.of(1), distances: Float64Array.of(1e-300) }
  ]

  it('are decoded as they were, wherever the bytes lie', () => {
    const bytes = encodeNeighbours(lists)
    const moved = new Uint8Array(bytes.byteLength + 3).subarray(3)
    moved.set(bytes)
    expect(decodeNeighbours(moved, 'found')).toEqual(lists)
    expect(decodeNeighbours(encodeNeighbours([]), 'found')).toEqual([])
  })

  it('are refused with ZGQ_CORRUPT where they are cut short, too long, or counted otherwise', () => {
    const bytes = encodeNeighbours(lists)
    const counted = bytes.slice()
    counted[bytes.byteLength - 4]++
    for (const bad of [
      new Uint8Array(0),
      bytes.subarray(0, 5),
      bytes.subarray(0, -1),
      Uint8Array.of(...bytes, 0),
      counted
    ])
      expect(errorOf(() => decodeNeighbours(bad, 'found'))).toMatchObject({ code: 'ZGQ_CORRUPT', path: 'found' })
  })
})
