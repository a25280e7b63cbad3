// The zgq command, in processes of its own: what it prints, where, and how it ends.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { readIvecs } from '../src/build.ts'
import { ZgqIndex } from '../src/index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { interruptZgq, jsonOf, runZgq } from './support/run-zgq.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs, ivecs } from './support/vector-files.ts'

const temp = useTempFolder('cli', IN_MEMORY)
const SEED = 51
const DIM = 8
const COUNT = 2000
const QUERY_COUNT = 6
const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
const queries = makeVectors('clustered', { count: QUERY_COUNT, dim: DIM }, SEED + 1)

function fileOf(name: string, bytes: Uint8Array | string): string {
  const path = temp.fresh(name)
  writeFileSync(path, bytes)
  return path
}

const vectorsFile = fileOf('vectors.fbin', fbin(vectors, DIM))
const queriesFile = fileOf('queries.fvecs', fvecs(queries, DIM))
const index = temp.fresh('index')

const any = { number: expect.any(Number), text: expect.any(String) }

/** Ids of the exact hits of every query, by the library. */
function exactIds(k: number): number[][] {
  const open = ZgqIndex.open(index)
  const ids = Array.from({ length: QUERY_COUNT }, (_, i) =>
    open.search(rowOf(queries, DIM, i), { k, exact: true }).map((hit) => hit.id)
  )
  open.close()
  return ids
}

let truthFile = ''
beforeAll(() => {
  jsonOf('build', vectorsFile, index, '--zones', '30')
  truthFile = fileOf('truth.ivecs', ivecs(exactIds(10)))
})

describe('zgq build', () => {
  it('prints with --json what it built', () => {
    const output = temp.fresh('json')
    expect(jsonOf('build', vectorsFile, output)).toEqual({
      path: output,
      count: COUNT,
      dim: DIM,
      metric: 'l2',
      zones: any.number,
      bits: 4,
      bytes: any.number,
      indexId: expect.stringMatching(/^[0-9a-f]{32}$/),
      warnings: [],
      elapsedMs: any.number,
      peakRssBytes: any.number,
      stages: ['sample', 'train', 'assign', 'write', 'publish'].map((stage) => ({
        stage,
        elapsedMs: any.number
      }))
    })
  })

  it('prints for people what it built', () => {
    const output = temp.fresh('people')
    const { code, stdout } = runZgq('build', vectorsFile, output)
    expect(code).toBe(0)
    for (const fact of [
      '2,000 vectors',
      '8 dimensions',
      'any recall is met exactly',
      'vectors/s',
      'stages',
      ' at most',
      `zgq search ${output} QUERIES`,
      `zgq inspect ${output} --html ${output}.html`
    ])
      expect(stdout).toContain(fact)
  })

  it('shows on standard error where each stage starts and ends, in plain lines where that is no terminal', () => {
    const { stderr } = runZgq('build', vectorsFile, temp.fresh('stages'))
    const stages = ['sample', 'train', 'assign', 'write', 'publish']
    expect(stderr.replace(/: done in [\d.]+ s(, [\d,]+ (rows|rounds|queries)(\/s)?)*, \d+ MB$/gm, ': done')).toBe(
      stages.map((stage) => `${stage}\n${stage}: done\n`).join('')
    )
  })

  it('takes --metric, --zones, --seed and --bits', () => {
    const output = temp.fresh('options')
    expect(
      jsonOf('build', vectorsFile, output, '--metric', 'cosine', '--zones', '12', '--seed', '9', '--bits', '2')
    ).toMatchObject({ metric: 'cosine', bits: 2 })
    expect(jsonOf('inspect', output)).toMatchObject({ metric: 'cosine', bits: 2, build: { zones: 12, seed: 9 } })
  })

  it.each(['64MB', '64mb', '1GB', '67108864', '65536KB'])('takes --memory %s', (size) => {
    expect(jsonOf('build', vectorsFile, temp.fresh('memory'), '--memory', size)).toMatchObject({ count: COUNT })
  })

  it.each(['12', '1MB', '512 MB', '-5', 'much', '0.5GB', ''])('refuses --memory "%s"', (size) => {
    expect(runZgq('build', vectorsFile, temp.fresh('memory'), `--memory=${size}`).code).toBe(2)
  })

  it('takes ids from a file', () => {
    const output = temp.fresh('ids')
    const ids = fileOf('ids.txt', Array.from({ length: COUNT }, (_, i) => i * 5 + 2 ** 33).join('\n'))
    jsonOf('build', vectorsFile, output, '--ids', ids)
    const found = jsonOf('search', output, queriesFile, '--k', '1', '--exact')
    expect(found).toMatchObject({ queries: exactIds(1).map(([id]) => ({ hits: [{ id: id * 5 + 2 ** 33 }] })) })
  })

  it('refuses an output that exists, and replaces it with --force', () => {
    const output = temp.fresh('again')
    jsonOf('build', vectorsFile, output)
    const second = runZgq('build', vectorsFile, output)
    expect({ code: second.code, line: second.stderr.split(':')[1] }).toEqual({ code: 1, line: ' ZGQ_EXISTS' })
    expect(jsonOf('build', vectorsFile, output, '--force', '--seed', '2')).toMatchObject({ path: output })
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143]
  ] as const)('keeps what is done on %s, and ends with %d', async (signal, exitCode) => {
    const folder = temp.fresh('interrupted')
    mkdirSync(folder)
    const large = fileOf('large.fbin', fbin(makeVectors('uniform', { count: 100_000, dim: 32 }, SEED), 32))
    const { code, stdout, stderr } = await interruptZgq(signal, 'train\n', [
      'build',
      large,
      join(folder, 'index'),
      '--zones',
      '2000',
      '--json'
    ])
    expect({ code, stdout, last: stderr.trimEnd().split('\n').at(-1) }).toEqual({
      code: exitCode,
      stdout: '',
      last: expect.stringMatching(/^zgq: interrupted; what is done stays in /)
    })
    expect(readdirSync(folder)).toEqual(['index.building'])
  })
})

