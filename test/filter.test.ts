// Filters: what operators mean, and when two filters are one. On random documents they are compared with mingo in
// filter-oracle.test.ts; what a wrong filter gets is in filter-faults.test.ts.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { runInNewContext } from 'node:vm'

import { checkFields, fieldsByName } from '../src/format/fields.ts'
import { compileFilter } from '../src/filter/compile-filter.ts'
import { FilterCache } from '../src/filter/filter-cache.ts'
import { RowMatcher } from '../src/filter/row-matcher.ts'
import type { Filter } from '../src/types.ts'
import { errorOf } from './support/errors.ts'
import { FieldSegment, type Row } from './support/field-segment.ts'
import { randomFrom } from './support/random.ts'

const SEED = Number(process.env['ZGQ_SEED'] ?? 1302)
const FIELDS = { path: 'string', tags: 'string[]', size: 'number', draft: 'boolean' } as const
const BY_NAME = fieldsByName(checkFields(FIELDS))

/** Rows 0 to 5: all values, other values, all null, nothing, empty values, one of each kind. */
const ROWS: readonly Row[] = [
  { path: 'a/one.md', tags: ['zoo', 'ape'], size: 1, draft: true },
  { path: 'b/two.md', tags: ['bear'], size: 5, draft: false },
  { path: null, tags: null, size: null, draft: null },
  {},
  { path: '', tags: [], size: -0, draft: false },
  { path: 'a/\u00e9.md', tags: ['', 'zoology'], size: Infinity }
]
const SEGMENT = new FieldSegment(FIELDS, ROWS)

