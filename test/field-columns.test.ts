// Columns of declared fields: values come back as they were, and bytes that no writer wrote are damage.

import { truncateSync, writeFileSync } from 'node:fs'

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { countBits, hasBit, lastWordMask } from '../src/format/bitmap.ts'
import type { ZgqError } from '../src/errors.ts'
import { encodeTable } from '../src/format/columns.ts'
import { decodeField, valueAt } from '../src/format/decode-field.ts'
import { encodeFieldColumns, type EncodedField, type FieldColumnKind } from '../src/format/field-columns.ts'
import { checkFields, faultOfValue } from '../src/format/fields.ts'
import { COLUMN_KINDS } from '../src/format/kinds.ts'
import { nextAbove, nextBelow } from '../src/format/next-number.ts'
import { decodeStringTable, encodeStringTable, makeStringTable } from '../src/format/string-table.ts'
import { DocumentFiles } from '../src/storage/document-files.ts'
import { openReaders } from '../src/storage/open-readers.ts'
import { SegmentFiles } from '../src/storage/segment-files.ts'
import type { FieldType, FieldValue } from '../src/types.ts'
import { errorOf } from './support/errors.ts'
import { numbered } from './support/reader-contract.ts'
import { snapshotOf, zoneOf } from './support/snapshot.ts'
import { useTempFolder } from './support/temp-folder.ts'

const SEED = Number(process.env['ZGQ_SEED'] ?? 1301)
const TYPES: readonly FieldType[] = ['number', 'boolean', 'string', 'string[]']
const temp = useTempFolder('field-columns')
const PLACE = { path: 'fields.zgq', segment: 7, name: 'f' }

type Values = (FieldValue | undefined)[]

const text = fc.oneof(
  fc.constantFrom('', 'a', 'b', '\u{1f600}', '\uff5e'),
  fc.string({ unit: 'grapheme', maxLength: 6 })
)
const valueOf: Readonly<Record<FieldType, fc.Arbitrary<FieldValue>>> = {
  number: fc.double({ noNaN: true }),
  boolean: fc.boolean(),
  string: text,
  'string[]': fc.array(text, { maxLength: 4 })
}

function valuesOf(type: FieldType): fc.Arbitrary<Values> {
  const any = fc.oneof(
    { weight: 4, arbitrary: valueOf[type] },
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constant(undefined) }
  )
  return fc.array(
    fc.boolean().chain((isWhole) => (isWhole ? valueOf[type] : any)),
    { maxLength: 100, size: 'max' }
  )
}

function encode(type: FieldType, values: Values): EncodedField {
  const fields = checkFields({ f: type })
  return Object.fromEntries(encodeFieldColumns(fields, [values], values.length).map(({ kind, bytes }) => [kind, bytes]))
}

function decode(type: FieldType, encoded: EncodedField, rowCount: number) {
  return decodeField(encoded, { ...PLACE, type, rowCount })
}

/** The bytes again, on an odd address. */
function misaligned(encoded: EncodedField): EncodedField {
  return Object.fromEntries(
    Object.entries(encoded).map(([kind, bytes]) => {
      const moved = new Uint8Array(bytes.byteLength + 1)
      moved.set(bytes, 1)
      return [kind, moved.subarray(1)]
    })
  )
}

