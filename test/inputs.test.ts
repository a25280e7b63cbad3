// Inputs of a build that are read in batches: Parquet, JSON lines, HDF5 and queries of SQLite databases. What they
// give, and what they refuse.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { describe, expect, it, vi } from 'vitest'

import { buildIndex, buildStage, type BuildOptions, type StageOptions } from '../src/build.ts'
import { BatchBuffer } from '../src/input/batch-source.ts'
import { decodeHybrid } from '../src/input/parquet-values.ts'
import { makeIds, makeVectors } from './support/datasets.ts'
import {
  blob,
  chunksOf,
  jsonLines,
  listsOf,
  parquet,
  parquetOf,
  readAll,
  writeHdf5,
  writeSqlite,
  written,
  type Chunk,
  type DataSet,
  type ParquetTable
} from './support/input-files.ts'
import { runZgq } from './support/run-zgq.ts'
import { errorFrom, placeIn, rejection } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('inputs', IN_MEMORY)
const SEED = 71
const dim = 12
const count = 700
const vectors = makeVectors('clustered', { count, dim }, SEED)
const ids = makeIds(count, SEED)
const SELECT = 'SELECT id, embedding FROM chunks ORDER BY rowid'

const DATA = join(ROOT, 'test/data/inputs')
/** What the files in test/data/inputs hold: see the README there. */
const KNOWN = {
  dim: 6,
  count: 60,
  value: (i: number, j: number) => ((i * 31 + j * 17) % 101) / 8 - 5,
  id: (i: number) => 3 * i + 7
}
const knownVectors = Array.from({ length: KNOWN.count * KNOWN.dim }, (_, at) =>
  KNOWN.value(Math.floor(at / KNOWN.dim), at % KNOWN.dim)
)
const knownIds = Array.from({ length: KNOWN.count }, (_, i) => KNOWN.id(i))

const fileOf = (name: string, bytes: Uint8Array | string): string => written(temp.fresh(name), bytes)
const hdf5Of = async (sets: readonly DataSet[]): Promise<string> => {
  const path = temp.fresh('sets.hdf5')
  await writeHdf5(path, sets)
  return path
}
const sqliteOf = (chunks: Iterable<Chunk>): string => {
  const path = temp.fresh('app.db')
  writeSqlite(path, chunks)
  return path
}

/** Options beside the input and the output. */
type GivenOptions = Omit<Partial<BuildOptions>, 'input' | 'output'>

/** Builds and digests the files; without a path, from the arrays. */
async function digests(options: Partial<BuildOptions>): Promise<unknown> {
  const { output } = placeIn(temp)
  const { indexId } = await buildIndex({
    input: vectors,
    zones: 12,
    output,
    ...options,
    ...(typeof options.input === 'string' ? {} : { dim })
  })
  return { indexId, files: dataFileDigests(output) }
}

/** The error of a build, which must leave nothing behind. */
async function buildError(options: GivenOptions & { input: string }): Promise<unknown> {
  const { folder, output } = placeIn(temp)
  const error = await rejection(buildIndex({ output, ...options }))
  expect(readdirSync(folder)).toEqual([])
  return error
}

describe('the same vectors give the same data files', () => {
  const rows = { vectors, dim }

  it.each<[string, () => string | Promise<string>, Partial<BuildOptions>]>([
    ['Parquet', () => fileOf('x.parquet', parquetOf(rows)), {}],
    ['Parquet with the column named', () => fileOf('x.PARQUET', parquetOf(rows)), { column: 'embedding' }],
    ['JSON lines of arrays', () => fileOf('x.jsonl', jsonLines(rows)), {}],
    ['HDF5', () => hdf5Of([{ name: 'train', data: vectors, shape: [count, dim] }]), {}],
    [
      'HDF5 with the data set named',
      () => hdf5Of([{ name: 'other', data: Float64Array.from(vectors), shape: [count, dim] }]),
      { column: 'other' }
    ],
    ['a query for vectors', () => sqliteOf(chunksOf(rows)), { query: 'SELECT embedding FROM chunks ORDER BY rowid' }]
  ])('from %s as from an array', async (_, write, options) => {
    expect(await digests({ ...options, input: await write() })).toEqual(await digests({}))
  })

  it.each<[string, () => string, Partial<BuildOptions>]>([
    ['Parquet', () => fileOf('x.parquet', parquetOf({ ...rows, ids })), { idColumn: 'id' }],
    ['JSON lines of objects', () => fileOf('x.ndjson', jsonLines({ ...rows, ids })), {}],
    [
      'JSON lines with other keys',
      () =>
        fileOf(
          'x.jsonl',
          listsOf(rows)
            .map((emb, i) => JSON.stringify({ key: ids[i], text: 'a', emb }))
            .join('\r\n')
        ),
      { column: 'emb', idColumn: 'key' }
    ],
    ['a query', () => sqliteOf(chunksOf({ ...rows, ids })), { query: SELECT }],
    [
      'Parquet, with ids in a file',
      () => fileOf('x.parquet', parquetOf(rows)),
      { ids: fileOf('ids.txt', ids.join('\n')) }
    ],
    [
      'a query for vectors, with ids in an array',
      () => sqliteOf(chunksOf(rows)),
      { query: 'SELECT embedding FROM chunks ORDER BY rowid', ids }
    ]
  ])('and ids, from %s as from arrays', async (_, write, options) => {
    expect(await digests({ ...options, input: write() })).toEqual(await digests({ ids }))
  })

  it('from the command line as from an array', async () => {
    const input = fileOf('x.parquet', parquetOf({ ...rows, ids }))
    const output = temp.fresh('cli')
    expect(runZgq('build', input, output, '--column', 'embedding', '--id-column', 'id', '--zones', '12')).toMatchObject(
      { code: 0 }
    )
    const fromQuery = temp.fresh('cli')
    expect(
      runZgq('build', sqliteOf(chunksOf({ ...rows, ids })), fromQuery, '--query', SELECT, '--zones', '12')
    ).toMatchObject({ code: 0 })
    expect([dataFileDigests(output), dataFileDigests(fromQuery)]).toEqual(
      new Array(2).fill(Object(await digests({ ids })).files)
    )
  })
})

