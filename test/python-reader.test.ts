// The second reader, format-spec/reader.py, was written from the spec alone. What it finds proves that the spec says what the code does.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqIndex } from '../src/index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeIds, makeVectors, type DataSetName } from './support/datasets.ts'
import { errorOf } from './support/errors.ts'
import { expectSameHits } from './support/hits.ts'
import { changeCatalogue } from './support/index-damage.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('python')
const SEED = 61
const DIM = 12
const COUNT = 600
const QUERIES = 5

beforeAll(() => {
  if (spawnSync('python3', ['--version']).status !== 0) throw new Error('python3 is needed for this test: the second reader is written in Python')
})

/** Runs the second reader; returns the JSON that it printed, or the code of the error. */
function runReader(...args: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync('python3', [join(ROOT, 'format-spec/reader.py'), ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (status === 0) return JSON.parse(stdout)
  const code = /^reader: (ZGQ_\w+): /.exec(stderr)?.[1]
  if (status !== 1 || code === undefined) throw new Error(`reader.py ended with ${String(status)}: ${stderr}`)
  return code
}

async function build(kind: DataSetName, metric: 'l2' | 'cosine' | 'ip', hasIds: boolean): Promise<string> {
  const output = temp.fresh('index')
  const ids = hasIds ? makeIds(COUNT, SEED) : undefined
  await buildIndex({ input: makeVectors(kind, { count: COUNT, dim: DIM }, SEED), dim: DIM, ids, metric, zones: 15, output })
  return output
}

function queryFile(kind: DataSetName): { path: string; queries: Float32Array } {
  const queries = makeVectors(kind, { count: QUERIES, dim: DIM }, SEED + 1)
  const path = temp.fresh('queries.fbin')
  writeFileSync(path, fbin(queries, DIM))
  return { path, queries }
}

function hitsOf(printed: unknown): { id: number; distance: number }[][] {
  const { queries }: { queries: { hits: { id: number; distance: number }[] }[] } = Object(printed)
  return queries.map(({ hits }) => hits)
}

/** Expects both readers to find the same. */
function expectAgreement(index: string, kind: DataSetName, how: { k: number; nprobe: number | undefined }): void {
  const { path, queries } = queryFile(kind)
  const found = hitsOf(runReader(index, path, '--k', String(how.k), ...(how.nprobe === undefined ? ['--exact'] : ['--nprobe', String(how.nprobe)])))
  const open = ZgqIndex.open(index)
  try {
    expect(found).toHaveLength(QUERIES)
    found.forEach((hits, i) => {
      const options = how.nprobe === undefined ? { k: how.k, exact: true } : { k: how.k, nprobe: how.nprobe }
      expectSameHits(open.search(rowOf(queries, DIM, i), options), hits)
    })
  } finally {
    open.close()
  }
}

const KINDS = ['clustered', 'small integers', 'few distinct vectors'] as const
const cases = (['l2', 'cosine', 'ip'] as const).flatMap((metric) => KINDS.map((kind) => ({ metric, kind, hasIds: kind !== 'few distinct vectors' })))

describe.each(cases)(`an index of $kind under $metric (seed ${SEED})`, ({ metric, kind, hasIds }) => {
  let index = ''
  beforeAll(async () => { index = await build(kind, metric, hasIds) })

  it('gives the same hits to an exact search', () => {
    expectAgreement(index, kind, { k: 25, nprobe: undefined })
  })

  it('gives the same hits to a search of all vectors', () => {
    expectAgreement(index, kind, { k: COUNT + 5, nprobe: undefined })
  })

  it('passes the checks of both', async () => {
    const { count, zones, files } = await checkIndex(index)
    expect(runReader('--check', index)).toEqual({ ok: true, count, zones, files })
  })
})

describe.each(['l2', 'cosine', 'ip'] as const)('zones that are chosen by a number of probes (%s)', (metric) => {
  it.each([1, 4])('are the same for %d', async (nprobe) => {
    expectAgreement(await build('clustered', metric, true), 'clustered', { k: 10, nprobe })
  })
})

describe('what one reader refuses, the other refuses with the same code', () => {
  const dataFile = (index: string): string => join(index, readdirSync(index).find((name) => name.endsWith('.zgq')) ?? '')
  const flip = (path: string, offset: number): void => {
    const bytes = readFileSync(path)
    bytes[offset] ^= 4
    writeFileSync(path, bytes)
  }

  it.each<readonly [string, string, (index: string) => void]>([
    ['a page that is damaged', 'ZGQ_CORRUPT', (index) => { flip(dataFile(index), 4096 + 77) }],
    ['a header that is damaged', 'ZGQ_CORRUPT', (index) => { flip(dataFile(index), 64) }],
    ['a data file that is cut short', 'ZGQ_TRUNCATED', (index) => { truncateSync(dataFile(index), 8192) }],
    ['a data file that is missing', 'ZGQ_CORRUPT', (index) => { rmSync(dataFile(index)) }],
    ['a catalogue that is missing', 'ZGQ_NOT_AN_INDEX', (index) => { rmSync(join(index, 'catalogue.sqlite')) }],
    ['a catalogue of text', 'ZGQ_NOT_AN_INDEX', (index) => { writeFileSync(join(index, 'catalogue.sqlite'), 'text') }],
    ['a row of the catalogue that was changed', 'ZGQ_CORRUPT', (index) => { changeCatalogue(index, 'UPDATE zones SET radius = 1') }],
    ['a row of the catalogue that is missing', 'ZGQ_CORRUPT', (index) => { changeCatalogue(index, 'DELETE FROM zones WHERE zone = 1') }],
    ['a newer version', 'ZGQ_UNSUPPORTED', (index) => { changeCatalogue(index, 'PRAGMA user_version = 1') }],
    ['a folder that is missing', 'ZGQ_NOT_FOUND', (index) => { rmSync(index, { recursive: true }) }]
  ])('%s (%s)', async (_, code, damage) => {
    const index = await build('clustered', 'cosine', true)
    const { path, queries } = queryFile('clustered')
    damage(index)
    const ours = errorOf(() => {
      const open = ZgqIndex.open(index)
      try {
        open.search(rowOf(queries, DIM, 0), { exact: true })
      } finally {
        open.close()
      }
    })
    expect([ours.code, runReader(index, path, '--exact'), runReader('--check', index)]).toEqual([code, code, code])
  })

  it('but an index that is found beside its place, both open', async () => {
    const index = await build('clustered', 'l2', true)
    renameSync(index, `${index}.replaced`)
    mkdirSync(`${index}.building`)
    writeFileSync(`${index}.building/lock.json`, '{"pid":1,"host":"elsewhere","start":"","isReplacing":true}')
    expectAgreement(index, 'clustered', { k: 10, nprobe: undefined })
  })
})
