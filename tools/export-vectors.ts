// Vectors as .fvecs or .npy. Rows with integer ids come in the order of their ids, so that an index of row numbers
// gives back the file that it was built from; rows with string ids as the index has them.

import { ZgqError, type Filter, type Id, type ZgqIndex } from '../src/index.ts'
import type { NewFile } from './new-file.ts'
import { showId } from './shown-values.ts'

export type VectorFormat = 'fvecs' | 'npy'

export interface VectorExport {
  readonly index: ZgqIndex<Id>
  readonly filter: Filter | undefined
  readonly rows: number
  readonly format: VectorFormat
  readonly file: NewFile
  /** For an id a line, in the order of the rows. */
  readonly ids: NewFile | undefined
  /** Called after each row. */
  readonly onRow: () => void | Promise<void>
}

export async function exportVectors(of: VectorExport): Promise<void> {
  const { index, filter, rows, format, file, ids, onRow } = of
  const { dim, ids: idType } = index.info()
  const head = format === 'npy' ? npyHeader(rows, dim) : Buffer.alloc(0)
  if (head.byteLength > 0) file.writeAt(0, head)
  const place = idType === 'integer' ? placesById(index, filter, { rows, ids }) : placesAsTheyCome(ids)
  const rowBytes = (format === 'fvecs' ? 4 : 0) + dim * 4
  const row = Buffer.alloc(rowBytes)
  if (format === 'fvecs') row.writeInt32LE(dim, 0)
  for (const { id, vector } of index.documents({ filter, payload: false })) {
    row.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), rowBytes - dim * 4)
    file.writeAt(head.byteLength + place(id) * rowBytes, row)
    await onRow()
  }
}

/** 8 bytes of memory a row: the ids, sorted. */
function placesById(
  index: ZgqIndex<Id>,
  filter: Filter | undefined,
  { rows, ids }: Pick<VectorExport, 'rows' | 'ids'>
): (id: Id) => number {
  const sorted = new Float64Array(rows)
  let count = 0
  for (const id of index.ids(filter)) sorted[count++] = Number(id)
  sorted.sort()
  if (ids !== undefined) for (const id of sorted) ids.append(`${id}\n`)
  const areRowNumbers = rows === 0 || (sorted[0] === 0 && sorted[rows - 1] === rows - 1)
  return areRowNumbers ? Number : (id) => positionOf(sorted, Number(id))
}

function positionOf(sorted: Float64Array, id: number): number {
  let [low, high] = [0, sorted.length - 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (sorted[middle] < id) low = middle + 1
    else high = middle
  }
  return low
}

function placesAsTheyCome(ids: NewFile | undefined): (id: Id) => number {
  let next = 0
  return (id) => {
    if (ids !== undefined) {
      if (/[\n\r]/.test(String(id)))
        throw new ZgqError(
          'ZGQ_UNSUPPORTED',
          `the id ${showId(id)} contains a line break, and the file has one id per line`,
          {
            path: ids.path
          }
        )
      ids.append(`${id}\n`)
    }
    return next++
  }
}

/** The header of numpy's format, version 1.0: padded so that the data begin at a multiple of 64 bytes. */
function npyHeader(rows: number, dim: number): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`
  const length = Math.ceil((10 + text.length + 1) / 64) * 64
  const head = Buffer.alloc(length, ' ')
  head.write('\x93NUMPY\x01\x00', 'latin1')
  head.writeUInt16LE(length - 10, 8)
  head.write(text, 10, 'latin1')
  head[length - 1] = 10
  return head
}
