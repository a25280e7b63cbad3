// What an open Parquet file says of itself: its ends, its footer, its columns, and how long its vectors are.

import type { SchemaTree } from 'hyparquet'

import { ZgqError } from '../errors.ts'
import { truncated } from './input-file.ts'
import type { NumberColumn } from './parquet-columns.ts'
import type { ParquetLibrary } from './parquet-library.ts'
import { readPages, type ParquetBytes, type ParquetFile } from './parquet-pages.ts'
import { RowChecker } from './parquet-rows.ts'

const MAGIC = 'PAR1'
const ENCRYPTED_MAGIC = 'PARE'
/** Read from the end at first; what is left of a longer footer comes with a second read. */
const FOOTER_BYTES = 2 ** 16

/** What messages say of a file that a library throws over. */
export const DAMAGED = 'the Parquet file is damaged, or of a kind that is not supported'

/** An open file and its columns. */
export interface ParquetTable {
  readonly parquet: ParquetFile
  readonly columns: readonly SchemaTree[]
}

/**
 * Reads the footer. Rejects with ZGQ_BUILD_INPUT and ZGQ_TRUNCATED, what `file.read` throws, and what the library
 * throws over damage.
 */
export async function readTable(library: ParquetLibrary, file: ParquetBytes): Promise<ParquetTable> {
  checkEnds(file)
  const metadata = await library.readMetadata(
    { byteLength: file.byteLength, slice: (start, end = file.byteLength) => readSlice(file, start, end) },
    { geoparquet: false, initialFetchSize: FOOTER_BYTES }
  )
  return { parquet: { file, library, metadata }, columns: library.schemaOf(metadata).children }
}

/** A Parquet file begins and ends with its magic bytes: without those at the end it was cut short. */
function checkEnds(file: ParquetBytes): void {
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

function readSlice(file: ParquetBytes, start: number, end: number): ArrayBuffer {
  const bytes = new Uint8Array(end - start)
  file.read(bytes, start)
  return bytes.buffer
}

/** Measures the list of row 0, so that the dimension is known before rows are read; throws if there are no rows. */
export function measureFirst(parquet: ParquetFile, column: NumberColumn): number {
  const { path } = parquet.file
  const rows = new RowChecker(column, path)
  for (const page of readPages(parquet, column)) {
    rows.check(page)
    if (rows.firstLength !== undefined) return rows.firstLength
  }
  throw new ZgqError('ZGQ_BUILD_INPUT', 'the file has no vectors: it has no rows', { path })
}