describe('columns of a field', () => {
  it.each(TYPES)(`of type %s give back the values that they were made from (seed ${SEED})`, (type) => {
    fc.assert(
      fc.property(valuesOf(type), (values) => {
        const column = decode(type, misaligned(encode(type, values)), values.length)
        expect(values.map((_, row) => valueAt(column, row))).toEqual(values)
      }),
      { seed: SEED, numRuns: 300 }
    )
  })

  it.each(TYPES)(`of type %s are a copy (seed ${SEED})`, (type) => {
    const values: Values = fc.sample(valueOf[type], { seed: SEED, numRuns: 40 })
    const encoded = encode(type, values)
    // A Buffer's slice is a view, where that of other arrays is a copy.
    const buffers = Object.fromEntries(Object.entries(encoded).map(([kind, bytes]) => [kind, Buffer.from(bytes)]))
    const column = decode(type, buffers, values.length)
    for (const bytes of Object.values(buffers)) bytes.fill(0xff)
    expect(values.map((_, row) => valueAt(column, row))).toEqual(values)
  })

  it('stand in the order of an extent: by kind, then by field', () => {
    const fields = checkFields({ a: 'string', b: 'string[]', c: 'number', d: 'boolean', e: 'number' })
    const columns = encodeFieldColumns(
      fields,
      [
        ['x', null],
        [['x'], []],
        [1, 2],
        [true, undefined],
        [3, 4]
      ],
      2
    )
    expect(columns.map(({ kind, field }) => [COLUMN_KINDS[kind].code, field])).toEqual([
      [32, 3],
      [32, 5],
      [33, 4],
      [34, 1],
      [34, 4],
      [35, 1],
      [36, 2],
      [37, 1],
      [37, 2]
    ])
  })

  it('are the bytes of the spec', () => {
    const words = (bytes: Uint8Array | undefined): number[] => [...new Uint32Array(new Uint8Array(bytes!).buffer)]
    const strings = encode('string', ['b', undefined, 'a', null, 'b'])
    expect(words(strings.fieldStrings)).toEqual([1, 0, 0, 0, 1])
    expect(words(strings.fieldPresence)).toEqual([0b11101, 0b01000])
    expect([...strings.fieldDictionary!]).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x61, 0x62])
    const lists = encode('string[]', [['b', 'a', 'b'], [], ['b']])
    expect(words(lists.fieldLists)).toEqual([0, 3, 3, 4, 1, 0, 1, 1])
    expect(lists.fieldPresence).toBeUndefined()
    expect(words(encode('boolean', [false, true, null]).fieldBits)).toEqual([0b010])
  })
})

/** Overwrites u32 number i of a column. */
function withWord(encoded: EncodedField, kind: keyof EncodedField, change: [i: number, word: number]): EncodedField {
  const bytes = new Uint8Array(encoded[kind]!)
  new DataView(bytes.buffer).setUint32(change[0] * 4, change[1], true)
  return { ...encoded, [kind]: bytes }
}

function withBytes(encoded: EncodedField, kind: keyof EncodedField, bytes: Iterable<number> | undefined): EncodedField {
  return { ...encoded, [kind]: bytes === undefined ? undefined : Uint8Array.from(bytes) }
}

const table = (strings: readonly Uint8Array[]): number[] => {
  const starts = [0]
  for (const bytes of strings) starts.push(starts[starts.length - 1] + bytes.byteLength)
  return [...new Uint8Array(Uint32Array.of(strings.length, ...starts).buffer), ...Buffer.concat(strings)]
}
const utf8 = (...strings: string[]): Uint8Array[] => strings.map((string) => Buffer.from(string))

const NUMBERS = encode('number', [1, undefined, null])
const BITS = encode('boolean', [true, undefined, null])
const STRINGS = encode('string', ['a', undefined, null, 'b'])
const LISTS = encode('string[]', [['a', 'b'], undefined, null, []])
const WHOLE = encode('number', [1, 2])
const EMPTY = encode('string', [undefined])

