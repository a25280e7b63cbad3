// Sources of vectors and ids: files of every format, good and bad, and arrays. The writers here are independent of the
// readers.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

import { ZgqError } from '../src/errors.ts'
import { decodeFloat16, float16Table } from '../src/input/float16.ts'
import { arrayIdSource, float32ArraySource } from '../src/input/float32-array.ts'
import { openIdFile } from '../src/input/id-file.ts'
import { readIvecs } from '../src/input/ivecs-file.ts'
import { parseNpyHeader } from '../src/input/npy.ts'
import type { IdSource, RowSource } from '../src/input/row-source.ts'
import { openVectorFile } from '../src/input/vector-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'zgq-sources-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let fileNumber = 0

/** Writes a file of its own and returns its path. */
function fileOf(ending: string, bytes: Uint8Array | string): string {
  const path = join(folder, `file-${fileNumber++}${ending}`)
  writeFileSync(path, bytes)
  return path
}

type Write = (values: number | number[]) => Buffer

function writer(byteLength: number, write: (buffer: Buffer, value: number, offset: number) => void): Write {
  return (values) => {
    const list = typeof values === 'number' ? [values] : values
    const buffer = Buffer.alloc(list.length * byteLength)
    list.forEach((value, index) => write(buffer, value, index * byteLength))
    return buffer
  }
}

const f4 = writer(4, (buffer, value, offset) => buffer.writeFloatLE(value, offset))
const i4 = writer(4, (buffer, value, offset) => buffer.writeInt32LE(value, offset))
const u4 = writer(4, (buffer, value, offset) => buffer.writeUInt32LE(value, offset))
const u2 = writer(2, (buffer, value, offset) => buffer.writeUInt16LE(value, offset))
const u1 = writer(1, (buffer, value, offset) => buffer.writeUInt8(value, offset))
const i8 = writer(8, (buffer, value, offset) => buffer.writeBigInt64LE(BigInt(value), offset))
const u8 = writer(8, (buffer, value, offset) => buffer.writeBigUInt64LE(BigInt(value), offset))
/** Half of a value that a half holds exactly: an integer up to 2048 in size, or that over 16. */
const f2 = writer(2, (buffer, value, offset) => buffer.writeUInt16LE(encodeFloat16(value), offset))

function encodeFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (size === 0) return sign
  const exponent = Math.floor(Math.log2(size))
  return sign | ((exponent + 15) << 10) | (size * 2 ** (10 - exponent) - 1024)
}

function vecs(write: Write, rows: number[][]): Buffer {
  return Buffer.concat(rows.flatMap((row) => [i4(row.length), write(row)]))
}

function bin(write: Write, rows: number[][]): Buffer {
  return Buffer.concat([u4(rows.length), u4(rows[0].length), write(rows.flat())])
}

/** Header as numpy.save writes it: padded with spaces to a multiple of 64, a line feed last. */
function npyHeader(dictionary: string, version = 1): Buffer {
  const before = version === 1 ? 10 : 12
  const byteLength = Math.ceil((before + dictionary.length + 1) / 64) * 64 - before
  const length = version === 1 ? u2(byteLength) : u4(byteLength)
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.of(version, 0),
    length,
    Buffer.from(dictionary.padEnd(byteLength - 1) + '\n', 'latin1')
  ])
}

function npyDictionary(dtype: string, shape: string, order = 'False'): string {
  return `{'descr': '${dtype}', 'fortran_order': ${order}, 'shape': ${shape}, }`
}

function npy(dtype: string, write: Write, rows: number[][], version = 1): Buffer {
  return Buffer.concat([
    npyHeader(npyDictionary(dtype, `(${rows.length}, ${rows[0].length})`), version),
    write(rows.flat())
  ])
}

function npyIds(dtype: string, write: Write, ids: number[]): Buffer {
  return Buffer.concat([npyHeader(npyDictionary(dtype, `(${ids.length},)`)), write(ids)])
}

interface Format {
  readonly name: string
  readonly ending: string
  readonly encode: (rows: number[][]) => Buffer
  /** Makes a value that the format holds exactly, from a random number in [0, 1). */
  readonly value: (random: number) => number
}

const float = (random: number): number => Math.fround(random * 200 - 100)
const byte = (random: number): number => Math.floor(random * 256)
const half = (random: number): number => Math.floor(random * 4097 - 2048) / 16
const integer = (random: number): number => Math.floor(random * 2 ** 25) - 2 ** 24

