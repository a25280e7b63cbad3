// The scalar kernel: the oracle of the WebAssembly one and the fallback where that does not load.
// It repeats the order of summation of assembly/*.ts, so that results are equal to the bit. Selection is in
// scalar-heap.ts and scalar-select.ts, codes are in scalar-encode.ts and scalar-codes.ts.

import { growBy } from './kernel-memory.ts'
import type { Kernel, ScanQuery, ScanRun } from './kernel.ts'
import { METRIC_COSINE, METRIC_L2 } from './layouts.ts'
import { assign, quantizeRows } from './scalar-assign.ts'
import { sortCandidates } from './scalar-candidates.ts'
import { buildTables, estimateBlocks, scanCodes } from './scalar-codes.ts'
import { encodeBlock, rotateRows } from './scalar-encode.ts'
import { heapInit, heapLimit, heapOffer, heapSort, readId } from './scalar-heap.ts'
import { selectNearest, selectSmallest } from './scalar-select.ts'
import { offerRecorded, scanTogether } from './scalar-together.ts'
import { viewsOf } from './scalar-views.ts'

const round = Math.fround
const FLOAT32_MAX = 3.4028234663852886e38
/** As in assembly/pairs.ts. */
const SMALL_SQUARE = round(1e-30)

type Sum = (f: Float32Array, a: number, b: number, dim: number) => number

/**
 * Adds `term` of each value to 16 lanes, as the WebAssembly kernels do with four accumulators, and returns their sum;
 * float32 throughout.
 */
function sumInLanes(dim: number, term: (i: number) => number): number {
  const lanes = new Float32Array(16)
  const steps = dim & ~15
  const bulk = dim & ~3
  let i = 0
  for (; i < steps; i++) lanes[i & 15] += term(i)
  for (; i < bulk; i++) lanes[i & 3] += term(i)
  const joined = [0, 1, 2, 3].map((lane) =>
    round(round(lanes[lane] + lanes[lane + 4]) + round(lanes[lane + 8] + lanes[lane + 12]))
  )
  let sum = round(round(joined[0] + joined[1]) + round(joined[2] + joined[3]))
  for (; i < dim; i++) sum = round(sum + term(i))
  return sum
}

/** a and b are indices into f. */
const l2Single: Sum = (f, a, b, dim) =>
  sumInLanes(dim, (i) => {
    const d = round(f[a + i] - f[b + i])
    return round(d * d)
  })

const productSingle: Sum = (f, a, b, dim) => sumInLanes(dim, (i) => round(f[a + i] * f[b + i]))

/** Float32 product over 4 lanes, as `scanPairs` sums. */
const productPair: Sum = (f, a, b, dim) => {
  const bulk = dim & ~3
  let s0 = 0,
    s1 = 0,
    s2 = 0,
    s3 = 0
  for (let i = 0; i < bulk; i += 4) {
    s0 = round(s0 + round(f[a + i] * f[b + i]))
    s1 = round(s1 + round(f[a + i + 1] * f[b + i + 1]))
    s2 = round(s2 + round(f[a + i + 2] * f[b + i + 2]))
    s3 = round(s3 + round(f[a + i + 3] * f[b + i + 3]))
  }
  let sum = round(round(s0 + s1) + round(s2 + s3))
  for (let i = bulk; i < dim; i++) sum = round(sum + round(f[a + i] * f[b + i]))
  return sum
}

/** Float32 squared distance over 4 lanes, as `scanPairs` sums. */
const l2Pair: Sum = (f, a, b, dim) => {
  const bulk = dim & ~3
  const square = (i: number): number => {
    const d = round(f[a + i] - f[b + i])
    return round(d * d)
  }
  let s0 = 0,
    s1 = 0,
    s2 = 0,
    s3 = 0
  for (let i = 0; i < bulk; i += 4) {
    s0 = round(s0 + square(i))
    s1 = round(s1 + square(i + 1))
    s2 = round(s2 + square(i + 2))
    s3 = round(s3 + square(i + 3))
  }
  let sum = round(round(s0 + s1) + round(s2 + s3))
  for (let i = bulk; i < dim; i++) sum = round(sum + square(i))
  return sum
}

