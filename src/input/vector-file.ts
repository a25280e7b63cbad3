// Files of vectors as a RowSource: .fvecs .bvecs .ivecs, .fbin .u8bin .f16bin, .npy. Rows have a fixed stride, so any
// row is one positioned read. Hosts are little-endian, like the files.

import { countOf, formatCount } from '../describe.ts'
import { extname } from 'node:path'

import { expectPath } from '../arguments.ts'
import { ZgqError } from '../errors.ts'
import { float16Table } from './float16.ts'
import { CHUNK_BYTES, InputFile, readNpyHeader, truncated } from './input-file.ts'
import { checkDim, checkRange, type ByteRange, type PlacedRows, type RowSource } from './row-source.ts'

type ElementType = 'f4' | 'f2' | 'u1' | 'i4'

/** Where the values of a row lie: at `dataOffset + row * stride + prefixBytes`. */
interface RowLayout {
  readonly dim: number
  readonly count: number
  readonly element: ElementType
  readonly dataOffset: number
  /** Bytes of the int32 d in front of each row, in formats that have one. */
  readonly prefixBytes: 0 | 4
  /** Bytes from a row to the next, the prefix included. */
  readonly stride: number
}

const VALUE_BYTES: Readonly<Record<ElementType, number>> = { f4: 4, f2: 2, u1: 1, i4: 4 }

const NPY_ELEMENTS: ReadonlyMap<string, ElementType> = new Map([
  ['<f4', 'f4'],
  ['<f2', 'f2'],
  ['|u1', 'u1']
])

const FORMATS: ReadonlyMap<string, (file: InputFile) => RowLayout> = new Map([
  ['.fvecs', (file: InputFile) => vecsLayout(file, 'f4')],
  ['.bvecs', (file: InputFile) => vecsLayout(file, 'u1')],
  ['.ivecs', (file: InputFile) => vecsLayout(file, 'i4')],
  ['.fbin', (file: InputFile) => binLayout(file, 'f4')],
  ['.u8bin', (file: InputFile) => binLayout(file, 'u1')],
  ['.f16bin', (file: InputFile) => binLayout(file, 'f2')],
  ['.npy', npyLayout]
])

/** Endings of the files that `openVectorFile` opens. */
export const VECTOR_ENDINGS: readonly string[] = [...FORMATS.keys()]

/**
 * Opens a file of vectors. The ending says the format, and the content is checked against it. Integers and halves are
 * read as the nearest float32. Throws ZGQ_NOT_FOUND; ZGQ_BUILD_INPUT for an unknown ending, a file without vectors, a
 * directory, a file that is too long or a wrong header; ZGQ_TRUNCATED; ZGQ_DIMENSION, from `readRows` too if a row has
 * another d than the first; ZGQ_IO.
 */
export function openVectorFile(path: string | URL): RowSource {
  return openRowFile(expectPath('path', path), VECTOR_ENDINGS)
}

/** Opens a file of vectors that has one of these endings; throws as `openVectorFile` does. */
export function openRowFile(path: string, endings: readonly string[]): RowFile {
  const file = InputFile.open(path)
  try {
    return new RowFile(file, findLayout(file, endings))
  } catch (error) {
    file.close()
    throw error
  }
}

/** Rows of an open file. Owns the file and the buffer that converted rows pass through. */
export class RowFile implements PlacedRows {
  readonly dim: number
  readonly count: number
  readonly label: string
  readonly #file: InputFile
  readonly #layout: RowLayout
  #chunk: ArrayBuffer | undefined

  constructor(file: InputFile, layout: RowLayout) {
    this.dim = layout.dim
    this.count = layout.count
    this.label = file.path
    this.#file = file
    this.#layout = layout
  }

