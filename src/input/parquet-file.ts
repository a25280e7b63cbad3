// A column of a Parquet file as batches of vectors: which column, which dimension, and that every row is a list of that
// many numbers. Pages are read and decoded in parquet-pages.ts.

import type { SchemaElement, SchemaTree } from 'hyparquet'

import { ZgqError } from '../errors.ts'
import type { VectorBatch } from './vector-batch.ts'
import type { BatchFileOptions } from './batch-format.ts'
import { BatchBuffer, checkId, otherDim, wrapFormatError, type BatchSource } from './batch-source.ts'
import { InputFile, truncated } from './input-file.ts'
import { toFloat32 } from './number-kinds.ts'
import { loadParquetLibrary } from './parquet-library.ts'
import { readPages, type NumberColumn, type NumberPage, type ParquetFile } from './parquet-pages.ts'
import { numberKindOf } from './parquet-values.ts'
import { checkDim } from './row-source.ts'

const MAGIC = 'PAR1'
const ENCRYPTED_MAGIC = 'PARE'
const DAMAGED = 'the Parquet file is damaged, or of a kind that is not read'

/**
 * Opens a Parquet file: vectors from `column` (default: the only column of lists of numbers), ids from `idColumn`
 * (default: none). Rejects with ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_BUILD_INPUT, ZGQ_TRUNCATED and ZGQ_DIMENSION; its batches
 * reject with the same, naming the row, counted from 0.
 */
export async function openParquetFile(path: string, options: BatchFileOptions): Promise<BatchSource> {
  const library = await loadParquetLibrary()
  const file = InputFile.open(path)
  try {
    checkEnds(file)
    const metadata = await library.readMetadata(
      { byteLength: file.byteLength, slice: (start, end = file.byteLength) => readSlice(file, start, end) },
      { geoparquet: false }
    )
    const parquet = { file, library, metadata }
    const columns = library.schemaOf(metadata).children
    const vectors = findVectors(columns, options.column, path)
    const ids = options.idColumn === undefined ? undefined : findIds(columns, options.idColumn, path)
    const dim = firstLength(readPages(parquet, vectors), vectors, path)
    if (dim === undefined) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no vectors: it has no rows', { path })
    return {
      dim,
      idType: ids === undefined ? undefined : 'integer',
      hasPayloads: false,
      batches: readBatches(parquet, { vectors, ids, dim }),
      close: () => {
        file.close()
      }
    }
  } catch (error) {
    file.close()
    throw wrapFormatError(error, path, DAMAGED)
  }
}

