// The header of a NumPy .npy file (numpy.lib.format, versions 1.0 to 3.0): bytes to facts. No I/O.
// Which dtypes and shapes are welcome is for the readers of vectors and of ids to say.

import { ZgqError } from '../errors.ts'

/** Describes the array that follows a header. */
export interface NpyHeader {
  /** As written, byte order first: `<f4`, `|u1`. Never big-endian. */
  readonly dtype: string
  readonly shape: readonly number[]
  /** Where the values begin, in bytes from the start of the file. */
  readonly dataOffset: number
}

/** Bytes from the start of a file that are enough for the header of any array of plain numbers. */
export const NPY_HEADER_LIMIT = 65_536 + 12

const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59) // 93 "NUMPY"
const VERSION_OFFSET = 6
const LENGTH_OFFSET = 8

/**
 * Parses the header at the start of `bytes`: the whole file, or its first NPY_HEADER_LIMIT bytes. `path` is for
 * messages. Throws ZGQ_BUILD_INPUT if this is no .npy file, or one in Fortran order, big-endian or of records;
 * ZGQ_TRUNCATED if it ends in the header.
 */
export function parseNpyHeader(bytes: Uint8Array, path: string): NpyHeader {
  if (MAGIC.subarray(0, bytes.length).some((byte, at) => bytes[at] !== byte)) {
    throw new ZgqError('ZGQ_BUILD_INPUT', 'the file does not begin with the magic bytes of .npy (93 "NUMPY")', {
      path,
      offset: 0
    })
  }
  const { textOffset, dataOffset } = headerExtent(bytes, path)
  if (dataOffset > NPY_HEADER_LIMIT) {
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the .npy header has ${dataOffset} bytes, expected at most ${NPY_HEADER_LIMIT}`,
      { path, offset: LENGTH_OFFSET }
    )
  }
  requireBytes(bytes, dataOffset, path)
  const dictionary = Buffer.from(bytes.subarray(textOffset, dataOffset)).toString('latin1').trim()
  return { ...parseDictionary(dictionary, path), dataOffset }
}

function headerExtent(bytes: Uint8Array, path: string): { textOffset: number; dataOffset: number } {
  requireBytes(bytes, LENGTH_OFFSET + 2, path)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const major = view.getUint8(VERSION_OFFSET)
  const minor = view.getUint8(VERSION_OFFSET + 1)
  if (major < 1 || major > 3 || minor !== 0) {
    throw new ZgqError('ZGQ_BUILD_INPUT', `the .npy version is ${major}.${minor}, expected 1.0, 2.0 or 3.0`, {
      path,
      offset: VERSION_OFFSET
    })
  }
  if (major === 1) return { textOffset: 10, dataOffset: 10 + view.getUint16(LENGTH_OFFSET, true) }
  requireBytes(bytes, LENGTH_OFFSET + 4, path)
  return { textOffset: 12, dataOffset: 12 + view.getUint32(LENGTH_OFFSET, true) }
}

/** Parses the Python dictionary: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order. */
function parseDictionary(text: string, path: string): { dtype: string; shape: number[] } {
  const refuse = (problem: string): ZgqError =>
    new ZgqError('ZGQ_BUILD_INPUT', `${problem}: ${shorten(text)}`, { path })
  if (!text.startsWith('{') || !text.endsWith('}')) throw refuse('the .npy header is not a dictionary')
  const dtype = /['"]descr['"]\s*:\s*(['"])([^'"]*)\1/.exec(text)?.[2]
  if (dtype === undefined) throw refuse('the .npy header has no plain dtype (arrays of records are not supported)')
  if (dtype.startsWith('>')) throw refuse(`the .npy array is big-endian (${dtype}), expected little-endian`)
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1]
  if (order === undefined) throw refuse('the .npy header does not say fortran_order')
  if (order === 'True') throw refuse('the .npy array is in Fortran order, expected C order (numpy.ascontiguousarray)')
  const shape = parseShape(text)
  if (shape === undefined) throw refuse('the .npy header has no valid shape')
  return { dtype, shape }
}

function parseShape(text: string): number[] | undefined {
  const inside = /['"]shape['"]\s*:\s*\(([^)]*)\)/.exec(text)?.[1]
  if (inside === undefined) return undefined
  const items = inside.split(',').map((item) => item.trim())
  if (items.at(-1) === '') items.pop() // (3,) and ()
  if (!items.every((item) => /^\d+L?$/.test(item))) return undefined // Python 2 wrote 3L
  const shape = items.map((item) => Number.parseInt(item, 10))
  return shape.every(Number.isSafeInteger) ? shape : undefined
}

function requireBytes(bytes: Uint8Array, expected: number, path: string): void {
  if (bytes.length >= expected) return
  throw new ZgqError(
    'ZGQ_TRUNCATED',
    `the file ends in its .npy header: found ${bytes.length} bytes, expected at least ${expected}`,
    { path, offset: bytes.length }
  )
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text)
}
