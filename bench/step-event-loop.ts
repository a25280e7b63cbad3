// One way of searching in its own process, and how late timers were meanwhile.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { WORKS, type MODES } from './event-loop-works.ts'
import { loadZgq, loadZgqBuild, type ZgqIndex } from './packages.ts'
import { dropPages } from './page-cache.ts'

const RESOLUTION_MS = 1

export interface EventLoopInput {
  readonly base: string
  readonly queries: string
  /** Built unless it is there. */
  readonly index: string
  readonly work: (typeof WORKS)[number]['work']
  readonly mode: (typeof MODES)[number]
}

export interface EventLoopResult {
  readonly totalMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const input = stepInput<EventLoopInput>()
const { ZgqIndex: Index } = await loadZgq()
const { buildIndex, openVectorFile } = await loadZgqBuild()
const work = WORKS.find((one) => one.work === input.work) ?? WORKS[0]
const source = openVectorFile(input.queries)
const { dim } = source
const queries = new Float32Array(work.queries * dim)
source.readRows(0, queries)
source.close()
try {
  Index.open(input.index).close()
} catch {
  await buildIndex({ input: input.base, output: input.index, force: true }) // not there, or of another version
}
if (work.isCold) dropPages(input.index)
const index = Index.open(input.index)
const options = work.isExact ? { exact: true } : {}
if (work.isCold) dropPages(input.index)
else await run(index, { mode: input.mode, queries: queries.subarray(0, dim * 2), dim, options })
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delays.enable()
await setTimeout(20)
delays.reset()
const startedAt = performance.now()
await run(index, { mode: input.mode, queries, dim, options })
const totalMs = performance.now() - startedAt
await setTimeout(5) // the last delay is seen by the next tick
delays.disable()
const ms = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MS)
const result: EventLoopResult = {
  totalMs,
  p50Ms: ms(delays.percentile(50)),
  p99Ms: ms(delays.percentile(99)),
  maxMs: ms(delays.max)
}
index.close()
stepResult(result)

async function run(
  index: ZgqIndex,
  work: { mode: (typeof MODES)[number]; queries: Float32Array; dim: number; options: { exact?: boolean } }
): Promise<void> {
  const { mode, queries, dim, options } = work
  if (mode === 'nothing') {
    await setTimeout(500)
    return
  }
  if (mode === 'searchBatch') {
    await index.searchBatch(queries, options)
    return
  }
  for (let at = 0; at < queries.length; at += dim) {
    const query = queries.subarray(at, at + dim)
    if (mode === 'searchAsync') await index.searchAsync(query, options)
    else index.search(query, options)
    if (mode === 'search') await setImmediate()
  }
}