describe('zgq search', () => {
  it('prints with --json the hits of every query', () => {
    const found = jsonOf('search', index, queriesFile, '--k', '3', '--nprobe', '4')
    expect(found).toEqual({
      k: 3,
      nprobe: 4,
      recall: null,
      exact: false,
      queries: Array.from({ length: QUERY_COUNT }, () => ({
        hits: Array.from({ length: 3 }, () => ({ id: any.number, distance: any.number }))
      }))
    })
  })

  it('finds with --exact what the library finds', () => {
    expect(jsonOf('search', index, queriesFile, '--exact')).toMatchObject({
      k: 10,
      nprobe: null,
      exact: true,
      queries: exactIds(10).map((ids) => ({ hits: ids.map((id) => ({ id })) }))
    })
  })

  it('says that no number of probes decided when told nothing', () => {
    expect(jsonOf('search', index, queriesFile)).toMatchObject({ nprobe: null, exact: false })
  })

  it('prints for people a line for each query', () => {
    const { code, stdout } = runZgq('search', index, queriesFile)
    expect({ code, lines: stdout.trimEnd().split('\n').length }).toEqual({ code: 0, lines: QUERY_COUNT })
  })

  it('writes with --out the ids of the hits', () => {
    const out = temp.fresh('hits.ivecs')
    expect(runZgq('search', index, queriesFile, '--exact', '--k', '7', '--out', out).code).toBe(0)
    const { count, dim, values } = readIvecs(out)
    expect({ count, dim, values: Array.from(values) }).toEqual({
      count: QUERY_COUNT,
      dim: 7,
      values: exactIds(7).flat()
    })
  })

  it('finds nothing with --k 0', () => {
    expect(jsonOf('search', index, queriesFile, '--k', '0')).toMatchObject({
      k: 0,
      queries: Array.from({ length: QUERY_COUNT }, () => ({ hits: [] }))
    })
  })

  it('refuses with ZGQ_UNSUPPORTED to write ids that .ivecs cannot hold, and writes nothing', () => {
    const [large, out] = [temp.fresh('large-ids'), temp.fresh('large.ivecs')]
    jsonOf(
      'build',
      vectorsFile,
      large,
      '--ids',
      fileOf('ids.txt', Array.from({ length: COUNT }, (_, i) => i + 2 ** 31).join('\n'))
    )
    const { code, stderr } = runZgq('search', large, queriesFile, '--out', out)
    expect({ code, error: stderr.split(':')[1], isWritten: existsSync(out) }).toEqual({
      code: 1,
      error: ' ZGQ_UNSUPPORTED',
      isWritten: false
    })
  })

  it('ends quietly when nobody reads on', () => {
    const { stderr } = spawnSync(
      'sh',
      [
        '-c',
        `"${process.execPath}" "${join(ROOT, 'dist/zgq.js')}" search "${index}" "${queriesFile}" --exact --k ` +
          '2000 | head -c 10'
      ],
      { encoding: 'utf8' }
    )
    expect(stderr).toBe('')
  })
})

