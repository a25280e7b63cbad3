// What a wrong filter gets: an error that says where in the filter it is.

import { describe, expect, it } from 'vitest'

import { checkFields, fieldsByName } from '../src/format/fields.ts'
import { compileFilter } from '../src/filter/compile-filter.ts'
import { FilterCache } from '../src/filter/filter-cache.ts'
import { errorOf } from './support/errors.ts'

const FIELDS = { path: 'string', tags: 'string[]', size: 'number', draft: 'boolean' } as const
const BY_NAME = fieldsByName(checkFields(FIELDS))

/** A filter within filters. */
function nested(depth: number, operator: '$and' | '$not'): unknown {
  let filter: unknown = { size: 1 }
  for (let i = 0; i < depth; i++) filter = operator === '$not' ? { $not: filter } : { $and: [filter] }
  return filter
}

const cyclic: Record<string, unknown> = {}
cyclic['$or'] = [{ size: 1 }, cyclic]

describe('a wrong filter is told where it is wrong', () => {
  it.each<[string, unknown, RegExp]>([
    ['unknown field', { colour: 'red' }, /^filter at colour: unknown field; declared are path, tags, size, draft$/],
    ['unknown field inside', { $and: [{}, { $or: [{ x: 1 }] }] }, /at \$and\[1\]\.\$or\[0\]\.x: unknown field/],
    ['a field that every object has', { toString: 'x' }, /at toString: unknown field/],
    ['unknown operator', { size: { $regex: 'x' } }, /at size\.\$regex: unknown operator; fields have \$eq, /],
    ['an operator without a dollar', { size: { gt: 1 } }, /at size\.gt: unknown operator/],
    ['an operator that every object has', { size: { constructor: 1 } }, /at size\.constructor: unknown operator/],
    ['unknown combination', { $xor: [{}] }, /at \$xor: unknown operator; beside fields there are \$and, \$or/],
    ['a field operator beside fields', { $gt: 1 }, /at \$gt: unknown operator/],
    ['a wrong type', { size: '1' }, /at size: expected a number, found "1"/],
    [
      'a wrong type in a list',
      { $and: [{}, { tags: { $in: ['a', 'b', 'c', 5] } }] },
      /at \$and\[1\]\.tags\.\$in\[3\]: expected a string, found 5/
    ],
    ['a hole in a list', { tags: { $in: Array(2) } }, /at tags\.\$in\[0\]: expected a string, found undefined/],
    ['undefined', { size: undefined }, /at size: expected a number, found undefined/],
    ['an undefined operand', { size: { $gt: undefined } }, /at size\.\$gt: expected a number/],
    ['NaN', { size: { $lt: NaN } }, /at size\.\$lt: expected a number, found NaN/],
    ['a bigint', { size: 1n }, /at size: expected a number, found the bigint 1/],
    ['a date', { size: { $gt: new Date(0) } }, /at size\.\$gt: expected a number, found a Date/],
    ['a regular expression', { path: /x/ }, /at path: expected a string, found a RegExp/],
    [
      'a list as an operand',
      { tags: ['a'] },
      /at tags: expected a string, found an array of 1 value; lists are for \$in/
    ],
    ['a list as an operand of $eq', { tags: { $eq: ['a'] } }, /at tags\.\$eq: expected a string/],
    ['a range with null', { size: { $gte: null } }, /at size\.\$gte: expected a number, found null/],
    ['a range of booleans', { draft: { $gt: false } }, /at draft\.\$gt: a field of type boolean has no \$gt/],
    ['$all of booleans', { draft: { $all: [true] } }, /at draft\.\$all: a field of type boolean/],
    ['a prefix of a number', { size: { $startsWith: '1' } }, /at size\.\$startsWith: a field of type number/],
    ['a prefix that is none', { path: { $startsWith: null } }, /at path\.\$startsWith: expected a string, found null/],
    ['a lone surrogate', { path: { $contains: 'a\udc00' } }, /at path\.\$contains: a lone surrogate/],
    ['$in without a list', { size: { $in: 1 } }, /at size\.\$in: expected an array of values, found 1/],
    ['$exists without a boolean', { size: { $exists: 1 } }, /at size\.\$exists: expected true or false, found 1/],
    ['$not without operators', { size: { $not: 1 } }, /at size\.\$not: expected operators, found 1/],
    ['$not with none', { size: { $not: {} } }, /at size\.\$not: expected at least one operator/],
    ['no operator', { size: {} }, /at size: expected at least one operator/],
    ['$and of nothing', { $and: [] }, /at \$and: expected at least one filter/],
    ['$or of nothing', { $or: [] }, /at \$or: expected at least one filter/],
    ['$nor of nothing', { $nor: [] }, /at \$nor: expected at least one filter/],
    ['$and without a list', { $and: {} }, /at \$and: expected an array of filters, found an object/],
    ['$or of values', { $or: [1] }, /at \$or\[0\]: expected a filter, found 1/],
    ['$not of a list', { $not: [{}] }, /at \$not: expected a filter, found an array/],
    ['a Map, which has no keys', { $not: new Map([['size', 1]]) }, /at \$not: expected a filter, found a Map/],
    ['Math, which has no keys either', { $not: Math }, /at \$not: expected a filter, found a Math/],
    ['symbols as keys', { [Symbol('or')]: [] }, /^filter: expected no symbols as keys/],
    ['symbols as operators', { size: { [Symbol('gt')]: 1 } }, /at size: expected no symbols as keys/],
    ['17 levels', nested(17, '$and'), /operators are nested more than 16 deep/],
    ['17 levels of $not', nested(17, '$not'), /more than 16 deep/],
    ['a cycle', cyclic, /more than 16 deep/],
    [
      '10,001 values',
      { size: { $in: Array.from({ length: 10_001 }, () => 1) } },
      /at size\.\$in: the filter has more than 10,000 values/
    ],
    [
      '10,001 conditions',
      { $or: Array.from({ length: 10_001 }, () => ({ size: 1 })) },
      /at \$or\[10000\]\.size: .*10,000 values/
    ],
    ['10,001 empty filters', { $or: Array.from({ length: 10_001 }, () => ({})) }, /at \$or\[10000\]: .*10,000 values/],
    ['10,001 empty lists', { $or: Array.from({ length: 10_001 }, () => ({ size: { $in: [] } })) }, /10,000 values/],
    ['a name with a dot', { 'a.b': 1 }, /at \["a\.b"\]: unknown field/],
    ['a long name', { ['x'.repeat(500)]: 1 }, /^filter at \["x{80}"\.\.\. \(500 characters\)\]: unknown field/],
    ['a name that steers a terminal', { '\u001b[2J': 1 }, /^filter at \["\\u001b\[2J"\]: unknown field/]
  ])('%s', (_, filter, message) => {
    const error = errorOf(() => compileFilter(filter, BY_NAME))
    expect(error.code).toBe('ZGQ_FILTER')
    expect(error.message).toMatch(message)
    expect(errorOf(() => new FilterCache(checkFields(FIELDS)).compile(filter)).message).toBe(error.message)
  })

  it.each([undefined, null, 5, 'size', [{ size: 1 }], new Map(), new Date(0), () => ({})])(
    'a TypeError where it is no object: %o',
    (filter) => {
      expect(() => compileFilter(filter, BY_NAME)).toThrow(TypeError)
      expect(() => new FilterCache(checkFields(FIELDS)).compile(filter)).toThrow(/filter must be an object, found /)
    }
  )

  it('up to 16 levels and 10,000 values are no mistake', () => {
    for (const operator of ['$and', '$not'] as const) compileFilter(nested(16, operator), BY_NAME)
    compileFilter({ size: { $in: Array.from({ length: 10_000 }, (_, i) => i) } }, BY_NAME)
    compileFilter({ $or: Array.from({ length: 10_000 }, (_, i) => ({ size: i })) }, BY_NAME)
  })

  it('names no field where none is declared', () => {
    expect(errorOf(() => compileFilter({ a: 1 }, new Map())).message).toBe(
      'filter at a: unknown field; declared are none'
    )
  })
})
