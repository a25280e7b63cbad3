// Writes the live rows of a round as files that a build reads: vectors as .fbin, ids as a line each.

import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

import { stepInput, stepResult } from './child.ts'
import { churnedIds, churnRows, type ChurnSpec } from './churn-rows.ts'

export interface ChurnRowsInput {
  readonly spec: ChurnSpec
  readonly round: number
  readonly vectors: string
  readonly ids: string
}

const ROWS_AT_ONCE = 50_000

const { spec, round, vectors, ids } = stepInput<ChurnRowsInput>()
const { live } = churnedIds(spec, round)
mkdirSync(dirname(vectors), { recursive: true })
const descriptor = openSync(vectors, 'w')
writeSync(descriptor, Uint32Array.of(live.length, spec.dim))
for (let from = 0; from < live.length; from += ROWS_AT_ONCE)
  writeSync(descriptor, await churnRows(spec, live.subarray(from, from + ROWS_AT_ONCE)))
closeSync(descriptor)
writeFileSync(ids, live.join('\n') + '\n')
stepResult({ rows: live.length })
