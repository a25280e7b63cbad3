// Indexes that were written when their version of the format was fixed: read today as they were then.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import type { Hit, IndexInfo, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { expectSameHits } from './support/hits.ts'
import { MAPPINGS } from './support/mappings.ts'
import { ROOT } from './support/sources.ts'
import { fileDigests } from './support/stored-rows.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

interface Golden {
  readonly info: Pick<IndexInfo, 'formatVersion' | 'indexId' | 'count' | 'dim' | 'metric' | 'bits' | 'zones'>
  readonly sha256: Record<string, string>
  readonly answers: readonly {
    readonly query: readonly number[]
    readonly searches: readonly { readonly search: Omit<SearchOptions, 'explain'>; readonly hits: readonly Hit[] }[]
  }[]
}

const FOLDER = join(ROOT, 'test/golden')
const NAMES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length))
/** Elsewhere than on Windows, Python that is missing is a failure. */
const HAS_PYTHON = process.platform !== 'win32' || spawnSync('python3', ['--version']).status === 0
const temp = useTempFolder('golden')

it('there is an index without codes and one for each number of bits', () => {
  expect(NAMES).toEqual(expect.arrayContaining(['v1-l2-bits0', 'v1-cosine-bits1', 'v1-l2-bits2', 'v1-ip-bits4']))
})

describe.each(NAMES)('the golden index %s', (name) => {
  const path = join(FOLDER, name)
  const golden: Golden = JSON.parse(readFileSync(`${path}.json`, 'utf8'))

  it('has the bytes that were committed', () => {
    expect(fileDigests(path)).toEqual(golden.sha256)
  })

  it('passes a check without notes', async () => {
    expect(await checkIndex(path)).toMatchObject({
      ok: true,
      count: golden.info.count,
      zones: golden.info.zones,
      notes: []
    })
  })

  it.each([
    [MAPPINGS[0], 'touch'],
    ['pread', 'open']
  ] as const)('gives the hits that were found when it was made (%s, verify: %s)', (mapping, verify) => {
    const index = ZgqIndex.open(path, { mapping, verify })
    try {
      expect(index.info()).toMatchObject(golden.info)
      for (const { query, searches } of golden.answers)
        for (const { search, hits } of searches) expectSameHits(index.search(query, search), hits)
    } finally {
      index.close()
    }
  })

  it('has codes, if any, by which a search finds nearly all hits of an exact one', () => {
    const index = ZgqIndex.open(path)
    try {
      const shares = golden.answers.map(({ query }) => {
        const nearest = new Set(index.search(query, { exact: true }).map((hit) => hit.id))
        return (
          index.search(query, { nprobe: golden.info.zones, rerank: 1 }).filter((hit) => nearest.has(hit.id)).length / 10
        )
      })
      expect(shares.reduce((sum, share) => sum + share, 0) / shares.length).toBeGreaterThanOrEqual(0.9)
    } finally {
      index.close()
    }
  })

  it.runIf(HAS_PYTHON)('gives the same hits to the second reader, and passes its check', () => {
    const queries = temp.fresh('queries.fbin')
    writeFileSync(queries, fbin(Float32Array.from(golden.answers.flatMap(({ query }) => query)), golden.info.dim))
    const run = (...args: readonly string[]): unknown =>
      JSON.parse(spawnSync('python3', [join(ROOT, 'format-spec/reader.py'), ...args], { encoding: 'utf8' }).stdout)
    expect(run('--check', path)).toMatchObject({ ok: true, count: golden.info.count })
    const { queries: found }: { queries: { hits: Hit[] }[] } = Object(run(path, queries, '--exact', '--k', '10'))
    found.forEach(({ hits }, i) => {
      expectSameHits(hits, golden.answers[i].searches[0].hits)
    })
  })
})
