// One number of dimensions in its own process: indexes of the same random rows, each built and searched by a checkout's
// published entries; the checkouts take turns, query by query alike.

import { rmSync } from 'node:fs'

import type * as BuildEntryModule from '../src/build.ts'
import type * as Entry from '../src/index.ts'
import { entryOf } from './checkouts.ts'
import { stepInput, stepResult } from './child.ts'
import { normalRows } from './random.ts'
import { mean } from './report.ts'

export interface FixedCostInput {
  readonly checkouts: readonly string[]
  /** One for each checkout: where its index is built. */
  readonly folders: readonly string[]
  readonly dim: number
  readonly metric: 'l2' | 'cosine'
  readonly rows: number
  readonly queries: number
  readonly rounds: number
}

/** Means over the queries of the fastest time of each. */
export interface FixedCostSide {
  readonly zones: number
  /** `k: 0`: the query is checked, copied and scaled, and nothing is probed. */
  readonly nothingUs: number
  /** `k: 10, nprobe: 1` */
  readonly oneZoneUs: number
}

export interface FixedCostResult {
  readonly dim: number
  readonly sides: readonly FixedCostSide[]
}

const NOTHING = { k: 0 }
const ONE_ZONE = { k: 10, nprobe: 1 }

interface Side {
  readonly index: Entry.ZgqIndex
  readonly nothing: Float64Array
  readonly oneZone: Float64Array
}

const input = stepInput<FixedCostInput>()
const { dim } = input
const all = normalRows(dim, (input.rows + input.queries) * dim)
const queries = Array.from({ length: input.queries }, (_, i) =>
  all.slice((input.rows + i) * dim, (input.rows + i + 1) * dim)
)
const sides: Side[] = []
for (const [i, checkout] of input.checkouts.entries()) sides.push(await open(checkout, input.folders[i]))
for (let round = 0; round < input.rounds; round++) {
  for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
    timeRound(side.index, NOTHING, side.nothing)
    timeRound(side.index, ONE_ZONE, side.oneZone)
  }
}
const result: FixedCostResult = {
  dim,
  sides: sides.map(({ index, nothing, oneZone }) => ({
    zones: index.info().zones,
    nothingUs: mean(nothing),
    oneZoneUs: mean(oneZone)
  }))
}
for (const { index } of sides) index.close()
stepResult(result)

async function open(checkout: string, folder: string): Promise<Side> {
  const { buildIndex }: typeof BuildEntryModule = await import(entryOf(checkout, 'build'))
  const { ZgqIndex }: typeof Entry = await import(entryOf(checkout, 'index'))
  // What another version left is in the way, or would be resumed.
  for (const path of [folder, `${folder}.building`]) rmSync(path, { recursive: true, force: true })
  await buildIndex({ input: all.subarray(0, input.rows * dim), dim, output: folder, metric: input.metric })
  const fresh = (): Float64Array => new Float64Array(queries.length).fill(Infinity)
  return { index: ZgqIndex.open(folder), nothing: fresh(), oneZone: fresh() }
}

function timeRound(index: Entry.ZgqIndex, knob: typeof NOTHING | typeof ONE_ZONE, fastest: Float64Array): void {
  for (let i = 0; i < queries.length; i++) {
    const startedAt = performance.now()
    index.search(queries[i], knob)
    fastest[i] = Math.min(fastest[i], (performance.now() - startedAt) * 1000)
  }
}