const l2Double: Sum = (f, a, b, dim) => {
  const bulk = dim & ~3
  let s0 = 0,
    s1 = 0,
    s2 = 0,
    s3 = 0
  for (let i = 0; i < bulk; i += 4) {
    const d0 = f[a + i] - f[b + i],
      d1 = f[a + i + 1] - f[b + i + 1]
    const d2 = f[a + i + 2] - f[b + i + 2],
      d3 = f[a + i + 3] - f[b + i + 3]
    s0 += d0 * d0
    s1 += d1 * d1
    s2 += d2 * d2
    s3 += d3 * d3
  }
  let sum = s0 + s1 + (s2 + s3)
  for (let i = bulk; i < dim; i++) {
    const d = f[a + i] - f[b + i]
    sum += d * d
  }
  return sum
}

const productDouble: Sum = (f, a, b, dim) => {
  const bulk = dim & ~3
  let s0 = 0,
    s1 = 0,
    s2 = 0,
    s3 = 0
  for (let i = 0; i < bulk; i += 4) {
    s0 += f[a + i] * f[b + i]
    s1 += f[a + i + 1] * f[b + i + 1]
    s2 += f[a + i + 2] * f[b + i + 2]
    s3 += f[a + i + 3] * f[b + i + 3]
  }
  let sum = s0 + s1 + (s2 + s3)
  for (let i = bulk; i < dim; i++) sum += f[a + i] * f[b + i]
  return sum
}