  /**
   * Reads whole rows from `firstRow` on until `target` (rows * dim, row-major) is full. Throws ZGQ_DIMENSION,
   * ZGQ_TRUNCATED, ZGQ_IO, ZGQ_CLOSED.
   */
  readRows(firstRow: number, target: Float32Array | Int32Array): void {
    const rowCount = target.length / this.dim
    checkRange(this, firstRow, rowCount)
    const { element, prefixBytes, dataOffset, stride } = this.#layout
    if (element === 'f4' && prefixBytes === 0 && target instanceof Float32Array) {
      this.#file.read(
        new Uint8Array(target.buffer, target.byteOffset, target.byteLength),
        dataOffset + firstRow * stride
      )
      return
    }
    for (let done = 0; done < rowCount;) {
      const chunk = this.#readChunk(firstRow + done, rowCount - done)
      const rows = chunk.byteLength / stride
      convertRows(chunk, this.#layout, target.subarray(done * this.dim, (done + rows) * this.dim))
      done += rows
    }
  }

  rangesOf(firstRow: number, rowCount: number): ByteRange[] {
    checkRange(this, firstRow, rowCount)
    const { dataOffset, stride } = this.#layout
    return [{ offset: dataOffset + firstRow * stride, byteLength: rowCount * stride }]
  }

  /** Closes the file; a second call does nothing. */
  close(): void {
    this.#file.close()
    this.#chunk = undefined
  }