describe('forged columns of a field', () => {
  it.each<[string, FieldType, number, EncodedField, RegExp]>([
    [
      'numbers that end early',
      'number',
      3,
      withBytes(NUMBERS, 'fieldNumbers', new Uint8Array(16)),
      /16 bytes, expected 24/
    ],
    ['no numbers', 'number', 3, withBytes(NUMBERS, 'fieldNumbers', undefined), /fieldNumbers .*is missing/],
    ['strings in a field of numbers', 'number', 3, { ...NUMBERS, ...STRINGS }, /fieldStrings .*of type number/],
    ['NaN', 'number', 3, withWord(NUMBERS, 'fieldNumbers', [1, 0x7ff8_0000]), /NaN in row 0/],
    [
      'a number in a row without a value',
      'number',
      3,
      withWord(NUMBERS, 'fieldNumbers', [3, 0x3ff0_0000]),
      /1 in row 1/
    ],
    ['presence that ends early', 'number', 3, withBytes(NUMBERS, 'fieldPresence', [5, 0, 0, 0]), /4 bytes, expected 8/],
    ['presence for more rows', 'number', 3, withWord(NUMBERS, 'fieldPresence', [0, 0b1101]), /more than 3 rows/],
    [
      'null where the field is missing',
      'number',
      3,
      withWord(NUMBERS, 'fieldPresence', [1, 0b010]),
      /null and missing/
    ],
    [
      'presence that is not needed',
      'number',
      2,
      withBytes(WHOLE, 'fieldPresence', [3, 0, 0, 0, 0, 0, 0, 0]),
      /every row/
    ],
    ['bits for more rows', 'boolean', 3, withWord(BITS, 'fieldBits', [0, 0b1001]), /more than 3 rows/],
    ['true in a row without a value', 'boolean', 3, withWord(BITS, 'fieldBits', [0, 0b101]), /true in a row/],
    ['bits that go on', 'boolean', 3, withBytes(BITS, 'fieldBits', new Uint8Array(8)), /8 bytes, expected 4/],
    ['a code past the dictionary', 'string', 4, withWord(STRINGS, 'fieldStrings', [3, 2]), /code 2, .*2 strings/],
    ['a code in a row without a value', 'string', 4, withWord(STRINGS, 'fieldStrings', [1, 1]), /code 1 in row 1/],
    [
      'a value where the dictionary is empty',
      'string',
      1,
      withBytes(EMPTY, 'fieldPresence', undefined),
      /code 0, .*0 strings/
    ],
    ['no dictionary', 'string', 4, withBytes(STRINGS, 'fieldDictionary', undefined), /fieldDictionary .*is missing/],
    ['a dictionary without a start', 'string', 4, withBytes(STRINGS, 'fieldDictionary', [0, 0, 0, 0]), /only 4 bytes/],
    [
      'a dictionary of 2^32 - 1 strings',
      'string',
      4,
      withWord(STRINGS, 'fieldDictionary', [0, 2 ** 32 - 1]),
      /4294967295/
    ],
    [
      'strings out of order',
      'string',
      4,
      withBytes(STRINGS, 'fieldDictionary', table(utf8('b', 'a'))),
      /string 1 out of/
    ],
    [
      'strings in the order of UTF-16',
      'string',
      4,
      withBytes(STRINGS, 'fieldDictionary', table(utf8('\u{1f600}', '\uff5e'))),
      /string 1 out of/
    ],
    ['a string twice', 'string', 4, withBytes(STRINGS, 'fieldDictionary', table(utf8('a', 'a'))), /string 1 out of/],
    [
      'strings that are not UTF-8',
      'string',
      4,
      withBytes(STRINGS, 'fieldDictionary', table([Uint8Array.of(0x61), Uint8Array.of(0xff)])),
      /not UTF-8/
    ],
    [
      'half a character a string',
      'string',
      4,
      withBytes(STRINGS, 'fieldDictionary', table([Uint8Array.of(0xc3), Uint8Array.of(0xa9)])),
      /string 1 inside/
    ],
    [
      'a a lone surrogate',
      'string',
      4,
      withBytes(STRINGS, 'fieldDictionary', table([Uint8Array.of(0x61), Uint8Array.of(0xed, 0xa0, 0x80)])),
      /not UTF-8/
    ],
    ['starts that begin late', 'string', 4, withWord(STRINGS, 'fieldDictionary', [1, 1]), /start 1, expected 0/],
    ['lists in a field of strings', 'string', 4, LISTS, /fieldStrings .*is missing/],
    ['a dictionary whose starts go back', 'string[]', 4, withWord(LISTS, 'fieldDictionary', [2, 3]), /start 2 after 3/],
    [
      'a dictionary that ends early',
      'string[]',
      4,
      withWord(LISTS, 'fieldDictionary', [3, 1]),
      /ends at 1, expected 2/
    ],
    ['lists that end early', 'string[]', 4, withBytes(LISTS, 'fieldLists', new Uint8Array(16)), /16 bytes/],
    ['lists of half a word', 'string[]', 4, withBytes(LISTS, 'fieldLists', new Uint8Array(29)), /29 bytes/],
    ['lists that begin late', 'string[]', 4, withWord(LISTS, 'fieldLists', [0, 1]), /start 1, expected 0/],
    ['lists that go back', 'string[]', 4, withWord(LISTS, 'fieldLists', [1, 3]), /start 2 after 3/],
    ['lists past the codes', 'string[]', 4, withWord(LISTS, 'fieldLists', [4, 3]), /ends at 3, expected 2/],
    ['a listed code past the dictionary', 'string[]', 4, withWord(LISTS, 'fieldLists', [6, 9]), /code 9, .*2 strings/],
    ['a list in a row without a value', 'string[]', 4, withWord(LISTS, 'fieldLists', [1, 1]), /list in row 1/]
  ])('%s: damage', (_, type, rowCount, encoded, message) => {
    const error = errorOf(() => decode(type, encoded, rowCount))
    expect(error.code).toBe('ZGQ_CORRUPT')
    expect(error.message).toMatch(message)
    expect(error.message).toMatch(/of field f, segment 7, /)
  })

  it.each(TYPES)(`of type %s are read in order, or are damage, whatever byte is changed (seed ${SEED})`, (type) => {
    fc.assert(
      fc.property(valuesOf(type), fc.nat(), fc.integer({ min: 1, max: 255 }), (values, at, change) => {
        const encoded = encode(type, values)
        const all = Object.values(encoded).filter((bytes) => bytes.byteLength > 0)
        if (all.length === 0) return
        const bytes = all[at % all.length]
        bytes[at % bytes.byteLength] ^= change
        let column
        try {
          column = decode(type, encoded, values.length)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ZGQ_CORRUPT' })
          return
        }
        // What passes is a column like any other.
        const read = values.map((_, row) => valueAt(column, row))
        expect(read.map((value) => faultOfValue(type, value)).filter(Boolean)).toEqual([])
      }),
      { seed: SEED, numRuns: 1000 }
    )
  })
})

