// Documents as builds read them: ids of either kind, payloads and declared fields, from every kind of input. What the
// first stage leaves for the stages after it, and what it refuses.

import Sqlite from 'better-sqlite3'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import type { VectorBatch } from '../src/build.ts'
import type { BuildOptions } from '../src/build/build-options.ts'
import type { Fields } from '../src/types.ts'
import {
  documentsOf,
  lists,
  payloadOf,
  single,
  writeColumns,
  writeDocumentParquet,
  writeDocumentTable,
  writeJsonl,
  type TestColumn
} from './support/document-files.ts'
import { blob, writeHdf5 } from './support/input-files.ts'
import { readDocuments, type ReadDocuments } from './support/read-documents.ts'
import { errorFrom, placeIn } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('documents', IN_MEMORY)
const DATA = join(ROOT, 'test/data/inputs/documents')
const dim = 6
const vectorsOf = (count: number, size = dim): Float32Array => Float32Array.from({ length: count * size }, (_, i) => i)
/** Reads an array of three vectors, unless there is another input. */
const read = (options: Partial<BuildOptions>): Promise<ReadDocuments> =>
  readDocuments({
    input: vectorsOf(3),
    output: placeIn(temp).output,
    ...(typeof options.input === 'string' ? {} : { dim }),
    ...options
  })

async function* batches(...all: VectorBatch[]): AsyncGenerator<VectorBatch> {
  for (const batch of all) yield await Promise.resolve(batch)
}

const documents = documentsOf(1300, dim)
const vectors = Float32Array.from(documents.flatMap(({ vector }) => [...vector]))
const ids = documents.map(({ id }) => String(id))
const payloads = documents.map(payloadOf)
const fields: Fields = { path: 'string', mtime: 'number', draft: 'boolean', tags: 'string[]' }
const values = documents.map(({ path, mtime, draft, tags }) => [path, mtime, draft, tags])
const SELECT = 'SELECT * FROM docs ORDER BY rowid'

/** The documents in batches of growing size. */
async function* inBatches(): AsyncGenerator<VectorBatch> {
  for (let row = 0, size = 1; row < documents.length; row += size++) {
    await setImmediate()
    const end = row + size
    yield {
      vectors: vectors.subarray(row * dim, end * dim),
      ids: ids.slice(row, end),
      payloads: payloads.slice(row, end)
    }
  }
}

async function hdf5File(): Promise<string> {
  const path = temp.fresh('docs.hdf5')
  await writeHdf5(path, [{ name: 'train', data: vectors, shape: [documents.length, dim] }])
  return path
}

describe('the same documents', () => {
  const sources: [string, () => Partial<BuildOptions> | Promise<Partial<BuildOptions>>][] = [
    ['batches', () => ({ input: inBatches() })],
    ['arrays', () => ({ input: vectors, ids, payloads })],
    ['a vector file and arrays', () => ({ input: written('docs.fbin', fbin(vectors, dim)), ids, payloads })],
    ['HDF5 and arrays', async () => ({ input: await hdf5File(), ids, payloads })],
    ['JSON lines', () => ({ input: writeJsonl(temp.fresh('docs.jsonl'), documents), payload: 'all' })],
    [
      'Parquet',
      () => ({
        input: writeDocumentParquet(temp.fresh('docs.parquet'), documents),
        column: 'vector',
        idColumn: 'id',
        payload: ['body']
      })
    ],
    [
      'a query',
      () => ({ input: writeDocumentTable(temp.fresh('docs.db'), documents), query: SELECT, payload: ['body'] })
    ],
    [
      'a query with its columns named',
      () => ({
        input: writeDocumentTable(temp.fresh('docs.db'), documents),
        query: 'SELECT body, tags, embedding AS e, path, draft, id AS key, mtime, x.* FROM docs, (SELECT 1 AS more) x',
        column: 'e',
        idColumn: 'key',
        payload: ['body']
      })
    ]
  ]
  const written = (name: string, bytes: Uint8Array): string => {
    const path = temp.fresh(name)
    writeFileSync(path, bytes)
    return path
  }

  it.each(sources)('come from %s', async (_, source) => {
    const found = await read({ fields, ...(await source()) })
    expect(found.ids).toEqual(ids)
    expect(found.payloads).toEqual(payloads)
    expect(found.fields).toEqual(values)
    expect(found.site.recipe).toMatchObject({
      dim,
      count: documents.length,
      ids: 'counted',
      documents: { idType: 'string', hasPayloads: true }
    })
  })

  it('make the same index whether they come in batches or arrays', async () => {
    const one = await read({ fields, input: inBatches() })
    const other = await read({ fields, input: vectors, ids, payloads })
    expect(one.site.recipe.documents).toEqual(other.site.recipe.documents)
    const changed = [...payloads]
    changed[700] = { ...changed[700], body: 'changed' }
    const third = await read({ fields, input: vectors, ids, payloads: changed })
    expect(third.site.recipe.documents?.digest).not.toBe(one.site.recipe.documents?.digest)
    expect(third.site.recipe.identity).not.toBe(other.site.recipe.identity)
  })

  it('give another digest with other ids or other fields', async () => {
    const others: Partial<BuildOptions>[] = [
      { ids },
      {},
      { ids: ids.toReversed() },
      { ids, fields: { path: 'string' } },
      { ids: ids.map((_, i) => i + 1) }
    ]
    const digests = await Promise.all(
      others.map(async (one) => {
        const { site } = await read({ input: vectors, payloads, fields, ...one })
        return site.recipe.documents?.digest
      })
    )
    expect(new Set(digests).size).toBe(5)
  })
})

