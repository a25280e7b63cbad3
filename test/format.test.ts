// The codecs of data files: header, columns, directory, footer. What is written is read back, and what a reader must
// reject is rejected.

import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'

import { BLOCK_FACTOR_BYTES, findBadFactors, isFilledUp, planesByteLength } from '../src/format/codes.ts'
import {
  COLUMN_ENTRY,
  COLUMNS_HEADER,
  decodeColumns,
  decodeIds,
  encodeColumns,
  encodeIds,
  type Column,
  type ColumnsLayout,
  MOST_COLUMNS
} from '../src/format/columns.ts'
import {
  decodeFooter,
  DIRECTORY_ENTRY,
  directoryBytes,
  directoryRecordBytes,
  decodeSuperseded,
  encodeDirectory,
  encodeFooter,
  FOOTER
} from '../src/format/directory.ts'
import { decodeHeader, encodeHeader, HEADER, MAGICS } from '../src/format/header.ts'
import { COLUMN_KINDS } from '../src/format/kinds.ts'
import { FORMAT_VERSION } from '../src/format/layout.ts'
import type { Metric } from '../src/types.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { DIRECTORY_RECORDS, flipped, forged, HEADER_FACTS, INDEX_ID, u64Fields } from './support/format-samples.ts'

const PATH = 'sample.zgq'
const ABOVE_SAFE = 2n ** 53n

describe('a header page', () => {
  const page = encodeHeader(HEADER_FACTS)
  const { fields } = HEADER
  const decodeForged = (name: keyof typeof fields, value: bigint): unknown =>
    decodeHeader(forged(page, fields[name], value, fields.crc.offset), 'vectors', PATH)

  it.each([
    ['l2', 1],
    ['cosine', 2],
    ['ip', 3]
  ] satisfies [Metric, number][])('is read back as it was written (%s)', (metric, code) => {
    const { kind: _kind, ...facts } = HEADER_FACTS
    expect(decodeHeader(encodeHeader({ ...HEADER_FACTS, metric }), 'vectors', PATH)).toMatchObject({
      ...facts,
      metric: code
    })
  })

  it.each(['vectors', 'codes'] as const)('says that its file holds %s, and is corrupt elsewhere', (kind) => {
    const ofKind = encodeHeader({ ...HEADER_FACTS, kind })
    expect(decodeHeader(ofKind, kind, PATH).magic).toEqual(MAGICS[kind])
    expect(codeOf(() => decodeHeader(ofKind, kind === 'codes' ? 'vectors' : 'codes', PATH))).toBe('ZGQ_CORRUPT')
  })

  it('is read back from the middle of a larger buffer', () => {
    const buffer = new Uint8Array(page.byteLength + 13)
    buffer.set(page, 13)
    expect(decodeHeader(buffer.subarray(13), 'vectors', PATH)).toEqual(decodeHeader(page, 'vectors', PATH))
  })

  it('is zero where no field is', () => {
    const named = Object.values(fields).map(({ offset, type }) => ({
      offset,
      end: offset + (type.startsWith('bytes') ? Number(type.slice(5)) : type === 'u32' ? 4 : 8)
    }))
    const rest = page.filter((_, i) => !named.some(({ offset, end }) => i >= offset && i < end))
    expect(rest.every((byte) => byte === 0)).toBe(true)
  })

  it('is corrupt after any single bit has flipped', () => {
    for (let byte = 0; byte < page.byteLength; byte++) {
      for (let bit = 0; bit < 8; bit++)
        expect(codeOf(() => decodeHeader(flipped(page, byte, bit), 'vectors', PATH))).toBe('ZGQ_CORRUPT')
    }
  })

  it('is corrupt with another magic, though its CRC fits', () => {
    expect(
      codeOf(() => decodeHeader(forged(page, { offset: 0, type: 'u64' }, 0n, fields.crc.offset), 'vectors', PATH))
    ).toBe('ZGQ_CORRUPT')
  })

  it('names the file and the place in its error', () => {
    expect(errorOf(() => decodeHeader(flipped(page, 70, 0), 'vectors', PATH))).toMatchObject({
      path: PATH,
      offset: fields.crc.offset
    })
  })

  it.each([
    ['version', 0n],
    ['version', BigInt(FORMAT_VERSION) + 1n],
    ['version', 0xffff_ffffn],
    ['readerFeatures', 1n],
    ['elementType', 2n],
    ['alignment', 16384n],
    ['headerByteLength', 8192n]
  ] as const)('is unsupported where %s is %d and the CRC fits', (name, value) => {
    expect(codeOf(() => decodeForged(name, value))).toBe('ZGQ_UNSUPPORTED')
  })

  it('is accepted with writer features that it does not know', () => {
    expect(() => decodeForged('writerFeatures', 1n)).not.toThrow()
  })

  it.each(u64Fields(fields).filter((name) => !name.endsWith('Features')))(
    'is corrupt where %s is above 2^53 - 1 and the CRC fits',
    (name) => {
      expect(
        codeOf(() =>
          decodeHeader(
            forged(page, fields[name as keyof typeof fields], ABOVE_SAFE, fields.crc.offset),
            'vectors',
            PATH
          )
        )
      ).toBe('ZGQ_CORRUPT')
    }
  )

  it('is read back with sizes of 2^53 - 1', () => {
    expect(decodeForged('rowCount', ABOVE_SAFE - 1n)).toMatchObject({ rowCount: Number.MAX_SAFE_INTEGER })
  })
})