describe('the length that a column claims', () => {
  const ROWS = 33
  const META = snapshotOf({ dim: 1, metric: 'l2', zones: [] }).meta

  /** Reads a field of an extent that has one column of nothing but zeros; tells how much was read, too. */
  function readClaimed(kind: FieldColumnKind, byteLength: number): { error: ZgqError; bytesRead: number } {
    const table = encodeTable({ segment: 0, rowCount: ROWS }, [{ kind, field: 1, byteLength, crc: 0 }])
    const path = temp.fresh('fields.zgq')
    writeFileSync(path, table.bytes)
    truncateSync(path, table.byteLength) // takes no place on the disk
    const dataFiles = numbered({ path, byteLength: table.byteLength })
    const readers = openReaders(temp.path, dataFiles, 'pread')
    const files = new SegmentFiles(META, readers, { verify: 'touch', files: dataFiles, usesOrdinals: false })
    const documents = new DocumentFiles({ meta: META }, { files, readers }, { verify: 'touch', cacheBytes: 0 })
    const fields = { file: 0, offset: 0, byteLength: table.byteLength, crc: table.headerCrc }
    const segment = zoneOf({ centroid: new Float32Array(1), rowCount: ROWS, fields })
    const error = errorOf(() => documents.fieldOf(segment, checkFields({ f: 'number' })[0]))
    readers.close()
    return { error, bytesRead: files.counters.bytesRead }
  }

  it.each([
    ['fieldNumbers', ROWS * 8],
    ['fieldBits', 8],
    ['fieldPresence', 16],
    ['fieldStrings', ROWS * 4]
  ] as const)('is checked before it is read: %s', (kind, right) => {
    for (const byteLength of [right - 4, right + 4, 2 ** 24]) {
      const { error, bytesRead } = readClaimed(kind, byteLength)
      expect(error).toMatchObject({ code: 'ZGQ_CORRUPT', offset: 64 })
      expect(error.message).toMatch(`has ${byteLength} bytes, expected ${right}`)
      expect(bytesRead).toBeLessThanOrEqual(2 ** 20)
    }
  })

  it.each(['fieldLists', 'fieldDictionary'] as const)('is not read where it is too long: %s', (kind) => {
    for (const byteLength of [2 ** 30 + 1, 2 ** 40]) {
      const { error, bytesRead } = readClaimed(kind, byteLength)
      expect(error).toMatchObject({ code: 'ZGQ_UNSUPPORTED', offset: 64 })
      expect(bytesRead).toBeLessThanOrEqual(2 ** 20)
    }
  })
})

