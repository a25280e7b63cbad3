// What the public methods take: arrays and URLs of any realm, float64, file: URLs; and what they say of anything else.

import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex, openVectorFile, readIvecs, readVectors } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { describe as describeValue } from '../src/describe.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { codeOf } from './support/errors.ts'
import { buildSmall, DIM, errorFrom, rejection, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin, ivecs } from './support/vector-files.ts'

const temp = useTempFolder('arguments')
const OUTPUT = temp.fresh('index')
const query = rowOf(SMALL, DIM, 3)
const queries = SMALL.slice(0, 5 * DIM)

beforeAll(async () => {
  await buildSmall(OUTPUT)
})

const realm = createContext({})
/** Makes a value of another realm, whose classes are not those of this one. */
function foreign<T extends object>(expression: string, values: Iterable<number> = []): T {
  const made: T = runInContext(expression.replace('VALUES', JSON.stringify([...values])), realm)
  return made
}

/** Calls a function as JavaScript does, without types. */
const untyped = (method: unknown, self: unknown, ...args: unknown[]): unknown =>
  typeof method === 'function' ? Reflect.apply(method, self, args) : undefined

function withIndex<T>(work: (index: ZgqIndex) => T): T {
  const index = ZgqIndex.open(OUTPUT)
  try {
    return work(index)
  } finally {
    index.close()
  }
}

describe('a query', () => {
  it.each([
    ['a Float64Array', Float64Array.from(query)],
    ['an array', [...query]],
    ['an array of another realm', foreign('VALUES', query)],
    ['a Float32Array of another realm', foreign('Float32Array.from(VALUES)', query)],
    ['a Float64Array of another realm', foreign('Float64Array.from(VALUES)', query)]
  ])('may be %s', async (_, given: Float64Array | number[]) => {
    const index = ZgqIndex.open(OUTPUT)
    const hits = index.search(query, { k: 5 })
    expect(index.search(given, { k: 5 })).toEqual(hits)
    expect(await index.searchAsync(given, { k: 5 })).toEqual(hits)
    index.close()
  })

  it.each([
    ['a Float64Array', Float64Array.from(queries)],
    ['a Float32Array of another realm', foreign('Float32Array.from(VALUES)', queries)],
    ['a Float64Array of another realm', foreign('Float64Array.from(VALUES)', queries)]
  ])('of a batch may be one of %s', async (_, given: Float64Array) => {
    const index = ZgqIndex.open(OUTPUT)
    expect(await index.searchBatch(given, { k: 5 })).toEqual(await index.searchBatch(queries, { k: 5 }))
    index.close()
  })

  it('of float64 that no float32 can hold is ZGQ_NON_FINITE, with the value', () => {
    withIndex((index) => {
      const given = Float64Array.from(query)
      given[2] = 1e300
      expect(codeOf(() => index.search(given))).toBe('ZGQ_NON_FINITE')
      expect(() => index.search(given)).toThrow('holds 1e+300 at position 2')
    })
  })
})

describe('a build', () => {
  const digestOf = async (options: Parameters<typeof buildSmall>[1]): Promise<string> =>
    (await buildSmall(temp.fresh('built'), options)).indexId

  it('takes vectors, batches, ids and queries of another realm, and queries of float64', async () => {
    async function* batches(): AsyncGenerator<{ vectors: Float32Array }> {
      yield { vectors: foreign('Float32Array.from(VALUES)', SMALL) }
      await Promise.resolve()
    }
    const expected = await digestOf({})
    expect(await digestOf({ input: foreign<Float32Array>('Float32Array.from(VALUES)', SMALL) })).toBe(expected)
    expect(await digestOf({ input: batches() })).toBe(expected)
    expect(await digestOf({ ids: foreign<number[]>('VALUES', Array(500).keys()) })).toBe(expected)
    const few = SMALL.slice(0, 100 * DIM)
    for (const given of [Float64Array.from(few), foreign<Float64Array>('Float64Array.from(VALUES)', few)]) {
      const output = temp.fresh('calibrated')
      await buildSmall(output, { queries: given })
      expect(await calibrateIndex(output, { queries: few })).toEqual(await calibrateIndex(output, { queries: given }))
    }
  })
})