describe('stages that are run one by one', () => {
  const STAGES: readonly StageOptions['stage'][] = ['read', 'train', 'assign', 'write', 'publish']

  it.each<[string, () => string, GivenOptions]>([
    ['Parquet', () => fileOf('x.parquet', parquetOf({ vectors, dim, ids })), { idColumn: 'id' }],
    ['a query', () => sqliteOf(chunksOf({ vectors, dim, ids })), { query: SELECT }]
  ])('give the same data files from %s', async (_, write, options) => {
    const { output } = placeIn(temp)
    const input = write()
    for (const stage of STAGES) await buildStage({ stage, input, output, zones: 12, ...options })
    expect(dataFileDigests(output)).toEqual(Object(await digests({ ids })).files)
  })

  it.each<[string, () => string, GivenOptions, GivenOptions]>([
    ['another column of ids', () => fileOf('x.parquet', parquetOf({ vectors, dim, ids })), { idColumn: 'id' }, {}],
    [
      'another query',
      () => sqliteOf(chunksOf({ vectors, dim, ids })),
      { query: SELECT },
      { query: `${SELECT} LIMIT 9` }
    ]
  ])('are ZGQ_MISMATCH with %s', async (_, write, before, after) => {
    const { output } = placeIn(temp)
    const input = write()
    await buildStage({ stage: 'read', input, output, ...before })
    expect(await errorFrom(buildStage({ stage: 'train', input, output, ...after }))).toMatchObject({
      code: 'ZGQ_MISMATCH'
    })
  })

  it('are ZGQ_MISMATCH where the database has changed, if only in its log', async () => {
    const { output } = placeIn(temp)
    const input = sqliteOf(chunksOf({ vectors, dim, ids }))
    const database = new Sqlite(input)
    try {
      database.pragma('journal_mode = WAL')
      await buildStage({ stage: 'read', input, output, query: SELECT })
      database.exec('DELETE FROM chunks WHERE rowid = 1')
      expect(await errorFrom(buildStage({ stage: 'train', input, output, query: SELECT }))).toMatchObject({
        code: 'ZGQ_MISMATCH'
      })
    } finally {
      database.close()
    }
  })
})

describe('files that other programs wrote', () => {
  it.each(readdirSync(DATA).filter((name) => name.endsWith('.parquet')))(
    '%s gives its vectors and ids',
    async (name) => {
      const found = await readAll(join(DATA, name), { idColumn: 'id' })
      expect(found).toMatchObject({ dim: KNOWN.dim, ids: knownIds })
      expect(found.vectors).toEqual(knownVectors)
    }
  )

  it.each([undefined, 'chunked', 'half', 'group/big-endian double', '/train'])(
    'h5py.hdf5 gives its vectors: data set %s',
    async (column) => {
      expect((await readAll(join(DATA, 'h5py.hdf5'), { column })).vectors).toEqual(knownVectors)
    }
  )
})

describe('numbers of other types', () => {
  const whole = Float32Array.from({ length: 30 }, (_, i) => i - 5)
  const lists = listsOf({ vectors: whole, dim: 3 })

  it.each(['FLOAT', 'DOUBLE', 'INT32'] as const)('are read from lists of %s', async (type) => {
    expect((await readAll(fileOf('x.parquet', parquet({ lists: { v: lists }, element: { type } })))).vectors).toEqual(
      Array.from(whole)
    )
  })

  it('are read from lists of 64-bit integers', async () => {
    const path = fileOf(
      'x.parquet',
      parquet({ lists: { v: lists.map((list) => list.map(BigInt)) }, element: { type: 'INT64' } })
    )
    expect((await readAll(path)).vectors).toEqual(Array.from(whole))
  })

  it.each([
    ['int32', Int32Array.from(whole)],
    ['float64', Float64Array.from(whole)]
  ])('are read from HDF5: %s', async (_, data) => {
    expect((await readAll(await hdf5Of([{ name: 'train', data, shape: [10, 3] }]))).vectors).toEqual(Array.from(whole))
  })

  it('beyond float32 are refused', async () => {
    const input = fileOf(
      'x.parquet',
      parquet({
        lists: {
          v: [
            [1, 2],
            [3, 1e300]
          ]
        },
        element: { type: 'DOUBLE' }
      })
    )
    expect(await buildError({ input })).toMatchObject({
      code: 'ZGQ_NON_FINITE',
      message: expect.stringMatching(/row 1 of .*x\.parquet holds Infinity at position 1/)
    })
  })
})