describe('zgq eval', () => {
  const row = (nprobe: number): object => ({
    nprobe,
    recall: any.number,
    p50Us: any.number,
    p99Us: any.number,
    meanUs: any.number,
    qps: any.number,
    bytesPerQuery: any.number
  })

  it('prints with --json a row for each number of probes, in the order asked', () => {
    expect(jsonOf('eval', index, queriesFile, truthFile, '--nprobe', '8,1,3')).toEqual({
      k: 10,
      queries: QUERY_COUNT,
      rows: [row(8), row(1), row(3)]
    })
  })

  it('prints the number of probes as asked, above the number of zones too', () => {
    expect(jsonOf('eval', index, queriesFile, truthFile, '--nprobe', '100000')).toMatchObject({
      rows: [{ nprobe: 100_000, recall: 1 }]
    })
  })

  it('takes the default recall when told nothing', () => {
    expect(jsonOf('eval', index, queriesFile, truthFile)).toMatchObject({
      rows: [{ nprobe: any.number, recall: any.number }]
    })
  })

  it('counts as recall the ids in common with the first k of the truth', () => {
    const half = fileOf('half.ivecs', ivecs(exactIds(10).map((ids) => [...ids.slice(0, 5), -1, -1, -1, -1, -1])))
    expect(jsonOf('eval', index, queriesFile, half, '--nprobe', '1000')).toMatchObject({ rows: [{ recall: 0.5 }] })
  })

  it('counts with --k fewer neighbours', () => {
    const half = fileOf('half.ivecs', ivecs(exactIds(10).map((ids) => [...ids.slice(0, 5), -1, -1, -1, -1, -1])))
    expect(jsonOf('eval', index, queriesFile, half, '--nprobe', '1000', '--k', '5')).toMatchObject({
      k: 5,
      rows: [{ recall: 1 }]
    })
  })

  it('prints for people a table with a line for each row', () => {
    const { code, stdout } = runZgq('eval', index, queriesFile, truthFile, '--nprobe', '1,2')
    expect({ code, lines: stdout.trimEnd().split('\n').length }).toEqual({ code: 0, lines: 3 })
  })

  it.each([
    ['of too few rows', () => ivecs(exactIds(10).slice(1)), 'ZGQ_MISMATCH'],
    ['of too few neighbours', () => ivecs(exactIds(9)), 'ZGQ_MISMATCH'],
    ['that is cut short', () => ivecs(exactIds(10)).subarray(0, -4), 'ZGQ_TRUNCATED'],
    ['that is empty', () => Buffer.alloc(0), 'ZGQ_BUILD_INPUT']
  ])('refuses a truth %s', (_, make, code) => {
    const ended = runZgq('eval', index, queriesFile, fileOf('truth.ivecs', make()))
    expect({ code: ended.code, error: ended.stderr.split(':')[1] }).toEqual({ code: 1, error: ` ${code}` })
  })
})

