// The rerank: the WebAssembly kernel against the scalar twin in all that can be seen of it, and both against brute
// force.

import { describe, expect, it } from 'vitest'

import { METRIC_CODES } from '../src/format/layout.ts'
import {
  candidateAddress,
  candidatesByteLength,
  heapByteLength,
  keptHome,
  segmentEntry
} from '../src/kernels/addresses.ts'
import type { KernelMemory } from '../src/kernels/kernel-memory.ts'
import {
  BATCH_BYTES,
  BATCH_IDS_AT,
  BATCH_MISSING_AT,
  CANDIDATE_SEGMENT_AT,
  KEPT_ENTRY_BYTES,
  RERANK_DONE,
  RERANK_MISSING,
  RERANK_PAUSED,
  RERANK_ROWS,
  SEGMENT_ENTRY_BYTES
} from '../src/kernels/layouts.ts'
import type { Metric } from '../src/types.ts'
import { bruteForce, product, rowOf } from './support/brute-force.ts'
import { heapEntries, KERNEL_KINDS, memoryOf, put, putIds, type Found } from './support/kernels.ts'
import { randomFrom, randomVectors, type MakeValue } from './support/random.ts'

const SEED = 350
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const NO_PAUSE = 0xffff_ffff
const ordinary: MakeValue = (random) => random() * 2 - 1