describe('bitmaps and numbers', () => {
  it(`count and find bits (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 20 }), (words) => {
        const bits = Array.from({ length: words.length * 32 }, (_, row) => Number(hasBit(words, row)))
        const text = Array.from(words, (word) => word.toString(2).padStart(32, '0').split('').reverse().join('')).join(
          ''
        )
        expect(bits.join('')).toBe(text)
        expect(countBits(words)).toBe(text.replaceAll('0', '').length)
      }),
      { seed: SEED }
    )
    expect([1, 31, 32, 33, 64].map(lastWordMask)).toEqual([1, 0x7fff_ffff, 0xffff_ffff, 1, 0xffff_ffff])
  })

  it('have neighbours', () => {
    expect([0, -0, 1, -5e-324, Number.MAX_VALUE, -Infinity].map(nextAbove)).toEqual([
      5e-324,
      5e-324,
      1 + Number.EPSILON,
      -0,
      Infinity,
      -Number.MAX_VALUE
    ])
    expect([0, 1, Infinity].map(nextBelow)).toEqual([-5e-324, 1 - Number.EPSILON / 2, Number.MAX_VALUE])
    expect([nextAbove(Infinity), nextBelow(-Infinity)]).toEqual([NaN, NaN])
  })
})

describe('tables of strings', () => {
  it(`find where a string stands, from any place on (seed ${SEED})`, () => {
    const strings = fc.uniqueArray(text, { maxLength: 40, size: 'max' })
    fc.assert(
      fc.property(strings, strings, fc.nat(), (some, others, place) => {
        const { table, places } = makeStringTable(new Set(some))
        const sorted = [...some].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
        expect(Array.from({ length: table.count }, (_, i) => table.at(i))).toEqual(sorted)
        expect(sorted.map((string) => places.get(string))).toEqual(sorted.map((_, i) => i))
        const decoded = decodeStringTable(encodeStringTable(table), (what) => new Error(what))
        const first = place % (table.count + 1)
        const other = makeStringTable(new Set(others)).table
        for (let i = 0; i < other.count; i++) {
          const bytes = Buffer.from(other.at(i))
          const bound = sorted.filter((string) => Buffer.compare(Buffer.from(string), bytes) < 0).length
          expect(decoded.lowerBound(bytes)).toBe(bound)
          expect(decoded.advance(bytes, first)).toBe(Math.max(first, bound))
          expect(decoded.advanceTo(other, i, first)).toBe(Math.max(first, bound))
        }
      }),
      { seed: SEED }
    )
  })
})
