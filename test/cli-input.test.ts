// Vectors and queries of the zgq command: every format that a build reads, and standard input.

import { readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { ZgqIndex } from '../src/index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { jsonOf, runZgq, runZgqOn } from './support/run-zgq.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs } from './support/vector-files.ts'

const temp = useTempFolder('cli-input')
const SEED = 57
const DIM = 8
const COUNT = 600
const QUERY_COUNT = 3
const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
const queries = makeVectors('clustered', { count: QUERY_COUNT, dim: DIM }, SEED + 1)
const linesOf = (values: Float32Array, wrap: (vector: number[], row: number) => unknown): string =>
  Array.from({ length: values.length / DIM }, (_, i) => JSON.stringify(wrap([...rowOf(values, DIM, i)], i))).join('\n')

const index = temp.fresh('index')
let expected: unknown
beforeAll(() => {
  const input = temp.fresh('vectors.fbin')
  writeFileSync(input, fbin(vectors, DIM))
  jsonOf('build', input, index)
  const open = ZgqIndex.open(index)
  expected = Array.from({ length: QUERY_COUNT }, (_, i) => ({ hits: open.search(rowOf(queries, DIM, i), { k: 4 }) }))
  open.close()
})

describe('queries', () => {
  it.each([
    ['arrays', (vector: number[]) => vector],
    ['objects with a vector', (vector: number[]) => ({ vector })],
    ['objects with an id and a vector', (vector: number[], id: number) => ({ id, vector })]
  ])('are read from JSON lines: %s', (_, wrap) => {
    const path = temp.fresh('queries.jsonl')
    writeFileSync(path, linesOf(queries, wrap))
    expect(jsonOf('search', index, path, '--k', '4')).toMatchObject({ queries: expected })
  })

  it('are read from standard input as JSON lines', () => {
    const { code, stdout, stderr } = runZgqOn(
      linesOf(queries, (vector) => vector),
      'search',
      index,
      '-',
      '--k',
      '4',
      '--json'
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ queries: expected })
  })

  it.each([
    ['fvecs', fvecs(queries, DIM)],
    ['fbin', fbin(queries, DIM)]
  ])('are read from standard input with --format %s', (format, bytes) => {
    const { code, stdout } = runZgqOn(bytes, 'search', index, '-', '--k', '4', '--json', '--format', format)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ queries: expected })
  })

  it('of another dimension are ZGQ_DIMENSION', () => {
    const { code, stderr } = runZgqOn('[1, 2, 3]', 'search', index, '-')
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^zgq: ZGQ_DIMENSION: .* 3 .* 8/) })
  })

  it('that are no JSON are ZGQ_BUILD_INPUT with the line', () => {
    const { code, stderr } = runZgqOn('[1, 2, 3]\nnonsense', 'search', index, '-')
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^zgq: ZGQ_BUILD_INPUT: line 2 /) })
  })

  it.each([
    ['', [], 'ZGQ_BUILD_INPUT: the file has no vectors: it is empty (standard input)'],
    ['nonsense', [], /^ZGQ_BUILD_INPUT: line 1 is "nonsense", .* \(standard input\)$/],
    ['abc', ['--format', 'fvecs'], /^ZGQ_TRUNCATED: .* \(standard input at byte 3\)$/],
    ['[1]', [], 'ZGQ_DIMENSION: the queries have 1 dimension, the index has 8 (standard input)']
  ])('that are wrong in standard input are said to be there: %j %j', (input, options, message) => {
    const { code, stdout, stderr } = runZgqOn(input, 'search', index, '-', ...options)
    expect({ code, stdout, line: stderr.trimEnd().replace(/^zgq: /, '') }).toEqual({
      code: 1,
      stdout: '',
      line: typeof message === 'string' ? message : expect.stringMatching(message)
    })
  })

  it('in a file of another format are refused with all endings that are read', () => {
    const { code, stderr } = runZgq('search', index, 'queries.txt')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^zgq: ZGQ_BUILD_INPUT: the file ends in "\.txt", expected .*\.fvecs .*\.parquet .*\.jsonl/)
  })

  it('of files that do not say where their vectors are get them with --column', () => {
    const path = temp.fresh('named.jsonl')
    writeFileSync(
      path,
      linesOf(queries, (embedding) => ({ embedding }))
    )
    const { code, stderr } = runZgq('search', index, path)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('name one with --column') })
    expect(jsonOf('search', index, path, '--k', '4', '--column', 'embedding')).toMatchObject({ queries: expected })
    const lines = temp.fresh('vectors.fbin')
    writeFileSync(lines, fbin(queries, DIM))
    expect(runZgq('search', index, lines, '--column', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^zgq: --column is for \.jsonl/)
    })
  })

  it('of JSON lines calibrate an index', () => {
    const copy = temp.fresh('calibrated')
    const given = linesOf(vectors, (vector) => vector)
    runZgqOn(given, 'build', '-', copy)
    const { code, stdout, stderr } = runZgqOn(
      linesOf(queries, (vector) => vector),
      'calibrate',
      copy,
      '-',
      '--json'
    )
    expect({ code, stderr: stderr.includes('ZGQ_') }).toEqual({ code: 0, stderr: false })
    expect(JSON.parse(stdout)).toMatchObject({ calibration: { source: 'queries', queries: QUERY_COUNT } })
  })
})

