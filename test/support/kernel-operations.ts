// Every kernel function as numbers in, numbers out: how to call it, and what plain arithmetic says it must give.

import type { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import { heapByteLength } from '../../src/kernels/addresses.ts'
import { SELECT_SCRATCH_BYTES } from '../../src/kernels/layouts.ts'
import type { Metric } from '../../src/types.ts'
import { bruteForce, product, rowOf, squaredDistance, type Problem } from './brute-force.ts'
import { heapEntries, put, type Found } from './kernels.ts'
import { randomVectors, type MakeValue } from './random.ts'
import { scanAll } from './scan-all.ts'

const CENTROIDS = 7
const K = 4
/**
 * One word a block of 32 rows: of 33 rows, rows 0, 2 and 31 are live; of those from row 29 on, the third, and others.
 */
const MASK = Uint32Array.of(0x8000_0005, 0xffff_fffe)

export interface Input {
  readonly count: number
  readonly dim: number
  readonly rows: Float32Array
  readonly query: Float32Array
  readonly centroids: Float32Array
}

export interface Operation {
  readonly name: string
  readonly run: (memory: KernelMemory, input: Input) => ArrayLike<number>
  readonly formula: (input: Input) => ArrayLike<number>
}

export function makeInput(shape: { count: number; dim: number }, random: () => number, value: MakeValue): Input {
  const rows = randomVectors(shape, random, value)
  const query = randomVectors({ count: 1, dim: shape.dim }, random, value)
  const centroids = randomVectors({ count: CENTROIDS, dim: shape.dim }, random, value)
  return { ...shape, rows, query, centroids }
}

/** Ids that are neither in order nor below 2^32. */
function idsOf(count: number): number[] {
  return Array.from({ length: count }, (_, row) => ((row * 7) % 64) * 2 ** 31 + row)
}

export function problemOf(metric: Metric, input: Input): Problem {
  return { metric, rows: input.rows, ids: idsOf(input.count), query: input.query }
}

function eachRow(input: Input, of: (row: Float32Array) => number): number[] {
  return Array.from({ length: input.count }, (_, row) => of(rowOf(input.rows, input.dim, row)))
}

function flat(entries: readonly Found[]): number[] {
  return entries.flatMap(({ distance, id }) => [distance, id])
}

type Distances = 'l2Distances' | 'innerProducts'

function distances(name: Distances, formula: typeof product): Operation {
  return {
    name,
    run(memory, { rows, query, count, dim }) {
      const [at, against, out] = [put(memory, rows), put(memory, query), memory.allocate(count * 4)]
      memory.kernel[name](at, count, dim, against, out)
      return memory.float32At(out, count)
    },
    formula: (input) => eachRow(input, (row) => formula(row, input.query))
  }
}

const squaredNorms: Operation = {
  name: 'squaredNorms',
  run(memory, { rows, count, dim }) {
    const [at, out] = [put(memory, rows), memory.allocate(count * 8)]
    memory.kernel.squaredNorms(at, count, dim, out)
    return memory.float64At(out, count)
  },
  formula: (input) => eachRow(input, (row) => product(row, row))
}

function scan(metric: Metric, mask?: Uint32Array, firstRow = 0): Operation {
  const bitOf = (words: Uint32Array, row: number): number => (words[row >>> 5] >>> (row & 31)) & 1
  const isLive = (row: number): boolean => mask === undefined || bitOf(mask, firstRow + row) === 1
  return {
    name: `scan under ${metric}${mask === undefined ? '' : ` with a mask from row ${firstRow} on`}`,
    run: (memory, input) => flat(scanAll(memory, problemOf(metric, input), { k: K, mask, firstRow }).found),
    formula: (input) =>
      flat(bruteForce(problemOf(metric, input), product(input.query, input.query), isLive).slice(0, K))
  }
}

/** Sorts a heap of the input's rows: worst first is a valid heap, and its room is larger than what it holds. */
const heapSort: Operation = {
  name: 'heapSort',
  run(memory, input) {
    const entries = heapOf(input).reverse()
    const capacity = input.count + 3
    const heap = memory.allocate(heapByteLength(capacity))
    memory.kernel.heapInit(heap, capacity)
    memory.uint32At(heap, 1)[0] = entries.length
    memory.float64At(heap + 8, capacity).set(entries.map((entry) => entry.distance))
    memory
      .uint32At(heap + 8 + capacity * 8, capacity * 2)
      .set(entries.flatMap(({ id }) => [id % 2 ** 32, Math.floor(id / 2 ** 32)]))
    const size = memory.kernel.heapSort(heap)
    return flat(heapEntries(memory, { pointer: heap, capacity, size }))
  },
  formula: (input) => flat(heapOf(input))
}

function heapOf(input: Input): Found[] {
  return bruteForce(problemOf('ip', input))
}

/** Chooses among the values of the first column, with ties where these are small integers. */
const selectNearest: Operation = {
  name: 'selectNearest',
  run(memory, input) {
    const { values, wanted } = choiceOf(input)
    if (values.length === 0) return []
    const at = put(memory, values)
    return [0, put(memory, namesOf(values.length))].flatMap((names) => {
      const list = memory.allocate(heapByteLength(values.length))
      const size = memory.kernel.selectNearest(
        at,
        values.length,
        wanted,
        names,
        list,
        memory.allocate(SELECT_SCRATCH_BYTES)
      )
      return flat(heapEntries(memory, { pointer: list, capacity: wanted, size }))
    })
  },
  formula(input) {
    const { values, wanted } = choiceOf(input)
    const all = Array.from(values, (distance, id) => ({ distance, id }))
    const nearest = all.sort((a, b) => a.distance - b.distance || a.id - b.id).slice(0, wanted)
    const names = namesOf(values.length)
    return values.length === 0
      ? []
      : flat([...nearest, ...nearest.map(({ distance, id }) => ({ distance, id: names[id] }))])
  }
}

/** Names for positions, in no order. */
function namesOf(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => 2 ** 31 + ((i * 7) % 64))
}

