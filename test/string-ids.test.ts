// Ids that are strings: what a caller may give, and the column of a segment.

import { describe, expect, it } from 'vitest'

import type { ColumnsLayout } from '../src/format/columns.ts'
import {
  checkStringId,
  compareStringIds,
  decodeStringIds,
  encodeStringId,
  encodeStringIds,
  findBadStringId,
  idBytesAt,
  idTextAt
} from '../src/format/string-ids.ts'
import { PIECE_BYTES } from '../src/storage/extents.ts'
import { eachTextIds } from '../src/storage/text-ids.ts'
import { errorOf } from './support/errors.ts'

const PLACE = { path: 'vectors-000001-00000.zgq', offset: 8192 }
const IDS = ['a.md#0', 'b', '\u00e9', 'e\u0301', '\u{1f600}', 'x'.repeat(1024), ' ', '\0', '__proto__', 'b']

describe('a string id', () => {
  it.each([...IDS, '\u00e9'.repeat(512), '\u{1f600}'.repeat(256)])('may be %j', (id) => {
    expect(checkStringId(id)).toBe(id)
    expect(findBadStringId(id)).toBeUndefined()
  })

  it.each([
    [7, TypeError],
    [undefined, TypeError],
    [null, TypeError],
    [{}, TypeError],
    ['\ud800', TypeError],
    ['a\udfffb', TypeError],
    ['\udc00\ud800', TypeError],
    ['', RangeError],
    ['x'.repeat(1025), RangeError],
    ['\u00e9'.repeat(513), RangeError]
  ])('may not be %j', (value, kind) => {
    expect(() => checkStringId(value)).toThrow(kind)
    expect(findBadStringId(value)).toMatch(/\w/)
  })

  it('is compared by its bytes, not by its UTF-16 units', () => {
    const [last, high] = ['\uffee', '\u{1f600}'].map(encodeStringId)
    expect(compareStringIds(last, high)).toBeLessThan(0)
    expect('\uffee' < '\u{1f600}').toBe(false)
    expect(compareStringIds(encodeStringId('a'), encodeStringId('a'))).toBe(0)
    expect(compareStringIds(encodeStringId('ab'), encodeStringId('a'))).toBeGreaterThan(0)
  })
})

describe('the column of string ids', () => {
  const encode = (ids: readonly string[]): Uint8Array => encodeStringIds(ids.map(encodeStringId))

  it('gives back every id', () => {
    const found = decodeStringIds(encode(IDS), IDS.length, PLACE)
    expect(IDS.map((_, row) => idTextAt(found, row))).toEqual(IDS)
    expect(IDS.map((_, row) => Buffer.from(idBytesAt(found, row)).toString())).toEqual(IDS)
  })

  it('is read where it does not begin at a multiple of 4', () => {
    const shifted = Buffer.concat([Buffer.alloc(3), encode(IDS)]).subarray(3)
    const found = decodeStringIds(shifted, IDS.length, PLACE)
    expect(IDS.map((_, row) => idTextAt(found, row))).toEqual(IDS)
  })

  it('has starts, one more than rows, then the bytes', () => {
    expect([...encode(['ab', 'c'])]).toEqual([0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 97, 98, 99])
  })

  const words = (...starts: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(starts).buffer)
  const column = (starts: readonly number[], bytes: readonly number[]): Uint8Array =>
    Buffer.concat([words(...starts), Uint8Array.from(bytes)])

  it.each([
    ['too few bytes for its starts', column([0, 1], []), 2, 0],
    ['a first start that is not 0', column([1, 2, 3], [97, 98, 99]), 2, 0],
    ['an empty id', column([0, 1, 1, 2], [97, 98]), 3, 4],
    ['starts that fall', column([0, 2, 1, 3], [97, 98, 99]), 3, 4],
    ['an id above 1,024 bytes', column([0, 1025], Array<number>(1025).fill(97)), 1, 0],
    ['a start far beyond the bytes', column([0, 0xffff_ffff, 2], [97, 98]), 2, 0],
    ['bytes behind the last id', column([0, 1, 2], [97, 98, 99]), 2, 8],
    ['too few bytes', column([0, 1, 2], [97]), 2, 8],
    ['bytes that are not UTF-8', column([0, 1, 2], [97, 0xff]), 2, 12],
    ['a lone surrogate', column([0, 3], [0xed, 0xa0, 0x80]), 1, 8],
    ['a character that two ids share', column([0, 1, 2], [0xc3, 0xa9]), 2, 4],
    ['half a character at the end', column([0, 1], [0xc3]), 1, 8]
  ])('is corrupt with %s', (_, bytes, rowCount, at) => {
    const error = errorOf(() => decodeStringIds(bytes, rowCount, PLACE))
    expect([error.code, error.path, error.offset]).toEqual(['ZGQ_CORRUPT', PLACE.path, PLACE.offset + at])
  })
})

