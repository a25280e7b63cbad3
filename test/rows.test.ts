// Going through the rows of an index, ids alone or whole documents, with and without a filter; and what values their
// fields have.

import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex, type Payload } from '../src/index.ts'
import { makeVectors } from './support/datasets.ts'
import { rowOf } from './support/brute-force.ts'
import { errorFrom } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('rows')
const COUNT = 700
const DIM = 4
const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, 3)
const ids = Array.from({ length: COUNT }, (_, i) => `row ${i}`)
const payloads = ids.map((_, i): Payload => {
  if (i % 10 === 0) return {}
  if (i % 10 === 1) return { path: null, size: null, draft: null, tags: null }
  const tags = [`tag ${i % 3}`, 'both', 'both']
  return { path: `folder ${i % 4}`, size: i, draft: i % 3 === 0, tags, body: `body ${i}` }
})
let index: ZgqIndex<string>
beforeAll(async () => {
  const output = temp.fresh('index')
  const fields = { path: 'string', size: 'number', draft: 'boolean', tags: 'string[]' } as const
  await buildIndex({ input: vectors, dim: DIM, ids, payloads, fields, zones: 12, output })
  index = ZgqIndex.open(output)
  return () => {
    index.close()
  }
})

describe('ids and documents', () => {
  it('go through all rows, in the same order', () => {
    const found = [...index.documents()]
    expect(found.map(({ id }) => id)).toEqual([...index.ids()])
    expect(new Set(index.ids())).toEqual(new Set(ids))
    for (const { id, vector, payload } of found) {
      const i = ids.indexOf(id)
      expect({ vector, payload }).toEqual({ vector: rowOf(vectors, DIM, i), payload: payloads[i] })
    }
  })

  it('go through the rows that meet a filter', () => {
    const filter = { draft: true, size: { $lt: 300 } }
    const expected = ids.filter((_, i) => payloads[i]['draft'] === true && i < 300)
    expect([...index.ids(filter)].sort()).toEqual(expected.sort())
    expect([...index.documents({ filter })].map(({ id }) => id)).toEqual([...index.ids(filter)])
    expect([...index.ids({ size: -1 })]).toEqual([])
  })

  it('leave payloads, or bring the keys wanted of them', () => {
    const filter = { size: 7 }
    expect([...index.documents({ filter, payload: false })]).toMatchObject([{ id: 'row 7', payload: undefined }])
    expect([...index.documents({ filter, payload: ['body', 'none'] })]).toMatchObject([{ payload: { body: 'body 7' } }])
  })

  it('refuse a wrong filter, option or name at once, not at the first row', async () => {
    expect((await errorFrom(new Promise(() => index.ids({ nope: 1 })))).code).toBe('ZGQ_FILTER')
    expect(() => index.documents(Object({ filters: {} }))).toThrow(TypeError)
    expect(() => index.documents(Object({ payload: 'body' }))).toThrow(TypeError)
  })

  it('end with ZGQ_CLOSED once the index is closed', async () => {
    const { path } = index.info()
    const other = ZgqIndex.open<string>(path)
    const rows = other.documents()
    rows.next()
    other.close()
    expect((await errorFrom(new Promise(() => rows.next()))).code).toBe('ZGQ_CLOSED')
  })
})

describe('fieldSummary', () => {
  const withValue = payloads.filter((payload) => typeof payload['path'] === 'string')
  const rows = { rows: withValue.length, nulls: 70, missing: 70 }
  const countOf = (value: (payload: Payload) => boolean): number => withValue.filter(value).length

  it('counts the values of strings, the commonest first, and equally common ones in order', () => {
    const values = [0, 1, 2, 3]
      .map((i) => ({ value: `folder ${i}`, rows: countOf((payload) => payload['path'] === `folder ${i}`) }))
      .sort((a, b) => b.rows - a.rows)
    const expected = { name: 'path', type: 'string', ...rows, distinct: 4, isCut: false, values }
    expect(index.fieldSummary('path')).toEqual(expected)
    expect(index.fieldSummary('path', { values: 2 })).toEqual({ ...expected, values: values.slice(0, 2) })
  })

  it('counts the rows of each element of lists, once where a list has it twice', () => {
    const { values, ...rest } = index.fieldSummary('tags')
    expect(rest).toEqual({ name: 'tags', type: 'string[]', ...rows, distinct: 4, isCut: false })
    expect(values?.[0]).toEqual({ value: 'both', rows: withValue.length })
    expect(values?.slice(1).reduce((sum, one) => sum + one.rows, 0)).toBe(withValue.length)
  })

  it('counts booleans', () => {
    const yes = countOf((payload) => payload['draft'] === true)
    expect(index.fieldSummary('draft')).toMatchObject({
      ...rows,
      values: [
        { value: false, rows: withValue.length - yes },
        { value: true, rows: yes }
      ]
    })
  })

  it('tells the range of numbers, and how many are in each part of it', () => {
    const { histogram = [], ...rest } = index.fieldSummary('size', { bins: 7 })
    expect(rest).toEqual({ name: 'size', type: 'number', ...rows, min: 2, max: 699 })
    expect(histogram.map(({ from }) => from)).toEqual([2, 102, 202, 302, 402, 502, 602])
    for (const { from, to, rows } of histogram)
      expect(rows).toBe(countOf((payload) => Number(payload['size']) >= from && Number(payload['size']) < to))
  })

  it.each([
    ['infinities and huge numbers', [-Infinity, -1.7e308, 1.7e308, Infinity], { min: -Infinity, max: Infinity }, 2],
    ['one value', [5, 5, 5, 5], { min: 5, max: 5 }, 4],
    ['fractions', [0.1, 0.2, 0.3, 0.4], { min: 0.1, max: 0.4 }, 4],
    ['only nulls', [null, null, null, null], { rows: 0, nulls: 4, histogram: [] }, 0]
  ])('takes %s', async (_, numbers, expected, binned) => {
    const output = temp.fresh('numbers')
    const input = makeVectors('uniform', { count: 4, dim: 2 }, 5)
    await buildIndex({ input, dim: 2, payloads: numbers.map((n) => ({ n })), fields: { n: 'number' }, output })
    const open = ZgqIndex.open(output)
    const summary = open.fieldSummary('n')
    open.close()
    expect(summary).toMatchObject(expected)
    expect(summary.histogram?.reduce((sum, bin) => sum + bin.rows, 0)).toBe(binned)
  })

  it('counts values of 32 MB of text at most, and says so', async () => {
    const output = temp.fresh('long')
    const texts = [...'abcd'].map((letter) => letter.repeat(10 * 2 ** 20))
    const input = makeVectors('uniform', { count: 5, dim: 2 }, 5)
    const some = [...texts, texts[0]].map((text) => ({ text }))
    await buildIndex({ input, dim: 2, payloads: some, fields: { text: 'string' }, zones: 1, output })
    const open = ZgqIndex.open(output)
    const { values = [], ...summary } = open.fieldSummary('text')
    open.close()
    expect(summary).toMatchObject({ rows: 5, distinct: 3, isCut: true })
    expect(values.map(({ value, rows: found }) => [String(value)[0], found])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1]
    ])
  })

  it('refuses a field that is not declared, and wrong options', async () => {
    const error = await errorFrom(new Promise(() => index.fieldSummary('body')))
    expect(error).toMatchObject({ code: 'ZGQ_FILTER', message: expect.stringContaining('path, size, draft, tags') })
    expect(() => index.fieldSummary('path', { values: -1 })).toThrow(RangeError)
    expect(() => index.fieldSummary('path', Object({ top: 1 }))).toThrow(TypeError)
  })
})