const formats: Format[] = [
  { name: '.fvecs', ending: '.fvecs', encode: (rows) => vecs(f4, rows), value: float },
  { name: '.bvecs', ending: '.bvecs', encode: (rows) => vecs(u1, rows), value: byte },
  { name: '.ivecs', ending: '.ivecs', encode: (rows) => vecs(i4, rows), value: integer },
  { name: '.fbin', ending: '.fbin', encode: (rows) => bin(f4, rows), value: float },
  { name: '.u8bin', ending: '.u8bin', encode: (rows) => bin(u1, rows), value: byte },
  { name: '.f16bin', ending: '.f16bin', encode: (rows) => bin(f2, rows), value: half },
  { name: '.npy <f4', ending: '.npy', encode: (rows) => npy('<f4', f4, rows), value: float },
  { name: '.npy <f2', ending: '.npy', encode: (rows) => npy('<f2', f2, rows), value: half },
  { name: '.npy |u1', ending: '.npy', encode: (rows) => npy('|u1', u1, rows), value: byte }
]

const vecsFormats = formats.filter(({ ending }) => ending.endsWith('vecs'))
const countedFormats = formats.filter(({ ending }) => !ending.endsWith('vecs'))

/** mulberry32: a small seeded generator of numbers in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function randomRows(format: Format, shape: { count: number; dim: number }, random: () => number): number[][] {
  return Array.from({ length: shape.count }, () => Array.from({ length: shape.dim }, () => format.value(random())))
}

function readRows(source: RowSource, firstRow: number, rowCount: number): number[] {
  const target = new Float32Array(rowCount * source.dim)
  source.readRows(firstRow, target)
  return [...target]
}

function readIds(source: IdSource, firstRow: number, count: number): number[] {
  const target = new Float64Array(count)
  source.readIds(firstRow, target)
  return [...target]
}

/** Opens, reads all and closes. */
function allRows(path: string): number[] {
  const source = openVectorFile(path)
  try {
    return readRows(source, 0, source.count)
  } finally {
    source.close()
  }
}

function allIds(path: string): number[] {
  const source = openIdFile(path)
  try {
    return readIds(source, 0, source.count)
  } finally {
    source.close()
  }
}