describe('integer ids', () => {
  it('stay as they are beside payloads, from arrays, files and batches', async () => {
    const file = temp.fresh('ids.txt')
    writeFileSync(file, '7\n5\n6\n')
    const some = [{ a: 1 }, {}, { a: null }]
    const all = [
      await read({ ids: [7, 5, 6], payloads: some }),
      await read({ ids: file, payloads: some }),
      await read({ input: batches({ vectors: vectorsOf(3), ids: [7, 5, 6], payloads: some }) })
    ]
    for (const found of all) {
      expect(found).toMatchObject({ ids: [7, 5, 6], payloads: some, site: { recipe: { ids: 'spool' } } })
      expect(found.site.recipe.documents).toEqual(all[0].site.recipe.documents)
    }
  })

  it('are the numbers of rows where none are given', async () => {
    expect(await read({ payloads: [{}, {}, {}] })).toMatchObject({ ids: [0, 1, 2], fields: [[], [], []] })
  })

  it('alone are no documents', async () => {
    expect((await read({ ids: [3, 2, 1] })).site.recipe).toMatchObject({ documents: null, ids: 'spool' })
  })
})

it('string ids need no payloads', async () => {
  const found = await read({ ids: ['x', '\u00e9', 'e\u0301'] })
  expect(found).toMatchObject({ ids: ['x', '\u00e9', 'e\u0301'], payloads: [], fields: [[], [], []] })
  expect((await read({ ids: ['x', 'y', 'z'.repeat(1024)] })).ids[2]).toHaveLength(1024)
})

describe('JSON lines', () => {
  const lines = (...objects: object[]): string => writeJsonl(temp.fresh('x.jsonl'), objects)

  it('may lack keys of fields and payloads', async () => {
    const input = lines({ vector: [1], a: 1, b: [1] }, { vector: [2], c: 'x' }, { vector: [3], a: null })
    expect(await read({ input, fields: { a: 'number', none: 'string' }, payload: ['c'] })).toMatchObject({
      ids: [0, 1, 2],
      payloads: [{ a: 1 }, { c: 'x' }, { a: null }],
      fields: [
        [1, undefined],
        [undefined, undefined],
        [null, undefined]
      ]
    })
  })

  it('have names such as __proto__ like any other', async () => {
    const input = temp.fresh('x.jsonl')
    writeFileSync(input, '{"vector":[1],"__proto__":{"evil":1},"constructor":"c"}\n')
    const named: Fields = JSON.parse('{"constructor":"string"}')
    const { payloads: all, fields: found } = await read({ input, payload: 'all', fields: named })
    expect(JSON.stringify(all)).toBe('[{"constructor":"c","__proto__":{"evil":1}}]')
    expect(found).toEqual([['c']])
    const declared: Fields = JSON.parse('{"__proto__":"number"}')
    expect(await errorFrom(read({ input, fields: declared }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/line 1: the field __proto__ is an object, expected a number/)
    })
    expect((await read({ input: lines({ vector: [1] }), fields: declared })).fields).toEqual([[undefined]])
  })

  it('give a field the value of the id', async () => {
    const input = lines({ id: 'a', vector: [1] }, { id: 'b', vector: [2] })
    expect(await read({ input, fields: { id: 'string' } })).toMatchObject({ ids: ['a', 'b'], fields: [['a'], ['b']] })
  })
})