describe('string ids that are read piece by piece', () => {
  const ROWS = 3000 // three pieces
  const texts = Array.from({ length: ROWS }, (_, row) => `${'\u00e9'.repeat(row % 400)}${row === 7 ? 'x' : ''}${row}`)
  const column = encodeStringIds(texts.map(encodeStringId))
  const START = 192

  /** Reads a column that stands in an extent, as extents are read: so many bytes at a time at most. */
  function readAll(bytes: Uint8Array, rowCount = ROWS): string[] {
    const found: string[] = []
    const extent = Buffer.concat([Buffer.alloc(START), bytes])
    const read = (offset: number, byteLength: number): Uint8Array => {
      expect([byteLength <= PIECE_BYTES, offset + byteLength <= extent.length]).toEqual([true, true])
      return Uint8Array.from(extent.subarray(offset, offset + byteLength))
    }
    const nowhere = { offset: 0, byteLength: 0, crc: 0 }
    const layout: ColumnsLayout = {
      ids: undefined,
      stringIds: { offset: START, byteLength: bytes.byteLength, crc: 0 },
      inverseNorms: undefined,
      pageCrcs: nowhere,
      planes: undefined,
      refinedCodes: undefined
    }
    const segment = { segment: 0, rowCount, headerCrc: 0, dim: 1, hasInverseNorms: false, bits: 0 }
    const expected = { ...PLACE, ...segment, idType: 'string' } as const
    eachTextIds({ expected, layout, read }, (ids, firstRow) => {
      expect(firstRow).toBe(found.length)
      found.push(...ids.map((id) => Buffer.from(id).toString()))
    })
    return found
  }

  it('are all there', () => {
    expect(readAll(column)).toEqual(texts)
    expect(readAll(encodeStringIds(texts.slice(0, 1).map(encodeStringId)), 1)).toEqual(texts.slice(0, 1))
    const long = Array.from({ length: 1025 }, () => 'x'.repeat(1024))
    expect(readAll(encodeStringIds(long.map(encodeStringId)), 1025)).toEqual(long)
  })

  /** The column with another start of a row. */
  const withStart = (row: number, change: (start: number) => number): Uint8Array => {
    const words = new Uint32Array(Uint8Array.from(column.subarray(0, (ROWS + 1) * 4)).buffer)
    words[row] = change(words[row])
    return Buffer.concat([new Uint8Array(words.buffer), column.subarray((ROWS + 1) * 4)])
  }

  it.each([
    ['a first start that is not 0', withStart(0, () => 1)],
    ['an end behind the bytes', withStart(ROWS, (end) => end + 1)],
    ['an end before the bytes', withStart(ROWS, (end) => end - 1)],
    ['a piece that begins below the one before', withStart(1023, (start) => start - 2000)],
    ['a piece far beyond the bytes', withStart(1023, () => 0xffff_ffff)],
    ['starts that fall in a piece', withStart(1500, (start) => start - 2000)],
    ['bytes that are too few', column.subarray(0, column.length - 1)],
    ['bytes that are too many', Buffer.concat([column, Buffer.from('x')])],
    ['a byte that is not UTF-8', Buffer.concat([column.subarray(0, -1), Uint8Array.of(0xff)])]
  ])('are corrupt with %s', (_, bytes) => {
    expect(errorOf(() => readAll(bytes)).code).toBe('ZGQ_CORRUPT')
  })
})