describe('batches', () => {
  const large = makeVectors('uniform', { count: 9000, dim: 200 }, SEED)
  const rows = { vectors: large, dim: 200 }

  it.each<[string, () => string | Promise<string>, string | undefined]>([
    ['Parquet', () => fileOf('x.parquet', parquetOf(rows)), undefined],
    ['JSON lines', () => fileOf('x.jsonl', jsonLines(rows)), undefined],
    ['HDF5', () => hdf5Of([{ name: 'train', data: large, shape: [9000, 200] }]), undefined],
    ['a query', () => sqliteOf(chunksOf(rows)), 'SELECT embedding FROM chunks']
  ])('of %s are of 1 to 4 MiB, whatever the file has', async (_, write, query) => {
    const { batchBytes, vectors: found } = await readAll(await write(), { query })
    expect(found.length).toBe(large.length)
    expect(found.every((value, i) => value === large[i])).toBe(true)
    expect(Math.max(...batchBytes)).toBeLessThanOrEqual(4 * 2 ** 20)
    expect(Math.min(...batchBytes.slice(0, -1))).toBeGreaterThan(2 ** 20)
  })

  it('are whole rows', () => {
    expect(() =>
      Array.from(
        (function* () {
          const buffer = new BatchBuffer(3)
          yield* buffer.append(Float32Array.of(1, 2))
          yield* buffer.rest()
        })()
      )
    ).toThrow(/no rows of 3/)
  })

  it('let a signal be seen between them', async () => {
    const { folder, output } = placeIn(temp)
    const controller = new AbortController()
    const reads: number[] = []
    const building = buildIndex({
      input: fileOf('x.jsonl', jsonLines(rows)),
      output,
      signal: controller.signal,
      onProgress: ({ stage, done }) => {
        if (stage === 'read') reads.push(done)
        setImmediate(() => {
          controller.abort(new Error('enough'))
        })
      }
    })
    await expect(building).rejects.toThrow('enough')
    expect(reads.at(-1)).toBeLessThan(9000)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('Parquet is refused', () => {
  const good = [
    [1, 2],
    [3, 4],
    [5, 6]
  ]
  const three = { name: 'id', type: 'INT64' } as const

  it.each<[string, ParquetTable, GivenOptions, string, RegExp]>([
    [
      'without the column',
      { lists: { a: good }, columns: [{ ...three, data: [1n, 2n, 3n] }] },
      { column: 'b' },
      'ZGQ_BUILD_INPUT',
      /no column b: its columns are id, a/
    ],
    [
      'without lists of numbers',
      { lists: {}, columns: [{ ...three, data: [1n, 2n, 3n] }] },
      {},
      'ZGQ_BUILD_INPUT',
      /no column of lists of numbers: its columns are id/
    ],
    [
      'with several columns of lists',
      { lists: { a: good, b: good } },
      {},
      'ZGQ_BUILD_INPUT',
      /several columns of lists of numbers: a, b; name one/
    ],
    [
      'for a column of single numbers',
      { lists: { a: good }, columns: [{ ...three, data: [1n, 2n, 3n] }] },
      { column: 'id' },
      'ZGQ_BUILD_INPUT',
      /column id does not hold lists/
    ],
    [
      'for lists of text',
      { lists: { a: [['x'], ['y']] }, element: { type: 'BYTE_ARRAY', converted_type: 'UTF8' } },
      {},
      'ZGQ_BUILD_INPUT',
      /no column of lists of numbers/
    ],
    [
      'with a list of another length',
      { lists: { a: [[1, 2], [3, 4], [5]] } },
      {},
      'ZGQ_DIMENSION',
      /row 2 has 1 dimension, expected 2/
    ],
    [
      'with an empty list',
      { lists: { a: [[1, 2], [], [5, 6]] } },
      {},
      'ZGQ_DIMENSION',
      /row 1 has 0 dimensions, expected 2/
    ],
    ['with an empty list first', { lists: { a: [[], [1, 2]] } }, {}, 'ZGQ_DIMENSION', /0 dimensions, expected 1 to/],
    [
      'with null for a list',
      { lists: { a: [[1, 2], [3, 4], null] } },
      {},
      'ZGQ_BUILD_INPUT',
      /row 2 has null in the column a/
    ],
    ['with null for the first list', { lists: { a: [null, [1, 2]] } }, {}, 'ZGQ_BUILD_INPUT', /row 0 has null/],
    [
      'with null in a list',
      {
        lists: {
          a: [
            [1, 2],
            [3, null]
          ]
        }
      },
      {},
      'ZGQ_BUILD_INPUT',
      /row 1 has a list with a null at position 1/
    ],
    [
      'with NaN',
      {
        lists: {
          a: [
            [1, 2],
            [3, NaN]
          ]
        }
      },
      {},
      'ZGQ_NON_FINITE',
      /row 1/
    ],
    [
      'without the column of ids',
      { lists: { a: good } },
      { idColumn: 'id' },
      'ZGQ_BUILD_INPUT',
      /no column id: its columns are a/
    ],
    [
      'with ids that are no integers',
      { lists: { a: good }, columns: [{ name: 'id', type: 'DOUBLE', data: [1, 2, 3] }] },
      { idColumn: 'id' },
      'ZGQ_BUILD_INPUT',
      /ids id does not hold integers/
    ],
    [
      'with ids that are times',
      {
        lists: { a: good },
        columns: [{ name: 'id', type: 'TIMESTAMP', data: [new Date(1), new Date(2), new Date(3)] }]
      },
      { idColumn: 'id' },
      'ZGQ_BUILD_INPUT',
      /does not hold integers/
    ],
    [
      'with a null id',
      { lists: { a: good }, columns: [{ ...three, nullable: true, data: [1n, null, 3n] }] },
      { idColumn: 'id' },
      'ZGQ_BUILD_INPUT',
      /id of row 1 is null/
    ],
    [
      'with a negative id',
      { lists: { a: good }, columns: [{ ...three, data: [1n, 2n, -3n] }] },
      { idColumn: 'id' },
      'ZGQ_BUILD_INPUT',
      /id of row 2 is -3/
    ],
    [
      'with an id of 2^53',
      { lists: { a: good }, columns: [{ ...three, data: [1n, 2n ** 53n, 3n] }] },
      { idColumn: 'id' },
      'ZGQ_BUILD_INPUT',
      /id of row 1 is 9007199254740992/
    ],
    [
      'with an id that stands twice',
      { lists: { a: good }, columns: [{ ...three, data: [1n, 2n, 1n] }] },
      { idColumn: 'id' },
      'ZGQ_ID_EXISTS',
      /duplicate id 1 .*rows 0 and 2/
    ]
  ])('%s', async (_, table, options, code, message) => {
    expect(await buildError({ input: fileOf('x.parquet', parquet(table)), ...options })).toMatchObject({
      code,
      message: expect.stringMatching(message)
    })
  })

  it('in later row groups and pages, with the row counted through the file', async () => {
    const lists = Array.from({ length: 5000 }, (_, i) => (i === 4321 ? [1, 2] : [1, 2, 3]))
    const input = fileOf('x.parquet', parquet({ lists: { a: lists }, rowGroupSize: 900, pageSize: 64 }))
    expect(await buildError({ input })).toMatchObject({
      code: 'ZGQ_DIMENSION',
      message: expect.stringMatching(/row 4321 has 2 dimensions, expected 3/)
    })
  })

  it.each([
    ['empty', new Uint8Array(0), 'ZGQ_BUILD_INPUT', /not Parquet/],
    ['of another kind', 'a,b\n1,2\n', 'ZGQ_BUILD_INPUT', /not Parquet: it begins with "a,b\\n", expected PAR1/],
    ['nothing but its first bytes', 'PAR1', 'ZGQ_TRUNCATED', /too short/],
    [
      'without its footer',
      `PAR1${'x'.repeat(100)}PAR1`,
      'ZGQ_BUILD_INPUT',
      /damaged, or of a kind that is not supported/
    ],
    ['encrypted', `PARE${'x'.repeat(100)}PARE`, 'ZGQ_BUILD_INPUT', /encrypted/]
  ])('if it is %s', async (_, bytes, code, message) => {
    expect(await buildError({ input: fileOf('x.parquet', bytes) })).toMatchObject({
      code,
      message: expect.stringMatching(message)
    })
  })

  it('wherever it is cut short', async () => {
    const whole = parquetOf({ vectors: vectors.subarray(0, 40 * dim), dim, ids: ids.slice(0, 40) })
    const codes = new Set<unknown>()
    for (let length = 4; length < whole.length; length += 61)
      codes.add((await errorFrom(readAll(fileOf('cut.parquet', whole.subarray(0, length)), { idColumn: 'id' }))).code)
    expect([...codes]).toEqual(['ZGQ_TRUNCATED'])
  })

  it('where a page does not fit its checksum', async () => {
    const bytes = readFileSync(join(DATA, 'pyarrow-v2-checksums.parquet'))
    bytes[Math.floor(bytes.length / 3)] ^= 1
    expect(
      await errorFrom(readAll(fileOf('flipped.parquet', bytes), { column: 'embedding', idColumn: 'id' }))
    ).toMatchObject({ code: 'ZGQ_BUILD_INPUT', message: expect.stringMatching(/does not fit its checksum/) })
  })

  it.each(readdirSync(DATA).filter((name) => name.endsWith('.parquet')))(
    'or gives as many finite rows, whichever byte of %s is turned over',
    async (name) => {
      const whole = readFileSync(join(DATA, name))
      for (let at = 0; at < whole.length; at += 7) {
        const bytes = Buffer.from(whole)
        bytes[at] ^= 255
        const found = await readAll(fileOf('flipped.parquet', bytes), { column: 'embedding', idColumn: 'id' }).catch(
          (error: unknown) => error
        )
        if (found instanceof Error)
          expect(found, `byte ${at}`).toMatchObject({
            name: 'ZgqError',
            code: expect.stringMatching(/^ZGQ_(BUILD_INPUT|TRUNCATED|DIMENSION)$/)
          })
        else expect(Object(found).vectors.length / Object(found).dim, `byte ${at}`).toBe(KNOWN.count)
      }
    }
  )
})

describe('levels of Parquet', () => {
  const decode = (bytes: readonly number[], width: number, length: number): number[] => {
    const target = new Uint32Array(length)
    decodeHybrid(Uint8Array.from(bytes), width, target)
    return Array.from(target)
  }

  it.each<[string, number[], number, number[]]>([
    ['runs', [6, 5, 4, 2], 3, [5, 5, 5, 2, 2]],
    ['bit-packed groups (the example of the specification)', [3, 0x88, 0xc6, 0xfa], 3, [0, 1, 2, 3, 4, 5, 6, 7]],
    ['a last group that is cut short', [3, 0b1010], 1, [0, 1, 0, 1]],
    ['wide values', [4, 1, 2, 3, 4], 32, [0x04030201, 0x04030201]],
    ['values of no bits', [200, 1], 0, [0, 0, 0]]
  ])('are decoded: %s', (_, bytes, width, expected) => {
    expect(decode(bytes, width, expected.length)).toEqual(expected)
  })

  it.each<[string, number[], number]>([
    ['end early', [6, 5], 4],
    ['are empty', [], 4],
    ['are runs of nothing', new Array<number>(1000).fill(0), 4],
    ['leave the page', [0x81, 0x80, 0x80, 0x80, 0x08, 1], 64],
    ['have an endless header', new Array<number>(1000).fill(0x80), 4]
  ])('are refused if they %s', (_, bytes, length) => {
    expect(() => decode(bytes, 3, length)).toThrow(/expected|page/)
  })
})

describe('JSON lines are refused', () => {
  it.each<[string, string, GivenOptions, string, RegExp]>([
    ['empty', '', {}, 'ZGQ_BUILD_INPUT', /no vectors/],
    ['blank', '\n\n', {}, 'ZGQ_BUILD_INPUT', /no vectors/],
    ['that are no JSON', '[1,2]\n[1,2\n', {}, 'ZGQ_BUILD_INPUT', /line 2 is "\[1,2", expected JSON/],
    [
      'that are long and no JSON',
      `[1,2]\n${'x'.repeat(99)}\n`,
      {},
      'ZGQ_BUILD_INPUT',
      /line 2 is "x{40}\.\.\.", expected/
    ],
    [
      'that are one document',
      '[\n  [1, 2],\n  [3, 4]\n]\n',
      {},
      'ZGQ_BUILD_INPUT',
      /line 1 is "\[", expected JSON: an array of numbers/
    ],
    ['that are numbers', '1\n2\n', {}, 'ZGQ_BUILD_INPUT', /line 1 is "1", expected an array of numbers/],
    [
      'with a blank line in the middle',
      '[1,2]\n\n[3,4]\n',
      {},
      'ZGQ_BUILD_INPUT',
      /line 2 is blank, expected a vector/
    ],
    ['with text for a number', '[1,2]\n[3,"4"]\n', {}, 'ZGQ_BUILD_INPUT', /line 2 .*expected a number at position 1/],
    ['with null for a number', '[1,null]\n', {}, 'ZGQ_BUILD_INPUT', /line 1 .*expected a number at position 1/],
    ['with numbers beyond float32', '[1,2]\n[1,1e999]\n', {}, 'ZGQ_NON_FINITE', /row 1 of .*holds Infinity/],
    ['of another dimension', '[1,2]\n[1,2,3]\n', {}, 'ZGQ_DIMENSION', /line 2 has 3 dimensions, expected 2/],
    ['of no dimension', '[]\n', {}, 'ZGQ_DIMENSION', /0 dimensions/],
    [
      'that change from arrays to objects',
      '[1,2]\n{"vector":[1,2]}\n',
      {},
      'ZGQ_BUILD_INPUT',
      /line 2 .*expected an array of numbers, like the lines before/
    ],
    [
      'that change from objects to arrays',
      '{"vector":[1,2]}\n[1,2]\n',
      {},
      'ZGQ_BUILD_INPUT',
      /line 2 .*expected an object/
    ],
    [
      'that leave out the id',
      '{"id":1,"vector":[1,2]}\n{"vector":[1,2]}\n',
      {},
      'ZGQ_BUILD_INPUT',
      /line 2 .*expected an id under the key "id"/
    ],
    ['that add an id', '{"vector":[1,2]}\n{"id":1,"vector":[1,2]}\n', {}, 'ZGQ_BUILD_INPUT', /line 2 .*expected no id/],
    [
      'with an id in quotes after one without',
      '{"id":1,"vector":[1,2]}\n{"id":"1","vector":[1,2]}\n',
      {},
      'ZGQ_BUILD_INPUT',
      /id of line 2 is "1", expected a safe integer/
    ],
    [
      'with an id of 2^53',
      '{"id":1,"vector":[1,2]}\n{"id":9007199254740993,"vector":[1,2]}\n',
      {},
      'ZGQ_BUILD_INPUT',
      /id of line 2/
    ],
    ['with a negative id', '{"id":-1,"vector":[1,2]}\n', {}, 'ZGQ_BUILD_INPUT', /id of line 1 is -1/],
    [
      'with an id that stands twice',
      '{"id":5,"vector":[1,2]}\n{"id":5,"vector":[3,2]}\n',
      {},
      'ZGQ_ID_EXISTS',
      /duplicate id 5/
    ],
    [
      'without the key',
      '{"id":1,"embedding":[1,2]}\n',
      {},
      'ZGQ_BUILD_INPUT',
      /line 1 has no key "vector": it has id, embedding/
    ],
    [
      'of arrays where a key is named',
      '[1,2]\n',
      { column: 'embedding' },
      'ZGQ_BUILD_INPUT',
      /line 1 is "\[1,2\]", expected an object with the key "embedding"/
    ]
  ])('%s', async (_, text, options, code, message) => {
    expect(await buildError({ input: fileOf('x.jsonl', text), ...options })).toMatchObject({
      code,
      message: expect.stringMatching(message)
    })
  })

  it('may end with blank lines, or without a line feed, and begin with a byte order mark', async () => {
    for (const text of ['[1,2]\n[3,4]', '[1,2]\n[3,4]\n\n \n', '\ufeff[1,2]\r\n[3,4]\r\n'])
      expect((await readAll(fileOf('x.jsonl', text))).vectors).toEqual([1, 2, 3, 4])
  })

  it('must be UTF-8: no byte becomes another silently', async () => {
    const lines = [0x61, 0xff].map((byte) =>
      Buffer.concat([Buffer.from('{"vector":[1,2],"id":"'), Buffer.of(byte), Buffer.from('"}')])
    )
    for (const end of ['\n', ''])
      expect(
        await buildError({
          input: fileOf('x.jsonl', Buffer.concat([lines[0], Buffer.from('\n'), lines[1], Buffer.from(end)]))
        })
      ).toMatchObject({
        code: 'ZGQ_BUILD_INPUT',
        message: expect.stringMatching(/line 2 has bytes that are not UTF-8/)
      })
    expect(await buildError({ input: fileOf('x.jsonl', '[1,2]\n\ufeff[3,4]\n') })).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/line 2 is/)
    })
  })

  it('may be longer than what is read at a time', async () => {
    const padding = 'x'.repeat(5 * 2 ** 20)
    const text = [1, 2, 3].map((value) => JSON.stringify({ text: padding, vector: [value, 0] })).join('\n')
    expect((await readAll(fileOf('x.jsonl', text))).vectors).toEqual([1, 0, 2, 0, 3, 0])
  })
})

describe('HDF5 is refused', () => {
  const path = join(DATA, 'h5py.hdf5')
  const flat = Float32Array.of(1, 2, 3, 4)

  it.each<[string, string | undefined, RegExp]>([
    [
      'no data set of that name',
      'trian',
      /no data set trian: it has chunked, group\/big-endian double, half, one axis, test, train, words/
    ],
    ['a group of that name', 'group', /no data set group/],
    ['one axis', 'one axis', /shape \(6\), expected two axes/],
    ['text', 'words', /does not hold numbers/]
  ])('with %s', async (_, column, message) => {
    expect(await buildError({ input: path, column })).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(message)
    })
  })

  it('without the data set train', async () => {
    expect(await buildError({ input: await hdf5Of([{ name: 'base', data: flat, shape: [2, 2] }]) })).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/no data set train: it has base/)
    })
  })

  it('without rows', async () => {
    expect(
      await buildError({ input: await hdf5Of([{ name: 'train', data: new Float32Array(0), shape: [0, 2] }]) })
    ).toMatchObject({ code: 'ZGQ_BUILD_INPUT', message: expect.stringMatching(/no vectors/) })
  })

  it('with NaN', async () => {
    expect(
      await buildError({ input: await hdf5Of([{ name: 'train', data: Float32Array.of(1, 2, NaN, 4), shape: [2, 2] }]) })
    ).toMatchObject({ code: 'ZGQ_NON_FINITE', message: expect.stringMatching(/row 1 of .*\.hdf5/) })
  })

  it.each([
    ['empty', new Uint8Array(0)],
    ['of another kind', 'PAR1 and so on']
  ])('if it is %s', async (_, bytes) => {
    expect(await buildError({ input: fileOf('x.h5', bytes) })).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/not HDF5/)
    })
  })

  it('if it is cut short, and is read once it is whole again', async () => {
    const whole = readFileSync(path)
    const cut = fileOf('cut.hdf5', whole.subarray(0, whole.length - 2000))
    expect(await buildError({ input: cut })).toMatchObject({ code: 'ZGQ_TRUNCATED', path: cut })
    written(cut, whole)
    expect((await readAll(cut)).vectors).toEqual(knownVectors)
  })

  it('where a chunk does not fit its checksum, and then not read in this process from what is left of it', async () => {
    const whole = readFileSync(path)
    const name = temp.fresh('flipped.hdf5')
    const isDamaged = async (at: number): Promise<boolean> => {
      const bytes = Buffer.from(whole)
      bytes[at] ^= 1
      const found: unknown = await readAll(written(`${name}-${at}.hdf5`, bytes), { column: 'chunked' }).catch(
        (error: unknown) => error
      )
      if (!(found instanceof Error)) {
        expect(Object(found).vectors, `byte ${at}`).toEqual(knownVectors)
        return false
      }
      expect(found, `byte ${at}`).toMatchObject({ name: 'ZgqError', code: 'ZGQ_BUILD_INPUT' })
      return found.message.includes('filter')
    }
    // Where h5py put the first chunks. Their index, which has no checksum in this version of the format, says where:
    // what it loses reads as zeros, by HDF5's rules.
    const damaged: number[] = []
    for (let at = 3608; at < 4070; at += 29) if (await isDamaged(at)) damaged.push(at)
    expect(damaged.length).toBe(16)
    const repaired = written(`${name}-${damaged[0]}.hdf5`, whole)
    expect(await errorFrom(readAll(repaired, { column: 'chunked' }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/new process/)
    })
  })

  it('with advice where h5wasm is not installed', async () => {
    vi.doMock('h5wasm/node', () => {
      throw new Error('Cannot find package h5wasm')
    })
    try {
      expect(await buildError({ input: path })).toMatchObject({
        code: 'ZGQ_UNSUPPORTED',
        message: expect.stringMatching(/npm install h5wasm/)
      })
    } finally {
      vi.doUnmock('h5wasm/node')
    }
  })
})