describe('Parquet', () => {
  const vectorColumn = (count: number): TestColumn =>
    lists('v', { type: 'FLOAT' }, { data: Array.from({ length: count }, (_, i) => [i, 1]) })
  const payloadsOf = async (column: TestColumn, count = 3): Promise<unknown[]> => {
    const input = writeColumns(temp.fresh('x.parquet'), [vectorColumn(count), column])
    return (await read({ input, column: 'v', payload: 'all' })).payloads.map((payload) => payload['x'])
  }
  const date = Date.UTC(2024, 1, 29, 12, 34, 56, 789)

  it.each<[string, TestColumn, unknown[]]>([
    [
      'strings',
      single('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: ['a', null, ''] }),
      ['a', null, '']
    ],
    [
      'bytes',
      single('x', { type: 'BYTE_ARRAY' }, { data: [Uint8Array.of(1, 255), null, new Uint8Array(0)] }),
      [Uint8Array.of(1, 255), null, new Uint8Array(0)]
    ],
    ['booleans', single('x', { type: 'BOOLEAN' }, { data: [true, null, false] }), [true, null, false]],
    ['small integers', single('x', { type: 'INT32' }, { data: [-1, null, 2 ** 31 - 1] }), [-1, null, 2 ** 31 - 1]],
    [
      'integers',
      single('x', { type: 'INT64' }, { data: [-(2n ** 53n - 1n), null, 2n ** 53n - 1n] }),
      [1 - 2 ** 53, null, 2 ** 53 - 1]
    ],
    [
      'integers by their differences',
      single('x', { type: 'INT64' }, { data: [-5n, null, 2n ** 40n], encoding: 'DELTA_BINARY_PACKED' }),
      [-5, null, 2 ** 40]
    ],
    ['doubles', single('x', { type: 'DOUBLE' }, { data: [0.1, null, -1e300] }), [0.1, null, -1e300]],
    ['float32', single('x', { type: 'FLOAT' }, { data: [0.5, null, -2] }), [0.5, null, -2]],
    [
      'milliseconds',
      single('x', { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }, { data: [BigInt(date), null, 0n] }),
      [date, null, 0]
    ],
    [
      'microseconds',
      single(
        'x',
        { type: 'INT64', converted_type: 'TIMESTAMP_MICROS' },
        { data: [BigInt(date) * 1000n + 250n, null, -1n] }
      ),
      [date + 0.25, null, -0.001]
    ],
    [
      'nanoseconds',
      single(
        'x',
        { type: 'INT64', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'NANOS' } },
        { data: [BigInt(date) * 1_000_000n, null, 0n] }
      ),
      [date, null, 0]
    ],
    [
      'days',
      single('x', { type: 'INT32', converted_type: 'DATE' }, { data: [1, null, -1] }),
      [86_400_000, null, -86_400_000]
    ],
    [
      'lists of strings',
      lists('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: [['a', 'b'], null, []] }),
      [['a', 'b'], null, []]
    ],
    [
      'lists with null',
      lists('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: [['a', null], [null], ['c']] }),
      [['a', null], [null], ['c']]
    ],
    ['lists of doubles', lists('x', { type: 'DOUBLE' }, { data: [[0.1], [], [1e300, 2]] }), [[0.1], [], [1e300, 2]]]
  ])('brings %s', async (_, column, expected) => {
    const input = writeColumns(temp.fresh('x.parquet'), [vectorColumn(3), column])
    const found = await read({ input, column: 'v', payload: 'all' })
    expect(found.payloads.map((payload) => payload['x'])).toEqual(expected)
  })

  it('reads booleans and lists over many pages and row groups', async () => {
    const flags = Array.from({ length: 3000 }, (_, i) => (i % 7 === 0 ? null : i % 3 === 0))
    expect(await payloadsOf(single('x', { type: 'BOOLEAN' }, { data: flags }), 3000)).toEqual(flags)
    const words = flags.map((_, i) => Array.from({ length: i % 5 }, (__, j) => `${i} ${j}`))
    const column = lists('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: words })
    const input = writeColumns(temp.fresh('x.parquet'), [vectorColumn(3000), column], {
      rowGroupSize: 700,
      pageSize: 300
    })
    const found = await read({ input, column: 'v', fields: { x: 'string[]' } })
    expect(found.fields.map(([list]) => list)).toEqual(words)
  })

  it.each<[string, TestColumn, Partial<BuildOptions>, RegExp]>([
    [
      'an integer beyond the safe range',
      single('x', { type: 'INT64' }, { data: [1n, 2n ** 53n, 3n] }),
      { payload: 'all' },
      /row 1 has about 9007199254740992 in the column x/
    ],
    [
      'a decimal',
      single('x', { type: 'INT32', converted_type: 'DECIMAL', scale: 2, precision: 5 }, { data: [1, 2, 3] }),
      { payload: 'all' },
      /column x \(DECIMAL\) cannot go into payloads/
    ],
    [
      'a text that is not UTF-8',
      single('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: [Uint8Array.of(255), 'a', 'b'] }),
      { payload: 'all' },
      /not UTF-8/
    ],
    [
      'a column that is not there',
      single('x', { type: 'INT32' }, { data: [1, 2, 3] }),
      { payload: ['y'] },
      /no column y for the payloads: the columns are v, x/
    ],
    [
      'a field that is not there',
      single('x', { type: 'INT32' }, { data: [1, 2, 3] }),
      { fields: { z: 'number' } },
      /no column z/
    ],
    [
      'a field of another type',
      single('x', { type: 'INT32' }, { data: [1, 2, 3] }),
      { fields: { x: 'string' } },
      /row 0: the field x is 1, expected a string/
    ],
    [
      'a null in a list that is a field',
      lists('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: [['a'], ['b', null], []] }),
      { fields: { x: 'string[]' } },
      /row 1: the field x has at \[1\] null/
    ],
    [
      'NaN in a field',
      single('x', { type: 'DOUBLE' }, { data: [1, 2, NaN] }),
      { fields: { x: 'number' } },
      /row 2: the field x is NaN/
    ],
    [
      'a null among string ids',
      single('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: ['a', null, 'b'] }),
      { idColumn: 'x' },
      /the id of row 1 cannot be used: it is null, expected a string/
    ],
    [
      'an empty string id',
      single('x', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: ['a', '', 'b'] }),
      { idColumn: 'x' },
      /the id of row 1 cannot be used: it is empty/
    ],
    [
      'ids that are doubles',
      single('x', { type: 'DOUBLE' }, { data: [1, 2, 3] }),
      { idColumn: 'x' },
      /does not hold integers or strings/
    ]
  ])('is refused with %s', async (_, column, options, message) => {
    const input = writeColumns(temp.fresh('x.parquet'), [vectorColumn(3), column])
    expect(await errorFrom(read({ input, column: 'v', ...options }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      path: input,
      message: expect.stringMatching(message)
    })
  })

  it.each(readdirSync(DATA).filter((name) => name.endsWith('.parquet')))('is read from %s', async (name) => {
    const count = 60
    const rows = Array.from({ length: count }, (_, i) => i)
    const declared: Fields = { path: 'string', draft: 'boolean', tags: 'string[]', changed: 'number' }
    const input = join(DATA, name)
    const found = await read({ input, column: 'embedding', idColumn: 'id', payload: 'all', fields: declared })
    expect(found.site.recipe).toMatchObject({ dim: 6, count })
    expect(found.ids).toEqual(rows.map((i) => `docs/${(7 * i) % count}.md#${i % 3}`))
    expect(found.payloads).toEqual(
      rows.map((i) => ({
        path: i % 9 === 4 ? null : `docs/\u00e4 ${i % 5}.md`,
        draft: i % 8 === 1 ? null : i % 3 === 0,
        tags: i % 10 === 3 ? null : Array.from({ length: i % 4 }, (_, j) => `tag ${(i + j) % 5}`),
        changed: Date.UTC(2024, 1, 29, 12) + 0.25 + i * 1000,
        size: i * 1e12 - 5e13,
        weight: i / 7,
        day: (i - 2) * 86_400_000
      }))
    )
  })

  it('that is damaged anywhere gives documents or an error of this library', async () => {
    const whole = writeDocumentParquet(temp.fresh('docs.parquet'), documents.slice(0, 40))
    const bytes = readFileSync(whole)
    for (let at = 4; at < bytes.length; at += Math.ceil(bytes.length / 150)) {
      const damaged = Uint8Array.from(bytes)
      damaged[at] ^= 0x55
      const input = temp.fresh('damaged.parquet')
      writeFileSync(input, damaged)
      const end = await read({ input, column: 'vector', idColumn: 'id', payload: ['body'], fields }).catch(
        (error: unknown) => error
      )
      if (end instanceof Error) expect(end).toMatchObject({ name: 'ZgqError' })
    }
  })
})

describe('a SQLite query', () => {
  function table(columns: string, ...rows: unknown[][]): string {
    const path = temp.fresh('x.db')
    const database = new Sqlite(path)
    database.exec(`CREATE TABLE t (${columns})`)
    for (const row of rows) database.prepare(`INSERT INTO t VALUES (${row.map(() => '?').join(', ')})`).run(...row)
    database.close()
    return path
  }
  const v = blob(Float32Array.of(1, 2))
  const query = 'SELECT * FROM t ORDER BY rowid'

  it('brings all kinds of values', async () => {
    const input = table('id, vector, a', ['x', v, 1], ['y', v, 0.5], ['z', v, 'text'], ['w', v, null], ['u', v, v])
    const found = await read({ input, query, payload: 'all' })
    expect(found.ids).toEqual(['x', 'y', 'z', 'w', 'u'])
    expect(found.payloads.map(({ a }) => a)).toEqual([1, 0.5, 'text', null, Uint8Array.from(v)])
  })

  it('tells the vector by its name among BLOBs, and has no ids where it comes first', async () => {
    const input = table('Embedding, other, n', [v, blob(Float32Array.of(5)), 7])
    const found = await read({ input, query, fields: { n: 'number' }, payload: 'all' })
    expect(found).toMatchObject({ ids: [0], payloads: [{ n: 7, other: Uint8Array.of(0, 0, 160, 64) }], fields: [[7]] })
  })

  it.each<[string, string, unknown[][], Partial<BuildOptions>, RegExp]>([
    [
      'more columns than it says what to do with',
      'id, v, a',
      [[1, v, 2]],
      {},
      /3 columns \(id, v, a\), .*fields and payload say/
    ],
    ['several BLOBs', 'id, v, w', [[1, v, v]], { payload: 'all' }, /gives several: v, w .*name that of the vectors/],
    ['no BLOB', 'id, v, w', [[1, 'a', 2]], { payload: 'all' }, /gives no column of BLOBs/],
    [
      'an integer beyond the safe range',
      'id, v, a',
      [[1, v, 2n ** 60n]],
      { payload: 'all' },
      /row 0 has 1152921504606846976 in the column a/
    ],
    [
      'a boolean that is none',
      'id, v, a',
      [
        [1, v, 1],
        [2, v, 2]
      ],
      { fields: { a: 'boolean' } },
      /row 1: the field a is 2, expected a boolean/
    ],
    [
      'a list that is none',
      'id, v, a',
      [
        [1, v, '["x"]'],
        [2, v, 'x']
      ],
      { fields: { a: 'string[]' } },
      /row 1: the field a is "x", expected an array of strings/
    ],
    ['a column that is not there', 'id, v, a', [[1, v, 2]], { payload: ['b'] }, /no column b for the payloads/],
    [
      'ids of both kinds',
      'id, v',
      [
        ['a', v],
        [2, v]
      ],
      {},
      /the id of row 1 cannot be used: it is 2, expected a string like the ids before it/
    ],
    [
      'text after integers',
      'id, v',
      [
        [1, v],
        ['a', v]
      ],
      {},
      /the id of row 1 is "a", expected a safe integer/
    ]
  ])('is refused with %s', async (_, columns, rows, options, message) => {
    const input = table(columns, ...rows)
    expect(await errorFrom(read({ input, query, ...options }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      path: input,
      message: expect.stringMatching(message)
    })
  })
})
