// Builds: the same bytes for the same input, even zones on any data, nothing half-written, nothing lost.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex, type BuildOptions, type BuildProgress, type BuildStage, type VectorBatch } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { createScalarKernel } from '../src/kernels/scalar-kernel.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { DATASETS, makeIds, makeVectors, type DataSetName } from './support/datasets.ts'
import { resetFaults } from './support/failing-fs.ts'
import { expectNearest } from './support/hits.ts'
import { randomFrom } from './support/random.ts'
import { batchesOf, buildSmall, DIM, errorFrom, placeIn, rejection, SMALL } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { dataFileDigests, fileDigests, readStored } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs, npy } from './support/vector-files.ts'

const kernels = vi.hoisted(() => ({ isScalar: false }))
vi.mock(import('../src/kernels/load-kernel.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return { loadKernel: () => (kernels.isScalar ? createScalarKernel() : original.loadKernel()) }
})
vi.mock('node:fs', async (importOriginal) =>
  (await import('./support/failing-fs.ts')).failingFs(await importOriginal())
)
afterEach(resetFaults)

const temp = useTempFolder('build', IN_MEMORY)
const MIB = 2 ** 20
const METRICS = ['l2', 'cosine', 'ip'] as const
const BITS = [0, 1, 2, 4, 8] as const
const place = (): ReturnType<typeof placeIn> => placeIn(temp)