describe('a file: URL', () => {
  const folder = join(temp.path, 'a folder, 100% r\u00e9al')
  const inside = (name: string): string => join(folder, name)

  beforeAll(() => {
    mkdirSync(folder)
    cpSync(OUTPUT, inside('index'), { recursive: true })
    writeFileSync(inside('vectors.fbin'), fbin(SMALL, DIM))
    writeFileSync(inside('ids.txt'), Array.from({ length: 500 }, (_, i) => `${i}\n`).join(''))
    writeFileSync(inside('truth.ivecs'), ivecs([[1, 2]]))
  })

  const url = (name: string): URL => pathToFileURL(inside(name))
  it.each([
    ['a URL', (name: string): URL | string => url(name)],
    ['a string', (name: string): URL | string => url(name).href],
    [
      'a URL of another realm',
      (name: string): URL | string => foreign<URL>(`({ href: ${JSON.stringify(url(name).href)}, protocol: 'file:' })`)
    ]
  ])('as %s is taken wherever a path is', async (kind, to) => {
    const index = ZgqIndex.open(to('index'))
    expect(index.info()).toMatchObject({ path: inside('index'), count: 500 })
    index.close()
    expect(await checkIndex(to('index'))).toMatchObject({ ok: true, path: inside('index') })
    await calibrateIndex(to('index'), { queries: to('vectors.fbin') })
    const output = to(`built from ${kind}`)
    const [input, ids, given] = [to('vectors.fbin'), to('ids.txt'), to('vectors.fbin')]
    const report = await buildIndex({ input, ids, output, queries: given, zones: 10 })
    expect(report).toMatchObject({ path: inside(`built from ${kind}`), count: 500 })
    const file = openVectorFile(to('vectors.fbin'))
    expect(file.count).toBe(500)
    file.close()
    expect(readIvecs(to('truth.ivecs')).count).toBe(1)
    expect((await readVectors(to('vectors.fbin'))).dim).toBe(DIM)
  })

  it.each([new URL('https://example.org/index'), new URL('data:,index')])('is all that is taken: not %s', (other) => {
    expect(() => ZgqIndex.open(other)).toThrow(/path must be a path or a file: URL, found the URL "/)
    expect(() => ZgqIndex.open(other)).toThrow(TypeError)
  })
})

describe('a message', () => {
  const long = Float32Array.from({ length: 10_000 }, (_, i) => i)
  class Wish {
    readonly k = 3
  }
  it.each([
    ['a "quoted"\nline\u001b[2J', '"a \\"quoted\\"\\nline\\u001b[2J"'],
    ['x'.repeat(5000), `"${'x'.repeat(80)}"... (5000 characters)`],
    ['', '""'],
    [12, '12'],
    [NaN, 'NaN'],
    [12n, 'the bigint 12'],
    [true, 'true'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('s'), 'a symbol'],
    [() => 1, 'a function'],
    [Wish, 'the function Wish'],
    [new Wish(), 'an object'],
    [{ toString: null }, 'an object'],
    [Object.create(null), 'an object'],
    [[1], 'an array of 1 value'],
    [Array.from(long), 'an array of 10,000 values'],
    [long, 'a Float32Array of 10,000 values'],
    [new Int8Array(2), 'an Int8Array of 2 values'],
    [foreign('new Uint8Array(3)'), 'a Uint8Array of 3 values'],
    [Promise.resolve(1), 'a Promise'],
    [new Map(), 'a Map'],
    [new ArrayBuffer(8), 'an ArrayBuffer']
  ])('describes a found value, case %#', (value: unknown, text) => {
    expect(describeValue(value)).toBe(text)
  })

  it('of open says what was found', () => {
    for (const [given, found] of [
      [long, 'a Float32Array of 10,000 values'],
      ['', '""'],
      [undefined, 'undefined']
    ])
      expect(() => untyped(ZgqIndex.open, ZgqIndex, given)).toThrow(
        `path must be a path or a file: URL, found ${String(found)}`
      )
    expect(() => untyped(ZgqIndex.open, ZgqIndex, OUTPUT, { mapping: 'mapp\n' })).toThrow(/found "mapp\\n"/)
    expect(() => untyped(ZgqIndex.open, ZgqIndex, OUTPUT, 'fast')).toThrow('must be an object, found "fast"')
  })

  it('of a search says what was found, and prints no array', async () => {
    const index = ZgqIndex.open(OUTPUT)
    const search = (...args: unknown[]): unknown => untyped(index.search.bind(index), undefined, ...args)
    expect(() => search('text')).toThrow(/^query must be .*, found "text"$/)
    expect(() => search(Promise.resolve(query))).toThrow(/found a Promise$/)
    expect(() => search(new Int32Array(DIM))).toThrow(/found an Int32Array of 8 values$/)
    expect(() => search(['1', ...query.subarray(1)])).toThrow('query must hold numbers only, found "1" at position 0')
    expect(() => search(query, { k: '10' })).toThrow('k must be a number, found "10"')
    expect(() => search(query, { exact: long })).toThrow(
      'exact must be a boolean, found a Float32Array of 10,000 values'
    )
    const error = await rejection(Promise.resolve(untyped(index.searchBatch.bind(index), undefined, [...long])))
    expect(String(error)).toBe(
      'TypeError: queries must be a Float32Array or a Float64Array, found an array of 10,000 values'
    )
    index.close()
  })

  it('of a build says what was found', async () => {
    const messageOf = async (options: object): Promise<string> =>
      String(await rejection(Promise.resolve(untyped(buildIndex, undefined, { output: OUTPUT, dim: DIM, ...options }))))
    expect(await messageOf({ input: [1, 2] })).toMatch(/input must be a path, .* found an array of 2 values$/)
    expect(await messageOf({ input: SMALL, output: 3 })).toMatch(/output must be .* found 3$/)
    expect(await messageOf({ input: SMALL, ids: 3 })).toMatch(/ids must be .* found 3$/)
    expect(await messageOf({ input: SMALL, queries: [...long] })).toMatch(/queries must be .* found an array of 10,000/)
    expect(await messageOf({ input: SMALL, onProgress: 'yes' })).toMatch(/must be a function, found "yes"$/)
    const bad = await errorFrom(buildSmall(temp.fresh('bad'), { ids: foreign<number[]>(`Array(500).fill('a\\n')`) }))
    expect(bad.message).toContain('duplicate id "a\\n" in')
  })

  it('of new ZgqIndex() says to use ZgqIndex.open', () => {
    for (const args of [[], [OUTPUT], [{}]])
      expect(() => Reflect.construct(ZgqIndex, args)).toThrow(/^use ZgqIndex\.open\(path\)/)
  })
})
