// Runs the second reader, format-spec/reader.py, and compares what it finds with what an open index finds.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Filter, Hit, Id } from '../../src/types.ts'
import type { ZgqIndex } from '../../src/zgq-index.ts'
import { rowOf } from './brute-force.ts'
import { expectSameHits } from './hits.ts'
import { ROOT } from './sources.ts'
import type { TempFolder } from './temp-folder.ts'
import { fbin } from './vector-files.ts'

/** Returns the JSON that it printed, or the code of the error; throws where it ended in any other way. */
export function runReader(...args: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync('python3', [join(ROOT, 'format-spec/reader.py'), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26
  })
  if (status === 0) return JSON.parse(stdout)
  const code = /^reader: (ZGQ_\w+): /.exec(stderr)?.[1]
  if (status !== 1 || code === undefined) throw new Error(`reader.py ended with ${String(status)}: ${stderr}`)
  return code
}

export interface ReaderQueries {
  readonly temp: TempFolder
  readonly folder: string
  /** float32, n * dim, row-major. */
  readonly queries: Float32Array
  readonly dim: number
  readonly k: number
  /** Left out: all zones. */
  readonly nprobe?: number
  readonly filter?: Readonly<Record<string, string | number | boolean>>
}

/** The hits of each query. */
export function readerHits(of: ReaderQueries): Hit<Id>[][] {
  const { folder, k, nprobe, filter } = of
  const path = of.temp.fresh('queries.fbin')
  writeFileSync(path, fbin(of.queries, of.dim))
  const printed = runReader(
    ...[folder, path, '--k', String(k)],
    ...(nprobe === undefined ? ['--exact'] : ['--nprobe', String(nprobe)]),
    ...(filter === undefined ? [] : ['--filter', JSON.stringify(filter)])
  )
  if (typeof printed === 'string') throw new Error(printed)
  const { queries }: { queries: { hits: Hit<Id>[] }[] } = Object(printed)
  return queries.map(({ hits }) => hits)
}

/** Expects the hits of `index`, which reranks every row of the zones that it probes; returns them. */
export function expectReaderAgrees(index: ZgqIndex<Id>, of: ReaderQueries): Hit<Id>[][] {
  const { k, nprobe } = of
  const filter: Filter | undefined = of.filter
  const found = readerHits(of)
  found.forEach((hits, i) => {
    const own = index.search(rowOf(of.queries, of.dim, i), {
      k,
      ...(nprobe === undefined ? { exact: true } : { nprobe, rerank: index.count() }),
      ...(filter === undefined ? {} : { filter })
    })
    expectSameHits(hits, own)
  })
  return found
}