/** Distances of some of the rows, in no order, one of them twice. */
function distancesAt(name: 'l2DistancesAt' | 'innerProductsAt', formula: typeof product): Operation {
  const positionsOf = (count: number): number[] => (count === 0 ? [] : [count - 1, 0, Math.floor(count / 2), count - 1])
  return {
    name,
    run(memory, { rows, query, count, dim }) {
      const positions = Uint32Array.from(positionsOf(count))
      const [at, places, against, out] = [
        put(memory, rows),
        put(memory, positions),
        put(memory, query),
        memory.allocate(positions.byteLength)
      ]
      memory.kernel[name](at, places, positions.length, dim, against, out)
      return memory.float32At(out, positions.length)
    },
    formula: ({ rows, query, count, dim }) => positionsOf(count).map((row) => formula(rowOf(rows, dim, row), query))
  }
}

function choiceOf(input: Input): { values: Float32Array; wanted: number } {
  return { values: Float32Array.from(eachRow(input, (row) => row[0])), wanted: Math.max(1, Math.ceil(input.count / 2)) }
}

const normalizeRows: Operation = {
  name: 'normalizeRows',
  run(memory, { rows, count, dim }) {
    const at = put(memory, rows)
    memory.kernel.normalizeRows(at, count, dim)
    return memory.float32At(at, count * dim)
  },
  formula(input) {
    const scales = eachRow(input, (row) => 1 / Math.sqrt(product(row, row)))
    return input.rows.map((value, i) => value * scales[Math.floor(i / input.dim)])
  }
}

const subtractRow: Operation = {
  name: 'subtractRow',
  run(memory, { rows, query, count, dim }) {
    const [at, row] = [put(memory, rows), put(memory, query)]
    memory.kernel.subtractRow(at, count, dim, row)
    return memory.float32At(at, count * dim)
  },
  formula: ({ rows, query, dim }) => rows.map((value, i) => value - query[i % dim])
}

/** Sums of the rows of three zones, on top of what is there. */
const addRows: Operation = {
  name: 'addRows',
  run(memory, { rows, count, dim }) {
    const zones = put(
      memory,
      Uint32Array.from({ length: count }, (_, row) => (row * 7) % 3)
    )
    const [at, sums] = [put(memory, rows), memory.allocate(3 * dim * 8)]
    memory.float64At(sums, 3 * dim).fill(5)
    memory.kernel.addRows(at, count, dim, zones, sums)
    return memory.float64At(sums, 3 * dim)
  },
  formula({ rows, count, dim }) {
    const sums = new Float64Array(3 * dim).fill(5)
    for (let row = 0; row < count; row++) {
      for (let i = 0; i < dim; i++) sums[((row * 7) % 3) * dim + i] += rows[row * dim + i]
    }
    return sums
  }
}

const FIRST_ROW = 2 ** 32 * 5 + 11

function scanQueries(isProduct: boolean): Operation {
  return {
    name: `scanQueries by ${isProduct ? 'products' : 'differences'}`,
    run(memory, { rows, centroids, count, dim }) {
      const heapBytes = heapByteLength(K)
      const heaps = memory.allocate(CENTROIDS * heapBytes)
      for (let i = 0; i < CENTROIDS; i++) memory.kernel.heapInit(heaps + i * heapBytes, K)
      memory.kernel.scanQueries({
        isProduct,
        rows: put(memory, rows),
        count,
        dim,
        queries: put(memory, centroids),
        queryCount: CENTROIDS,
        limits: put(memory, new Float32Array(CENTROIDS).fill(Infinity)),
        heaps,
        heapBytes,
        low: 11,
        high: 5
      })
      return Array.from({ length: CENTROIDS }, (_, i) => heaps + i * heapBytes).flatMap((pointer) =>
        flat(heapEntries(memory, { pointer, capacity: K, size: memory.kernel.heapSort(pointer) }))
      )
    },
    formula({ rows, centroids, count, dim }) {
      return Array.from({ length: CENTROIDS }, (_, i) => {
        const query = rowOf(centroids, dim, i)
        const all = Array.from({ length: count }, (__, row) => ({
          distance: isProduct
            ? 0 - product(rowOf(rows, dim, row), query)
            : squaredDistance(rowOf(rows, dim, row), query),
          id: FIRST_ROW + row
        }))
        return flat(all.sort((a, b) => a.distance - b.distance || a.id - b.id).slice(0, K))
      }).flat()
    }
  }
}

export const OPERATIONS: readonly Operation[] = [
  distances('l2Distances', squaredDistance),
  distances('innerProducts', product),
  distancesAt('l2DistancesAt', squaredDistance),
  distancesAt('innerProductsAt', product),
  squaredNorms,
  scan('l2'),
  scan('cosine'),
  scan('ip'),
  scan('l2', MASK),
  scan('cosine', MASK),
  scan('ip', MASK),
  scan('l2', MASK, 29),
  scan('cosine', MASK, 2),
  scan('ip', MASK, 31),
  heapSort,
  selectNearest,
  normalizeRows,
  subtractRow,
  addRows,
  scanQueries(false),
  scanQueries(true)
]
