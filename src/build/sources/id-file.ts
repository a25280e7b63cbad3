// Files of ids as an IdSource: a 1-D .npy of integers, read where it lies, or a text file with one decimal integer a line, kept in memory.
// No bigint: 64-bit ids are put together from halves, and those above 2^53 - 1 are refused.

import { extname } from 'node:path'

import { ZgqError } from '../../errors.ts'
import { arrayIdSource } from './float32-array.ts'
import { CHUNK_BYTES, InputFile, readNpyHeader } from './input-file.ts'
import { checkRange, type IdSource } from './row-source.ts'

interface IdType {
  readonly byteLength: number
  /** Decodes an id; beyond +-2^53 the value is rounded, but never into the safe range. */
  readonly decode: (view: DataView, offset: number) => number
}

const ID_TYPES: ReadonlyMap<string, IdType> = new Map([
  ['<i4', { byteLength: 4, decode: (view: DataView, at: number) => view.getInt32(at, true) }],
  ['<i8', { byteLength: 8, decode: (view: DataView, at: number) => view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true) }],
  ['<u4', { byteLength: 4, decode: (view: DataView, at: number) => view.getUint32(at, true) }],
  ['<u8', { byteLength: 8, decode: (view: DataView, at: number) => view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true) }],
  ['<u2', { byteLength: 2, decode: (view: DataView, at: number) => view.getUint16(at, true) }],
  ['|u1', { byteLength: 1, decode: (view: DataView, at: number) => view.getUint8(at) }]
])

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const DIGIT_ZERO = 48

/**
 * Opens a file of ids, in the order of the rows: `.npy` (1-D, i4 i8 u4 u8 u2 u1), else text with one decimal integer a line.
 * Throws ZGQ_NOT_FOUND, ZGQ_TRUNCATED, ZGQ_IO, and ZGQ_BUILD_INPUT (with the line; for .npy from `readIds`, with the row) where an id is no safe integer >= 0.
 */
export function openIdFile(path: string): IdSource {
  const file = InputFile.open(path)
  try {
    if (file.byteLength === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no ids: it is empty', { path })
    return extname(path).toLowerCase() === '.npy' ? openNpyIds(file) : readTextIds(file)
  } catch (error) {
    file.close()
    throw error
  }
}

function openNpyIds(file: InputFile): IdSource {
  const path = file.path
  const { dtype, shape, dataOffset } = readNpyHeader(file)
  const type = ID_TYPES.get(dtype)
  if (type === undefined) throw new ZgqError('ZGQ_BUILD_INPUT', `the .npy array of ids has dtype ${dtype}, expected one of ${[...ID_TYPES.keys()].join(' ')}`, { path })
  if (shape.length !== 1) throw new ZgqError('ZGQ_BUILD_INPUT', `the .npy array of ids has shape (${shape.join(', ')}), expected one axis`, { path })
  const [count] = shape
  file.checkByteLength(dataOffset + count * type.byteLength)
  if (count === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no ids', { path })
  return new NpyIds(file, { type, count, dataOffset })
}

interface NpyIdLayout {
  readonly type: IdType
  readonly count: number
  readonly dataOffset: number
}

/** Ids of an open .npy file. Owns the file and the buffer that they pass through. */
class NpyIds implements IdSource {
  readonly count: number
  readonly label: string
  readonly #file: InputFile
  readonly #layout: NpyIdLayout
  #chunk: Uint8Array | undefined

  constructor(file: InputFile, layout: NpyIdLayout) {
    this.count = layout.count
    this.label = file.path
    this.#file = file
    this.#layout = layout
  }

  readIds(firstRow: number, target: Float64Array): void {
    checkRange(this, firstRow, target.length)
    const chunkIds = CHUNK_BYTES / this.#layout.type.byteLength
    for (let done = 0; done < target.length; done += chunkIds) {
      this.#readChunk(firstRow + done, target.subarray(done, done + chunkIds))
    }
  }

  close(): void {
    this.#file.close()
    this.#chunk = undefined
  }

  #readChunk(firstRow: number, target: Float64Array): void {
    const { type, count, dataOffset } = this.#layout
    this.#chunk ??= new Uint8Array(Math.min(CHUNK_BYTES, count * type.byteLength))
    const offset = dataOffset + firstRow * type.byteLength
    this.#file.read(this.#chunk.subarray(0, target.length * type.byteLength), offset)
    const view = new DataView(this.#chunk.buffer)
    for (let row = 0; row < target.length; row++) {
      const at = row * type.byteLength
      const id = type.decode(view, at)
      if (!Number.isSafeInteger(id) || id < 0) {
        const found = Number.isSafeInteger(id) ? String(id) : describeBits(view, at)
        throw new ZgqError('ZGQ_BUILD_INPUT', `the id of row ${firstRow + row} is ${found}, expected a safe integer >= 0`, { path: this.label, offset: offset + at })
      }
      target[row] = id
    }
  }
}

/** Writes 64 bits in hexadecimal: a number would be rounded. */
function describeBits(view: DataView, at: number): string {
  const high = view.getUint32(at + 4, true).toString(16).padStart(8, '0')
  const low = view.getUint32(at, true).toString(16).padStart(8, '0')
  return `0x${high}${low}`
}

/** Reads all ids of a text file, and closes it. */
function readTextIds(file: InputFile): IdSource {
  const bytes = new Uint8Array(file.byteLength)
  file.read(bytes, 0)
  file.close()
  return arrayIdSource(parseLines(bytes, file.path), file.path)
}

function parseLines(bytes: Uint8Array, path: string): Float64Array {
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] === LINE_FEED || bytes[end - 1] === CARRIAGE_RETURN)) end--
  if (end === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no ids: its lines are blank', { path })
  const text = bytes.subarray(0, end)
  const ids = new Float64Array(countLines(text))
  let start = 0
  for (let index = 0; index < ids.length; index++) {
    const lineFeed = text.indexOf(LINE_FEED, start)
    const line = text.subarray(start, lineFeed < 0 ? end : lineFeed)
    const id = parseLine(line)
    if (id === undefined) {
      const found = JSON.stringify(Buffer.from(line.subarray(0, 40)).toString('latin1')) + (line.length > 40 ? '...' : '')
      throw new ZgqError('ZGQ_BUILD_INPUT', `line ${index + 1} is ${found}, expected a decimal integer from 0 to 2^53 - 1`, { path, offset: start })
    }
    ids[index] = id
    start += line.length + 1
  }
  return ids
}

function countLines(text: Uint8Array): number {
  let count = 1
  for (const byte of text) if (byte === LINE_FEED) count++
  return count
}

/** Parses decimal digits, with or without a carriage return after them; undefined for anything else and above 2^53 - 1. */
function parseLine(line: Uint8Array): number | undefined {
  const length = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length
  if (length === 0) return undefined
  let value = 0
  for (let at = 0; at < length; at++) {
    const digit = line[at] - DIGIT_ZERO
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
    if (value > Number.MAX_SAFE_INTEGER) return undefined
  }
  return value
}