describe('zgq build - reads standard input', () => {
  it('as JSON lines, to the same index as from a file, and leaves no copy', () => {
    const [fromFile, fromInput, lines] = [temp.fresh('file'), temp.fresh('input'), temp.fresh('vectors.jsonl')]
    const given = linesOf(vectors, (vector, row) => ({ id: row * 3, vector }))
    writeFileSync(lines, given)
    expect(runZgqOn(given, 'build', '-', fromInput).code).toBe(0)
    jsonOf('build', lines, fromFile)
    const [a, b] = [fromFile, fromInput].map((path) => ZgqIndex.open(path))
    expect(b.info().indexId).toBe(a.info().indexId)
    a.close()
    b.close()
    expect(readdirSync(dirname(fromInput)).filter((name) => name.startsWith('.zgq-'))).toEqual([])
  })

  it('with --format, as that', () => {
    const output = temp.fresh('npy')
    expect(runZgqOn(fbin(vectors, DIM), 'build', '-', output, '--format', 'fbin').code).toBe(0)
    expect(jsonOf('inspect', output)).toMatchObject({ count: COUNT, dim: DIM })
  })

  it.each([
    [['build', 'x.fbin', 'y', '--format', 'fbin'], '--format is for standard input'],
    [['build', '-', 'y', '--format', '../x'], '--format must be one of fvecs, bvecs'],
    [['build', '-', 'y', '--format', 'foo'], '--format must be one of fvecs, bvecs'],
    [['build', '-', 'y', '--stage', 'read'], 'a stage reads a file, not standard input']
  ])('%j is wrong usage', (words, message) => {
    const { code, stderr } = runZgq(...words)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) })
  })
})

it('build - into a folder that does not exist is ZGQ_NOT_FOUND', () => {
  const { code, stderr } = runZgqOn('[1, 2]', 'build', '-', `${temp.fresh('none')}/index`)
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^zgq: ZGQ_NOT_FOUND: the folder for the/)
  })
})

it('inspect of an index of one zone says 1 zone, and never 1 zones', () => {
  const output = temp.fresh('one')
  runZgqOn('[1, 2]', 'build', '-', output)
  const { stdout } = runZgq('inspect', output)
  expect(stdout).not.toMatch(/\b1 (zones|rows|files|bits|dimensions|vectors)\b/)
  expect(runZgq('check', output).stdout).toContain('1 live row, 1 zone,')
})
