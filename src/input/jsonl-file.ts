// JSON lines: an array of numbers, or an object with a vector, perhaps an id and keys for a payload, a line. The first
// line says which; all others must be alike.

import { ZgqError } from '../errors.ts'
import type { IdType } from '../types.ts'
import type { BatchReadOptions } from './batch-format.ts'
import { checkId, idTypeOf, otherDim, shorten, type BatchSource } from './batch-source.ts'
import { CHUNK_BYTES, InputFile } from './input-file.ts'
import { pickKeys, type PayloadColumns } from './payload-columns.ts'
import { RowBatches } from './row-batches.ts'
import type { VectorBatch } from './vector-batch.ts'
import { checkDim } from './row-source.ts'

/** Longer than any line of 65,536 numbers: what is longer is no file of lines. */
const LINE_LIMIT = 64 * 2 ** 20
const LINE_FEED = 10
const BYTE_ORDER_MARK = '\ufeff'
/** Keeps a byte order mark, which only the first line may have. */
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

interface Line {
  /** From 1. */
  readonly number: number
  readonly text: string
}

/** The form of every line, taken from the first. */
interface LineKind {
  /** Key of the vectors; undefined where lines are arrays. */
  readonly column: string | undefined
  /** Key of the ids; undefined where there are none. */
  readonly idColumn: string | undefined
  readonly payloadColumns: PayloadColumns | undefined
}

/** A line taken apart. */
interface LineParts {
  /** Its values are not yet looked at. */
  readonly vector: readonly unknown[]
  readonly id: unknown
  readonly payload: object | undefined
}

/**
 * Opens a file of JSON lines: `[1, 2, 3]`, or objects with the vector under `column` (default `vector`) and the id
 * under `idColumn` (default `id`, which may be missing from all); other keys go into payloads as `payloadColumns` says,
 * and may be missing. Throws ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_BUILD_INPUT and ZGQ_DIMENSION; its batches reject with the
 * same, naming the line, counted from 1.
 */
export function openJsonLinesFile(path: string, options: BatchReadOptions): BatchSource {
  const file = InputFile.open(path)
  try {
    const { value: first } = readLines(file).next()
    if (first === undefined) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no vectors: it is empty', { path })
    const kind = kindOf(first, options, path)
    const { vector, id } = partsOf(first, kind, path)
    const dim = vector.length
    checkDim(dim, { path })
    const idType = kind.idColumn === undefined ? undefined : idTypeOf(id)
    return {
      dim,
      idType,
      hasPayloads: kind.payloadColumns !== undefined,
      batches: readBatches(file, kind, { dim, idType }),
      nameOfRow: (row) => `line ${row + 1}`,
      close: () => {
        file.close()
      }
    }
  } catch (error) {
    file.close()
    throw error
  }
}

async function* readBatches(
  file: InputFile,
  kind: LineKind,
  { dim, idType }: { dim: number; idType: IdType | undefined }
): AsyncGenerator<VectorBatch> {
  const { path } = file
  const batches = new RowBatches(dim, { idType, hasPayloads: kind.payloadColumns !== undefined })
  const row = new Float32Array(dim)
  for (const line of readLines(file)) {
    const { vector, id, payload } = partsOf(line, kind, path)
    if (vector.length !== dim) throw otherDim(vector.length, dim, { row: `line ${line.number}`, path })
    for (let i = 0; i < dim; i++) {
      const value = vector[i]
      if (typeof value !== 'number') throw badLine(line, `a number at position ${i} of the vector`, path)
      row[i] = value
    }
    yield* batches.add({
      vector: row,
      id: idType === undefined ? undefined : checkId(id, { row: `line ${line.number}`, path }, idType),
      payload,
      payloadBytes: payload === undefined ? 0 : line.text.length
    })
  }
  yield* batches.rest()
}