/** Creates a scalar kernel with its own memory. */
export function createScalarKernel(): Kernel {
  let buffer = new ArrayBuffer(65_536)
  let views = viewsOf(buffer)
  let { floats, view } = views

  const eachRow = (sum: Sum, rows: number, count: number, dim: number, query: number, out: number): void => {
    for (let i = 0; i < count; i++) floats[out / 4 + i] = sum(floats, rows / 4 + i * dim, query / 4, dim)
  }

  const eachRowAt = (
    sum: Sum,
    rows: number,
    positions: number,
    count: number,
    dim: number,
    query: number,
    out: number
  ): void => {
    for (let i = 0; i < count; i++)
      floats[out / 4 + i] = sum(floats, rows / 4 + views.words[positions / 4 + i] * dim, query / 4, dim)
  }

  const exactDistance = (q: ScanQuery, row: number): number => {
    if (q.metric === METRIC_L2) return l2Double(floats, row, q.query / 4, q.dim)
    const product = productDouble(floats, row, q.query / 4, q.dim)
    if (q.metric !== METRIC_COSINE) return 0 - product
    const distance = 1 - product / Math.sqrt(q.queryNorm2 * productDouble(floats, row, row, q.dim))
    return distance > 0 ? distance : 0
  }

  const approximate = (q: ScanQuery, run: ScanRun, i: number): number => {
    const row = run.rows / 4 + i * q.dim
    if (q.metric === METRIC_L2) return l2Single(floats, row, q.query / 4, q.dim)
    const product = productSingle(floats, row, q.query / 4, q.dim)
    if (q.metric !== METRIC_COSINE) return -product
    return round(1 - round(round(product * floats[run.inverseNorms / 4 + i]) * round(1 / Math.sqrt(q.queryNorm2))))
  }

  const isLive = (mask: number, i: number): boolean =>
    mask === 0 || (view.getUint32(mask + (i >>> 5) * 4, true) & (1 << (i & 31))) !== 0

  return {
    kind: 'scalar',
    get buffer() {
      return buffer
    },
    grow(byteLength) {
      const pages = growBy(buffer.byteLength, byteLength)
      if (pages === 0) return
      const grown = new ArrayBuffer(buffer.byteLength + pages * 65_536)
      new Uint8Array(grown).set(new Uint8Array(buffer))
      buffer = grown
      views = viewsOf(buffer)
      ;({ floats, view } = views)
    },
    l2Distances: (rows, count, dim, query, out) => {
      eachRow(l2Single, rows, count, dim, query, out)
    },
    innerProducts: (rows, count, dim, query, out) => {
      eachRow(productSingle, rows, count, dim, query, out)
    },
    l2DistancesAt: (rows, positions, count, dim, query, out) => {
      eachRowAt(l2Single, rows, positions, count, dim, query, out)
    },
    innerProductsAt: (rows, positions, count, dim, query, out) => {
      eachRowAt(productSingle, rows, positions, count, dim, query, out)
    },
    squaredNorms(rows, count, dim, out) {
      for (let i = 0; i < count; i++)
        view.setFloat64(out + i * 8, productDouble(floats, rows / 4 + i * dim, rows / 4 + i * dim, dim), true)
    },
    heapInit: (heap, capacity) => {
      heapInit(view, heap, capacity)
    },
    heapSort: (heap) => heapSort(view, heap),
    selectNearest: (values, count, wanted, names, list) => selectNearest(views, { values, count, wanted }, names, list),
    selectSmallest: (values, count, wanted, out) => selectSmallest(views, { values, count, wanted }, out),
    scan(q, run) {
      let confirmed = 0
      let limit = heapLimit(view, q.heap) * (1 + q.relative) + q.absolute
      for (let i = 0; i < run.count; i++) {
        const value = approximate(q, run, i)
        if ((value > limit && value < FLOAT32_MAX) || !isLive(run.mask, run.firstRow + i)) continue
        confirmed++
        heapOffer(view, q.heap, {
          distance: exactDistance(q, run.rows / 4 + i * q.dim),
          id: readId(view, run.ids + i * 8)
        })
        limit = heapLimit(view, q.heap) * (1 + q.relative) + q.absolute
      }
      return confirmed
    },
    quantizeRows: (rows, count, dim, out, units) => {
      quantizeRows(views, { rows, count, dim, out, units })
    },
    assign: (run) => {
      assign(views, run)
    },
    scanPairs(run) {
      const { isProduct, rows, count, dim, queries, queryCount } = run
      for (let q = 0; q < queryCount; q++) {
        const query = queries / 4 + q * dim
        const heap = run.heaps + q * run.heapBytes
        for (let i = 0; i < count; i++) {
          const row = rows / 4 + i * dim
          const value = isProduct ? round(0 - productPair(floats, row, query, dim)) : l2Pair(floats, row, query, dim)
          if (!(value <= floats[run.limits / 4 + q] || !(value < FLOAT32_MAX))) continue
          let distance = value
          if (isProduct) {
            if (!(Math.abs(value) < FLOAT32_MAX)) distance = 0 - productDouble(floats, row, query, dim)
          } else if (!(value > SMALL_SQUARE && value < FLOAT32_MAX)) distance = l2Double(floats, row, query, dim)
          heapOffer(view, heap, { distance, id: run.high * 2 ** 32 + run.low + i })
          floats[run.limits / 4 + q] = heapLimit(view, heap)
        }
      }
    },
    rotateRows: (rows, count, width, flips, rounds, window, scale) => {
      rotateRows(views, rows, count, { width, flips, rounds, window, scale })
    },
    encodeBlock: (run) => {
      encodeBlock(views, run)
    },
    buildTables: (query, width, tables, integers, scalars) => {
      buildTables(views, { query, width, tables, integers, scalars })
    },
    estimateBlocks: (blocks, count, width, tables, scalars, base, out) => {
      estimateBlocks(views, { blocks, count, width, tables, scalars, base, out })
    },
    scanCodes: (scan, first, end) => scanCodes(views, scan, first, end),
    scanTogether: (scan, segment, pairs, count) => scanTogether(views, scan, { segment, pairs, count }),
    offerRecorded: (recorded) => offerRecorded(views, recorded),
    sortCandidates: (candidates, limit) => sortCandidates(views, candidates, limit),
    normalizeRows(rows, count, dim) {
      for (let i = 0; i < count; i++) {
        const row = rows / 4 + i * dim
        const scale = 1 / Math.sqrt(productDouble(floats, row, row, dim))
        for (let j = row; j < row + dim; j++) floats[j] *= scale
      }
    },
    addRows(rows, count, dim, zones, sums) {
      const { doubles, words } = views
      for (let i = 0; i < count; i++) {
        const sum = sums / 8 + words[zones / 4 + i] * dim
        for (let j = 0; j < dim; j++) doubles[sum + j] += floats[rows / 4 + i * dim + j]
      }
    },
    subtractRow(rows, count, dim, row) {
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < dim; j++) floats[rows / 4 + i * dim + j] -= floats[row / 4 + j]
      }
    }
  }
}