describe('a query is refused', () => {
  const two: readonly Chunk[] = [
    [1, blob(Float32Array.of(1, 2))],
    [2, blob(Float32Array.of(3, 4))]
  ]

  it.each<[string, readonly Chunk[], string, string, RegExp]>([
    ['with a syntax error', two, 'SELEC id', 'ZGQ_BUILD_INPUT', /query fails: near "SELEC": syntax error/],
    ['without its table', two, 'SELECT id, v FROM nowhere', 'ZGQ_BUILD_INPUT', /no such table: nowhere/],
    ['that is a DELETE', two, 'DELETE FROM chunks', 'ZGQ_BUILD_INPUT', /not a SELECT/],
    [
      'that changes rows and returns them',
      two,
      'DELETE FROM chunks RETURNING id, embedding',
      'ZGQ_BUILD_INPUT',
      /not a SELECT/
    ],
    ['that is two', two, 'SELECT 1, 2; SELECT 3, 4', 'ZGQ_BUILD_INPUT', /more than one statement/],
    ['with a parameter', two, 'SELECT id, embedding FROM chunks WHERE id > ?', 'ZGQ_BUILD_INPUT', /parameter/],
    [
      'of three columns',
      two,
      'SELECT id, embedding, 1 AS more FROM chunks',
      'ZGQ_BUILD_INPUT',
      /3 columns \(id, embedding, more\), expected an id and a vector/
    ],
    ['without rows', two, `${SELECT.replace(' ORDER', ' WHERE id > 9 ORDER')}`, 'ZGQ_BUILD_INPUT', /no rows/],
    [
      'that fails in the middle',
      two,
      `SELECT id, CASE id WHEN 2 THEN json('{') ELSE embedding END FROM chunks ORDER BY rowid`,
      'ZGQ_BUILD_INPUT',
      /query fails: malformed JSON/
    ],
    [
      'with the vector first',
      two,
      'SELECT embedding, id FROM chunks',
      'ZGQ_BUILD_INPUT',
      /vector of row 0 is the number 1, expected a BLOB/
    ],
    ['with NULL for a vector', [...two, [3, null]], SELECT, 'ZGQ_BUILD_INPUT', /vector of row 2 is NULL/],
    [
      'with text for a vector',
      [...two, [3, '[1,2]']],
      SELECT,
      'ZGQ_BUILD_INPUT',
      /vector of row 2 is the text "\[1,2\]"/
    ],
    [
      'with a longer BLOB',
      [...two, [3, Buffer.alloc(12)]],
      SELECT,
      'ZGQ_DIMENSION',
      /vector of row 2 has 12 bytes, expected 8/
    ],
    [
      'with half a number first',
      [[1, Buffer.alloc(7)]],
      SELECT,
      'ZGQ_DIMENSION',
      /vector of row 0 has 7 bytes, expected a multiple of 4/
    ],
    ['with an empty BLOB', [[1, Buffer.alloc(0)]], SELECT, 'ZGQ_DIMENSION', /0 dimensions/],
    ['with NULL for an id', [...two, [null, two[0][1]]], SELECT, 'ZGQ_BUILD_INPUT', /id of row 2 is null/],
    ['with text for an id', [...two, ['x', two[0][1]]], SELECT, 'ZGQ_BUILD_INPUT', /id of row 2 is "x"/],
    ['with a fraction for an id', [...two, [1.5, two[0][1]]], SELECT, 'ZGQ_BUILD_INPUT', /id of row 2 is 1\.5/],
    [
      'with an id of 2^53 + 1',
      [...two, [2n ** 53n + 1n, two[0][1]]],
      SELECT,
      'ZGQ_BUILD_INPUT',
      /id of row 2 is 9007199254740993/
    ],
    ['with an id that stands twice', [...two, [1, two[0][1]]], SELECT, 'ZGQ_ID_EXISTS', /duplicate id 1/]
  ])('%s', async (_, chunks, query, code, message) => {
    const input = sqliteOf(chunks)
    const before = readFileSync(input)
    expect(await buildError({ input, query })).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(readFileSync(input)).toEqual(before)
  })

  it('of a file that is no database', async () => {
    expect(await buildError({ input: fileOf('app.db', 'x'.repeat(5000)), query: SELECT })).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/not a SQLite database/)
    })
  })

  it('of a file that is not there', async () => {
    expect(await buildError({ input: temp.fresh('none.db'), query: SELECT })).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
  })
})

