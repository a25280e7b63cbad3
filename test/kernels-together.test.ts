// The scan of codes for a group of queries: WebAssembly against the scalar twin, and both against the scan of one
// query, to the bit.

import { describe, expect, it } from 'vitest'

import type { Metric } from '../src/types.ts'
import { encodeZones, makeCodeProblem, scanProblem, type CodeShape } from './support/code-problems.ts'
import { KERNEL_KINDS, memoryOf } from './support/kernels.ts'
import { VALUE_KINDS } from './support/one-zone.ts'
import { anyFloat, randomFrom, type MakeValue } from './support/random.ts'

const SEED = 210
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const CONFIDENCE = { planes: 1.9, refined: 2.2, slack: 0.5, planesSlack: 0.2 }
const ordinary: MakeValue = (random) => random() * 2 - 1
const VALUES: readonly (readonly [string, MakeValue])[] = [['ordinary', ordinary], ['any', anyFloat], ...VALUE_KINDS]

/** Sizes around a block and a chunk. */
const ROW_COUNTS = [40, 1, 32, 1100, 7, 64, 95]

function eachShape(): CodeShape[] {
  return METRICS.flatMap((metric) =>
    [2, 4, 8].flatMap((bits) => [16, 100, 2064].map((dim) => ({ metric, bits, dim, rowCounts: ROW_COUNTS })))
  )
}

describe('scanTogether and offerRecorded', () => {
  it.each(KERNEL_KINDS)(
    `offer what a scan offers that goes by the list, whatever the order of the segments (%s, seed ${SEED})`,
    (kind) => {
      const random = randomFrom(SEED)
      for (const shape of eachShape().filter(({ dim }) => dim <= (kind === 'wasm' ? 100 : 16))) {
        for (const [name, value] of VALUES) {
          const problem = makeCodeProblem(shape, random, value)
          const codes = encodeZones(memoryOf(kind), problem)
          const masks = ROW_COUNTS.map((rows) =>
            Uint32Array.from({ length: Math.ceil(rows / 32) }, () => random() * 2 ** 32)
          )
          for (const k of kind === 'wasm' ? [1, 10] : [10]) {
            const options = { k, candidates: 4096, confidence: CONFIDENCE, codes }
            for (const masked of [options, { ...options, masks }]) {
              const { estimates, candidates, sorted } = scanProblem(memoryOf(kind), problem, masked)
              for (const own of [0, 3]) {
                const found = scanProblem(memoryOf(kind), problem, { ...masked, own })
                expect(found, `${JSON.stringify(shape)}, ${name} values, k ${k}, own ${own}`).toMatchObject({
                  estimates,
                  candidates,
                  sorted
                })
              }
            }
          }
        }
      }
    }
  )

  it(`give the same bits in both kernels (seed ${SEED + 1})`, () => {
    const random = randomFrom(SEED + 1)
    for (const shape of eachShape()) {
      const problem = makeCodeProblem(shape, random, ordinary)
      const codes = encodeZones(memoryOf('wasm'), problem)
      const options = { k: 5, candidates: 4096, confidence: CONFIDENCE, codes, own: 2 }
      const [wasm, scalar] = KERNEL_KINDS.map((kind) => scanProblem(memoryOf(kind), problem, options))
      expect(wasm, JSON.stringify(shape)).toEqual(scalar)
    }
  })
})