/** Returns the ZgqError that `run` throws. */
function errorOf(run: () => unknown): ZgqError {
  try {
    run()
  } catch (error) {
    if (error instanceof ZgqError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const twoRows = [
  [1, 2, 3],
  [4, 5, 6]
]

describe.each(formats)('a $name file', (format) => {
  const { ending, encode } = format

  it('tells its dim, count and path', () => {
    const path = fileOf(ending, encode(twoRows))
    const source = openVectorFile(path)
    expect([source.dim, source.count, source.label]).toEqual([3, 2, path])
    source.close()
  })

  it('gives back exactly the values written, read whole and in any order, for random shapes', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = randomFrom(seed)
      const shape = { count: 1 + Math.floor(random() * 40), dim: 1 + Math.floor(random() * (seed === 12 ? 2000 : 70)) }
      const rows = randomRows(format, shape, random)
      const source = openVectorFile(fileOf(ending, encode(rows)))
      const where = `seed ${seed}, ${shape.count} x ${shape.dim}`
      expect([source.count, source.dim], where).toEqual([shape.count, shape.dim])
      expect(readRows(source, 0, shape.count), where).toEqual(rows.flat())
      for (let round = 0; round < 10; round++) {
        const first = Math.floor(random() * shape.count)
        const count = Math.floor(random() * (shape.count - first + 1))
        expect(readRows(source, first, count), `${where}, rows ${first} + ${count}`).toEqual(
          rows.slice(first, first + count).flat()
        )
      }
      source.close()
    }
  })

  it('is recognised by an ending in capitals', () => {
    expect(allRows(fileOf(ending.toUpperCase(), encode(twoRows)))).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('fills only the part of a buffer that it is given', () => {
    const source = openVectorFile(fileOf(ending, encode(twoRows)))
    const buffer = new Float32Array(8).fill(-1)
    source.readRows(1, buffer.subarray(3, 6))
    expect([...buffer]).toEqual([-1, -1, -1, 4, 5, 6, -1, -1])
    source.close()
  })

  it('of no bytes is refused: it has no vectors', () => {
    const error = errorOf(() => openVectorFile(fileOf(ending, '')))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('has no vectors')
  })

  it('cut in its header is ZGQ_TRUNCATED, with the bytes found', () => {
    const error = errorOf(() => openVectorFile(fileOf(ending, encode(twoRows).subarray(0, 3))))
    expect(error.code).toBe('ZGQ_TRUNCATED')
    expect(error.message).toMatch(/found 3 bytes, expected (at least )?\d+/)
  })

  it('cut in its last row is ZGQ_TRUNCATED, with path, offset, and the bytes found and expected', () => {
    const whole = encode(twoRows)
    const path = fileOf(ending, whole.subarray(0, -1))
    const error = errorOf(() => openVectorFile(path))
    expect(error.code).toBe('ZGQ_TRUNCATED')
    expect(error.message).toContain(`found ${whole.length - 1} bytes, expected ${whole.length}`)
    expect([error.path, error.offset]).toEqual([path, whole.length - 1])
  })

  it('shortened while open is ZGQ_TRUNCATED at the read', () => {
    const path = fileOf(ending, encode(twoRows))
    const source = openVectorFile(path)
    truncateSync(path, encode(twoRows).length - 2)
    expect(errorOf(() => readRows(source, 0, 2)).code).toBe('ZGQ_TRUNCATED')
    source.close()
  })

  it('refuses rows outside the file with a RangeError', () => {
    const source = openVectorFile(fileOf(ending, encode(twoRows)))
    expect(() => readRows(source, 1, 2)).toThrow(RangeError)
    expect(() => readRows(source, -1, 1)).toThrow(RangeError)
    expect(() => source.readRows(0, new Float32Array(4))).toThrow(RangeError)
    source.close()
  })

  it('is ZGQ_CLOSED when read after close, and may be closed twice', () => {
    const source = openVectorFile(fileOf(ending, encode(twoRows)))
    source.close()
    source.close()
    expect(errorOf(() => readRows(source, 0, 1)).code).toBe('ZGQ_CLOSED')
  })
})

describe.each(countedFormats)('a $name file, which tells its length', ({ ending, encode }) => {
  it('is refused when it is longer than its header says', () => {
    const whole = encode(twoRows)
    const error = errorOf(() => openVectorFile(fileOf(ending, Buffer.concat([whole, u1(0)]))))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain(`found ${whole.length + 1} bytes, expected ${whole.length}`)
    expect(error.offset).toBe(whole.length)
  })
})

describe('a .?bin file', () => {
  it('with zero rows is refused: it has no vectors', () => {
    const error = errorOf(() => openVectorFile(fileOf('.fbin', Buffer.concat([u4(0), u4(4)]))))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('has no vectors')
  })

  it.each([0, 65_537, 2 ** 32 - 1])('with d = %d is ZGQ_DIMENSION', (dim) => {
    const error = errorOf(() => openVectorFile(fileOf('.u8bin', Buffer.concat([u4(1), u4(dim), u1(0)]))))
    expect(error.code).toBe('ZGQ_DIMENSION')
    expect(error.offset).toBe(4)
  })

  it('of the largest dimension is read', () => {
    const row = Array.from({ length: 65_536 }, (_, at) => at)
    expect(allRows(fileOf('.fbin', bin(f4, [row])))).toEqual(row)
  })

  it('whose header promises more than any disk holds is ZGQ_TRUNCATED', () => {
    expect(errorOf(() => openVectorFile(fileOf('.fbin', Buffer.concat([u4(2 ** 32 - 1), u4(65_536)])))).code).toBe(
      'ZGQ_TRUNCATED'
    )
  })
})

describe.each(vecsFormats)('a $name file, which repeats d', ({ ending, encode }) => {
  it.each([0, -1, -(2 ** 31), 65_537])('with d = %d is ZGQ_DIMENSION', (dim) => {
    const error = errorOf(() => openVectorFile(fileOf(ending, Buffer.concat([i4(dim), Buffer.alloc(64)]))))
    expect(error.code).toBe('ZGQ_DIMENSION')
    expect(error.offset).toBe(0)
  })

  it('with a row of another dimension is ZGQ_DIMENSION with row, found, expected, where the length does not fit', () => {
    const error = errorOf(() =>
      openVectorFile(
        fileOf(
          ending,
          encode([
            [1, 2, 3],
            [4, 5, 6],
            [7, 8],
            [9, 10, 11],
            [12, 13, 14]
          ])
        )
      )
    )
    expect(error.code).toBe('ZGQ_DIMENSION')
    expect(error.message).toContain('row 2 has 2 dimensions, expected 3')
  })

  it('with a last row of another dimension is ZGQ_DIMENSION and not ZGQ_TRUNCATED', () => {
    const error = errorOf(() => openVectorFile(fileOf(ending, encode([[1, 2, 3], [4, 5, 6], [7]]))))
    expect(error.code).toBe('ZGQ_DIMENSION')
    expect(error.message).toContain('row 2 has 1 dimension, expected 3')
  })

  it('with another d where the length fits is ZGQ_DIMENSION when that row is read', () => {
    const bytes = encode([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9]
    ])
    const stride = bytes.length / 3
    bytes.writeInt32LE(2, stride)
    const source = openVectorFile(fileOf(ending, bytes))
    expect(readRows(source, 2, 1)).toEqual([7, 8, 9])
    const error = errorOf(() => readRows(source, 0, 3))
    expect(error.code).toBe('ZGQ_DIMENSION')
    expect(error.message).toContain('row 1 has 2 dimensions, expected 3')
    expect(error.offset).toBe(stride)
    source.close()
  })
})

describe('a file of more than one chunk', () => {
  // 1,000 rows of 4,500 dimensions: above 4 MiB even with one byte a value
  const dim = 4_500
  const rows = Array.from({ length: 1_000 }, (_, row) =>
    Array.from({ length: dim }, (__, column) => (row * dim + column) % 251)
  )
  const expected = Buffer.from(Float32Array.from(rows.flat()).buffer)

  it.each(formats)('of $name is read whole', ({ ending, encode }) => {
    const path = fileOf(ending, encode(rows))
    const source = openVectorFile(path)
    const target = new Float32Array(source.count * source.dim)
    source.readRows(0, target)
    source.close()
    rmSync(path)
    expect(Buffer.from(target.buffer).equals(expected)).toBe(true)
  })

  it('names the row of another dimension beyond the first chunk', () => {
    const bytes = vecs(f4, rows)
    bytes.writeInt32LE(dim + 1, 900 * (4 + dim * 4))
    expect(errorOf(() => allRows(fileOf('.fvecs', bytes))).message).toContain(
      'row 900 has 4,501 dimensions, expected 4,500'
    )
  })

  it('names the row of another dimension beyond the first chunk where the length does not fit', () => {
    const bytes = vecs(f4, [...rows.slice(0, 900), [1, 2], ...rows.slice(900)])
    expect(errorOf(() => openVectorFile(fileOf('.fvecs', bytes))).message).toContain(
      'row 900 has 2 dimensions, expected 4,500'
    )
  })
})

describe('a .npy file of vectors', () => {
  const values = f4([1, 2, 3, 4, 5, 6])
  const withHeader = (dictionary: string, version = 1): string =>
    fileOf('.npy', Buffer.concat([npyHeader(dictionary, version), values]))
  const refused = (path: string, message: string): void => {
    const error = errorOf(() => openVectorFile(path))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.path).toBe(path)
    expect(error.message).toContain(message)
  }

  it.each([1, 2, 3])('of version %d.0 is read', (version) => {
    expect(allRows(fileOf('.npy', npy('<f4', f4, twoRows, version)))).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('with keys in another order, double quotes and no spaces is read', () => {
    expect(allRows(withHeader('{"shape":(2,3),"descr":"<f4","fortran_order":False}'))).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('with lengths as Python 2 wrote them is read', () => {
    expect(allRows(withHeader(npyDictionary('<f4', '(2L, 3L)')))).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('with other magic bytes is refused', () => refused(fileOf('.npy', 'PK\x03\x04 an .npz archive, say'), 'magic'))
  it('of fewer bytes than the magic, and other ones, is refused', () => refused(fileOf('.npy', 'PK'), 'magic'))
  it('of an unknown version is refused', () => refused(withHeader(npyDictionary('<f4', '(2, 3)'), 4), 'version is 4.0'))
  it('in Fortran order is refused', () => refused(withHeader(npyDictionary('<f4', '(2, 3)', 'True')), 'Fortran'))
  it('in big-endian order is refused', () => refused(withHeader(npyDictionary('>f4', '(2, 3)')), 'big-endian'))
  it('of one axis is refused', () => refused(withHeader(npyDictionary('<f4', '(6,)')), '(6)'))
  it('of three axes is refused', () => refused(withHeader(npyDictionary('<f4', '(1, 2, 3)')), '(1, 2, 3)'))
  it('of no axis is refused', () => refused(withHeader(npyDictionary('<f4', '()')), 'axes'))
  it('with a negative length is refused', () => refused(withHeader(npyDictionary('<f4', '(-2, 3)')), 'shape'))
  it('with a length above 2^53 is refused', () =>
    refused(withHeader(npyDictionary('<f4', '(9007199254740992, 3)')), 'shape'))
  it('whose header is no dictionary is refused', () => refused(withHeader('[1, 2]'), 'dictionary'))
  it('without an order is refused', () => refused(withHeader("{'descr': '<f4', 'shape': (2, 3)}"), 'fortran_order'))
  it('of zero rows is refused', () =>
    refused(fileOf('.npy', npyHeader(npyDictionary('<f4', '(0, 3)'))), 'has no vectors'))

  it('of records is refused', () => {
    refused(withHeader("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (6,), }"), 'records')
  })

  it.each(['<f8', '<i4', '|i1', '|b1', '<c8'])('of dtype %s is refused with the dtypes expected', (dtype) => {
    refused(withHeader(npyDictionary(dtype, '(2, 3)')), `${dtype}, expected one of <f4 <f2 |u1`)
  })

  it.each([0, 65_537])('of %d dimensions is ZGQ_DIMENSION', (dim) => {
    expect(errorOf(() => openVectorFile(withHeader(npyDictionary('<f4', `(2, ${dim})`)))).code).toBe('ZGQ_DIMENSION')
  })

  it('cut anywhere in its header is ZGQ_TRUNCATED', () => {
    const whole = npy('<f4', f4, twoRows, 2)
    for (const length of [1, 6, 7, 9, 10, 11, 12, 60, 127]) {
      expect(errorOf(() => openVectorFile(fileOf('.npy', whole.subarray(0, length)))).code, `${length} bytes`).toBe(
        'ZGQ_TRUNCATED'
      )
    }
  })

  it('with a header of megabytes is refused without reading it', () => {
    const bytes = npy('<f4', f4, twoRows, 2)
    bytes.writeUInt32LE(2 ** 31, 8)
    refused(fileOf('.npy', bytes), 'the .npy header has 2147483660 bytes')
  })

  it('may have the longest header of version 1.0', () => {
    const text = npyDictionary('<f4', '(2, 3)').padEnd(65_534) + '\n'
    const bytes = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), u2(65_535), Buffer.from(text), values])
    expect(allRows(fileOf('.npy', bytes))).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('has a header that is parsed from bytes at any offset of a buffer', () => {
    const bytes = Buffer.concat([Buffer.alloc(3), npyHeader(npyDictionary('<i8', '(7,)'))]).subarray(3)
    expect(parseNpyHeader(bytes, 'a.npy')).toEqual({ dtype: '<i8', shape: [7], dataOffset: 128 })
  })
})

describe('openVectorFile', () => {
  it('throws ZGQ_NOT_FOUND with the path where nothing is', () => {
    const path = join(folder, 'missing.fvecs')
    const error = errorOf(() => openVectorFile(path))
    expect([error.code, error.path]).toEqual(['ZGQ_NOT_FOUND', path])
  })

  it.each(['.txt', '', '.parquet', '.fvecs.gz'])('refuses the ending "%s" and lists the endings it knows', (ending) => {
    const error = errorOf(() => openVectorFile(fileOf(ending, vecs(f4, twoRows))))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('.fvecs .bvecs .ivecs .fbin .u8bin .f16bin .npy')
  })

  it('refuses a directory', () => {
    const path = join(folder, 'directory.fvecs')
    mkdirSync(path)
    const error = errorOf(() => openVectorFile(path))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('directory')
  })

  it.skipIf(!existsSync('/dev/null'))('refuses a device', () => {
    expect(errorOf(() => openVectorFile('/dev/null')).code).toBe('ZGQ_BUILD_INPUT')
  })

  it('leaves no file open where it fails, nor after close', () => {
    const paths = [
      fileOf('.fvecs', ''),
      fileOf('.fvecs', 'abc'),
      fileOf('.npy', 'PK'),
      fileOf('.x', 'a'),
      fileOf('.fbin', Buffer.alloc(8)),
      fileOf('.ivecs', vecs(i4, [[1], [2, 3]]))
    ]
    for (const path of paths) {
      expect(() => openVectorFile(path)).toThrow(ZgqError)
      expect(() => openIdFile(path)).toThrow(ZgqError)
      expect(() => readIvecs(path)).toThrow(ZgqError)
    }
    allRows(fileOf('.fvecs', vecs(f4, twoRows)))
    allIds(fileOf('.npy', npyIds('<i4', i4, [1])))
    allIds(fileOf('.txt', '1\n'))
    readIvecs(fileOf('.ivecs', vecs(i4, twoRows)))
    expect(openFiles()).toEqual([])
  })
})

/** Lists the files of this test that the process has open (Linux). */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`)
      return path.startsWith(folder) ? [path] : []
    } catch {
      return [] // the descriptor of the listing itself
    }
  })
}

describe('half floats', () => {
  it('decode to the values that IEEE 754 gives', () => {
    const known: [number, number][] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x0001, 2 ** -24],
      [0x03ff, 1023 * 2 ** -24],
      [0x8001, -(2 ** -24)],
      [0x0400, 2 ** -14],
      [0x3555, 0.333251953125],
      [0x3c00, 1],
      [0x3c01, 1 + 2 ** -10],
      [0xc000, -2],
      [0x7bff, 65_504],
      [0xfbff, -65_504],
      [0x7c00, Infinity],
      [0xfc00, -Infinity],
      [0x7c01, NaN],
      [0xfe00, NaN]
    ]
    for (const [bits, value] of known) expect(decodeFloat16(bits), `0x${bits.toString(16)}`).toBe(value)
  })

  it('ascend with their bits, so that no exponent is off', () => {
    const table = float16Table()
    for (let bits = 1; bits <= 0x7c00; bits++) expect(table[bits]).toBeGreaterThan(table[bits - 1])
  })

  it('stand in a table of 65,536 values, equal to decoding each', () => {
    const table = float16Table()
    expect(table.length).toBe(65_536)
    expect(table.findIndex((value, bits) => !Object.is(value, decodeFloat16(bits)))).toBe(-1)
  })

  it('of every kind are read from a file', () => {
    const bits = [0x0001, 0x8000, 0x7c00, 0xfc00, 0x3555, 0x7e00]
    expect(allRows(fileOf('.f16bin', bin(u2, [bits])))).toEqual([
      2 ** -24,
      -0,
      Infinity,
      -Infinity,
      0.333251953125,
      NaN
    ])
  })
})

describe('a .npy file of ids', () => {
  const types: [string, Write, number[]][] = [
    ['<i4', i4, [0, 1, 2 ** 31 - 1]],
    ['<i8', i8, [0, 2 ** 32, Number.MAX_SAFE_INTEGER]],
    ['<u4', u4, [0, 7, 2 ** 32 - 1]],
    ['<u8', u8, [2 ** 32 - 1, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER]],
    ['<u2', u2, [0, 65_535, 3]],
    ['|u1', u1, [0, 255, 9]]
  ]

  it.each(types)('of dtype %s gives back the ids, in any order', (dtype, write, ids) => {
    const path = fileOf('.npy', npyIds(dtype, write, ids))
    const source = openIdFile(path)
    expect([source.count, source.label]).toEqual([3, path])
    expect(readIds(source, 2, 1)).toEqual([ids[2]])
    expect(readIds(source, 0, 3)).toEqual(ids)
    source.close()
  })

  it('of more than one chunk is read whole', () => {
    const ids = Array.from({ length: 600_000 }, (_, row) => row * 3)
    expect(allIds(fileOf('.npy', npyIds('<u8', u8, ids)))).toEqual(ids)
  })

  it.each([
    ['<i4', i4, -5, '-5'],
    ['<i8', i8, -5, '-5'],
    ['<i8', i8, 2 ** 53, '0x0020000000000000'],
    ['<u8', u8, 2 ** 53, '0x0020000000000000'],
    ['<i8', i8, -(2 ** 63), '0x8000000000000000']
  ])(
    'of dtype %s with an id that is no safe integer >= 0 is refused with row and value (%#)',
    (dtype, write, id, found) => {
      const source = openIdFile(fileOf('.npy', npyIds(dtype, write, [1, 2, id])))
      const error = errorOf(() => readIds(source, 1, 2))
      expect(error.code).toBe('ZGQ_BUILD_INPUT')
      expect(error.message).toContain(`row 2 is ${found},`)
      expect(error.offset).toBe(128 + 2 * write(0).length)
      source.close()
    }
  )

  const refused = (bytes: Uint8Array, code: string, message: string): void => {
    const error = errorOf(() => openIdFile(fileOf('.npy', bytes)))
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  }

  it('of floats is refused', () => refused(npyIds('<f8', u8, [1]), 'ZGQ_BUILD_INPUT', '<f8'))
  it('in big-endian order is refused', () => refused(npyIds('>i8', i8, [1]), 'ZGQ_BUILD_INPUT', 'big-endian'))
  it('of two axes is refused', () => refused(npy('<i8', i8, twoRows), 'ZGQ_BUILD_INPUT', '(2, 3)'))
  it('of zero ids is refused', () => refused(npyIds('<i8', i8, []), 'ZGQ_BUILD_INPUT', 'has no ids'))
  it('of no bytes is refused', () => refused(Buffer.alloc(0), 'ZGQ_BUILD_INPUT', 'has no ids'))
  it('that is text is refused', () => refused(Buffer.from('1\n2\n'), 'ZGQ_BUILD_INPUT', 'magic'))
  it('cut short is ZGQ_TRUNCATED', () =>
    refused(npyIds('<i8', i8, [1, 2]).subarray(0, -3), 'ZGQ_TRUNCATED', 'found 141 bytes, expected 144'))
  it('that is too long is refused', () =>
    refused(Buffer.concat([npyIds('<i8', i8, [1, 2]), u1(0)]), 'ZGQ_BUILD_INPUT', 'found 145 bytes, expected 144'))

  it('is ZGQ_CLOSED when read after close', () => {
    const source = openIdFile(fileOf('.npy', npyIds('<i8', i8, [1])))
    source.close()
    source.close()
    expect(errorOf(() => readIds(source, 0, 1)).code).toBe('ZGQ_CLOSED')
  })
})

describe('a long text file of ids', () => {
  it('is read from any row, across its chunks and marks', () => {
    const ids = Array.from({ length: 30_000 }, (_, row) => (row % 3 === 0 ? row : row * 2 ** 35 + 7))
    const source = openIdFile(fileOf('.txt', ids.join('\n')))
    try {
      expect(source.count).toBe(ids.length)
      for (const [first, count] of [
        [0, 30_000],
        [1, 1],
        [1023, 3],
        [1024, 1],
        [7000, 9000],
        [29_999, 1],
        [30_000, 0]
      ]) {
        const found = new Float64Array(count)
        source.readIds(first, found)
        expect(Array.from(found)).toEqual(ids.slice(first, first + count))
      }
    } finally {
      source.close()
    }
  })
})

describe('a text file of ids', () => {
  it.each([
    ['a line feed at the end', '10\n0\n9007199254740991\n'],
    ['none at the end', '10\n0\n9007199254740991'],
    ['a blank line at the end', '10\n0\n9007199254740991\n\n'],
    ['carriage returns', '10\r\n0\r\n9007199254740991\r\n'],
    ['zeros in front', '0010\n0\n00009007199254740991\n']
  ])('with %s is read', (_, text) => {
    expect(allIds(fileOf('.txt', text))).toEqual([10, 0, 9007199254740991])
  })

  it('is read in any order and tells its count and path', () => {
    const path = fileOf('.ids', '5\n6\n7\n')
    const source = openIdFile(path)
    expect([source.count, source.label]).toEqual([3, path])
    expect(readIds(source, 1, 2)).toEqual([6, 7])
    source.close()
  })

  it.each(['-1', '1.5', '1e3', 'x', '', ' 3', '0x10', '9007199254740992', '99999999999999999999', '+4', '\u0663'])(
    'with the line "%s" is refused with its number',
    (line) => {
      const path = fileOf('.txt', `11\n22\n${line}\n44\n`)
      const error = errorOf(() => openIdFile(path))
      expect(error.code).toBe('ZGQ_BUILD_INPUT')
      expect(error.message).toContain(`line 3 is ${JSON.stringify(Buffer.from(line).toString('latin1'))}`)
      expect([error.path, error.offset]).toEqual([path, 6])
    }
  )

  it.each(['', '\n', '\r\n\n'])('without ids (%j) is refused', (text) => {
    const error = errorOf(() => openIdFile(fileOf('.txt', text)))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('has no ids')
  })

  it('that is missing is ZGQ_NOT_FOUND', () => {
    expect(errorOf(() => openIdFile(join(folder, 'missing.txt'))).code).toBe('ZGQ_NOT_FOUND')
  })

  it('that is a directory is refused', () => {
    expect(errorOf(() => openIdFile(folder)).code).toBe('ZGQ_BUILD_INPUT')
  })
})

describe('readIvecs', () => {
  it('returns count, dim and every integer unrounded', () => {
    const rows = [
      [2 ** 31 - 1, 0, -1],
      [2 ** 24 + 1, 5, -(2 ** 31)]
    ]
    expect(readIvecs(fileOf('.ivecs', vecs(i4, rows)))).toEqual({
      count: 2,
      dim: 3,
      values: Int32Array.from(rows.flat())
    })
  })

  it('refuses another ending', () => {
    const error = errorOf(() => readIvecs(fileOf('.fvecs', vecs(i4, twoRows))))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('expected one of .ivecs')
  })

  it.each([
    ['missing', () => join(folder, 'missing.ivecs'), 'ZGQ_NOT_FOUND'],
    ['empty', () => fileOf('.ivecs', ''), 'ZGQ_BUILD_INPUT'],
    ['cut short', () => fileOf('.ivecs', vecs(i4, twoRows).subarray(0, -1)), 'ZGQ_TRUNCATED'],
    ['of mixed dimensions', () => fileOf('.ivecs', vecs(i4, [[1, 2], [3]])), 'ZGQ_DIMENSION']
  ])('throws for a file that is %s', (_, path, code) => {
    expect(errorOf(() => readIvecs(path())).code).toBe(code)
  })
})

describe('float32ArraySource', () => {
  const values = Float32Array.of(1, 2, 3, 4, 5, 6)

  it('gives the rows in any order', () => {
    const source = float32ArraySource(values, 2)
    expect([source.dim, source.count]).toEqual([2, 3])
    expect(readRows(source, 2, 1)).toEqual([5, 6])
    expect(readRows(source, 0, 3)).toEqual([1, 2, 3, 4, 5, 6])
    expect(readRows(source, 3, 0)).toEqual([])
    source.close()
  })

  it.each([4, 0, -2, 1.5, NaN, 65_537])('throws ZGQ_DIMENSION for six values of dim %d', (dim) => {
    expect(errorOf(() => float32ArraySource(values, dim)).code).toBe('ZGQ_DIMENSION')
  })

  it('refuses an empty array: it has no vectors', () => {
    const error = errorOf(() => float32ArraySource(new Float32Array(0), 4))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain('has no vectors')
  })

  it('refuses rows outside the array with a RangeError', () => {
    const source = float32ArraySource(values, 2)
    expect(() => readRows(source, 2, 2)).toThrow(RangeError)
    expect(() => source.readRows(0, new Float32Array(3))).toThrow(RangeError)
  })
})

describe('arrayIdSource', () => {
  it('gives the ids of any kind of array in any order', () => {
    expect(readIds(arrayIdSource([7, 0, Number.MAX_SAFE_INTEGER]), 1, 2)).toEqual([0, Number.MAX_SAFE_INTEGER])
    expect(readIds(arrayIdSource(Uint32Array.of(1, 4294967295)), 0, 2)).toEqual([1, 4294967295])
  })

  it.each([-1, 0.5, NaN, Infinity, 2 ** 53])('refuses the id %d with its row', (id) => {
    const error = errorOf(() => readIds(arrayIdSource([3, id]), 0, 2))
    expect(error.code).toBe('ZGQ_BUILD_INPUT')
    expect(error.message).toContain(`the id of row 1 is ${id}`)
  })

  it('refuses an empty array', () => {
    expect(errorOf(() => arrayIdSource([])).code).toBe('ZGQ_BUILD_INPUT')
  })

  it('refuses rows outside the array with a RangeError', () => {
    expect(() => readIds(arrayIdSource([1, 2]), 1, 2)).toThrow(RangeError)
  })
})