/** A Parquet file begins and ends with its magic bytes: without those at the end it was cut short. */
function checkEnds(file: InputFile): void {
  const { path, byteLength } = file
  const textAt = (offset: number): string => Buffer.from(readSlice(file, offset, offset + 4)).toString('latin1')
  const head = byteLength < 4 ? '' : textAt(0)
  if (head !== MAGIC && head !== ENCRYPTED_MAGIC)
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the file is not Parquet: it begins with ${JSON.stringify(head)}, expected ${MAGIC}`,
      { path, offset: 0 }
    )
  if (byteLength < 12) throw truncated(file, 12)
  const tail = textAt(byteLength - 4)
  if (head === ENCRYPTED_MAGIC || tail === ENCRYPTED_MAGIC)
    throw new ZgqError('ZGQ_BUILD_INPUT', 'the Parquet file is encrypted', { path })
  if (tail !== MAGIC)
    throw new ZgqError(
      'ZGQ_TRUNCATED',
      `the Parquet file is cut short or damaged: it ends with ${JSON.stringify(tail)}, expected ${MAGIC}`,
      { path, offset: byteLength - 4 }
    )
}

function readSlice(file: InputFile, start: number, end: number): ArrayBuffer {
  const bytes = new Uint8Array(end - start)
  file.read(bytes, start)
  return bytes.buffer
}

/** Follows a column of the table down to its numbers; undefined if it branches or holds anything else. */
function numberColumnOf(tree: SchemaTree): NumberColumn | undefined {
  const levels: SchemaElement[] = []
  let node = tree
  for (;;) {
    levels.push(node.element)
    if (node.children.length === 0) break
    if (node.children.length > 1) return undefined
    node = node.children[0]
  }
  const kind = numberKindOf(node.element)
  if (kind === undefined) return undefined
  const isOptional = (element: SchemaElement): boolean => element.repetition_type !== 'REQUIRED'
  const repeated = levels.findIndex((element) => element.repetition_type === 'REPEATED')
  return {
    name: tree.element.name,
    path: node.path,
    element: node.element,
    kind,
    maxRepetition: levels.filter((element) => element.repetition_type === 'REPEATED').length,
    maxDefinition: levels.filter(isOptional).length,
    entryDefinition: levels.slice(0, repeated + 1).filter(isOptional).length
  }
}

function findVectors(columns: readonly SchemaTree[], name: string | undefined, path: string): NumberColumn {
  const lists = columns.map(numberColumnOf).filter((column) => column?.maxRepetition === 1)
  if (name === undefined) {
    const [only] = lists
    if (only !== undefined && lists.length === 1) return only
    const found =
      lists.length === 0
        ? `no column of lists of numbers: its columns are ${namesOf(columns)}`
        : `several columns of lists of numbers: ${lists.map((list) => list?.name).join(', ')}`
    throw new ZgqError('ZGQ_BUILD_INPUT', `the file has ${found}; name one with the option column`, { path })
  }
  const list = lists.find((candidate) => candidate?.name === name)
  if (list !== undefined) return list
  expectColumn(columns, name, path)
  throw new ZgqError('ZGQ_BUILD_INPUT', `the column ${name} does not hold lists of numbers`, { path })
}

function findIds(columns: readonly SchemaTree[], name: string, path: string): NumberColumn {
  const tree = expectColumn(columns, name, path)
  const column = numberColumnOf(tree)
  if (column?.maxRepetition === 0 && column.path.length === 1 && !column.kind.startsWith('f')) return column
  throw new ZgqError('ZGQ_BUILD_INPUT', `the column of ids ${name} does not hold integers`, { path })
}

function expectColumn(columns: readonly SchemaTree[], name: string, path: string): SchemaTree {
  const found = columns.find((column) => column.element.name === name)
  if (found === undefined)
    throw new ZgqError('ZGQ_BUILD_INPUT', `the file has no column ${name}: its columns are ${namesOf(columns)}`, {
      path
    })
  return found
}

function namesOf(columns: readonly SchemaTree[]): string {
  return columns.map((column) => column.element.name).join(', ')
}

/** Measures the list of row 0, so that its dimension is known before rows are read; undefined if there are no rows. */
function firstLength(pages: Iterable<NumberPage>, column: NumberColumn, path: string): number | undefined {
  const rows = new RowChecker(column, path)
  for (const page of pages) {
    rows.check(page)
    if (rows.firstLength !== undefined) break
  }
  return rows.firstLength
}

async function* readBatches(
  parquet: ParquetFile,
  columns: { vectors: NumberColumn; ids: NumberColumn | undefined; dim: number }
): AsyncGenerator<VectorBatch> {
  const { path } = parquet.file
  const { vectors: column, dim } = columns
  const buffer = new BatchBuffer(dim)
  const ids = columns.ids === undefined ? undefined : new IdReader(parquet, columns.ids)
  const withIds = (vectors: Float32Array): VectorBatch =>
    ids === undefined ? { vectors } : { vectors, ids: ids.take(vectors.length / dim) }
  try {
    const rows = new RowChecker(column, path, dim)
    for (const page of readPages(parquet, column)) {
      rows.check(page)
      for (const numbers of page.numbers) {
        for (const vectors of buffer.append(toFloat32(numbers))) yield withIds(vectors)
      }
    }
    for (const vectors of buffer.rest()) yield withIds(vectors)
    if (rows.count !== Number(parquet.metadata.num_rows))
      throw new Error(`it has ${rows.count} rows, expected ${parquet.metadata.num_rows}`)
  } catch (error) {
    throw wrapFormatError(error, path, DAMAGED)
  }
}

/** Follows the levels of a column of lists: every list must be there, whole, and of one length. */
class RowChecker {
  readonly #column: NumberColumn
  readonly #path: string
  /** Undefined until the first list has ended. */
  #dim: number | undefined
  /** The first row of the row group. */
  #groupRow = 0
  /** Rows begun so far. */
  #count = 0
  /** Numbers of the last of them. */
  #length = 0

  constructor(column: NumberColumn, path: string, dim?: number) {
    this.#column = column
    this.#path = path
    this.#dim = dim
  }

  get count(): number {
    return this.#count
  }

  get firstLength(): number | undefined {
    return this.#dim
  }

  /** Throws ZGQ_BUILD_INPUT for nulls, ZGQ_DIMENSION for a list of another length, with the row. */
  check(page: NumberPage): void {
    const { count, repetitions, definitions, endsGroupOf } = page
    const { maxDefinition } = this.#column
    for (let i = 0; i < count; i++) {
      if (repetitions === undefined || repetitions[i] === 0) this.#beginRow()
      else if (this.#count === this.#groupRow) throw new Error('a row group begins in the middle of a list')
      if (definitions === undefined || definitions[i] === maxDefinition) this.#length++
      else this.#expectEmpty(definitions[i])
    }
    if (endsGroupOf === undefined) return
    this.#endRow()
    if (this.#count - this.#groupRow !== endsGroupOf)
      throw new Error(`a row group has ${this.#count - this.#groupRow} rows, expected ${endsGroupOf}`)
    this.#groupRow = this.#count
  }

  #beginRow(): void {
    if (this.#count > this.#groupRow) this.#endRow()
    this.#count++
    this.#length = 0
  }

  #endRow(): void {
    if (this.#dim === undefined) checkDim(this.#length, { path: this.#path })
    this.#dim ??= this.#length
    if (this.#length !== this.#dim) throw otherDim(this.#length, this.#dim, { row: this.#row(), path: this.#path })
  }

  /** An entry without a number: an empty list, whose length is checked like any, a null list or a null in a list. */
  #expectEmpty(definition: number): void {
    const { entryDefinition, name } = this.#column
    if (definition === entryDefinition - 1) return
    const found = definition < entryDefinition ? 'null' : `a list with a null at position ${this.#length}`
    throw new ZgqError('ZGQ_BUILD_INPUT', `${this.#row()} has ${found} in the column ${name}, expected numbers`, {
      path: this.#path
    })
  }

  #row(): string {
    return `row ${this.#count - 1}`
  }
}