  /** Reads up to `rowLimit` rows as they lie in the file; the bytes are good until the next call. */
  #readChunk(firstRow: number, rowLimit: number): Uint8Array {
    const { stride, dataOffset, prefixBytes, count } = this.#layout
    const chunkRows = Math.min(Math.floor(CHUNK_BYTES / stride), count) // a row has at most 256 KiB + 4
    this.#chunk ??= new ArrayBuffer(chunkRows * stride)
    const bytes = new Uint8Array(this.#chunk, 0, Math.min(chunkRows, rowLimit) * stride)
    const offset = dataOffset + firstRow * stride
    this.#file.read(bytes, offset)
    const otherDim = prefixBytes === 0 ? undefined : describeOtherDim(bytes, this.#layout, { path: this.label, offset })
    if (otherDim !== undefined) throw otherDim
    return bytes
  }
}

/** Copies rows as they lie in the file (`chunk`, at offset 0 of its buffer) into `target`, one number each. */
function convertRows(chunk: Uint8Array, layout: RowLayout, target: Float32Array | Int32Array): void {
  const { dim, element, prefixBytes } = layout
  const values = viewValues(chunk, element)
  const table = element === 'f2' ? float16Table() : undefined
  const skip = prefixBytes / VALUE_BYTES[element]
  for (let to = 0, from = 0; to < target.length;) {
    from += skip
    const end = to + dim
    if (table === undefined) while (to < end) target[to++] = values[from++]
    else while (to < end) target[to++] = table[values[from++]]
  }
}

function viewValues(chunk: Uint8Array, element: ElementType): Float32Array | Uint16Array | Uint8Array | Int32Array {
  const length = chunk.byteLength / VALUE_BYTES[element]
  switch (element) {
    case 'f4':
      return new Float32Array(chunk.buffer, chunk.byteOffset, length)
    case 'f2':
      return new Uint16Array(chunk.buffer, chunk.byteOffset, length)
    case 'i4':
      return new Int32Array(chunk.buffer, chunk.byteOffset, length)
    case 'u1':
      return chunk
  }
}

/**
 * Compares the d in front of every row of `chunk`, which was read at `place`, with that of row 0; describes the first
 * that differs.
 */
function describeOtherDim(
  chunk: Uint8Array,
  layout: RowLayout,
  place: { readonly path: string; readonly offset: number }
): ZgqError | undefined {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  for (let at = 0; at + layout.prefixBytes <= chunk.byteLength; at += layout.stride) {
    const found = view.getInt32(at, true)
    if (found === layout.dim) continue
    const offset = place.offset + at
    const row = (offset - layout.dataOffset) / layout.stride
    return new ZgqError(
      'ZGQ_DIMENSION',
      `row ${row} has ${countOf(found, 'dimension')}, expected ${formatCount(layout.dim)} as in row 0`,
      {
        path: place.path,
        offset
      }
    )
  }
  return undefined
}

function findLayout(file: InputFile, endings: readonly string[]): RowLayout {
  const ending = extname(file.path).toLowerCase()
  const recognise = endings.includes(ending) ? FORMATS.get(ending) : undefined
  if (recognise === undefined) {
    throw new ZgqError('ZGQ_BUILD_INPUT', `the file ends in "${ending}", expected one of ${endings.join(' ')}`, {
      path: file.path
    })
  }
  if (file.byteLength === 0)
    throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no vectors: it is empty', { path: file.path })
  const layout = recognise(file)
  if (layout.count === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no vectors', { path: file.path })
  return layout
}

/** .fvecs .bvecs .ivecs: rows of an int32 d and d values; the first d stands for all until rows are read. */
function vecsLayout(file: InputFile, element: ElementType): RowLayout {
  const dim = file.readHeader(4).getInt32(0, true)
  checkDim(dim, { path: file.path, offset: 0 })
  const stride = 4 + dim * VALUE_BYTES[element]
  const layout: RowLayout = {
    dim,
    count: Math.floor(file.byteLength / stride),
    element,
    dataOffset: 0,
    prefixBytes: 4,
    stride
  }
  if (file.byteLength % stride !== 0) throw explainEnd(file, layout)
  return layout
}

/**
 * Says why a .?vecs file is no multiple of its stride: a row of another dimension (it shifts all that follow), or a
 * last row cut short.
 */
function explainEnd(file: InputFile, layout: RowLayout): ZgqError {
  // Where the last rows stand in their place, none before them differs: only else is the file read from its start.
  const isShifted = findOtherDim(file, layout, Math.max(0, layout.count - 1)) !== undefined
  const otherDim = isShifted ? findOtherDim(file, layout, 0) : undefined
  return otherDim ?? truncated(file, (layout.count + 1) * layout.stride)
}

/** Searches from `firstRow` to the end of the file, a cut last row included, for a row of another dimension. */
function findOtherDim(file: InputFile, layout: RowLayout, firstRow: number): ZgqError | undefined {
  const chunk = new Uint8Array(Math.floor(CHUNK_BYTES / layout.stride) * layout.stride)
  for (let offset = firstRow * layout.stride; offset < file.byteLength; offset += chunk.byteLength) {
    const bytes = chunk.subarray(0, Math.min(chunk.byteLength, file.byteLength - offset))
    file.read(bytes, offset)
    const otherDim = describeOtherDim(bytes, layout, { path: file.path, offset })
    if (otherDim !== undefined) return otherDim
  }
  return undefined
}

/** .fbin .u8bin .f16bin: u32 n, u32 d, then n * d values. */
function binLayout(file: InputFile, element: ElementType): RowLayout {
  const header = file.readHeader(8)
  const count = header.getUint32(0, true)
  const dim = header.getUint32(4, true)
  checkDim(dim, { path: file.path, offset: 4 })
  const layout: RowLayout = { dim, count, element, dataOffset: 8, prefixBytes: 0, stride: dim * VALUE_BYTES[element] }
  file.checkByteLength(layout.dataOffset + count * layout.stride)
  return layout
}

function npyLayout(file: InputFile): RowLayout {
  const { dtype, shape, dataOffset } = readNpyHeader(file)
  const element = NPY_ELEMENTS.get(dtype)
  if (element === undefined) {
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the .npy array has dtype ${dtype}, expected one of ${[...NPY_ELEMENTS.keys()].join(' ')}`,
      { path: file.path }
    )
  }
  if (shape.length !== 2) {
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the .npy array has shape (${shape.join(', ')}), expected two axes: rows and dimensions`,
      { path: file.path }
    )
  }
  const [count, dim] = shape
  checkDim(dim, { path: file.path })
  const layout: RowLayout = { dim, count, element, dataOffset, prefixBytes: 0, stride: dim * VALUE_BYTES[element] }
  file.checkByteLength(dataOffset + count * layout.stride)
  return layout
}