describe('a filter finds the rows', () => {
  it.each<[Filter, number[]]>([
    [{}, [0, 1, 2, 3, 4, 5]],
    [{ size: 1 }, [0]],
    [{ size: { $eq: 0 } }, [4]],
    [{ size: { $in: [0, 1] } }, [0, 4]],
    [{ size: null }, [2, 3]],
    [{ tags: null }, [2, 3]],
    [{ size: { $ne: 1 } }, [1, 2, 3, 4, 5]],
    [{ size: { $ne: null } }, [0, 1, 4, 5]],
    [{ size: { $gt: 1 } }, [1, 5]],
    [{ size: { $gte: 1 } }, [0, 1, 5]],
    [{ size: { $gt: -5e-324 } }, [0, 1, 4, 5]],
    [{ size: { $gt: Infinity } }, []],
    [{ size: { $gte: Infinity } }, [5]],
    [{ size: { $lt: 1 } }, [4]],
    [{ size: { $lte: 1 } }, [0, 4]],
    [{ size: { $gt: 0, $lt: 5 } }, [0]],
    [{ size: { $not: { $gt: 1 } } }, [0, 2, 3, 4]],
    [{ size: { $in: [1, null] } }, [0, 2, 3]],
    [{ size: { $all: [null] } }, [2, 3]],
    [{ size: { $all: [1, 5] } }, []],
    [{ size: { $in: [] } }, []],
    [{ size: { $nin: [1, 5] } }, [2, 3, 4, 5]],
    [{ size: { $nin: [null] } }, [0, 1, 4, 5]],
    [{ size: { $nin: [] } }, [0, 1, 2, 3, 4, 5]],
    [{ size: { $exists: true } }, [0, 1, 2, 4, 5]],
    [{ size: { $exists: false } }, [3]],
    [{ draft: true }, [0]],
    [{ draft: false }, [1, 4]],
    [{ draft: { $ne: true } }, [1, 2, 3, 4, 5]],
    [{ draft: { $in: [true, false] } }, [0, 1, 4]],
    [{ draft: { $not: { $eq: false } } }, [0, 2, 3, 5]],
    [{ path: 'b/two.md' }, [1]],
    [{ path: '' }, [4]],
    [{ path: { $gt: 'a/one.md' } }, [1, 5]],
    [{ path: { $gte: '' } }, [0, 1, 4, 5]],
    [{ path: { $lt: '' } }, []],
    [{ path: { $lte: '' } }, [4]],
    [{ path: { $startsWith: 'a/' } }, [0, 5]],
    [{ path: { $startsWith: '' } }, [0, 1, 4, 5]],
    [{ path: { $startsWith: 'a/\u00e9' } }, [5]],
    [{ path: { $contains: '.md' } }, [0, 1, 5]],
    [{ path: { $contains: '' } }, [0, 1, 4, 5]],
    [{ path: { $contains: '\u00e9.' } }, [5]],
    [{ path: { $not: { $contains: 'o' } } }, [2, 3, 4, 5]],
    [{ path: { $all: ['b/two.md'] } }, [1]],
    [{ tags: 'zoo' }, [0]],
    [{ tags: { $ne: 'zoo' } }, [1, 2, 3, 4, 5]],
    [{ tags: { $in: ['bear', ''] } }, [1, 5]],
    [{ tags: { $nin: ['bear', 'zoo'] } }, [2, 3, 4, 5]],
    [{ tags: { $all: ['ape', 'zoo'] } }, [0]],
    [{ tags: { $all: [] } }, []],
    [{ tags: { $startsWith: 'zoo' } }, [0, 5]],
    [{ tags: { $startsWith: '' } }, [0, 1, 5]],
    [{ tags: { $contains: 'ea' } }, [1]],
    [{ tags: { $exists: true } }, [0, 1, 2, 4, 5]],
    // Each condition by itself: 'ape' is below, 'zoo' above.
    [{ tags: { $lt: 'b', $gt: 'c' } }, [0, 5]],
    [{ path: { $lt: 'b', $gt: 'c' } }, []],
    [{ draft: false, size: { $gt: 0 } }, [1]],
    [{ $and: [{ draft: false }, { size: { $gt: 0 } }] }, [1]],
    [{ $or: [{ size: 1 }, { tags: 'bear' }] }, [0, 1]],
    [{ $nor: [{ size: 1 }, { tags: 'bear' }] }, [2, 3, 4, 5]],
    [{ $not: { path: { $startsWith: 'a/' }, size: 1 } }, [1, 2, 3, 4, 5]],
    [{ $not: {} }, []],
    [{ $or: [{}, { size: 1 }] }, [0, 1, 2, 3, 4, 5]],
    [{ $nor: [{}] }, []],
    [{ $and: [{ $or: [{ size: 1 }, { size: 5 }] }, { $nor: [{ draft: true }] }] }, [1]]
  ])('%j: %j', (filter, rows) => {
    expect(SEGMENT.find(filter)).toEqual(rows)
  })

  it('in the order of UTF-8 bytes, which is not that of UTF-16', () => {
    const rows = ['\u{1f600}', '\uff5e', 'z', '\u{10ffff}'].map((path) => ({ path }))
    const segment = new FieldSegment({ path: 'string' }, rows)
    expect(segment.find({ path: { $gt: '\uff5e' } })).toEqual([0, 3])
    expect(segment.find({ path: { $startsWith: '\u{10ffff}' } })).toEqual([3])
    expect(segment.find({ path: { $in: ['\u{1f600}', '\uff5e'] } })).toEqual([0, 1])
  })

  it('whose strings are the same code points, normal forms apart', () => {
    const segment = new FieldSegment({ path: 'string' }, [{ path: '\u00e9' }, { path: 'e\u0301' }])
    expect(segment.find({ path: '\u00e9' })).toEqual([0])
    expect(segment.find({ path: { $startsWith: 'e' } })).toEqual([1])
  })

  it('that have a text in one string, not across two of the dictionary', () => {
    const segment = new FieldSegment(
      { path: 'string' },
      ['ab', 'ba', 'aab', 'bb'].map((path) => ({ path }))
    )
    expect(segment.find({ path: { $contains: 'ba' } })).toEqual([1])
    expect(segment.find({ path: { $contains: 'aab' } })).toEqual([2])
    expect(segment.find({ path: { $contains: 'abb' } })).toEqual([])
  })

  it('that have a text in a dictionary of more than a megabyte', () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ path: `${i}${'-'.repeat(40_000)}${i}` }))
    const segment = new FieldSegment({ path: 'string' }, rows)
    expect(segment.find({ path: { $contains: '-7' } })).toEqual([7])
    expect(segment.find({ path: { $contains: '-1' } })).toEqual([1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    expect(segment.find({ path: { $contains: '--' } })).toHaveLength(40)
  })

  it.each([0, 1, 31, 32, 33, 64, 250])('of a segment of %i, and no others', (count) => {
    const rows = Array.from({ length: count }, (_, i) => ({
      size: i,
      path: `${i}`,
      tags: [`${i}`],
      draft: i % 2 === 0
    }))
    const segment = new FieldSegment(FIELDS, rows)
    const all = rows.map((_, i) => i)
    for (const filter of [
      {},
      { size: { $gte: 0 } },
      { $not: { size: -1 } },
      { path: { $ne: 'x' } },
      { tags: { $ne: '' } }
    ])
      expect(segment.find(filter)).toEqual(all)
    expect(segment.find({ draft: false })).toEqual(all.filter((i) => i % 2 === 1))
    expect(segment.find({ $or: [{ size: null }, { path: { $exists: false } }] })).toEqual([])
  })

  it(`that are in large sets (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    const any = (below: number): number => Math.floor(random() * below)
    const rows = Array.from({ length: 1000 }, () => ({
      size: any(4000) / 8,
      path: `note-${any(4000)}`,
      tags: [`${any(90)}`, `${any(90)}`]
    }))
    const segment = new FieldSegment(FIELDS, rows)
    for (const few of [2, 20, 1000, 9999]) {
      const sizes = Array.from({ length: few }, () => any(4000) / 8)
      const paths = Array.from({ length: few }, () => `note-${any(4000)}`)
      const tags = Array.from({ length: Math.min(few, 20) }, () => `${any(90)}`)
      const found = (isFound: (row: (typeof rows)[number]) => boolean): number[] =>
        rows.flatMap((row, i) => (isFound(row) ? i : []))
      expect(segment.find({ size: { $in: sizes } })).toEqual(found(({ size }) => sizes.includes(size)))
      expect(segment.find({ path: { $in: paths } })).toEqual(found(({ path }) => paths.includes(path)))
      expect(segment.find({ tags: { $in: tags } })).toEqual(found((row) => row.tags.some((tag) => tags.includes(tag))))
    }
  })

  it('by fields whose names mean something elsewhere', () => {
    const fields =
      '{ "__proto__": "string", "constructor": "number", "toString": "boolean", "a.b": "string[]", "[0]": "number" }'
    const rows = '[{ "__proto__": "x", "constructor": 1, "toString": true, "a.b": ["y"], "[0]": 2 }, {}]'
    const segment = new FieldSegment(JSON.parse(fields), JSON.parse(rows))
    for (const filter of [
      '{"__proto__": "x"}',
      '{"constructor": 1}',
      '{"toString": true}',
      '{"a.b": "y"}',
      '{"[0]": 2}'
    ]) {
      expect(segment.find(JSON.parse(filter))).toEqual([0])
      expect(segment.find({ $nor: [JSON.parse(filter)] })).toEqual([1])
    }
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })

  it('by objects of another realm, and without a prototype', () => {
    expect(SEGMENT.find(runInNewContext('({ size: { $in: [1] } })'))).toEqual([0])
    expect(SEGMENT.find(Object.assign(Object.create(null), { size: 1 }))).toEqual([0])
  })
})

const keyOf = (filter: unknown): string => compileFilter(filter, BY_NAME).key

describe('filters of one meaning', () => {
  it.each<[Filter, Filter]>([
    [
      { size: 1, draft: true },
      { draft: true, size: 1 }
    ],
    [{ size: 1, draft: true }, { $and: [{ draft: { $eq: true } }, { size: { $in: [1] } }] }],
    [{ size: { $gt: 1, $lt: 5 } }, { size: { $lt: 5, $gt: 1 } }],
    [{ size: { $gt: 1, $lt: 5 } }, { $and: [{ size: { $lt: 5 } }, { size: { $gt: 1 } }] }],
    [{ path: { $gte: 'a', $lt: 'b' } }, { path: { $startsWith: 'a' } }],
    [{ size: { $ne: 1 } }, { size: { $not: { $eq: 1 } } }],
    [{ size: { $ne: 1 } }, { $nor: [{ size: 1 }] }],
    [{ size: { $ne: 1 } }, { $not: { size: 1 } }],
    [{ size: { $nin: [2, 1] } }, { size: { $not: { $in: [1, 2, 1] } } }],
    [{ size: 0 }, { size: -0 }],
    [{ size: { $in: [0, 1] } }, { size: { $in: [1, -0, 0] } }],
    [{ size: { $in: [null] } }, { size: null }],
    [{ tags: { $all: ['a', 'b'] } }, { $and: [{ tags: 'b' }, { tags: 'a' }, { tags: 'b' }] }],
    [{ tags: { $in: ['a', 'b'] } }, { tags: { $in: ['b', 'a', 'b'] } }],
    [{ $or: [{ size: 1 }, { draft: true }] }, { $or: [{ draft: true }, { $or: [{ size: 1 }, { draft: true }] }] }],
    [{ $not: { $not: { size: 1 } } }, { size: 1 }],
    [{ size: { $gt: 5, $lt: 1 } }, { $not: {} }],
    [{ size: { $in: [] }, draft: true }, { $nor: [{}] }],
    [{ $or: [{ size: 1 }, {}] }, {}]
  ])('%j and %j have one key', (left, right) => {
    expect(keyOf(left)).toBe(keyOf(right))
  })

  it('others have each their own', () => {
    const filters: Filter[] = [
      {},
      { $not: {} },
      { size: 1 },
      { size: 2 },
      { size: { $gt: 1 } },
      { size: { $gte: 1 } },
      { size: { $lt: 1 } },
      { size: { $ne: 1 } },
      { size: null },
      { size: { $exists: true } },
      { size: { $exists: false } },
      { size: { $in: [1, 2] } },
      { size: { $in: [12] } },
      { size: { $in: [1, null] } },
      { path: 'a' },
      { tags: 'a' },
      { path: { $startsWith: 'a' } },
      { path: { $contains: 'a' } },
      { path: { $gt: 'a' } },
      { path: { $gte: 'a' } },
      { path: { $in: ['a', 'bc'] } },
      { path: { $in: ['ab', 'c'] } },
      { path: { $in: ['a', 'b', 'c'] } },
      { draft: true },
      { draft: false },
      { $or: [{ size: 1 }, { draft: true }] },
      { $and: [{ size: 1 }, { draft: true }] },
      { $nor: [{ size: 1 }, { draft: true }] },
      // Ranges of lists do not become one: each may hold for another element.
      { tags: { $gte: 'a', $lt: 'b' } },
      { tags: { $startsWith: 'a' } }
    ]
    expect(new Set(filters.map(keyOf)).size).toBe(filters.length)
  })

  it('say which fields they need, and no others', () => {
    const fieldsOf = (filter: Filter) => compileFilter(filter, BY_NAME).fields
    expect(fieldsOf({ size: 1, $or: [{ tags: 'a' }, { $not: { size: 2 } }] })).toEqual([2, 3])
    expect(fieldsOf({})).toEqual([])
    expect(fieldsOf({ draft: { $in: [] }, size: 1 })).toEqual([])
  })
})

describe('the cache of filters', () => {
  const cache = (): FilterCache => new FilterCache(checkFields(FIELDS))

  it('finds a filter that is spelled as one before', () => {
    const filters = cache()
    const make = (): Filter => ({ size: { $in: [1, 2] }, $not: { path: { $startsWith: 'a"' } } })
    expect(filters.compile(make())).toBe(filters.compile(make()))
    expect(filters.compile({ size: 1 })).not.toBe(filters.compile({ size: 2 }))
  })

  it('sees that a filter was changed', () => {
    const filters = cache()
    const filter = { size: { $in: [1] } }
    const before = filters.compile(filter)
    filter.size.$in.push(2)
    expect(filters.compile(filter).key).not.toBe(before.key)
  })

  it('does not take a string for what it spells', () => {
    const filters = cache()
    filters.compile({ path: 'null' })
    expect(filters.compile({ path: null }).key).not.toBe(filters.compile({ path: 'null' }).key)
    filters.compile({ size: 1 })
    expect(errorOf(() => filters.compile({ size: '1' })).code).toBe('ZGQ_FILTER')
    expect(filters.compile({ size: Infinity }).key).not.toBe(filters.compile({ size: null }).key)
  })

  it('keeps the latest, and none that is very long', () => {
    const filters = cache()
    const first = filters.compile({ size: -1 })
    for (let i = 0; i < 60; i++) filters.compile({ size: i })
    expect(filters.compile({ size: -1 })).toBe(first)
    for (let i = 0; i < 63; i++) filters.compile({ size: i })
    expect(filters.compile({ size: -1 })).toBe(first)
    for (let i = 0; i < 512; i++) filters.compile({ size: i })
    expect(filters.compile({ size: -1 })).not.toBe(first)
    const long = { path: { $in: Array.from({ length: 10 }, (_, i) => `${i}`.repeat(30_000)) } }
    expect(filters.compile(long)).not.toBe(filters.compile(long))
    expect(filters.compile(long).key).toBe(filters.compile(long).key)
  })

  it(`compiles as without it (seed ${SEED})`, () => {
    const filters = cache()
    const json = fc.jsonValue({ maxDepth: 3 })
    const filter = fc.oneof(
      json,
      fc.dictionary(fc.constantFrom('size', 'path', '$and', '$not', 'x'), json, { maxKeys: 2 }),
      fc.record({ size: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.record({ $gt: fc.integer({ min: 0, max: 3 }) })) })
    )
    const outcome = (compile: () => { key: string }): string => {
      try {
        return compile().key
      } catch (error) {
        return String(error)
      }
    }
    fc.assert(
      fc.property(filter, (asked) => {
        expect(outcome(() => filters.compile(asked))).toBe(outcome(() => compileFilter(asked, BY_NAME)))
      }),
      { seed: SEED, numRuns: 2000 }
    )
  })
})

it('a predicate of another index is no damage but a mistake', () => {
  const { predicate } = compileFilter({ size: 1 }, BY_NAME)
  const other = new FieldSegment({ a: 'string', b: 'string', c: 'string' }, [{ c: 'x' }])
  expect(() => new RowMatcher().match(predicate, other, new Uint32Array(1))).toThrow(TypeError)
})
