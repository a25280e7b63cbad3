// The second reader, format-spec/reader.py, reads deltas: the same hits, and the same damage.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { ZgqIndex } from '../src/index.ts'
import type { Hit, Metric } from '../src/types.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { documentId, documentPayload, DOCUMENT_FIELDS } from './support/document-index.ts'
import { expectSameHits } from './support/hits.ts'
import { flipByte } from './support/flip-byte.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('python-deltas', IN_MEMORY)
const SEED = 2300
const DIM = 10
const BUILT = 200
const COUNT = 900
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']

/** Runs the second reader; returns the JSON that it printed, or the code of the error. */
function runReader(...args: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync('python3', [join(ROOT, 'format-spec/reader.py'), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26
  })
  if (status === 0) return JSON.parse(stdout)
  return /^reader: (ZGQ_\w+): /.exec(stderr)?.[1] ?? stderr
}

async function makeIndex(metric: Metric, bits: number): Promise<{ folder: string; rows: Float32Array }> {
  const folder = temp.fresh('index')
  const rows = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
  const numbers = Array.from({ length: COUNT }, (_, row) => row)
  await buildIndex({
    input: rows.slice(0, BUILT * DIM),
    dim: DIM,
    metric,
    bits,
    zones: 8,
    output: folder,
    fields: DOCUMENT_FIELDS,
    ids: numbers.slice(0, BUILT).map(documentId),
    payloads: numbers.slice(0, BUILT).map((row) => documentPayload(row) ?? {})
  })
  for (const [first, end] of [
    [BUILT, 850],
    [850, COUNT]
  ])
    addDelta(
      folder,
      rowsOf({
        ids: numbers.slice(first, end).map(documentId),
        vectors: rows.slice(first * DIM, end * DIM),
        payloads: numbers.slice(first, end).map((row) => documentPayload(row))
      })
    )
  return { folder, rows }
}

describe.each(METRICS)('the second reader, under %s', (metric) => {
  it('finds in deltas what an open index finds, and passes the check', async () => {
    const { folder, rows } = await makeIndex(metric, 4)
    const queries = rows.slice(0, 3 * DIM).map((value) => value + 0.25)
    const path = temp.fresh('queries.fbin')
    writeFileSync(path, fbin(queries, DIM))
    using index = ZgqIndex.open<string>(folder)
    for (const options of [{ exact: true }, { nprobe: 2 }]) {
      const printed = runReader(folder, path, '--k', '5', ...('nprobe' in options ? ['--nprobe', '2'] : ['--exact']))
      const { queries: found }: { queries: { hits: Hit[] }[] } = Object(printed)
      found.forEach(({ hits }, i) => {
        expectSameHits(
          hits,
          Array.from(index.search(rowOf(queries, DIM, i), { k: 5, rerank: COUNT, ...(options as object) }), (hit) =>
            Object({ ...hit })
          )
        )
      })
    }
    expect(runReader(folder, '--check')).toMatchObject({ ok: true, count: COUNT, zones: index.info().zones })
    expect(runReader(folder, '--id', documentId(COUNT - 1))).toMatchObject({ found: { row: 49 } })
    expect(runReader(folder, '--id', documentId(3))).toMatchObject({ found: { segment: expect.any(Number) } })
  })
})

it('the second reader finds damage in a delta', async () => {
  const { folder } = await makeIndex('l2', 1)
  const { files, segments } = addDelta(
    folder,
    rowsOf({ ids: ['z'], vectors: new Float32Array(DIM).fill(1), payloads: [undefined] })
  )
  const last = segments.at(segments.count - 1)
  const file = join(folder, fileNameOf(files[files.length - 1]))
  for (const { offset } of [last.rows, last.columns, last.codes, last.fields]) {
    const restore = flipByte(file, offset + 3)
    expect(runReader(folder, '--check')).toBe('ZGQ_CORRUPT')
    restore()
  }
  expect(runReader(folder, '--check')).toMatchObject({ ok: true, count: COUNT + 1 })
})
