// Vectors of a Parquet file as a RowSource: any rows, as often as they are asked for. A reader goes forward through the
// pages of a row group and holds one page at a time; what comes before the rows that are asked for is passed over.

import type { RowGroup } from 'hyparquet'

import { wrapFormatError } from './batch-source.ts'
import { InputFile } from './input-file.ts'
import { toFloat32 } from './number-kinds.ts'
import { findVectors, type NumberColumn } from './parquet-columns.ts'
import { loadParquetLibrary, type ParquetLibrary } from './parquet-library.ts'
import { readPageIndex, type PageIndex } from './parquet-page-index.ts'
import {
  placeChunk,
  readGroupPages,
  type ByteRange,
  type PageSkip,
  type ParquetBytes,
  type ParquetFile
} from './parquet-pages.ts'
import { RowChecker } from './parquet-rows.ts'
import { DAMAGED, measureFirst, readTable } from './parquet-table.ts'
import { checkRange, type RowSource } from './row-source.ts'

/** What to read of a Parquet file. */
export interface ParquetRowsOptions {
  /** Column of the vectors; default: the only column of lists of numbers. */
  readonly column?: string | undefined
}

/** Rows of a Parquet file. */
export interface ParquetRows extends RowSource {
  /**
   * Lists the bytes that `readRows` reads for rows `firstRow` up to `firstRow + count`, ascending: the pages that hold
   * them where the file has an index of its pages, the vectors of whole row groups where it has none.
   */
  rangesOf(firstRow: number, count: number): ByteRange[]
}

/**
 * Opens the vectors of a Parquet file; the caller closes it. Vectors and errors are those of `openParquetFile`, which
 * reads the same files in batches: ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_BUILD_INPUT, ZGQ_TRUNCATED, ZGQ_DIMENSION; from
 * `readRows` too, with the number of the row in the file.
 */
export async function openParquetRows(path: string, options: ParquetRowsOptions = {}): Promise<ParquetRows> {
  const library = await loadParquetLibrary()
  const file = InputFile.open(path)
  try {
    const table = await readVectorTable(library, file, options)
    return new RowsOfFile(table, () => {
      file.close()
    })
  } catch (error) {
    file.close()
    throw wrapFormatError(error, path, DAMAGED)
  }
}

/** The vectors of an open file, and where they lie. */
interface VectorTable {
  readonly parquet: ParquetFile
  readonly column: NumberColumn
  readonly dim: number
  readonly count: number
  /** Row groups that have rows. */
  readonly groups: readonly VectorGroup[]
}

interface VectorGroup {
  readonly group: RowGroup
  /** The first row, counted through the file, and the one after the last. */
  readonly firstRow: number
  readonly endRow: number
  readonly index: PageIndex | undefined
  readonly range: ByteRange
}

/** Reads all of a file that must be known before its rows are read. Rejects as `readTable` and `findVectors` do. */
export async function readVectorTable(
  library: ParquetLibrary,
  file: ParquetBytes,
  options: ParquetRowsOptions
): Promise<VectorTable> {
  const { parquet, columns } = await readTable(library, file)
  const column = findVectors(columns, options.column, file.path)
  const dim = measureFirst(parquet, column)
  const groups: VectorGroup[] = []
  let firstRow = 0
  for (const group of parquet.metadata.row_groups) {
    const endRow = firstRow + Math.max(0, Number(group.num_rows))
    if (endRow === firstRow) continue
    const index = readPageIndex(parquet, { column, dim }, group)
    groups.push({ group, firstRow, endRow, index, range: placeChunk(parquet, column, group).range })
    firstRow = endRow
  }
  const expected = Number(parquet.metadata.num_rows)
  if (firstRow !== expected || !Number.isSafeInteger(firstRow))
    throw new Error(`it has ${firstRow} rows, expected ${expected}`)
  return { parquet, column, dim, count: firstRow, groups }
}

class RowsOfFile implements ParquetRows {
  readonly dim: number
  readonly count: number
  readonly label: string
  readonly #table: VectorTable
  readonly #closeFile: () => void
  /** The group that was read last. */
  #reader: GroupReader | undefined

  constructor(table: VectorTable, closeFile: () => void) {
    this.dim = table.dim
    this.count = table.count
    this.label = table.parquet.file.path
    this.#table = table
    this.#closeFile = closeFile
  }