describe('a columns extent', () => {
  const expected = {
    path: PATH,
    offset: 8192,
    segment: 7,
    rowCount: 1000,
    dim: 3,
    hasInverseNorms: true,
    bits: 0,
    idType: 'integer'
  } as const
  const sample = (kind: Column['kind'], byteLength: number): Column => ({
    kind,
    bytes: Uint8Array.from({ length: byteLength }, (_, i) => (i * 7 + COLUMN_KINDS[kind].code) & 255)
  })
  const columns = [sample('ids', 8000), sample('inverseNorms', 4000), sample('pageCrcs', 12)]
  const entryField = (
    column: number,
    name: keyof typeof COLUMN_ENTRY.fields
  ): { offset: number; type: 'u32' | 'u64' } => {
    const { offset, type } = COLUMN_ENTRY.fields[name]
    return { offset: COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * column + offset, type }
  }
  const decode = (bytes: Uint8Array, headerCrc: number, hasInverseNorms = true): ColumnsLayout =>
    decodeColumns(bytes, { ...expected, hasInverseNorms, headerCrc })
  const decodeWith = (list: readonly Column[], hasInverseNorms = true): ColumnsLayout => {
    const { bytes, headerCrc } = encodeColumns(7, 1000, list)
    return decode(bytes, headerCrc, hasInverseNorms)
  }
  /** Decodes with a forged field of header or entries, whose CRC fits again. */
  const decodeForged = (
    field: { offset: number; type: 'u32' | 'u64' },
    value: bigint,
    list = columns
  ): ColumnsLayout => {
    const bytes = forged(encodeColumns(7, 1000, list).bytes, field, value)
    return decode(bytes, crc32(bytes.subarray(0, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * list.length)))
  }

  it('is read back column by column', () => {
    const { bytes, headerCrc } = encodeColumns(7, 1000, columns)
    const { ids, inverseNorms, pageCrcs } = decode(bytes, headerCrc)
    const found = [ids!, inverseNorms!, pageCrcs].map(({ offset, byteLength }) =>
      bytes.slice(offset, offset + byteLength)
    )
    expect(found).toEqual(columns.map((column) => column.bytes))
  })

  it('has each column on a multiple of 64 bytes', () => {
    const { ids, inverseNorms, pageCrcs } = decodeWith(columns)
    expect([ids!, inverseNorms!, pageCrcs].map(({ offset }) => offset % 64)).toEqual([0, 0, 0])
  })

  it('is read without inverse norms where the metric has none', () => {
    expect(decodeWith([columns[0], columns[2]], false).inverseNorms).toBeUndefined()
  })

  it('is corrupt after any single bit of header and entries has flipped', () => {
    const { bytes, headerCrc } = encodeColumns(7, 1000, columns)
    for (let byte = 0; byte < COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * 3; byte++) {
      for (let bit = 0; bit < 8; bit++)
        expect(codeOf(() => decode(flipped(bytes, byte, bit), headerCrc))).toBe('ZGQ_CORRUPT')
    }
  })

  it('has the CRC of each column in its entry', () => {
    const { bytes, headerCrc } = encodeColumns(7, 1000, columns)
    const { ids, inverseNorms, pageCrcs } = decode(bytes, headerCrc)
    expect([ids!, inverseNorms!, pageCrcs].map(({ crc }) => crc)).toEqual(columns.map((column) => crc32(column.bytes)))
  })

  it('is read from its start alone, held against its whole length', () => {
    const { bytes, headerCrc } = encodeColumns(7, 1000, columns)
    const facts = { ...expected, headerCrc }
    const start = bytes.subarray(0, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * 3)
    expect(decodeColumns(start, facts, bytes.byteLength)).toEqual(decodeColumns(bytes, facts))
    expect(codeOf(() => decodeColumns(start, facts, bytes.byteLength - 1))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt at any length that cuts its header or entries', () => {
    const { bytes, headerCrc } = encodeColumns(7, 1000, columns)
    for (let length = 0; length < COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * 3; length++) {
      expect(codeOf(() => decode(bytes.subarray(0, length), headerCrc))).toBe('ZGQ_CORRUPT')
    }
  })

  it.each([
    ['magic', 'u32'],
    ['columnCount', 'u32'],
    ['segment', 'u64'],
    ['rowCount', 'u64']
  ] as const)('is corrupt where %s is not what it must be, though the CRC fits', (name, type) => {
    expect(codeOf(() => decodeForged({ offset: COLUMNS_HEADER.fields[name].offset, type }, 2n))).toBe('ZGQ_CORRUPT')
  })

  it.each(['segment', 'rowCount'] as const)('is corrupt where %s is above 2^53 - 1', (name) => {
    expect(codeOf(() => decodeForged(COLUMNS_HEADER.fields[name], ABOVE_SAFE))).toBe('ZGQ_CORRUPT')
  })

  it.each(['offset', 'byteLength'] as const)('is corrupt where the %s of a column is above 2^53 - 1', (name) => {
    expect(codeOf(() => decodeForged(entryField(1, name), ABOVE_SAFE))).toBe('ZGQ_CORRUPT')
  })

  it.each([0, 1, 2])('is corrupt without its required column at place %d', (missing) => {
    expect(codeOf(() => decodeWith(columns.filter((_, i) => i !== missing)))).toBe('ZGQ_CORRUPT')
  })

  it.each([
    [0, 7992],
    [0, 8008],
    [1, 8000],
    [2, 8],
    [2, 16]
  ])('is corrupt where the column at place %d has %d bytes', (place, byteLength) => {
    const changed = columns.map((column, i) => (i === place ? sample(column.kind, byteLength) : column))
    expect(codeOf(() => decodeWith(changed))).toBe('ZGQ_CORRUPT')
  })

  it.each([
    ['starts far past the end', 2n ** 40n],
    ['ends one byte past the end', 12_161n],
    ['starts in the header', 119n]
  ])('is corrupt where a column %s', (_, offset) => {
    expect(encodeColumns(7, 1000, columns).bytes.byteLength).toBe(12_172)
    expect(codeOf(() => decodeForged(entryField(2, 'offset'), offset))).toBe('ZGQ_CORRUPT')
  })

  it.each([1, 4, 8, 32])('is corrupt where a column starts %d bytes beside a multiple of 64', (bytes) => {
    expect(codeOf(() => decodeForged(entryField(0, 'offset'), BigInt(128 + bytes)))).toBe('ZGQ_CORRUPT')
  })

  /** Kinds in ascending order; the last column gets another kind, whose entry has the flags given. */
  const withKind = (kind: number, flags: bigint): ColumnsLayout => {
    const list = [...columns, sample('planes', 10)]
    const bytes = forged(encodeColumns(7, 1000, list).bytes, entryField(3, 'kind'), BigInt(kind))
    const all = forged(bytes, entryField(3, 'flags'), flags)
    return decode(all, crc32(all.subarray(0, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * list.length)))
  }

  it.each([16, 17, 18, 19, 32, 37, 48, 49, 50, 0xffff_ffff])(
    'is unsupported with a required column of kind %d',
    (kind) => {
      expect(codeOf(() => withKind(kind, 1n))).toBe('ZGQ_UNSUPPORTED')
      expect(codeOf(() => withKind(kind, 0xffff_ffffn))).toBe('ZGQ_UNSUPPORTED')
    }
  )

  it.each([16, 18, 19, 32, 49, 50, 0xffff_ffff])(
    'is read with an optional column of kind %d, which is skipped',
    (kind) => {
      const { ids, inverseNorms, pageCrcs } = withKind(kind, 0xffff_fffen)
      expect([ids!, inverseNorms!, pageCrcs].map(({ crc }) => crc)).toEqual(columns.map(({ bytes }) => crc32(bytes)))
    }
  )

  it.each([1, 2, 3])('is corrupt where kind %d comes twice or out of order', (kind) => {
    expect(codeOf(() => withKind(kind, 0n))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt with more than 64 columns, though all of them are there', () => {
    const many = (count: number): ColumnsLayout => {
      const { bytes } = encodeColumns(7, 1000, [
        ...columns,
        ...Array.from({ length: count - 3 }, () => sample('payloads', 1))
      ])
      const view = new DataView(bytes.buffer)
      for (let i = 3; i < count; i++) {
        view.setUint32(entryField(i, 'kind').offset, 100 + i, true)
        view.setUint32(entryField(i, 'flags').offset, 0, true)
      }
      return decode(bytes, crc32(bytes.subarray(0, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * count)))
    }
    expect(() => many(MOST_COLUMNS)).not.toThrow()
    expect(codeOf(() => many(MOST_COLUMNS + 1))).toBe('ZGQ_CORRUPT')
  })

  it('is refused where a column that belongs to no field names one', () => {
    expect(codeOf(() => decodeForged(entryField(0, 'field'), 7n))).toBe('ZGQ_CORRUPT')
  })
})

describe('a columns extent of a codes file', () => {
  const expected = {
    path: PATH,
    offset: 8192,
    segment: 7,
    rowCount: 100,
    dim: 20,
    hasInverseNorms: false,
    idType: 'integer'
  } as const
  const column = (kind: Column['kind'], byteLength: number): Column => ({ kind, bytes: new Uint8Array(byteLength) })
  // Rows of 32 dimensions: blocks of 32 * 4 + 272 bytes, refined rows of 12 + 32 * bits / 8.
  const columnsWith = (bits: number): Column[] => [
    column('ids', 800),
    column('pageCrcs', 8),
    column('planes', 4 * 400),
    ...(bits > 1 ? [column('refinedCodes', 100 * (12 + 4 * bits))] : [])
  ]
  const decode = (columns: readonly Column[], bits: number): ColumnsLayout => {
    const { bytes, headerCrc } = encodeColumns(7, 100, columns)
    return decodeColumns(bytes, { ...expected, bits, headerCrc })
  }

  it.each([1, 2, 4, 8])('is read back column by column (%d bits)', (bits) => {
    const { ids, inverseNorms, pageCrcs, planes, refinedCodes } = decode(columnsWith(bits), bits)
    expect(inverseNorms).toBeUndefined()
    expect(
      [ids!, pageCrcs, planes!, ...(refinedCodes === undefined ? [] : [refinedCodes])].map(
        ({ byteLength }) => byteLength
      )
    ).toEqual(columnsWith(bits).map(({ bytes }) => bytes.byteLength))
  })

  it.each([0, 1, 2, 3])('is corrupt without its required column at place %d', (missing) => {
    expect(
      codeOf(() =>
        decode(
          columnsWith(2).filter((_, i) => i !== missing),
          2
        )
      )
    ).toBe('ZGQ_CORRUPT')
  })

  it.each([
    [2, 4 * 400 - 400],
    [2, 4 * 400 + 1],
    [3, 100 * 20 - 1],
    [3, 100 * 28]
  ])('is corrupt where the column at place %d has %d bytes', (place, byteLength) => {
    expect(
      codeOf(() =>
        decode(
          columnsWith(2).map((old, i) => (i === place ? column(old.kind, byteLength) : old)),
          2
        )
      )
    ).toBe('ZGQ_CORRUPT')
  })

  it.each(['inverseNorms', 'stringIds', 'blockCentroids', 'rowReferences', 'payloads'] as const)(
    'is unsupported with a required column of kind %s',
    (kind) => {
      const columns = [...columnsWith(2), column(kind, 8)]
      columns.sort((a, b) => COLUMN_KINDS[a.kind].code - COLUMN_KINDS[b.kind].code)
      expect(codeOf(() => decode(columns, 2))).toBe('ZGQ_UNSUPPORTED')
    }
  )
})

describe('rows that fill up a block of planes', () => {
  const DIM = 20
  const PLANE_BYTES = 128
  /** Blocks whose rows have all bits set; 32 dimensions. */
  const blocks = (rowCount: number): Uint8Array => {
    const bytes = new Uint8Array(planesByteLength(rowCount, DIM)).fill(0xff)
    const block = bytes.subarray(bytes.byteLength - PLANE_BYTES - BLOCK_FACTOR_BYTES)
    const factors = new DataView(block.buffer, block.byteOffset + PLANE_BYTES)
    for (let row = rowCount % 32 || 32; row < 32; row++) {
      for (let group = 0; group < PLANE_BYTES / 16; group++) block[group * 16 + (row & 15)] &= row < 16 ? 0xf0 : 0x0f
      factors.setFloat32(row * 4, Infinity, true)
      factors.setFloat32(128 + row * 4, 0, true)
    }
    return bytes
  }

  it.each([1, 15, 16, 17, 31, 32, 33, 64])(
    'pass where the rest of %d rows has an infinite add and zeros',
    (rowCount) => {
      expect(isFilledUp(blocks(rowCount), rowCount, DIM)).toBe(true)
    }
  )

  it.each([2, 15, 16, 17, 31])('do not pass where one of them is a row: block of %d rows for one less', (rowCount) => {
    expect(isFilledUp(blocks(rowCount), rowCount - 1, DIM)).toBe(false)
  })
})

describe('factors of planes', () => {
  const DIM = 20
  const [MULTIPLY_AT, SPREAD_AT] = [128, 256]
  const withFactor = (offset: number, value: number): Uint8Array => {
    const bytes = new Uint8Array(planesByteLength(64, DIM))
    new DataView(bytes.buffer).setFloat32(bytes.byteLength - BLOCK_FACTOR_BYTES + offset, value, true)
    return bytes
  }

  it.each([
    [124, Infinity],
    [124, -1],
    [MULTIPLY_AT, -1],
    [SPREAD_AT, 0.5]
  ])('may be what they are at byte %d: %d', (offset, value) => {
    expect(findBadFactors(withFactor(offset, value), DIM)).toBeUndefined()
  })

  it.each([
    [0, NaN],
    [124, -Infinity],
    [MULTIPLY_AT, NaN],
    [MULTIPLY_AT + 124, Infinity],
    [SPREAD_AT, -1],
    [SPREAD_AT, NaN],
    [SPREAD_AT, Infinity]
  ])('are found where no code has such: at byte %d %d', (offset, value) => {
    expect(findBadFactors(withFactor(offset, value), DIM)).toBeDefined()
  })
})

describe('a column of ids', () => {
  it('is read back as it was written, from 0 to 2^53 - 1', () => {
    const ids = Float64Array.of(0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER)
    expect(decodeIds(new Uint32Array(encodeIds(ids).buffer))).toEqual(ids)
  })

  it('holds little-endian u64', () => {
    expect(Buffer.from(encodeIds(Float64Array.of(7, 2 ** 33 + 1))).toString('hex')).toBe(
      '07000000000000000100000002000000'
    )
  })
})

describe('a directory', () => {
  it.each([1, 2, 3, 4, 100])('has records and centroids of %d values, and zeros up to 8 bytes', (dim) => {
    const records = DIRECTORY_RECORDS.map((record) => ({
      ...record,
      centroid: Float32Array.from({ length: dim }, (_, i) => (i + 1) / 3)
    }))
    const bytes = encodeDirectory(records, dim)
    expect(bytes.byteLength).toBe(directoryBytes(dim, { segmentCount: 2, supersededCount: 0 }))
    records.forEach((record, i) => {
      const at = i * directoryRecordBytes(dim)
      const centroid = new Float32Array(bytes.slice(at + 80, at + 80 + dim * 4).buffer)
      expect({ ...DIRECTORY_ENTRY.decode(bytes, at, PATH), centroid }).toEqual({ ...record, flags: 0, reserved: 0 })
      expect(bytes.slice(at + 80 + dim * 4, at + directoryRecordBytes(dim)).every((byte) => byte === 0)).toBe(true)
    })
  })

  it('has records of whole multiples of 8 bytes, and numbers of superseded segments behind them', () => {
    expect([1, 2, 3, 65_536].map(directoryRecordBytes)).toEqual([88, 88, 96, 80 + 4 * 65_536])
    expect(directoryBytes(3, { segmentCount: 2, supersededCount: 5 })).toBe(2 * 96 + 40)
  })

  it('ends with the numbers of superseded segments', () => {
    const superseded = [0, 7, 2 ** 33 + 1, Number.MAX_SAFE_INTEGER]
    const bytes = encodeDirectory(DIRECTORY_RECORDS, 3, superseded)
    expect(bytes.byteLength).toBe(directoryBytes(3, { segmentCount: 2, supersededCount: 4 }))
    expect(bytes.subarray(0, 2 * 96)).toEqual(encodeDirectory(DIRECTORY_RECORDS, 3))
    expect([...decodeSuperseded(bytes.subarray(2 * 96))]).toEqual(superseded)
    expect(Buffer.from(bytes.subarray(-16, -8)).toString('hex')).toBe('0100000002000000')
  })

  it.each(u64Fields(DIRECTORY_ENTRY.fields))('is corrupt where %s is above 2^53 - 1', (name) => {
    const field = DIRECTORY_ENTRY.fields[name as keyof typeof DIRECTORY_ENTRY.fields]
    const bytes = forged(encodeDirectory(DIRECTORY_RECORDS, 3), field, ABOVE_SAFE)
    expect(codeOf(() => DIRECTORY_ENTRY.decode(bytes, 0, PATH))).toBe('ZGQ_CORRUPT')
  })
})

describe('a footer', () => {
  const facts = {
    directoryOffset: 8192,
    directoryByteLength: 192,
    segmentCount: 2,
    supersededCount: 3,
    indexId: INDEX_ID,
    directoryCrc: 0xdead_beef
  }
  const bytes = encodeFooter('vectors', facts)

  it('is read back as it was written', () => {
    expect(decodeFooter(bytes, 'vectors', { path: PATH, offset: 100 })).toMatchObject({
      ...facts,
      supersededCount: 3,
      magic: MAGICS.vectors,
      version: FORMAT_VERSION,
      reserved: 0
    })
  })

  it('is corrupt after any single bit has flipped', () => {
    for (let bit = 0; bit < bytes.byteLength * 8; bit++)
      expect(
        codeOf(() => decodeFooter(flipped(bytes, bit >> 3, bit & 7), 'vectors', { path: PATH, offset: 100 }))
      ).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt with another magic, though its CRC fits', () => {
    expect(
      codeOf(() =>
        decodeFooter(
          forged(bytes, { offset: FOOTER.fields.magic.offset, type: 'u64' }, 0n, FOOTER.fields.crc.offset),
          'vectors',
          { path: PATH, offset: 100 }
        )
      )
    ).toBe('ZGQ_CORRUPT')
  })

  it.each(u64Fields(FOOTER.fields))('is corrupt where %s is above 2^53 - 1 and the CRC fits', (name) => {
    const field = FOOTER.fields[name as keyof typeof FOOTER.fields]
    expect(
      codeOf(() =>
        decodeFooter(forged(bytes, field, ABOVE_SAFE, FOOTER.fields.crc.offset), 'vectors', { path: PATH, offset: 100 })
      )
    ).toBe('ZGQ_CORRUPT')
  })
})

describe('regressions of the codecs', () => {
  const page = encodeHeader(HEADER_FACTS)
  const { fields } = HEADER

  it('a header of a newer version is unsupported even where a later field is above 2^53 - 1', () => {
    const newer = forged(page, fields.version, BigInt(FORMAT_VERSION) + 1n)
    expect(codeOf(() => decodeHeader(forged(newer, fields.dim, ABOVE_SAFE, fields.crc.offset), 'vectors', PATH))).toBe(
      'ZGQ_UNSUPPORTED'
    )
  })

  it('reader features above bit 52 are unsupported, as the lower ones are', () => {
    expect(
      codeOf(() => decodeHeader(forged(page, fields.readerFeatures, 2n ** 63n, fields.crc.offset), 'vectors', PATH))
    ).toBe('ZGQ_UNSUPPORTED')
  })

  it('writer features above bit 52 do not keep a reader out', () => {
    expect(() =>
      decodeHeader(forged(page, fields.writerFeatures, 2n ** 63n, fields.crc.offset), 'vectors', PATH)
    ).not.toThrow()
  })

  it('a size above 2^53 - 1 names the file', () => {
    expect(
      errorOf(() => decodeHeader(forged(page, fields.rowCount, ABOVE_SAFE, fields.crc.offset), 'vectors', PATH)).path
    ).toBe(PATH)
  })

  it('a footer of a newer version is unsupported', () => {
    const bytes = encodeFooter('vectors', {
      directoryOffset: 8192,
      directoryByteLength: 0,
      segmentCount: 0,
      indexId: INDEX_ID,
      directoryCrc: 0
    })
    expect(
      codeOf(() =>
        decodeFooter(
          forged(bytes, FOOTER.fields.version, BigInt(FORMAT_VERSION) + 1n, FOOTER.fields.crc.offset),
          'vectors',
          { path: PATH, offset: 0 }
        )
      )
    ).toBe('ZGQ_UNSUPPORTED')
  })
})