describe('rerank', () => {
  const [SEGMENTS, ROWS, BITS] = [3, 40, 8]

  /** Reranks all rows of three segments, of which some are kept; tells all that can be seen of it. */
  function rerankAll(
    memory: KernelMemory,
    of: {
      metric: Metric
      rows: Float32Array
      query: Float32Array
      lows: Float32Array
      isKept: (n: number) => boolean
      gone: number
      k: number
      wanted: number
      most: number
    }
  ): { found: Found[]; statuses: number[]; used: number[]; reranked: number } {
    const { rows, query, lows, k, wanted, most, metric } = of
    const dim = query.length
    const count = SEGMENTS * ROWS
    const at = put(memory, rows)
    const segments = memory.allocate(SEGMENTS * SEGMENT_ENTRY_BYTES)
    const idOf = (n: number): number => 2 ** 40 + n
    for (let s = 0; s < SEGMENTS; s++) {
      const ids = putIds(
        memory,
        Array.from({ length: ROWS }, (_, row) => idOf(s * ROWS + row))
      )
      memory.uint32At(segmentEntry(segments, s), 5).set([s === of.gone ? 0 : 64, 0, ids, 0, ROWS])
    }
    const kept = memory.allocate(2 ** BITS * KEPT_ENTRY_BYTES)
    const entryAt = (place: number): Uint32Array => memory.uint32At(kept + place * KEPT_ENTRY_BYTES, 4)
    for (let n = 0; n < count; n++) {
      if (!of.isKept(n)) continue
      let place = keptHome(BITS, Math.floor(n / ROWS), n % ROWS)
      while (entryAt(place)[2] !== 0) place = (place + 1) % 2 ** BITS
      entryAt(place).set([Math.floor(n / ROWS), n % ROWS, at + n * dim * 4, 0])
    }
    const order = Array.from(lows.keys()).sort((a, b) => lows[a] - lows[b] || a - b)
    const candidates = memory.allocate(candidatesByteLength(count))
    memory.uint32At(candidates, 2).set([count, count])
    order.forEach((n, i) => {
      const candidate = candidateAddress(candidates, i)
      memory.float32At(candidate, 2).fill(lows[n])
      memory.uint32At(candidate + CANDIDATE_SEGMENT_AT, 2).set([Math.floor(n / ROWS), n % ROWS])
    })
    const [batch, slots, heap] = [BATCH_BYTES, RERANK_ROWS * dim * 4, heapByteLength(k)].map((bytes) =>
      memory.allocate(bytes)
    )
    memory.kernel.heapInit(heap, k)
    const scanQuery = {
      metric: METRIC_CODES[metric],
      dim,
      query: put(memory, query),
      queryNorm2: product(query, query),
      relative: 0,
      absolute: 0,
      heap
    }
    const run = { wanted, candidates, segments, kept, keptBits: BITS, batch, slots }
    const statuses: number[] = []
    for (let status = -1; status !== RERANK_DONE && statuses.length < 1000;) {
      status = memory.kernel.rerank(scanQuery, run, most)
      const [reranked, waiting, missing] = memory.uint32At(batch, 3)
      statuses.push(status, reranked, waiting, status === RERANK_MISSING ? missing : 0)
      if (status !== RERANK_MISSING) continue
      for (let slot = 0; slot < waiting; slot++) {
        const n = order[reranked - waiting + slot]
        if (((missing >>> slot) & 1) === 0) continue
        memory.float32At(slots + slot * dim * 4, dim).set(rowOf(rows, dim, n))
        memory.uint32At(batch + BATCH_IDS_AT + slot * 8, 2).set([idOf(n) % 2 ** 32, Math.floor(idOf(n) / 2 ** 32)])
      }
      memory.uint32At(batch + BATCH_MISSING_AT, 1)[0] = 0
      // Rows that were kept may have to go before the missing ones come: the batch has copies.
      memory.bytesAt(kept, 2 ** BITS * KEPT_ENTRY_BYTES).fill(0)
    }
    const used = Array.from({ length: 2 ** BITS }, (_, place) => entryAt(place)[3])
    const [reranked] = memory.uint32At(batch, 1)
    const size = memory.kernel.heapSort(heap)
    return { found: heapEntries(memory, { pointer: heap, capacity: k, size }), statuses, used, reranked }
  }

  it.each(METRICS)(
    `gives the same in both kernels, pause or not, and the nearest rows (%s, seed ${SEED + 4})`,
    (metric) => {
      const random = randomFrom(SEED + 4)
      for (const dim of [1, 3, 4, 17, 100]) {
        const [rows, query] = [SEGMENTS * ROWS, 1].map((count) => randomVectors({ count, dim }, random, ordinary))
        const ids = Array.from({ length: SEGMENTS * ROWS }, (_, n) => 2 ** 40 + n)
        const nearest = bruteForce({ metric, rows, ids, query })
        const lows = Float32Array.from(
          ids,
          (id) => (nearest.find((hit) => hit.id === id)?.distance ?? 0) - 0.01 - 0.3 * random()
        )
        for (const [kept, gone] of [
          [1, -1],
          [0, -1],
          [0.8, -1],
          [0.9, 1]
        ]) {
          const keeps = ids.map(() => random() < kept)
          const seen = new Set<string>()
          for (const [k, wanted] of [
            [1, 0],
            [10, 0],
            [10, 50],
            [SEGMENTS * ROWS, 0],
            [300, 1000]
          ]) {
            for (const most of [NO_PAUSE, 1, 3]) {
              const where = `dim ${dim}, kept ${kept}, k ${k}, wanted ${wanted}, most ${most}`
              const [wasm, scalar] = KERNEL_KINDS.map((kind) =>
                rerankAll(memoryOf(kind), { metric, rows, query, lows, isKept: (n) => keeps[n], gone, k, wanted, most })
              )
              expect(scalar, where).toEqual(wasm)
              expect(
                wasm.found.map(({ id }) => id),
                where
              ).toEqual(nearest.slice(0, k).map(({ id }) => id))
              expect(wasm.reranked, where).toBeGreaterThanOrEqual(Math.min(Math.max(k, wanted), ids.length))
              const isPaused = wasm.statuses.some((status, at) => at % 4 === 0 && status === RERANK_PAUSED)
              if (most === NO_PAUSE) expect(isPaused, where).toBe(false)
              else if (kept === 1 && most <= wasm.reranked / RERANK_ROWS) expect(isPaused, where).toBe(true)
              if (kept === 1)
                expect(
                  wasm.used.filter((used) => used === 1),
                  where
                ).toHaveLength(wasm.reranked)
              seen.add(`${k} ${wanted} ${JSON.stringify(wasm.found)}`)
            }
          }
          expect(seen.size).toBe(5) // pauses change nothing
        }
      }
    }
  )
})
