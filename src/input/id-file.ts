// Files of ids as an IdSource: a 1-D .npy of integers, or a text file with one decimal integer a line. Both are read
// where they lie. No bigint: 64-bit ids are put together from halves, and those above 2^53 - 1 are refused.

import { extname } from 'node:path'

import { ZgqError } from '../errors.ts'
import { joinU64 } from '../format/u64.ts'
import { CHUNK_BYTES, InputFile, readNpyHeader } from './input-file.ts'
import { checkRange, type ByteRange, type IdSource } from './row-source.ts'

interface IdType {
  readonly byteLength: number
  /** Decodes an id; beyond +-2^53 the value is rounded, but never into the safe range. */
  readonly decode: (view: DataView, offset: number) => number
}

const ID_TYPES: ReadonlyMap<string, IdType> = new Map([
  ['<i4', { byteLength: 4, decode: (view: DataView, at: number) => view.getInt32(at, true) }],
  [
    '<i8',
    {
      byteLength: 8,
      decode: (view: DataView, at: number) => joinU64(view.getUint32(at, true), view.getInt32(at + 4, true))
    }
  ],
  ['<u4', { byteLength: 4, decode: (view: DataView, at: number) => view.getUint32(at, true) }],
  [
    '<u8',
    {
      byteLength: 8,
      decode: (view: DataView, at: number) => joinU64(view.getUint32(at, true), view.getUint32(at + 4, true))
    }
  ],
  ['<u2', { byteLength: 2, decode: (view: DataView, at: number) => view.getUint16(at, true) }],
  ['|u1', { byteLength: 1, decode: (view: DataView, at: number) => view.getUint8(at) }]
])

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const DIGIT_ZERO = 48

/**
 * Opens a file of ids, in the order of the rows: `.npy` (1-D, i4 i8 u4 u8 u2 u1), else text with one decimal integer a
 * line. Throws ZGQ_NOT_FOUND, ZGQ_TRUNCATED, ZGQ_IO, and ZGQ_BUILD_INPUT (with the line; for .npy from `readIds`, with
 * the row) where an id is no safe integer >= 0.
 */
