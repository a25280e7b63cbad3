// Builds the index of one engine with labels, in a process of its own.

import { readFileSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { findFilteredEngine } from './engines/filtered.ts'
import { COARSE, randomNumbers } from './labels.ts'
import { loadZgqBuild } from './packages.ts'

export interface FilteredStepInput {
  readonly engine: string
  readonly base: string
  readonly metric: 'l2' | 'cosine'
  readonly labels: string
  readonly folder: string
}

const { engine, base, metric, labels, folder } = stepInput<FilteredStepInput>()
const { openVectorFile } = await loadZgqBuild()
const rows = openVectorFile(base)
const bytes = readFileSync(labels)
const fine = Float64Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, rows.count))
const columns = { r: randomNumbers(rows.count), fine, coarse: fine.map((cluster) => Math.floor(cluster / COARSE)) }
const startedAt = performance.now()
await findFilteredEngine(engine).build?.({ rows, metric, columns, folder })
stepResult({ seconds: (performance.now() - startedAt) / 1000 })
process.exit(0) // some engines leave threads that keep the process alive
