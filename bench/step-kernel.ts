// One metric and dimension in its own process: the WebAssembly kernel and the plain loops take turns on rows that fit
// in a cache.

import { stepInput, stepResult } from './child.ts'
import {
  allocateKernelData,
  elapsedMicros,
  FOUR_SUM_LOOPS,
  kernelCall,
  PLAIN_LOOPS,
  type Loop,
  type Metric
} from './kernel-loops.ts'

const ROUNDS = 9
const ROUND_MS = 25
const WARM_UP_MS = 100

export interface CachedKernelInput {
  readonly metric: Metric
  readonly dim: number
  readonly rowBytes: number
}

/** Values a nanosecond, one a round. */
export interface CachedKernelResult {
  readonly wasm: number[]
  readonly plain: number[]
  readonly fourSums: number[]
}

const { metric, dim, rowBytes } = stepInput<CachedKernelInput>()
const { memory, rows, query, out } = allocateKernelData(rowBytes)
const count = Math.floor(rowBytes / (dim * 4))
// Arrays of their own: the loops stand for code that has no kernel.
const ownRows = memory.float32At(rows, count * dim).slice()
const ownQuery = memory.float32At(query, dim).slice()
const kernel = kernelCall(memory.kernel, metric)
const runs = {
  wasm: () => {
    kernel(rows, count, dim, query, out)
  },
  plain: checkedLoop(PLAIN_LOOPS[metric]),
  fourSums: checkedLoop(FOUR_SUM_LOOPS[metric])
}
const sides = ['wasm', 'plain', 'fourSums'] as const
const repeats = {
  wasm: chooseRepeats(runs.wasm),
  plain: chooseRepeats(runs.plain),
  fourSums: chooseRepeats(runs.fourSums)
}
const rates: CachedKernelResult = { wasm: [], plain: [], fourSums: [] }
for (let round = 0; round < ROUNDS; round++) {
  for (const side of sides) {
    const micros = elapsedMicros(() => {
      for (let i = 0; i < repeats[side]; i++) runs[side]()
    })
    rates[side].push((count * dim * repeats[side]) / (micros * 1000))
  }
}
stepResult(rates)

/**
 * Runs the loop once and compares it with the kernel (values are small whole numbers: both are exact); returns it ready
 * to be called.
 */
function checkedLoop(loop: Loop): () => void {
  const ownOut = new Float32Array(count)
  loop(ownRows, count, ownQuery, ownOut)
  kernel(rows, count, dim, query, out)
  const found = memory.float32At(out, count)
  for (let row = 0; row < count; row++) {
    if (found[row] !== ownOut[row])
      throw new Error(`row ${row}: the kernel found ${found[row]}, the loop ${ownOut[row]}`)
  }
  return () => {
    loop(ownRows, count, ownQuery, ownOut)
  }
}

/** Warms up, then says how many calls fill a round. */
function chooseRepeats(run: () => void): number {
  for (let calls = 1; ; calls *= 2) {
    const micros = elapsedMicros(() => {
      for (let i = 0; i < calls; i++) run()
    })
    if (micros > WARM_UP_MS * 1000) return Math.max(1, Math.round((calls * ROUND_MS * 1000) / micros))
  }
}