export function openIdFile(path: string): IdSource {
  const file = InputFile.open(path)
  try {
    if (file.byteLength === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no ids: it is empty', { path })
    return extname(path).toLowerCase() === '.npy' ? openNpyIds(file) : new TextIds(file)
  } catch (error) {
    file.close()
    throw error
  }
}

function openNpyIds(file: InputFile): IdSource {
  const path = file.path
  const { dtype, shape, dataOffset } = readNpyHeader(file)
  const type = ID_TYPES.get(dtype)
  if (type === undefined)
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the .npy array of ids has dtype ${dtype}, expected one of ${[...ID_TYPES.keys()].join(' ')}`,
      { path }
    )
  if (shape.length !== 1)
    throw new ZgqError('ZGQ_BUILD_INPUT', `the .npy array of ids has shape (${shape.join(', ')}), expected one axis`, {
      path
    })
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

  rangesOf(firstRow: number, rowCount: number): ByteRange[] {
    checkRange(this, firstRow, rowCount)
    const { type, dataOffset } = this.#layout
    return [{ offset: dataOffset + firstRow * type.byteLength, byteLength: rowCount * type.byteLength }]
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
        throw new ZgqError(
          'ZGQ_BUILD_INPUT',
          `the id of row ${firstRow + row} is ${found}, expected a safe integer >= 0`,
          { path: this.label, offset: offset + at }
        )
      }
      target[row] = id
    }
  }
}

/** Writes 64 bits in hexadecimal: a number would be rounded. */
function describeBits(view: DataView, at: number): string {
  const high = view
    .getUint32(at + 4, true)
    .toString(16)
    .padStart(8, '0')
  const low = view.getUint32(at, true).toString(16).padStart(8, '0')
  return `0x${high}${low}`
}

/** Lines between two whose offsets are remembered: so many are parsed again, at most, to read from the middle. */
const LINES_A_MARK = 1024

/**
 * Ids in a text file, read where they lie. Opening reads all lines once, checks them and marks where some of them
 * start.
 */
class TextIds implements IdSource {
  readonly count: number
  readonly label: string
  readonly #file: InputFile
  /** Offset of line 0, LINES_A_MARK, 2 * LINES_A_MARK, ... */
  readonly #marks: number[] = []

  constructor(file: InputFile) {
    this.#file = file
    this.label = file.path
    const lines = new LineReader(file, 0)
    let count = 0
    /** The first blank line: it may only end the file. */
    let blank: { number: number; offset: number } | undefined
    for (let number = 0, line = lines.next(); line !== undefined; number++, line = lines.next()) {
      if (isBlank(line)) {
        blank ??= { number, offset: lines.offset }
        continue
      }
      if (blank !== undefined)
        throw badLine(new Uint8Array(0), blank.number + 1, { path: file.path, offset: blank.offset })
      if (parseLine(line) === undefined) throw badLine(line, number + 1, { path: file.path, offset: lines.offset })
      if (number % LINES_A_MARK === 0) this.#marks.push(lines.offset)
      count++
    }
    if (count === 0)
      throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no ids: its lines are blank', { path: file.path })
    this.count = count
  }

  readIds(firstRow: number, target: Float64Array): void {
    checkRange(this, firstRow, target.length)
    if (target.length === 0) return
    const mark = Math.floor(firstRow / LINES_A_MARK)
    const lines = new LineReader(this.#file, this.#marks[mark])
    for (let row = mark * LINES_A_MARK; row < firstRow; row++) lines.next()
    for (let i = 0; i < target.length; i++) {
      const line = lines.next() ?? new Uint8Array(0)
      const id = parseLine(line)
      if (id === undefined) throw badLine(line, firstRow + i + 1, { path: this.label, offset: lines.offset })
      target[i] = id
    }
  }

  close(): void {
    this.#file.close()
  }
}

/** Reads lines from an offset on, a chunk of the file at a time. */
class LineReader {
  readonly #file: InputFile
  readonly #chunk: Uint8Array
  /** Where the chunk starts in the file, and which bytes of it are read but not yet given out. */
  #chunkOffset: number
  #start = 0
  #end = 0
  /** Offset in the file of the line given out last. */
  offset = 0

  constructor(file: InputFile, offset: number) {
    this.#file = file
    this.#chunk = new Uint8Array(Math.min(CHUNK_BYTES / 64, file.byteLength - offset))
    this.#chunkOffset = offset
  }

  /**
   * Returns the next line without its line feed, a view until the next call; undefined at the end. A line as long as a
   * chunk comes in pieces.
   */
  next(): Uint8Array | undefined {
    let lineFeed = this.#findLineFeed()
    if (lineFeed < 0 && this.#refill()) lineFeed = this.#findLineFeed()
    if (this.#start === this.#end) return undefined
    this.offset = this.#chunkOffset + this.#start
    const end = lineFeed < 0 ? this.#end : lineFeed
    const line = this.#chunk.subarray(this.#start, end)
    this.#start = lineFeed < 0 ? end : end + 1
    return line
  }

  #findLineFeed(): number {
    const found = this.#chunk.indexOf(LINE_FEED, this.#start)
    return found < this.#end ? found : -1
  }

  /** Moves what is left to the front and fills the rest; returns whether anything came. */
  #refill(): boolean {
    const left = this.#end - this.#start
    this.#chunk.copyWithin(0, this.#start, this.#end)
    this.#chunkOffset += this.#start
    this.#start = 0
    this.#end = left
    const more = Math.min(this.#chunk.byteLength - left, this.#file.byteLength - this.#chunkOffset - left)
    if (more <= 0) return false
    this.#file.read(this.#chunk.subarray(left, left + more), this.#chunkOffset + left)
    this.#end += more
    return true
  }
}

function isBlank(line: Uint8Array): boolean {
  return line.byteLength === 0 || (line.byteLength === 1 && line[0] === CARRIAGE_RETURN)
}

function badLine(line: Uint8Array, number: number, place: { path: string; offset: number }): ZgqError {
  const found = JSON.stringify(Buffer.from(line.subarray(0, 40)).toString('latin1')) + (line.length > 40 ? '...' : '')
  return new ZgqError(
    'ZGQ_BUILD_INPUT',
    `line ${number} is ${found}, expected a decimal integer from 0 to 2^53 - 1`,
    place
  )
}

/**
 * Parses decimal digits, with or without a carriage return after them; undefined for anything else and above 2^53 - 1.
 */
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
