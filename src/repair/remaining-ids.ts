// Ids of the rows of a segment, from the column beside its rows or the one beside its codes, some at a time.

import { isUtf8 } from 'node:buffer'

import { MOST_ID_BYTES } from '../format/string-ids.ts'
import { u64At } from '../format/u64.ts'
import type { Id, IdType } from '../types.ts'
import type { RemainingColumn, RemainingExtent } from './remaining-extent.ts'
import type { RemainingFiles } from './remaining-files.ts'

const START_BYTES = 4

export class RemainingIds {
  readonly #column: RemainingColumn
  readonly #of: { readonly files: RemainingFiles; readonly idType: IdType; readonly rowCount: number }

  constructor(
    column: RemainingColumn,
    of: { readonly files: RemainingFiles; readonly idType: IdType; readonly rowCount: number }
  ) {
    this.#column = column
    this.#of = of
  }

  /** Reads ids of rows; undefined: what is there cannot be one. */
  read(firstRow: number, count: number): (Id | undefined)[] {
    return this.#of.idType === 'integer' ? this.#integers(firstRow, count) : this.#texts(firstRow, count)
  }

  #integers(firstRow: number, count: number): (number | undefined)[] {
    const words = new Uint32Array(count * 2)
    this.#of.files.read(this.#column.file, this.#column.offset + firstRow * 8, new Uint8Array(words.buffer))
    return Array.from({ length: count }, (_, row) => {
      const id = u64At(words, row)
      return id <= Number.MAX_SAFE_INTEGER ? id : undefined
    })
  }

  #texts(firstRow: number, count: number): (string | undefined)[] {
    const { files, rowCount } = this.#of
    const { file, offset, byteLength } = this.#column
    const starts = new Uint32Array(count + 1)
    files.read(file, offset + firstRow * START_BYTES, new Uint8Array(starts.buffer))
    const bytesStart = (rowCount + 1) * START_BYTES
    // Starts that do not ascend are of a column that was forged: its ids are read as far as it has bytes.
    const [begin, end] = [starts[0], Math.min(starts[count], starts[0] + count * MOST_ID_BYTES)]
    const bytes = Buffer.alloc(Math.max(0, Math.min(end, byteLength - bytesStart) - begin))
    files.read(file, offset + bytesStart + begin, bytes)
    return Array.from({ length: count }, (_, row) => {
      const [from, to] = [starts[row] - begin, starts[row + 1] - begin]
      if (from < 0 || to <= from || to - from > MOST_ID_BYTES || to > bytes.byteLength) return undefined
      const id = bytes.subarray(from, to)
      return isUtf8(id) ? id.toString('utf8') : undefined
    })
  }
}

/** Finds the ids of a segment where they are whole; undefined: nowhere. */
export function findIds(
  extents: readonly (RemainingExtent | undefined)[],
  of: { readonly files: RemainingFiles; readonly idType: IdType; readonly rowCount: number }
): RemainingIds | undefined {
  const { idType, rowCount } = of
  for (const extent of extents) {
    const column = idType === 'integer' ? extent?.column('ids', rowCount * 8) : extent?.column('stringIds')
    const leastBytes = idType === 'integer' ? 0 : (rowCount + 1) * START_BYTES
    if (column !== undefined && column.byteLength >= leastBytes) return new RemainingIds(column, of)
  }
  return undefined
}