describe('zgq inspect', () => {
  it('prints with --json what the index holds', () => {
    expect(jsonOf('inspect', index)).toEqual({
      path: index,
      formatVersion: 2,
      indexId: expect.stringMatching(/^[0-9a-f]{32}$/),
      generation: 1,
      count: COUNT,
      dim: DIM,
      metric: 'l2',
      bits: 4,
      zones: any.number,
      bytes: any.number,
      packed: null,
      changes: { commit: 0, freshRows: 0, deltaRows: 0, deletedRows: 0, patchedRows: 0 },
      zoneRows: {
        min: any.number,
        mean: any.number,
        max: any.number,
        histogram: expect.arrayContaining([{ from: any.number, to: any.number, zones: any.number }])
      },
      files: ['vectors', 'codes', 'ids'].map((kind) => ({ name: `${kind}-000001-00000.zgq`, kind, bytes: any.number })),
      build: { seed: 1, zones: 30, sampleCount: any.number, inputDigest: expect.stringMatching(/^[0-9a-f]{64}$/) },
      reader: { kind: expect.stringMatching(/^(mmap|pread)$/), reason: any.text },
      sqlite: { driver: expect.stringMatching(/^(better-sqlite3|node:sqlite)$/), version: any.text, reason: any.text },
      kernel: 'wasm',
      calibration: null,
      plan: { kind: 'exact', reason: any.text },
      warnings: [],
      ids: 'integer',
      model: null,
      note: null,
      payloadBytes: 0,
      fields: []
    })
  })

  it('prints for people what the index holds', () => {
    const { code, stdout } = runZgq('inspect', index)
    expect(code).toBe(0)
    for (const fact of [
      '2,000',
      'l2',
      'zones',
      'vectors-000001-00000.zgq',
      'codes-000001-00000.zgq',
      'ids-000001-00000.zgq',
      'catalogue.sqlite'
    ])
      expect(stdout).toContain(fact)
  })
})

describe('zgq check', () => {
  it('prints with --json that the index is sound', () => {
    expect(jsonOf('check', index)).toEqual({
      ok: true,
      path: index,
      count: COUNT,
      deletedRows: 0,
      zones: any.number,
      files: 3,
      digest: null,
      bytesChecked: any.number,
      pagesChecked: any.number,
      notes: []
    })
  })

  it('prints for people that the index is sound', () => {
    const { code, stdout } = runZgq('check', index)
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('sound') })
  })

  it('prints notes about what stands beside the index', () => {
    const output = temp.fresh('noted')
    jsonOf('build', vectorsFile, output)
    mkdirSync(`${output}.replaced`)
    expect(jsonOf('check', output)).toMatchObject({ ok: true, notes: [expect.stringContaining('.replaced')] })
  })

  it.each(['vectors', 'codes'])('ends with 1 and prints no JSON for an index with damaged %s', (kind) => {
    const output = temp.fresh('damaged')
    jsonOf('build', vectorsFile, output)
    const name = `${kind}-000001-00000.zgq`
    const bytes = readFileSync(join(output, name))
    bytes[4100] ^= 1
    writeFileSync(join(output, name), bytes)
    const { code, stdout, stderr } = runZgq('check', output, '--json')
    expect({ code, stdout, last: stderr.trimEnd().split('\n').at(-1) }).toEqual({
      code: 1,
      stdout: '',
      last: expect.stringMatching(new RegExp(`^zgq: ZGQ_CORRUPT: .*${name} at byte 4096`))
    })
  })
})