describe('a database', () => {
  it('is left as it was, with nothing beside it', async () => {
    const { folder } = placeIn(temp)
    const input = join(folder, 'app.storage') // the query decides, not the ending
    writeSqlite(input, chunksOf({ vectors, dim, ids }))
    const before = { bytes: readFileSync(input), mtimeMs: statSync(input).mtimeMs }
    expect(await digests({ input, query: SELECT })).toEqual(await digests({ ids }))
    expect({ bytes: readFileSync(input), mtimeMs: statSync(input).mtimeMs }).toEqual(before)
    expect(readdirSync(dirname(input))).toEqual(['app.storage'])
  })

  it('is read while another process writes to it in WAL mode, and after that died, and is not written to', async () => {
    const input = temp.fresh('live.db')
    writeSqlite(input, chunksOf({ vectors, dim, ids: Array.from({ length: count }, (_, i) => i) }))
    const writer = spawn(
      process.execPath,
      [
        '--input-type=commonjs',
        '-e',
        `
      const database = new (require('better-sqlite3'))(${JSON.stringify(input)})
      database.pragma('journal_mode = WAL')
      const insert = database.prepare('INSERT INTO chunks VALUES (?, zeroblob(4))')
      for (let id = 1e6; id < 1e6 + 100; id++) insert.run(id)
      database.exec('BEGIN IMMEDIATE')
      insert.run(1)
      console.log('in the middle of writing')
      process.stdin.resume()`
      ],
      { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] }
    )
    try {
      await once(writer.stdout, 'data')
      const logBytes = statSync(`${input}-wal`).size
      expect(
        await digests({ input, query: `SELECT id, embedding FROM chunks WHERE id < ${count} ORDER BY id` })
      ).toEqual(await digests({}))
      expect(writer.exitCode).toBeNull()
      expect(logBytes).toBeGreaterThan(0)
    } finally {
      writer.kill()
      await once(writer, 'close')
    }
    // The writer died without tidying up: another that may write would now move the log into the database.
    const left = (): Buffer[] => [readFileSync(input), readFileSync(`${input}-wal`)]
    const before = left()
    expect((await readAll(input, { query: 'SELECT id, embedding FROM chunks WHERE id >= 1000000' })).vectors).toEqual(
      new Array(100).fill(0)
    )
    expect(left()).toEqual(before)
  })

  it('that another connection holds alone is ZGQ_LOCKED', async () => {
    const input = sqliteOf(chunksOf({ vectors, dim, ids }))
    const holder = new Sqlite(input)
    holder.exec('BEGIN EXCLUSIVE')
    try {
      expect(await buildError({ input, query: SELECT })).toMatchObject({ code: 'ZGQ_LOCKED' })
    } finally {
      holder.close()
    }
  })
})

