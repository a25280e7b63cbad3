// Loads the WebAssembly SIMD kernels. Compiling takes well under a millisecond; each open index has its own instance
// and memory.

import { decodeBase64 } from '#platform'

import { growBy } from './kernel-memory.ts'
import type { Kernel } from './kernel.ts'
import { WASM_BASE64 } from './wasm-bytes.ts'

interface WasmExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  l2Distances: Kernel['l2Distances']
  innerProducts: Kernel['innerProducts']
  squaredNorms: Kernel['squaredNorms']
  heapInit: Kernel['heapInit']
  heapSort: Kernel['heapSort']
  selectNearest: Kernel['selectNearest']
  selectSmallest: Kernel['selectSmallest']
  l2DistancesAt: Kernel['l2DistancesAt']
  innerProductsAt: Kernel['innerProductsAt']
  estimateBlocks: Kernel['estimateBlocks']
  normalizeRows: Kernel['normalizeRows']
  subtractRow: Kernel['subtractRow']
  addRows: Kernel['addRows']
  quantizeRows: Kernel['quantizeRows']
  rotateRows: Kernel['rotateRows']
  buildTables: Kernel['buildTables']
  scaleQuery: Kernel['scaleQuery']
  sortCandidates: Kernel['sortCandidates']
  encodeBlock(...numbers: number[]): void
  encodeQuery(...numbers: number[]): void
  packCentroid: Kernel['packCentroid']
  searchCodes: Kernel['searchCodes']
  packedDistances(...numbers: number[]): void
  rerank(...numbers: number[]): number
  scanCodes(...numbers: number[]): number
  scanTogether(...numbers: number[]): number
  offerRecorded(...numbers: number[]): number
  scan(...numbers: number[]): number
  assign(...numbers: number[]): void
  scanQueries(...numbers: number[]): void
}

// Typed here because the library compiles without DOM types, where TypeScript keeps WebAssembly.
interface WebAssemblyLike {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: object }
}

/** Creates a kernel, or returns undefined where WebAssembly SIMD does not load. */
export function createWasmKernel(): Kernel | undefined {
  const webAssembly = (globalThis as { WebAssembly?: WebAssemblyLike }).WebAssembly
  if (webAssembly === undefined) return undefined
  let wasm: WasmExports
  try {
    const module = new webAssembly.Module(decodeBase64(WASM_BASE64))
    wasm = new webAssembly.Instance(module, {}).exports as WasmExports
  } catch {
    return undefined // no SIMD on this processor or engine: the scalar kernel takes over, and info() says so
  }
  return {
    kind: 'wasm',
    get buffer() {
      return wasm.memory.buffer
    },
    grow(byteLength) {
      const missing = growBy(wasm.memory.buffer.byteLength, byteLength)
      if (missing > 0) wasm.memory.grow(missing)
    },
    l2Distances: wasm.l2Distances,
    innerProducts: wasm.innerProducts,
    squaredNorms: wasm.squaredNorms,
    heapInit: wasm.heapInit,
    heapSort: wasm.heapSort,
    selectNearest: wasm.selectNearest,
    selectSmallest: wasm.selectSmallest,
    l2DistancesAt: wasm.l2DistancesAt,
    innerProductsAt: wasm.innerProductsAt,
    estimateBlocks: wasm.estimateBlocks,
    normalizeRows: wasm.normalizeRows,
    subtractRow: wasm.subtractRow,
    addRows: wasm.addRows,
    quantizeRows: wasm.quantizeRows,
    rotateRows: wasm.rotateRows,
    buildTables: wasm.buildTables,
    scaleQuery: wasm.scaleQuery,
    encodeQuery(q) {
      wasm.encodeQuery(
        q.query,
        q.dim,
        q.mean,
        q.rotated,
        q.width,
        q.flips,
        q.rounds,
        q.window,
        q.scale,
        q.tables,
        q.integers,
        q.scalars,
        q.norm2,
        q.planes,
        q.refined,
        q.slack
      )
    },
    sortCandidates: wasm.sortCandidates,
    scan(q, run) {
      return wasm.scan(
        q.metric,
        run.rows,
        run.ids,
        run.inverseNorms,
        run.mask,
        run.firstRow,
        run.count,
        q.dim,
        q.query,
        q.queryNorm2,
        q.relative,
        q.absolute,
        q.heap
      )
    },
    encodeBlock(run) {
      wasm.encodeBlock(
        run.residuals,
        run.crosses,
        run.centroid,
        run.count,
        run.width,
        run.bits,
        run.metric,
        run.block,
        run.refined,
        run.codes
      )
    },
    packCentroid: wasm.packCentroid,
    searchCodes: wasm.searchCodes,
    packedDistances(run) {
      wasm.packedDistances(
        run.metric,
        run.packed,
        run.factors,
        run.positions,
        run.count,
        run.width,
        run.integers,
        run.scalars,
        run.centroids,
        run.dim,
        run.query,
        run.out
      )
    },
    rerank(q, run, most) {
      return wasm.rerank(
        q.metric,
        q.dim,
        q.query,
        q.queryNorm2,
        q.heap,
        run.candidates,
        run.wanted,
        run.segments,
        run.kept,
        run.keptBits,
        run.batch,
        run.slots,
        most
      )
    },
    scanCodes(s, first, end) {
      return wasm.scanCodes(
        s.metric,
        s.bits,
        s.width,
        s.tables,
        s.integers,
        s.scalars,
        s.segments,
        s.list,
        first,
        end,
        s.heap,
        s.candidates
      )
    },
    scanTogether(s, segment, pairs, count) {
      return wasm.scanTogether(
        s.metric,
        s.bits,
        s.width,
        s.segments,
        s.members,
        s.visits,
        s.records,
        s.scratch,
        segment,
        pairs,
        count
      )
    },
    offerRecorded(r) {
      return wasm.offerRecorded(r.metric, r.slack, r.visits, r.count, r.records, r.heap, r.candidates)
    },
    assign(run) {
      wasm.assign(
        run.rows,
        run.units,
        run.count,
        run.width,
        run.centroids,
        run.centroidUnits,
        run.halfNorms,
        run.zoneCount,
        run.zones,
        run.scores
      )
    },
    scanQueries(run) {
      wasm.scanQueries(
        run.isProduct ? 1 : 0,
        run.rows,
        run.count,
        run.dim,
        run.queries,
        run.queryCount,
        run.limits,
        run.heaps,
        run.heapBytes,
        run.low,
        run.high
      )
    }
  }
}
