// Builds an index in a process of its own: with declared fields, with payloads alone, with string ids, or of vectors
// alone; always from batches, so that what the input costs is the same.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { stepInput, stepResult } from './child.ts'
import { pathOf, randomNumbers, COARSE } from './labels.ts'
import { loadZgqBuild } from './packages.ts'

export interface FieldsBuildInput {
  readonly base: string
  readonly metric: 'l2' | 'cosine'
  /** Fine clusters of the rows. */
  readonly labels: string
  readonly output: string
  /** `fields`: payloads whose four entries are declared; `payloads`: the same, nothing declared. */
  readonly documents: 'none' | 'payloads' | 'fields'
  readonly ids: 'integer' | 'string'
}

export interface FieldsBuildResult {
  readonly seconds: number
  readonly bytes: Readonly<Record<string, number>>
}

const BATCH_ROWS = 5000
const FIELDS = { r: 'number', fine: 'number', coarse: 'number', path: 'string' } as const

const { base, metric, labels, output, documents, ids } = stepInput<FieldsBuildInput>()
const { buildIndex, openVectorFile } = await loadZgqBuild()
const source = openVectorFile(base)
const numbers = randomNumbers(source.count)
const bytes = readFileSync(labels)
const fine = new Uint16Array(bytes.buffer, bytes.byteOffset, source.count)
const startedAt = performance.now()
const report = await buildIndex({
  input: batches(),
  dim: source.dim,
  metric,
  output,
  force: true,
  ...(documents === 'fields' ? { fields: FIELDS } : {})
})
const seconds = (performance.now() - startedAt) / 1000
source.close()
const sizes: Record<string, number> = { all: report.bytes }
for (const name of readdirSync(output)) {
  const kind = name.split(/[-.]/)[0]
  sizes[kind] = (sizes[kind] ?? 0) + statSync(join(output, name)).size
}
const result: FieldsBuildResult = { seconds, bytes: sizes }
stepResult(result)

async function* batches(): AsyncGenerator<{ vectors: Float32Array; ids?: string[]; payloads?: object[] }> {
  for (let from = 0; from < source.count; from += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, source.count - from)
    const vectors = new Float32Array(count * source.dim)
    source.readRows(from, vectors)
    const rows = Array.from({ length: count }, (_, i) => from + i)
    yield await Promise.resolve({
      vectors,
      ...(ids === 'string' ? { ids: rows.map(pathOf) } : {}),
      ...(documents === 'none' ? {} : { payloads: rows.map(payloadOf) })
    })
  }
}

function payloadOf(row: number): object {
  return { r: numbers[row], fine: fine[row], coarse: Math.floor(fine[row] / COARSE), path: pathOf(row) }
}
