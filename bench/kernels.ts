// npm run kernels: the WebAssembly kernel against plain TypeScript loops where data is in L1 or L2, and against the
// memory's own bandwidth where no cache holds it.

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { allocateKernelData, DIMS, elapsedMicros, kernelCall, METRICS } from './kernel-loops.ts'
import { loadKoffi } from './packages.ts'
import { endReport, MIB, pairedRatio, printTable, showSpread, spread, startReport } from './report.ts'
import type { CachedKernelInput, CachedKernelResult } from './step-kernel.ts'

const COLD_ROUNDS = 9
const CACHED_BYTES = { L1: 16 * 1024, L2: 192 * 1024 }
const COLD_BYTES = 512 * MIB
const GOAL_RATIO = 5

const options = readOptions([])
const machine = startReport('Kernels')
const cached = await measureCached()
printTable(
  [
    'in cache',
    'dim',
    'data in',
    'WASM G dims/s',
    'plain loop G dims/s',
    'four sums G dims/s',
    'WASM / plain',
    `>= ${GOAL_RATIO}`,
    'WASM / four sums'
  ],
  cached.map(({ metric, dim, level, rates, overPlain, overFourSums }) => [
    metric,
    String(dim),
    level,
    showSpread(spread(rates.wasm)),
    showSpread(spread(rates.plain), 2),
    showSpread(spread(rates.fourSums), 2),
    showSpread(overPlain),
    overPlain.median >= GOAL_RATIO ? 'yes' : 'NO',
    showSpread(overFourSums)
  ])
)
const cold = measureCold()
printTable(
  [
    'from memory',
    'dim',
    'kernel GB/s',
    'memchr GB/s',
    'memcmp GB/s',
    'memcpy GB/s (read + written)',
    'kernel / memchr',
    'kernel / fastest of three'
  ],
  cold.map((row) => [
    row.metric,
    String(row.dim),
    showSpread(spread(row.kernel)),
    showSpread(spread(row.memchr)),
    showSpread(spread(row.memcmp)),
    showSpread(spread(row.memcpy)),
    showSpread(pairedRatio(row.kernel, row.memchr), 2),
    showSpread(pairedRatio(row.kernel, fastest(row)), 2)
  ])
)
console.log(
  `From memory: one scan over ${COLD_BYTES / MIB} MiB of kernel memory. memchr: Buffer.indexOf of an absent ` +
    `byte over the same bytes, one stream read;\n` +
    'memcmp: its halves, equal, compared through koffi, two streams read; memcpy: one half onto the other ' +
    'through koffi. GB = 10^9 bytes.\n'
)
endReport(machine, { cached, cold }, options.json)

/** Each in a process of its own: in one, the compiled code of a loop would depend on what ran before it. */
async function measureCached() {
  const results = []
  for (const metric of METRICS) {
    for (const dim of DIMS) {
      for (const level of ['L1', 'L2'] as const) {
        const input: CachedKernelInput = { metric, dim, rowBytes: CACHED_BYTES[level] }
        const { value: rates } = await runStep<CachedKernelResult>('step-kernel.ts', input)
        results.push({
          metric,
          dim,
          level,
          rates,
          overPlain: pairedRatio(rates.wasm, rates.plain),
          overFourSums: pairedRatio(rates.wasm, rates.fourSums)
        })
      }
    }
  }
  return results
}

/** Rates in bytes a nanosecond (GB/s), one a round; the four sides take turns. */
function measureCold() {
  const { memory, rows, query, out } = allocateKernelData(COLD_BYTES)
  const library = loadKoffi().load(null)
  const memcmp = library.func('int memcmp(const void *a, const void *b, size_t length)')
  const memcpy = library.func('uintptr_t memcpy(void *target, const void *source, size_t length)')
  const half = COLD_BYTES / 2
  const all = Buffer.from(memory.kernel.buffer, rows, COLD_BYTES)
  const low = all.subarray(0, half)
  const high = all.subarray(half)
  memcpy(high, low, half)
  const rate = (bytes: number, run: () => void): number => bytes / (elapsedMicros(run) * 1000)
  return METRICS.flatMap((metric) =>
    DIMS.map((dim) => {
      const call = kernelCall(memory.kernel, metric)
      const count = Math.floor(COLD_BYTES / (dim * 4))
      const result = {
        metric,
        dim,
        kernel: [] as number[],
        memchr: [] as number[],
        memcmp: [] as number[],
        memcpy: [] as number[]
      }
      for (let round = 0; round < COLD_ROUNDS; round++) {
        result.kernel.push(
          rate(count * dim * 4, () => {
            call(rows, count, dim, query, out)
          })
        )
        result.memchr.push(
          rate(COLD_BYTES, () => {
            if (all.indexOf(0xff) !== -1) throw new Error('0xff was found')
          })
        )
        result.memcmp.push(
          rate(COLD_BYTES, () => {
            if (Number(memcmp(low, high, half)) !== 0) throw new Error('the halves differ')
          })
        )
        result.memcpy.push(
          rate(COLD_BYTES, () => {
            memcpy(high, low, half)
          })
        )
      }
      return result
    })
  )
}

function fastest(row: { memchr: number[]; memcmp: number[]; memcpy: number[] }): number[] {
  return row.memchr.map((value, round) => Math.max(value, row.memcmp[round], row.memcpy[round]))
}