/** Gives out ids as they are asked for. */
class IdReader {
  readonly #pages: Iterator<NumberPage>
  readonly #path: string
  #left: Float64Array = new Float64Array(0)
  #row = 0

  constructor(parquet: ParquetFile, column: NumberColumn) {
    this.#pages = readPages(parquet, column)
    this.#path = parquet.file.path
  }

  /** Takes the next `count` ids; throws ZGQ_BUILD_INPUT for one that is missing or no safe integer >= 0. */
  take(count: number): Float64Array {
    const ids = new Float64Array(count)
    for (let done = 0; done < count;) {
      if (this.#left.length === 0) this.#left = this.#nextPage()
      const some = this.#left.subarray(0, count - done)
      ids.set(some, done)
      this.#left = this.#left.subarray(some.length)
      done += some.length
    }
    for (let i = 0; i < count; i++)
      checkId(Number.isNaN(ids[i]) ? null : ids[i], { row: `row ${this.#row + i}`, path: this.#path })
    this.#row += count
    return ids
  }

  #nextPage(): Float64Array {
    const { value, done } = this.#pages.next()
    if (done === true) throw new Error('the column of ids ends before that of the vectors')
    const { count, definitions, numbers }: NumberPage = value
    const ids = new Float64Array(count).fill(NaN) // null: refused, with its row, when it is taken
    let at = 0
    for (const piece of numbers) {
      for (let i = 0; i < piece.length; i++) {
        while (definitions?.[at] === 0) at++
        ids[at++] = piece[i]
      }
    }
    return ids
  }
}