function kindOf(line: Line, options: BatchReadOptions, path: string): LineKind {
  const value = parse(line, path)
  const { payloadColumns } = options
  if (Array.isArray(value)) {
    if (payloadColumns !== undefined) throw badLine(line, 'an object, which has keys for the payload', path)
    if (options.column === undefined && options.idColumn === undefined)
      return { column: undefined, idColumn: undefined, payloadColumns }
    throw badLine(line, `an object with the key ${JSON.stringify(options.column ?? options.idColumn)}`, path)
  }
  const column = options.column ?? 'vector'
  if (!isObject(value)) throw badLine(line, 'an array of numbers, or an object with "vector" and "id"', path)
  if (!Object.hasOwn(value, column))
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `line ${line.number} has no key ${JSON.stringify(column)}: it has ${shorten(Object.keys(value).join(', '))}; ` +
        'name one with the option column',
      { path }
    )
  const hasIds = options.idColumn !== undefined || Object.hasOwn(value, 'id')
  return { column, idColumn: hasIds ? (options.idColumn ?? 'id') : undefined, payloadColumns }
}

function partsOf(line: Line, kind: LineKind, path: string): LineParts {
  const value = parse(line, path)
  if (kind.column === undefined) {
    if (Array.isArray(value)) return { vector: value, id: undefined, payload: undefined }
    throw badLine(line, 'an array of numbers, like the lines before', path)
  }
  if (!isObject(value))
    throw badLine(line, `an object with the key ${JSON.stringify(kind.column)}, like the lines before`, path)
  const vector = Object.hasOwn(value, kind.column) ? value[kind.column] : undefined
  if (!Array.isArray(vector))
    throw badLine(line, `an array of numbers under the key ${JSON.stringify(kind.column)}`, path)
  const { payloadColumns } = kind
  const payload =
    payloadColumns === undefined ? undefined : pickKeys(value, payloadColumns, [kind.column, kind.idColumn])
  if (kind.idColumn === undefined) {
    if (Object.hasOwn(value, 'id')) throw badLine(line, 'no id, like the lines before', path)
    return { vector, id: undefined, payload }
  }
  if (!Object.hasOwn(value, kind.idColumn))
    throw badLine(line, `an id under the key ${JSON.stringify(kind.idColumn)}`, path)
  return { vector, id: value[kind.idColumn], payload }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse(line: Line, path: string): unknown {
  try {
    return JSON.parse(line.text)
  } catch {
    throw badLine(line, 'JSON: an array of numbers, or an object with "vector" and "id"', path)
  }
}

function badLine(line: Line, expected: string, path: string): ZgqError {
  const found = line.text.trim() === '' ? 'blank' : JSON.stringify(shorten(line.text))
  return new ZgqError('ZGQ_BUILD_INPUT', `line ${line.number} is ${found}, expected ${expected}`, { path })
}

/** Yields the lines of a file; blank ones may only end it. */
function* readLines(file: InputFile): Generator<Line> {
  let blank: Line | undefined
  for (const line of splitLines(file)) {
    if (line.text.trim() === '') blank ??= line
    else if (blank !== undefined) throw badLine(blank, 'a vector: blank lines may only end the file', file.path)
    else yield line
  }
}

/**
 * Yields all lines, without their line feeds, a chunk of the file at a time; a byte order mark before the first is left
 * out.
 */
function* splitLines(file: InputFile): Generator<Line> {
  let number = 0
  /** Bytes of a line whose end is not read yet. */
  let begun: Uint8Array[] = []
  let begunBytes = 0
  for (let offset = 0; offset < file.byteLength; offset += CHUNK_BYTES) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, file.byteLength - offset))
    file.read(chunk, offset)
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const bytes = chunk.subarray(start, end)
      yield decodeLine(++number, begun.length === 0 ? bytes : Buffer.concat([...begun, bytes]), file.path)
      begun = []
      begunBytes = 0
      start = end + 1
    }
    begun.push(chunk.subarray(start))
    begunBytes += chunk.length - start
    if (begunBytes > LINE_LIMIT)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `line ${number + 1} is longer than ${LINE_LIMIT} bytes, expected one vector a line`,
        { path: file.path }
      )
  }
  if (begunBytes > 0) yield decodeLine(number + 1, Buffer.concat(begun), file.path)
}

/** Throws for what is no UTF-8: replaced by U+FFFD, ids and texts would become others. */
function decodeLine(number: number, bytes: Uint8Array, path: string): Line {
  try {
    const text = DECODER.decode(bytes)
    return { number, text: number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text }
  } catch (cause) {
    throw new ZgqError('ZGQ_BUILD_INPUT', `line ${number} has bytes that are not UTF-8, expected JSON in UTF-8`, {
      path,
      cause
    })
  }
}
