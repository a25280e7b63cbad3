// Declared fields: what may be declared, and which values a field may have.

import { describe, expect, it } from 'vitest'

import { checkFields, decodeFields, encodeFields, faultOfValue } from '../src/format/fields.ts'
import { encodeMessagePack } from '../src/catalogue/encode-message-pack.ts'
import type { FieldType } from '../src/types.ts'
import { codeOf } from './support/errors.ts'

describe('the declaration of fields', () => {
  const names = { a: 'string', '2': 'number', 'a.b': 'boolean', constructor: 'string[]', '\u{1f600}': 'number' }

  it('is checked, numbered and comes back', () => {
    const hostile: unknown = JSON.parse('{"__proto__": "string", "hasOwnProperty": "number"}')
    for (const declared of [names, hostile]) {
      const fields = checkFields(declared)
      expect(fields.map(({ number }) => number)).toEqual(fields.map((_, i) => i + 1))
      expect(decodeFields(encodeFields(fields), 'c')).toEqual(fields)
    }
    expect(checkFields(hostile).map(({ name }) => name)).toEqual(['__proto__', 'hasOwnProperty'])
    expect(checkFields({})).toEqual([])
  })

  it('keeps its order in the file, though names look like numbers', () => {
    const bytes = encodeMessagePack(
      new Map([
        ['b', 'string'],
        ['7', 'number']
      ])
    )
    expect(decodeFields(bytes, 'c').map(({ name }) => name)).toEqual(['b', '7'])
  })

  const long = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`f${i}`, 'string']))
  it.each<[unknown, typeof TypeError | typeof RangeError, RegExp]>([
    [undefined, TypeError, /found undefined/],
    [['a'], TypeError, /found an array/],
    [new Map([['a', 'string']]), TypeError, /found a Map/],
    [{ a: 'text' }, TypeError, /field "a" must be one of string, number, boolean, string\[\], found "text"/],
    [{ a: undefined }, TypeError, /field "a" must be/],
    [{ '': 'string' }, RangeError, /is empty/],
    [{ $and: 'string' }, RangeError, /begins with \$/],
    [{ '\ud800': 'string' }, RangeError, /surrogate/],
    [{ ['\u00e9'.repeat(128)]: 'string' }, RangeError, /256 bytes, more than 255/],
    [long, RangeError, /at most 256 names, found 257/]
  ])('%j is refused', (fields, type, message) => {
    expect(() => checkFields(fields)).toThrow(type)
    expect(() => checkFields(fields)).toThrow(message)
  })

  it('takes 256 fields, and names of 255 bytes', () => {
    const most = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`f${i}`, 'string']))
    expect(checkFields(most)).toHaveLength(256)
    expect(checkFields({ ['a'.repeat(255)]: 'number' })).toHaveLength(1)
  })

  it.each<[string, unknown]>([
    ['a type that is none', { a: 'text' }],
    ['a type that is no string', { a: 5 }],
    ['a type that is a map', { a: { string: 1 } }],
    ['a name that is none', { $a: 'string' }],
    ['a list', ['string']],
    ['no field', {}],
    ['257 fields', long]
  ])('is damage in the file: %s', (_, value) => {
    expect(codeOf(() => decodeFields(encodeMessagePack(value), 'c'))).toBe('ZGQ_CORRUPT')
  })
})

describe('values of fields', () => {
  it.each<[FieldType, unknown, string | undefined]>([
    ['number', undefined, undefined],
    ['number', null, undefined],
    ['number', -Infinity, undefined],
    ['number', NaN, 'is NaN, which no field can hold'],
    ['number', '1', 'is "1", expected a number'],
    ['number', 1n, 'is the bigint 1, expected a number'],
    ['boolean', 0, 'is 0, expected a boolean'],
    ['string', ['a'], 'is an array of 1 value, expected a string'],
    ['string', 'a\ud800', 'is a string with a lone surrogate: "a\\ud800"'],
    ['string[]', 'a', 'is "a", expected an array of strings'],
    ['string[]', ['a', null], 'has at [1] null, expected a string'],
    ['string[]', [], undefined]
  ])('of type %s: %o', (type, value, fault) => {
    expect(faultOfValue(type, value)).toBe(fault)
  })
})
