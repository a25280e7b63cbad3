// The scalar kernel: the oracle of the WebAssembly one and the fallback where that does not load.
// It repeats the order of summation of assembly/*.ts, so that results are equal to the bit. Selection is in
// scalar-heap.ts and scalar-select.ts, sums are in scalar-distances.ts, codes are in scalar-encode.ts and
// scalar-codes.ts.

import { growBy } from './kernel-memory.ts'
import type { Kernel, ScanQuery, ScanRun } from './kernel.ts'
import { METRIC_COSINE, METRIC_L2, SEARCH_PROBE } from './layouts.ts'
import { assign, quantizeRows } from './scalar-assign.ts'
import { packCentroid, packedDistances } from './scalar-centroids.ts'
import { sortCandidates } from './scalar-candidates.ts'
import { buildTables, estimateBlocks, scanCodes } from './scalar-codes.ts'
import { encodeBlock, rotateRows } from './scalar-encode.ts'
import {
  exactDistance,
  l2Double,
  l2InFour,
  l2Single,
  productDouble,
  productInFour,
  productSingle,
  type Sum
} from './scalar-distances.ts'
import { heapInit, heapLimit, heapOffer, heapSort, readId } from './scalar-heap.ts'
import { selectNearest, selectSmallest } from './scalar-select.ts'
import { offerRecorded, scanTogether } from './scalar-together.ts'
import { rerank } from './scalar-rerank.ts'
import { encodeQuery, scaleQuery } from './scalar-query.ts'
import { viewsOf } from './scalar-views.ts'

const round = Math.fround
const FLOAT32_MAX = 3.4028234663852886e38
/** As in assembly/scan-queries.ts. */
const SMALL_SQUARE = round(1e-30)

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
          distance: exactDistance(floats, q, run.rows / 4 + i * q.dim),
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
    scanQueries(run) {
      const { isProduct, rows, count, dim, queries, queryCount } = run
      for (let q = 0; q < queryCount; q++) {
        const query = queries / 4 + q * dim
        const heap = run.heaps + q * run.heapBytes
        for (let i = 0; i < count; i++) {
          const row = rows / 4 + i * dim
          const value = isProduct
            ? round(0 - productInFour(floats, row, query, dim))
            : l2InFour(floats, row, query, dim)
          if (!(value <= floats[run.limits / 4 + q] || !(value < FLOAT32_MAX))) continue
          let distance = value
          if (isProduct) {
            if (!(Math.abs(value) < FLOAT32_MAX)) distance = 0 - productDouble(floats, row, query, dim)
          } else if (!(value > SMALL_SQUARE && value < FLOAT32_MAX)) distance = l2Double(floats, row, query, dim)
          heapOffer(view, heap, { distance, id: run.high * 2 ** 32 + run.low + i })
          const most = heapLimit(view, heap)
          floats[run.limits / 4 + q] = isProduct ? most : Math.max(most, SMALL_SQUARE)
        }
      }
    },
    rotateRows: (rows, count, width, flips, rounds, window, scale) => {
      rotateRows(views, rows, count, { width, flips, rounds, window, scale })
    },
    encodeBlock: (run) => {
      encodeBlock(views, run)
    },
    scaleQuery: (metric, dim, query, probeQuery) => scaleQuery(views, { metric, dim, query, probeQuery }),
    encodeQuery: (run) => {
      encodeQuery(views, run)
    },
    buildTables: (query, width, tables, integers, scalars) => {
      buildTables(views, { query, width, tables, integers, scalars })
    },
    estimateBlocks: (blocks, count, width, tables, scalars, base, out) => {
      estimateBlocks(views, { blocks, count, width, tables, scalars, base, out })
    },
    searchCodes: () => SEARCH_PROBE,
    packCentroid: (rotated, width, packed, factors) => {
      packCentroid(views, { rotated, width, packed, factors })
    },
    packedDistances: (run) => {
      packedDistances(views, run)
    },
    rerank: (query, run, most) => rerank(views, query, { ...run, most }),
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
