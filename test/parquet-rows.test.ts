// Rows of Parquet files in any order: the vectors and errors of the reader in batches, over a file that is there whole
// and over one of which only the bytes are there that it asks for.

import { ftruncateSync, openSync, closeSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import type { SchemaElement } from 'hyparquet'
import { parquetWriteBuffer, type ColumnSource, type ParquetWriteOptions } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'

import { fetchParquetHead } from '../src/input/parquet-head.ts'
import type { ByteRange } from '../src/input/parquet-pages.ts'
import { openParquetRows, type ParquetRows } from '../src/input/parquet-row-source.ts'
import { makeVectors } from './support/datasets.ts'
import { listsOf, readAll, written } from './support/input-files.ts'
import { randomFrom } from './support/random.ts'
import { errorFrom } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('parquet-rows', IN_MEMORY)
const SEED = 171
const DATA = join(ROOT, 'test/data/inputs')
const FILES = readdirSync(DATA).filter((name) => name.endsWith('.parquet'))

const dim = 7
const count = 900
const vectors = makeVectors('clustered', { count, dim }, SEED)
// -0, the smallest float32, infinities and NaN pass through: a build looks at them later, with their rows
vectors.set([-0, 2 ** -149, Infinity, -Infinity, NaN], 500)
const lists = listsOf({ vectors, dim })

type Names = Partial<SchemaElement>

const listColumn = (element: Names = {}, name = 'v'): SchemaElement[] => [
  { name, converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', repetition_type: 'OPTIONAL', type: 'FLOAT', ...element }
]

interface Table extends Partial<Omit<ParquetWriteOptions, 'writer' | 'columnData' | 'schema'>> {
  readonly data?: readonly unknown[]
  readonly column?: Partial<ColumnSource>
  readonly schema?: readonly SchemaElement[]
}

/** Writes a table of a column of numbers, one of vectors, and one of texts. */
function write(table: Table = {}): string {
  const { data = lists, column = {}, schema = listColumn(), ...options } = table
  const root: SchemaElement = { name: 'root', num_children: 3 }
  const columnData: ColumnSource[] = [
    { name: 'number', data: data.map((_, i) => i) },
    { name: 'v', data: [...data], ...column },
    { name: 'text', data: data.map((_, i) => `text ${i}`) }
  ]
  const all: SchemaElement[] = [
    root,
    { name: 'number', type: 'INT32', repetition_type: 'REQUIRED' },
    ...schema,
    { name: 'text', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }
  ]
  return written(
    temp.fresh('x.parquet'),
    new Uint8Array(parquetWriteBuffer({ columnData, schema: all, rowGroupSize: 250, pageSize: 600, ...options }))
  )
}

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(Float32Array.from(values).buffer)

/** As toEqual, which is slow over many values. */
function expectBits(found: Float32Array, expected: Uint32Array, message?: string): void {
  const bits = bitsOf(found)
  if (Buffer.compare(Buffer.from(bits.buffer), Buffer.from(Uint32Array.from(expected).buffer)) !== 0)
    expect(bits, message).toEqual(expected)
}

function rowsOf(source: ParquetRows, firstRow: number, rows: number): Float32Array {
  const target = new Float32Array(rows * source.dim)
  source.readRows(firstRow, target)
  return target
}

async function withRows<T>(path: string, use: (source: ParquetRows) => T | Promise<T>): Promise<T> {
  const source = await openParquetRows(path)
  try {
    return await use(source)
  } finally {
    source.close()
  }
}

/** Reads ranges of rows, forward and back, and compares them with the reader in batches, bit by bit. */
async function expectSame(path: string): Promise<void> {
  const whole = await readAll(path)
  const bits = bitsOf(Float32Array.from(whole.vectors))
  const random = randomFrom(SEED)
  await withRows(path, (source) => {
    const rows = bits.length / source.dim
    expect(source).toMatchObject({ dim: whole.dim, count: rows, label: path })
    const asked = Array.from({ length: 60 }, () => {
      const first = Math.floor(random() * rows)
      return { first, some: Math.floor(random() ** 3 * (rows - first + 1)) }
    })
    const step = Math.ceil(rows / 37)
    for (let first = 0; first < rows; first += step) asked.push({ first, some: Math.min(step, rows - first) })
    for (const { first, some } of [...asked, { first: 0, some: rows }, { first: rows, some: 0 }])
      expectBits(
        rowsOf(source, first, some),
        bits.slice(first * source.dim, (first + some) * source.dim),
        `${some} rows from row ${first}, seed ${SEED}`
      )
  })
}

/** Compression that only copies: a block of LZ4 of nothing but literals. */
function storeLz4(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 15) return Uint8Array.of(bytes.length << 4, ...bytes)
  const rest = bytes.length - 15
  const lengths = [...new Array<number>(Math.floor(rest / 255)).fill(255), rest % 255]
  return Buffer.concat([Uint8Array.of(0xf0, ...lengths), bytes])
}

/** A frame of Zstandard with one block that is not compressed. */
function storeZstd(bytes: Uint8Array): Uint8Array {
  const head = Buffer.alloc(15)
  head.writeUInt32LE(0xfd2fb528, 0)
  head.writeUInt8(0xa0, 4) // one segment, its length in 4 bytes
  head.writeUInt32LE(bytes.length, 5)
  const block = bytes.length * 8 + 1
  head.writeUIntLE(block, 9, 3)
  return Buffer.concat([head.subarray(0, 12), bytes])
}

const compressors = {
  GZIP: (bytes: Uint8Array) => gzipSync(bytes),
  BROTLI: (bytes: Uint8Array) => brotliCompressSync(bytes),
  LZ4_RAW: storeLz4,
  ZSTD: storeZstd
}

describe('Rows of a Parquet file', () => {
  it.each(FILES)('are those of the reader in batches: %s', (name) => expectSame(join(DATA, name)))

  it.each(['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'LZ4_RAW', 'ZSTD'] as const)('in pages of %s', (codec) =>
    expectSame(write({ codec, compressors }))
  )

  it.each<[string, Table]>([
    ['one row group with one page', { rowGroupSize: 10_000, pageSize: 10_000_000 }],
    ['row groups of one page', { pageSize: 10_000_000 }],
    ['row groups of one row', { data: lists.slice(0, 40), rowGroupSize: 1 }],
    ['row groups of growing size', { rowGroupSize: [1, 2, 4, 8, 300, 585] }],
    ['an index of pages', { rowGroupSize: 10_000, pageSize: 100 }],
    ['no index of pages', { rowGroupSize: 10_000, pageSize: 100, column: { offsetIndex: false } }],
    ['streams of bytes', { column: { encoding: 'BYTE_STREAM_SPLIT' } }],
    ['a dictionary', { data: lists.map((_, i) => lists[i % 5].map(Math.fround)), dictionarySize: 100_000 }],
    [
      'a dictionary and no index',
      {
        data: lists.map((_, i) => lists[i % 5].map(Math.fround)),
        dictionarySize: 100_000,
        column: { offsetIndex: false }
      }
    ],
    ['doubles', { schema: listColumn({ type: 'DOUBLE' }) }],
    [
      'halves',
      {
        data: lists.map((list) => list.map((value) => (Number.isFinite(value) ? Math.round(value) : value))),
        schema: listColumn({ type: 'FIXED_LEN_BYTE_ARRAY', type_length: 2, logical_type: { type: 'FLOAT16' } })
      }
    ],
    [
      'differences of integers',
      {
        data: lists.map((list, i) => list.map((_, j) => i * j - 9)),
        schema: listColumn({ type: 'INT32' }),
        column: { encoding: 'DELTA_BINARY_PACKED' }
      }
    ],
    [
      'lists that must be there, of numbers that must be there',
      {
        schema: [
          { name: 'v', converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 },
          { name: 'bag', repetition_type: 'REPEATED', num_children: 1 },
          { name: 'array_element', repetition_type: 'REQUIRED', type: 'FLOAT' }
        ]
      }
    ]
  ])('from a file with %s', (_, table) => expectSame(write(table)))

  it('are refused beyond the end, and once the file is closed', async () => {
    const source = await openParquetRows(write())
    rowsOf(source, 3, 2)
    expect(() => rowsOf(source, count - 1, 2)).toThrow(RangeError)
    expect(() => source.rangesOf(count - 1, 2)).toThrow(RangeError)
    source.close()
    source.close()
    expect(() => rowsOf(source, 5, 1)).toThrow(expect.objectContaining({ code: 'ZGQ_CLOSED' }))
  })
})

/** What goes wrong when rows are read, apart from the wording of what leads there. */
async function outcomeOf(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read()
  } catch (error) {
    const { name, code, message } = Object(error)
    return { name, code, message }
  }
}

describe('What is wrong with a row', () => {
  const bad: [string, unknown][] = [
    ['of another length', [1, 2]],
    ['that is longer', [...lists[0], 1]],
    ['of twice the length', [...lists[0], ...lists[1]]],
    ['that is empty', []],
    ['that is null', null],
    ['with a null', [1, 2, null, 4, 5, 6, 7]]
  ]
  const options: [string, Table][] = [
    ['small row groups', { rowGroupSize: 100 }],
    ['an index of pages', { rowGroupSize: 10_000 }],
    ['no index', { rowGroupSize: 10_000, column: { offsetIndex: false } }]
  ]
  const cases = options.flatMap(([form, table]) => bad.map(([what, list]) => ({ form, table, what, list })))

  it.each(cases)('is said as by the reader in batches: a list $what, $form', async ({ table, list }) => {
    const row = 777
    const path = write({ data: lists.map((good, i) => (i === row ? list : good)), ...table })
    const expected = await outcomeOf(() => readAll(path))
    expect(expected).toMatchObject({ name: 'ZgqError', message: expect.stringMatching(`row ${row} has`) })
    // however the input is cut into parts, the part with the row says it, and those far from it are read
    for (const size of [3, 64, count]) {
      const found: unknown[] = []
      for (let first = 0; first < count; first += size) {
        const some = Math.min(size, count - first)
        const outcome = await outcomeOf(() => withRows(path, (source) => rowsOf(source, first, some)))
        if (first <= row && row < first + some) expect(outcome, `row ${first}, ${some} rows`).toEqual(expected)
        else if (outcome instanceof Float32Array) {
          if (first + some <= row) expectBits(outcome, bitsOf(vectors.subarray(first * dim, (first + some) * dim)))
        } else found.push(outcome)
      }
      for (const outcome of found) expect(outcome).toEqual(expected)
    }
  })

  it.each<[string, Table]>([
    ['without lists of numbers', { schema: [{ name: 'v', type: 'FLOAT', repetition_type: 'OPTIONAL' }], data: [1, 2] }],
    ['without rows', { data: [] }],
    ['with a null first', { data: [null, [1, 2]] }]
  ])('is said when the file is opened: %s', async (_, table) => {
    const path = write(table)
    const expected = await outcomeOf(() => readAll(path))
    expect(expected).toMatchObject({ name: 'ZgqError' })
    expect(await outcomeOf(() => openParquetRows(path))).toEqual(expected)
    expect(await outcomeOf(() => fetchParquetHead(path, {}, () => Promise.resolve()))).toEqual(expected)
  })

  it('names a column that is not there', async () => {
    const path = write()
    expect(await errorFrom(openParquetRows(path, { column: 'x' }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/no column x: its columns are number, v, text/)
    })
  })

  it.each([...FILES, 'written'])(
    'gives what the reader in batches gives, wherever a byte is turned over: %s',
    async (name) => {
      const whole = readFileSync(
        name === 'written' ? write({ data: lists.slice(0, 60), rowGroupSize: 25 }) : join(DATA, name)
      )
      const path = temp.fresh('flipped.parquet')
      const read = (source: ParquetRows): number[] => Array.from(rowsOf(source, 0, source.count))
      for (let at = 0; at < whole.length; at += 41) {
        const bytes = Buffer.from(whole)
        bytes[at] ^= 255
        written(path, bytes)
        const expected = Object(await outcomeOf(async () => (await readAll(path)).vectors))
        const found = Object(await outcomeOf(() => withRows(path, read)))
        if (Array.isArray(expected) && !Array.isArray(found))
          expect(found, `byte ${at}`).toMatchObject({ code: 'ZGQ_BUILD_INPUT' }) // an index that does not fit
        else if (Array.isArray(expected)) expect(String(found), `byte ${at}`).toBe(String(expected))
        else expect(found, `byte ${at}`).toMatchObject({ name: 'ZgqError', code: expected.code })
      }
    }
  )
})

/** A local file of the length of another, without its content until it is fetched. */
class PartialCopy {
  readonly path: string
  readonly #bytes: Uint8Array
  /** How much came, and in how many steps. */
  fetched = 0
  steps = 0

  constructor(path: string) {
    this.#bytes = readFileSync(path)
    this.path = temp.fresh('partial.parquet')
    const descriptor = openSync(this.path, 'w')
    ftruncateSync(descriptor, this.#bytes.length)
    closeSync(descriptor)
  }

  fetch(ranges: readonly ByteRange[]): Promise<void> {
    this.steps++
    const descriptor = openSync(this.path, 'r+')
    for (const { offset, byteLength } of ranges) {
      expect(offset + byteLength).toBeLessThanOrEqual(this.#bytes.length)
      this.fetched += writeSync(descriptor, this.#bytes, offset, byteLength, offset)
    }
    closeSync(descriptor)
    return Promise.resolve()
  }
}

describe('A Parquet file that comes in pieces', () => {
  const wide = { count: 3000, dim: 100 }
  const many = makeVectors('clustered', wide, SEED)
  const manyLists = listsOf({ vectors: many, dim: wide.dim })
  const bits = bitsOf(many)
  const forms: [string, Table, number][] = [
    ['many row groups', { rowGroupSize: 125, pageSize: 2 ** 20 }, 0.2],
    ['an index of pages', { rowGroupSize: 3000, pageSize: 10_000 }, 0.2],
    ['no index', { rowGroupSize: 3000, pageSize: 10_000, column: { offsetIndex: false } }, 1]
  ]

  it.each(forms)('is opened and read by the ranges it asks for: %s', async (_, table, most) => {
    const whole = write({ data: manyLists, ...table })
    const byteLength = readFileSync(whole).length
    const copy = new PartialCopy(whole)
    await fetchParquetHead(copy.path, {}, (ranges) => copy.fetch(ranges))
    expect(copy.fetched).toBeLessThan(byteLength / 5)
    expect(copy.steps).toBeLessThan(7)
    await withRows(copy.path, async (source) => {
      const head = copy.fetched
      for (const [first, some] of [
        [1500, 150],
        [2990, 10]
      ]) {
        await copy.fetch(source.rangesOf(first, some))
        expectBits(rowsOf(source, first, some), bits.slice(first * wide.dim, (first + some) * wide.dim))
      }
      if (most < 1) expect(copy.fetched - head).toBeLessThan(byteLength * most)
      await copy.fetch(source.rangesOf(0, source.count))
      expectBits(rowsOf(source, 0, source.count), bits)
    })
  })

  it('is opened where its first vector goes over many pages, and where its footer is long', async () => {
    const paths = [
      join(DATA, 'pyarrow-double-small-pages.parquet'),
      write({ data: manyLists.slice(0, 1000), rowGroupSize: 1 })
    ]
    for (const path of paths) {
      const copy = new PartialCopy(path)
      await fetchParquetHead(copy.path, {}, (ranges) => copy.fetch(ranges))
      await withRows(copy.path, async (source) => {
        await copy.fetch(source.rangesOf(source.count - 2, 1))
        const expected = await withRows(path, (same) => rowsOf(same, same.count - 2, 1))
        expect(rowsOf(source, source.count - 2, 1)).toEqual(expected)
      })
    }
  })

  it('asks for nothing but the column of vectors', async () => {
    const path = write({ data: manyLists, rowGroupSize: 500 })
    await withRows(path, (source) => {
      const ranges = source.rangesOf(750, 500)
      expect(ranges).toHaveLength(2)
      const [first, second] = ranges
      expect(first.offset + first.byteLength).toBeLessThan(second.offset)
      expect(source.rangesOf(1500, 0)).toEqual([])
    })
  })

  it('rejects with what the fetch rejects with, and with what is wrong with the file', async () => {
    const gone = new Error('gone')
    const copy = new PartialCopy(write())
    expect(await fetchParquetHead(copy.path, {}, () => Promise.reject(gone)).catch((error: unknown) => error)).toBe(
      gone
    )
    expect(await errorFrom(fetchParquetHead(copy.path, {}, () => Promise.resolve()))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/not Parquet/)
    })
    const cut = written(temp.fresh('cut.parquet'), readFileSync(write()).subarray(0, 5000))
    const part = new PartialCopy(cut)
    expect(await errorFrom(fetchParquetHead(part.path, {}, (ranges) => part.fetch(ranges)))).toMatchObject({
      code: 'ZGQ_TRUNCATED'
    })
    expect(await errorFrom(fetchParquetHead(temp.fresh('none'), {}, () => Promise.resolve()))).toMatchObject({
      code: 'ZGQ_NOT_FOUND'
    })
  })
})
