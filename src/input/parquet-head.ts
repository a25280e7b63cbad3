// Parquet files that come to this machine in pieces: which bytes must be there before `openParquetRows` can open one.
// They are found by opening it: a read of bytes that are not there says which, and is repeated once they are.

import { wrapFormatError } from './batch-source.ts'
import { InputFile } from './input-file.ts'
import { loadParquetLibrary } from './parquet-library.ts'
import type { ByteRange, ParquetBytes } from './parquet-pages.ts'
import { readVectorTable, type ParquetRowsOptions } from './parquet-row-source.ts'
import { DAMAGED } from './parquet-table.ts'

/** Bytes are asked for in blocks of this size: a request costs more than the bytes of a header. */
const BLOCK_BYTES = 2 ** 16

/**
 * Brings what `openParquetRows` reads of the file at `path`, a local file of the full length without its content: its
 * ends, the footer, the first vector, and the indexes of its pages. `fetch` is called some times, one after the other,
 * and resolves when the bytes are in the file. Rejects as `fetch` and `openParquetRows` do.
 */
export async function fetchParquetHead(
  path: string,
  options: ParquetRowsOptions,
  fetch: (ranges: readonly ByteRange[]) => Promise<unknown>
): Promise<void> {
  const library = await loadParquetLibrary()
  const file = new PartialFile(InputFile.open(path))
  try {
    for (;;) {
      try {
        await readVectorTable(library, file, options)
        return
      } catch (error) {
        if (!(error instanceof MissingBytes)) throw wrapFormatError(error, path, DAMAGED)
        await fetch(error.ranges)
        file.add(error.ranges)
      }
    }
  } finally {
    file.close()
  }
}

/** Thrown by a read of bytes that are not there yet. */
class MissingBytes extends Error {
  readonly ranges: readonly ByteRange[]

  constructor(ranges: readonly ByteRange[]) {
    super('bytes that are not there yet')
    this.ranges = ranges
  }
}

/** A file of which some blocks are there. */
class PartialFile implements ParquetBytes {
  readonly path: string
  readonly byteLength: number
  readonly #file: InputFile
  readonly #blocks = new Set<number>()

  constructor(file: InputFile) {
    this.path = file.path
    this.byteLength = file.byteLength
    this.#file = file
  }

  /** Reads what is there; throws MissingBytes otherwise. */
  read(target: Uint8Array, offset: number): void {
    const missing = this.#missing(offset, Math.min(offset + target.byteLength, this.byteLength))
    if (missing.length > 0) throw new MissingBytes(missing)
    this.#file.read(target, offset)
  }

  add(ranges: readonly ByteRange[]): void {
    for (const { offset, byteLength } of ranges)
      for (let at = offset; at < offset + byteLength; at += BLOCK_BYTES) this.#blocks.add(at / BLOCK_BYTES)
  }

  close(): void {
    this.#file.close()
  }

  #missing(offset: number, end: number): ByteRange[] {
    const ranges: { offset: number; byteLength: number }[] = []
    for (let block = Math.floor(offset / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) {
      if (this.#blocks.has(block)) continue
      const start = block * BLOCK_BYTES
      const byteLength = Math.min(BLOCK_BYTES, this.byteLength - start)
      const last = ranges.at(-1)
      if (last !== undefined && last.offset + last.byteLength === start) last.byteLength += byteLength
      else ranges.push({ offset: start, byteLength })
    }
    return ranges
  }
}