describe('options that do not fit are a TypeError', () => {
  it.each<[string, Partial<BuildOptions>, RegExp]>([
    ['column for an array', { input: vectors, dim, column: 'a' }, /column is for \.parquet, \.jsonl, \.hdf5/],
    ['column for a vector file', { input: 'x.fbin', column: 'a' }, /column is for .*the input is "x\.fbin"/],
    ['idColumn for HDF5', { input: 'x.h5', idColumn: 'a' }, /idColumn is for \.parquet, \.jsonl/],
    ['query for Parquet', { input: 'x.parquet', query: SELECT }, /query is for a SQLite database/],
    ['query for an array', { input: vectors, dim, query: SELECT }, /query is for/],
    ['an empty column', { input: 'x.parquet', column: '' }, /column must be a non-empty string/],
    ['no query for a database', { input: 'x.sqlite3' }, /needs a query/],
    ['ids and idColumn', { input: 'x.parquet', idColumn: 'id', ids: 'ids.txt' }, /cannot be given together/]
  ])('%s', async (_, options, message) => {
    const error = await rejection(buildIndex({ input: '', ...options, output: temp.fresh('never') }))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: expect.stringMatching(message) })
  })

  it.each<[string, () => GivenOptions & { input: string }]>([
    ['JSON lines', () => ({ input: fileOf('x.jsonl', '{"id":1,"vector":[1,2]}\n') })],
    ['a query', () => ({ input: sqliteOf([[1, blob(Float32Array.of(1, 2))]]), query: SELECT })]
  ])('ids with %s that bring their own', async (_, options) => {
    const error = await buildError({ ...options(), ids: [7] })
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: expect.stringMatching(/has ids of its own/) })
  })
})

describe('loading zgq/build', () => {
  it('loads none of the packages that only some inputs need', () => {
    const sources = readdirSync(join(ROOT, 'src/input'))
      .map((name) => readFileSync(join(ROOT, 'src/input', name), 'utf8'))
      .join('\n')
    expect(sources).toMatch(/import\('hyparquet'\)/)
    expect(sources.match(/^import (?!type)[^\n]* from '(hyparquet|h5wasm)[^\n]*$/gm)).toBeNull()
  })
})