describe('the same input, options and seed give the same data files', () => {
  const seed = 11
  const dim = 24
  const count = 3000
  const vectors = makeVectors('power-law clusters', { count, dim }, seed)
  const ids = makeIds(count, seed)
  const digests = async (options: Partial<BuildOptions>): Promise<unknown> => {
    const { output } = place()
    // A calibration is no part of the data files.
    const { indexId } = await buildIndex({ input: vectors, dim, ids, zones: 40, output, calibrate: false, ...options })
    return { indexId, files: dataFileDigests(output) }
  }
  let reference: unknown
  let zoneIds: unknown
  beforeAll(async () => {
    reference = await digests({})
    const { output } = place()
    await buildIndex({ input: vectors, dim, ids, zones: 40, output, calibrate: false })
    zoneIds = readStored(output).map((zone) => zone.ids)
  })

  it('for a second build', async () => {
    expect(await digests({})).toEqual(reference)
  })

  it('for the options that have defaults', async () => {
    expect(await digests({ metric: 'l2', bits: 4, seed: 1, force: true })).toEqual(reference)
  })

  it.each([
    ['fbin', fbin],
    ['fvecs', fvecs],
    ['npy', npy]
  ] as const)('for a .%s file', async (ending, encode) => {
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

  it.each(METRICS.flatMap((metric) => BITS.map((bits) => [metric, bits] as const)))(
    'for either kernel (%s, %d bits)',
    async (metric, bits) => {
      const wasm = await digests({ metric, bits })
      kernels.isScalar = true
      try {
        expect(await digests({ metric, bits })).toEqual(wasm)
      } finally {
        kernels.isScalar = false
      }
    }
  )

  it('for 64 MB of memory, where rows are in several runs, as for 512 MB', async () => {
    const many = {
      input: makeVectors('power-law clusters', { count: 60_000, dim: 80 }, seed),
      ids: undefined,
      dim: 80,
      zones: 100
    }
    expect(await digests({ ...many, memoryBytes: 64 * MIB })).toEqual(
      await digests({ ...many, memoryBytes: 512 * MIB })
    )
  })

  it.each(BITS)('and with %d bits the same zones, with a codes file or none', async (bits) => {
    const { output } = place()
    await buildIndex({ input: vectors, dim, ids, zones: 40, bits, output, calibrate: false })
    expect(readdirSync(output).filter((name) => name.startsWith('codes-'))).toHaveLength(bits > 0 ? 1 : 0)
    expect(readStored(output).map((zone) => zone.ids)).toEqual(zoneIds)
  })

  it('and other bits give another index id', async () => {
    const indexIds = await Promise.all(BITS.map(async (bits) => Object(await digests({ bits })).indexId))
    expect(new Set(indexIds).size).toBe(BITS.length)
  })

  it('and another seed gives another index id', async () => {
    expect(await digests({ seed: 2 })).not.toMatchObject({ indexId: Object(reference).indexId })
  })

  it('and other ids give another index id', async () => {
    expect(await digests({ ids: undefined })).not.toMatchObject({ indexId: Object(reference).indexId })
  })
})

/** Builds, and expects even zones that hold every row once, unchanged, and an exact search that is right. */
async function expectSound(options: {
  vectors: Float32Array
  dim: number
  ids: readonly number[]
  metric: (typeof METRICS)[number]
  zones: number | undefined
  bits?: number
}): Promise<void> {
  const { vectors, dim, ids, metric, zones, bits } = options
  const { output } = place()
  await buildIndex({ input: vectors, dim, ids, metric, zones, bits, output })
  const stored = readStored(output)
  const sizes = stored.map((zone) => zone.ids.length)
  expect(Math.min(...sizes)).toBeGreaterThan(0)
  expect(Math.max(...sizes)).toBeLessThanOrEqual((4 * ids.length) / stored.length)
  if (zones !== undefined) expect(stored.length).toBeLessThanOrEqual(2 * zones)
  const rowById = new Map(stored.flatMap((zone) => zone.ids.map((id, i) => [id, rowOf(zone.rows, dim, i)])))
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(ids.length)
  const hex = (row: Float32Array | undefined): string =>
    row === undefined ? 'missing' : Buffer.from(Float32Array.from(row).buffer).toString('hex')
  const changed = ids.filter((id, i) => hex(rowById.get(id)) !== hex(rowOf(vectors, dim, i)))
  expect(changed).toEqual([])
  await checkIndex(output)
  const query = rowOf(vectors, dim, ids.length - 1)
  const index = ZgqIndex.open(output)
  try {
    expectNearest(index.search(query, { exact: true, k: 20 }), { metric, rows: vectors, ids, query }, 20)
    expectNearest(
      index.search(query, { nprobe: stored.length, rerank: ids.length, k: 20 }),
      { metric, rows: vectors, ids, query },
      20
    )
  } finally {
    index.close()
  }
}

const DATASET_NAMES = Object.keys(DATASETS).filter((name): name is DataSetName => name in DATASETS)

describe('zones are even and hold every row once, unchanged', () => {
  const seed = 21

  it.each(DATASET_NAMES.flatMap((name) => METRICS.map((metric) => ({ name, metric }))))(
    `$name, $metric (seed ${seed})`,
    async ({ name, metric }) => {
      const shape = { count: 2000, dim: 6 }
      await expectSound({
        vectors: makeVectors(name, shape, seed),
        dim: 6,
        ids: makeIds(shape.count, seed),
        metric,
        zones: 40
      })
    }
  )

  it.each([
    ['one vector', 1, undefined],
    ['one vector, many zones', 1, 50],
    ['two vectors, one zone', 2, 1],
    ['fewer vectors than zones', 10, 1000],
    ['one zone', 300, 1],
    ['as many zones as vectors', 300, 300],
    ['one zone less than vectors', 300, 299],
    ['half as many zones as vectors', 301, 150],
    ['zones by default', 3000, undefined]
  ])('%s', async (_, count, zones) => {
    for (const name of ['normal', 'one vector repeated', 'a line'] as const) {
      await expectSound({
        vectors: makeVectors(name, { count, dim: 4 }, seed),
        dim: 4,
        ids: makeIds(count, seed),
        metric: 'l2',
        zones
      })
    }
  })

  it.each(Array.from({ length: 60 }, (_, i) => 1000 + i))('random case with seed %d', async (caseSeed) => {
    const random = randomFrom(caseSeed)
    const upTo = (most: number): number => 1 + Math.floor(random() * most)
    const shape = { count: upTo(random() < 0.3 ? 20 : 700), dim: upTo(12) }
    const name = DATASET_NAMES[upTo(DATASET_NAMES.length) - 1]
    const zones = random() < 0.1 ? undefined : upTo(random() < 0.3 ? shape.count : 40)
    await expectSound({
      vectors: makeVectors(name, shape, caseSeed),
      dim: shape.dim,
      ids: makeIds(shape.count, caseSeed),
      metric: METRICS[upTo(3) - 1],
      zones,
      bits: BITS[upTo(BITS.length) - 1]
    })
  })

  it.each([4096, 65_536])('vectors of %d dimensions', async (dim) => {
    await expectSound({
      vectors: makeVectors('normal', { count: 12, dim }, seed),
      dim,
      ids: makeIds(12, seed),
      metric: 'cosine',
      zones: 3
    })
  })

  it('rows without ids are numbered in the order of the input', async () => {
    const { output } = place()
    await buildSmall(output)
    const stored = readStored(output)
    expect(stored.flatMap((zone) => zone.ids).sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i))
    const wrong = stored.flatMap((zone) =>
      zone.ids.filter((id, i) => rowOf(SMALL, DIM, id).join() !== rowOf(zone.rows, DIM, i).join())
    )
    expect(wrong).toEqual([])
  })
})

describe('what a build tells', () => {
  const STAGES: readonly BuildStage[] = ['read', 'sample', 'train', 'assign', 'write', 'calibrate', 'publish']

  it('is the stages in order, never done beyond their total', async () => {
    const told: BuildProgress[] = []
    await buildSmall(place().output, {
      input: batchesOf(SMALL, DIM, [100]),
      queries: SMALL, // so small an index is not calibrated otherwise
      onProgress: (progress) => {
        told.push(progress)
      }
    })
    const order = told.map((progress) => STAGES.indexOf(progress.stage))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(new Set(order).size).toBe(STAGES.length)
    expect(told.filter(({ done, total }) => total !== 0 && done > total)).toEqual([])
  })

  it('ends with the index in its place', async () => {
    const { output } = place()
    const seen: boolean[] = []
    await buildSmall(output, {
      onProgress: () => {
        seen.push(existsSync(output))
      }
    })
    expect(seen.indexOf(true)).toBe(seen.length - 1)
  })

  it('is at last a report of what the index holds', async () => {
    const { folder, output } = place()
    const report = await buildSmall(output, { metric: 'cosine' })
    const bytes = readdirSync(output).reduce((sum, name) => sum + readFileSync(join(output, name)).byteLength, 0)
    expect(readdirSync(folder)).toEqual(['index'])
    expect(report).toEqual({
      path: output,
      count: 500,
      dim: DIM,
      metric: 'cosine',
      zones: readStored(output).length,
      bits: 4,
      bytes,
      indexId: expect.stringMatching(/^[0-9a-f]{32}$/),
      warnings: []
    })
  })
})

describe('an aborted build', () => {
  const reason = new Error('enough')

  it('rejects with the reason and leaves nothing: aborted before it starts', async () => {
    const { folder, output } = place()
    expect(await rejection(buildSmall(output, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(['read', 'sample', 'train', 'assign', 'write', 'calibrate', 'publish'] as const)(
    'rejects with the reason and leaves nothing: aborted at %s',
    async (stage) => {
      const { folder, output } = place()
      const controller = new AbortController()
      const onProgress = (progress: BuildProgress): void => {
        if (progress.stage === stage) controller.abort(reason)
      }
      expect(
        await rejection(
          buildSmall(output, {
            input: batchesOf(SMALL, DIM, [100]),
            queries: SMALL, // so small an index is not calibrated otherwise
            signal: controller.signal,
            onProgress
          })
        )
      ).toBe(reason)
      expect(readdirSync(folder)).toEqual([])
    }
  )

  it('rejects with the reason while it waits for the next batch', async () => {
    const controller = new AbortController()
    const gate = new Gate()
    async function* slow(): AsyncGenerator<VectorBatch> {
      yield { vectors: SMALL }
      await gate.opened
    }
    let found: unknown = 'nothing yet'
    const build = rejection(buildSmall(place().output, { input: slow(), signal: controller.signal })).then((thrown) => {
      found = thrown
    })
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
    const onProgress = (progress: BuildProgress): void => {
      if (progress.stage === 'publish') controller.abort(reason)
    }
    await rejection(buildSmall(output, { seed: 2, force: true, signal: controller.signal, onProgress }))
    expect(readdirSync(folder)).toEqual(['index'])
    expect(fileDigests(output)).toEqual(before)
  })

  it('rejects with what onProgress throws, and leaves nothing', async () => {
    const { folder, output } = place()
    expect(
      await rejection(
        buildSmall(output, {
          onProgress: () => {
            throw reason
          }
        })
      )
    ).toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })
})

/** A promise that is opened from outside. */
class Gate {
  open: () => void = () => undefined
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve
  })
}

describe('bad input is refused, and nothing is left', () => {
  const bad = (row: number, value: number): Float32Array => {
    const vectors = SMALL.slice()
    vectors[row * DIM + 3] = value
    return vectors
  }
  const zeroRow = (row: number): Float32Array => SMALL.slice().fill(0, row * DIM, (row + 1) * DIM)
  const numbers = Array.from({ length: 500 }, (_, i) => i)

  const cases: readonly (readonly [string, Partial<BuildOptions>, string, RegExp])[] = [
    ...[0, 1, 250, 499].map(
      (row) => [`NaN in row ${row}`, { input: bad(row, NaN) }, 'ZGQ_NON_FINITE', new RegExp(`row ${row}\\b`)] as const
    ),
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
    [
      'a file of an unknown kind',
      { input: join(ROOT, 'package.json'), dim: undefined },
      'ZGQ_BUILD_INPUT',
      /package\.json/
    ],
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
    [
      'an id that stands twice',
      [
        { vectors: one, ids: [5] },
        { vectors: one, ids: [5] }
      ],
      'ZGQ_ID_EXISTS'
    ],
    ['a negative id', [{ vectors: one, ids: [-1] }], 'ZGQ_BUILD_INPUT'],
    ['an id that is no integer', [{ vectors: one, ids: [1.5] }], 'ZGQ_BUILD_INPUT'],
    ['an id above 2^53 - 1', [{ vectors: one, ids: [2 ** 53] }], 'ZGQ_BUILD_INPUT'],
    ['an id that is NaN', [{ vectors: one, ids: [NaN] }], 'ZGQ_BUILD_INPUT'],
    [
      'an id that is text after integers',
      [
        { vectors: one, ids: [1] },
        { vectors: one, ids: ['x'] }
      ],
      'ZGQ_BUILD_INPUT'
    ],
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
    for (const options of [
      { input: bad(499, NaN) },
      { input: batchesOf(bad(499, NaN), DIM, [100]) },
      { ids: numbers.with(400, 17) }
    ]) {
      await rejection(buildSmall(place().output, options))
    }
    expect(open()).toBe(before)
  })
})

describe('a wrong option', () => {
  const build = (options: object): Promise<unknown> => buildSmall(place().output, { ...options })

  it.each([
    ['an unknown name', { zone: 5 }],
    ['a metric that is not known', { metric: 'dot' }],
    ['metric null', { metric: null }],
    ['zones as text', { zones: '5' }],
    ['bits as text', { bits: '0' }],
    ['seed as text', { seed: '5' }],
    ['memoryBytes as text', { memoryBytes: '512MB' }],
    ['force as a number', { force: 1 }],
    ['onProgress that is no function', { onProgress: 5 }],
    ['signal that is no AbortSignal', { signal: {} }],
    ['ids as a number', { ids: 5 }],
    ['ids null', { ids: null }],
    ['input undefined', { input: undefined }],
    ['input as an array', { input: [1, 2, 3] }],
    ['input null', { input: null }],
    ['output empty', { output: '' }],
    ['output undefined', { output: undefined }],
    ['dim with a file', { input: 'x.fbin' }],
    ['dim missing', { dim: undefined }],
    ['dim as text', { dim: '8' }],
    ['ids beside batches', { input: batchesOf(SMALL, DIM, [9]), ids: [1] }]
  ])('throws TypeError: %s', async (_, options) => {
    expect(await rejection(build(options))).toBeInstanceOf(TypeError)
  })

  it.each([
    ['zones 0', { zones: 0 }],
    ['zones 1.5', { zones: 1.5 }],
    ['zones NaN', { zones: NaN }],
    ['bits 3', { bits: 3 }],
    ['bits -1', { bits: -1 }],
    ['bits 5', { bits: 5 }],
    ['bits 16', { bits: 16 }],
    ['seed -1', { seed: -1 }],
    ['seed 0.5', { seed: 0.5 }],
    ['memoryBytes of 1 MB', { memoryBytes: MIB }],
    ['dim 0', { dim: 0 }],
    ['dim 65,537', { dim: 65_537 }]
  ])('throws RangeError: %s', async (_, options) => {
    expect(await rejection(build(options))).toBeInstanceOf(RangeError)
  })

  it('throws TypeError: no options', async () => {
    const call: Promise<unknown> = Reflect.apply(buildIndex, undefined, [])
    expect(await rejection(call)).toBeInstanceOf(TypeError)
  })
})

describe('a batch with a misspelled key', () => {
  it('is a TypeError, and nothing is left', async () => {
    const { folder, output } = place()
    const batches = async function* (): AsyncGenerator<VectorBatch> {
      await setImmediate()
      yield { vectors: SMALL.slice(0, DIM), ...{ id: [1] } }
    }
    expect(await rejection(buildIndex({ input: batches(), dim: DIM, output }))).toBeInstanceOf(TypeError)
    expect(readdirSync(folder)).toEqual([])
  })
})