  readRows(firstRow: number, target: Float32Array): void {
    const { dim, label } = this
    checkRange(this, firstRow, target.length / dim)
    try {
      for (const { group, from, to } of this.#overlaps(firstRow, target.length / dim)) {
        if (this.#reader?.group !== group) this.#reader = new GroupReader(this.#table, group)
        this.#reader.read(from, target.subarray((from - firstRow) * dim, (to - firstRow) * dim))
      }
    } catch (error) {
      const failed = this.#reader
      this.#reader = undefined // it stands somewhere in the middle
      throw wrapFormatError(failed?.explain(error) ?? error, label, DAMAGED)
    }
  }

  rangesOf(firstRow: number, count: number): ByteRange[] {
    checkRange(this, firstRow, count)
    const { dim } = this
    const ranges = this.#overlaps(firstRow, count).flatMap(({ group, from, to }) =>
      group.index === undefined
        ? [group.range]
        : group.index.rangesOf((from - group.firstRow) * dim, (to - group.firstRow) * dim)
    )
    return joinRanges(ranges)
  }

  close(): void {
    this.#reader = undefined
    this.#closeFile()
  }

  /** Yields the groups that have some of the rows, and which. */
  #overlaps(firstRow: number, count: number): { group: VectorGroup; from: number; to: number }[] {
    const endRow = firstRow + count
    return this.#table.groups
      .filter((group) => group.firstRow < endRow && group.endRow > firstRow)
      .map((group) => ({
        group,
        from: Math.max(firstRow, group.firstRow),
        to: Math.min(endRow, group.endRow)
      }))
  }
}

/** Values of a row group, from value `at` of it on. */
interface Piece {
  readonly at: number
  readonly values: Float32Array
}

/** Reads rows of one row group, forward; to go back it starts again. */
class GroupReader {
  readonly group: VectorGroup
  readonly #table: VectorTable
  #skip: PageSkip
  #pieces: Iterator<Piece, undefined>
  #piece: Piece | undefined
  /** Pages were passed over by what their headers say of their length. */
  #hasPassed = false

  constructor(table: VectorTable, group: VectorGroup) {
    this.group = group
    this.#table = table
    this.#skip = { firstValue: 0, index: group.index }
    this.#pieces = this.#readPieces(this.#skip)
  }

  /** Reads rows from `firstRow` of the file on. */
  read(firstRow: number, target: Float32Array): void {
    const firstValue = (firstRow - this.group.firstRow) * this.#table.dim
    if (this.#piece !== undefined && this.#piece.at > firstValue) this.#startAgain()
    for (let done = 0; done < target.length;) {
      const at = firstValue + done
      this.#skip.firstValue = at
      const piece = this.#pieceWith(at)
      if (piece.at > at) throw new Error(`a page begins after value ${at} of its row group, which it should hold`)
      const values = piece.values.subarray(at - piece.at, at - piece.at + target.length - done)
      target.set(values, done)
      done += values.length
    }
  }

  /**
   * Finds the error that a reader of the whole group meets: rows of another length shift those after them, so that what
   * comes of it names another row.
   */
  explain(error: unknown): unknown {
    if (!this.#hasPassed) return error
    const { parquet, column } = this.#table
    const rows = this.#checkerAtStart()
    try {
      for (const page of readGroupPages(parquet, column, this.group)) rows.check(page)
      return error
    } catch (found) {
      return found
    }
  }

  #startAgain(): void {
    this.#skip = { firstValue: 0, index: this.group.index }
    this.#pieces = this.#readPieces(this.#skip)
    this.#piece = undefined
  }

  #pieceWith(at: number): Piece {
    for (;;) {
      if (this.#piece !== undefined && this.#piece.at + this.#piece.values.length > at) return this.#piece
      const { value } = this.#pieces.next()
      if (value === undefined) throw new Error(`a row group ends before its row ${Math.floor(at / this.#table.dim)}`)
      this.#piece = value
    }
  }

  *#readPieces(skip: PageSkip): Generator<Piece, undefined> {
    const { parquet, column } = this.#table
    const { group, firstRow } = this.group
    const rows = this.#checkerAtStart()
    let next = 0
    for (const page of readGroupPages(parquet, column, { group, skip })) {
      if (page.firstValue !== next) {
        rows.moveTo(firstRow, page.firstValue, page.endsRow)
        this.#hasPassed ||= !page.endsRow
      }
      rows.check(page)
      next = page.firstValue + page.count
      let at = page.firstValue
      for (const numbers of page.values) {
        yield { at, values: toFloat32(numbers) }
        at += numbers.length
      }
    }
    return undefined
  }

  #checkerAtStart(): RowChecker {
    const { parquet, column, dim } = this.#table
    const rows = new RowChecker(column, parquet.file.path, dim)
    rows.moveTo(this.group.firstRow, 0, true)
    return rows
  }
}

/** Joins ranges that touch or overlap. */
function joinRanges(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: { offset: number; byteLength: number }[] = []
  for (const { offset, byteLength } of [...ranges].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1)
    if (last === undefined || last.offset + last.byteLength < offset) joined.push({ offset, byteLength })
    else last.byteLength = Math.max(last.byteLength, offset + byteLength - last.offset)
  }
  return joined
}