describe('an error ends with 1 and one line, after the stages', () => {
  const notIndex = temp.fresh('not-an-index')
  mkdirSync(notIndex)
  const wide = fileOf('wide.fbin', fbin(new Float32Array(DIM + 1), DIM + 1))
  const withNaN = fileOf('nan.fbin', fbin(vectors.slice(0, DIM * 4).fill(NaN, 20, 21), DIM))
  const withZero = fileOf('zero.fbin', fbin(vectors.slice(0, DIM * 4).fill(0, 8, 16), DIM))
  const short = fileOf('short.fbin', fbin(vectors, DIM).subarray(0, 1000))
  const none = fileOf('none.fbin', '')
  const ragged = fileOf(
    'ragged.fvecs',
    Buffer.concat([fvecs(vectors.subarray(0, 16), DIM), fvecs(vectors.subarray(0, 9), DIM + 1)])
  )
  const doubled = fileOf('doubled.txt', Array.from({ length: COUNT }, (_, i) => (i === 9 ? 5 : i)).join('\n'))
  const output = (): string => temp.fresh('refused')

  it.each<readonly [string, () => string[]]>([
    ['ZGQ_NOT_FOUND', () => ['search', join(temp.path, 'nowhere'), queriesFile]],
    ['ZGQ_NOT_FOUND', () => ['search', index, join(temp.path, 'nowhere.fbin')]],
    ['ZGQ_NOT_FOUND', () => ['build', join(temp.path, 'nowhere.fbin'), output()]],
    ['ZGQ_NOT_FOUND', () => ['build', vectorsFile, join(temp.path, 'nowhere', 'index')]],
    ['ZGQ_NOT_FOUND', () => ['inspect', join(temp.path, 'nowhere')]],
    ['ZGQ_NOT_FOUND', () => ['check', join(temp.path, 'nowhere')]],
    ['ZGQ_NOT_AN_INDEX', () => ['inspect', notIndex]],
    ['ZGQ_NOT_AN_INDEX', () => ['build', vectorsFile, notIndex, '--force']],
    ['ZGQ_EXISTS', () => ['build', vectorsFile, notIndex]],
    ['ZGQ_DIMENSION', () => ['search', index, wide]],
    ['ZGQ_DIMENSION', () => ['build', ragged, output()]],
    ['ZGQ_NON_FINITE', () => ['build', withNaN, output()]],
    ['ZGQ_NON_FINITE', () => ['search', index, withNaN]],
    ['ZGQ_ZERO_VECTOR', () => ['build', withZero, output(), '--metric', 'cosine']],
    ['ZGQ_TRUNCATED', () => ['build', short, output()]],
    ['ZGQ_BUILD_INPUT', () => ['build', none, output()]],
    ['ZGQ_BUILD_INPUT', () => ['build', join(ROOT, 'package.json'), output()]],
    ['ZGQ_ID_EXISTS', () => ['build', vectorsFile, output(), '--ids', doubled]],
    ['ZGQ_NOT_FOUND', () => ['search', index, queriesFile, '--out', join(temp.path, 'nowhere', 'hits.ivecs')]]
  ])('%s (case %#)', (error, args) => {
    const { code, stdout, stderr } = runZgq(...args(), '--json')
    const lines = stderr
      .trimEnd()
      .split('\n')
      .filter((line) => !/^[a-z]+($|: done in )/.test(line))
    expect({ code, stdout, lines }).toEqual({
      code: 1,
      stdout: '',
      lines: [expect.stringMatching(new RegExp(`^zgq: ${error}: `))]
    })
  })
})

describe('wrong usage ends with 2', () => {
  it.each<readonly [string, () => string[]]>([
    ['no subcommand', () => []],
    ['an unknown subcommand', () => ['bild']],
    ['an unknown option', () => ['search', index, queriesFile, '--fast']],
    ['an option of another subcommand', () => ['inspect', index, '--nprobe', '3']],
    ['too few arguments', () => ['search', index]],
    ['too many arguments', () => ['inspect', index, index]],
    ['a value that is missing', () => ['search', index, queriesFile, '--k']],
    ['--k that is no number', () => ['search', index, queriesFile, '--k', 'ten']],
    ['--k that is negative', () => ['search', index, queriesFile, '--k=-1']],
    ['--nprobe 0', () => ['search', index, queriesFile, '--nprobe', '0']],
    ['--nprobe with --exact', () => ['search', index, queriesFile, '--nprobe', '3', '--exact']],
    ['--zones 0', () => ['build', vectorsFile, temp.fresh('wrong'), '--zones', '0']],
    ['--bits 3', () => ['build', vectorsFile, temp.fresh('wrong'), '--bits', '3']],
    ['--metric that is not known', () => ['build', vectorsFile, temp.fresh('wrong'), '--metric', 'dot']],
    ['--seed that is no number', () => ['build', vectorsFile, temp.fresh('wrong'), '--seed', 'x']],
    ['--nprobe with an empty place', () => ['eval', index, queriesFile, truthFile, '--nprobe', '1,,2']],
    ['--k 0 for a recall', () => ['eval', index, queriesFile, truthFile, '--k', '0']]
  ])('%s', (_, args) => {
    const { code, stderr } = runZgq(...args())
    expect(code).toBe(2)
    expect(stderr).not.toContain('    at ') // a stack trace
  })

  it('and the usage of the subcommand on standard error', () => {
    expect(runZgq('search', index).stderr).toMatch(/^zgq: .*\nusage: zgq search .*\n$/)
  })

  it('but asking for help does not', () => {
    const { code, stdout } = runZgq('--help')
    expect(code).toBe(0)
    for (const name of ['build', 'search', 'eval', 'inspect', 'check'])
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
  })
})
