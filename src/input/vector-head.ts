// Files of vectors that come to this machine in pieces: which bytes must be there before `openVectorFile` can open one.

import { extname } from 'node:path'

import { ZgqError } from '../errors.ts'
import { InputFile } from './input-file.ts'
import { NPY_HEADER_LIMIT } from './npy.ts'
import type { ByteRange } from './row-source.ts'

/** Bytes of a value in formats where each row begins with its dimension. */
const VECS_VALUE_BYTES: ReadonlyMap<string, number> = new Map([
  ['.fvecs', 4],
  ['.ivecs', 4],
  ['.bvecs', 1]
])
const BIN_HEADER_BYTES = 8

/** Returns what must be there of a file of vectors or of ids before it can be opened; by the ending of its name. */
export function headRanges(path: string, byteLength: number): ByteRange[] {
  const wanted = extname(path).toLowerCase() === '.npy' ? NPY_HEADER_LIMIT : BIN_HEADER_BYTES
  return byteLength === 0 ? [] : [{ offset: 0, byteLength: Math.min(wanted, byteLength) }]
}

/**
 * Brings what `openVectorFile` reads of the file at `path`, a local file of the full length without its content.
 * `fetch` resolves when the bytes are in the file. Rejects as `fetch` does, and with ZGQ_DIMENSION for a file of rows
 * whose end shows that not all are of one dimension: to say which differs, all would have to come.
 */
export async function fetchVectorHead(
  path: string,
  fetch: (ranges: readonly ByteRange[]) => Promise<unknown>
): Promise<void> {
  const file = InputFile.open(path)
  try {
    await fetch(headRanges(path, file.byteLength))
    const valueBytes = VECS_VALUE_BYTES.get(extname(path).toLowerCase())
    if (valueBytes !== undefined && file.byteLength >= 4) await checkEnd(file, valueBytes, fetch)
  } finally {
    file.close()
  }
}

/**
 * Where the length is no multiple of a row's: brings the last rows, which tell a cut row from one of another length.
 */
async function checkEnd(
  file: InputFile,
  valueBytes: number,
  fetch: (ranges: readonly ByteRange[]) => Promise<unknown>
): Promise<void> {
  const dim = file.readHeader(4).getInt32(0, true)
  const stride = 4 + dim * valueBytes
  const { path, byteLength } = file
  if (dim < 1 || byteLength % stride === 0 || byteLength < stride) return
  const first = (Math.floor(byteLength / stride) - 1) * stride
  await fetch([{ offset: first, byteLength: byteLength - first }])
  for (let offset = first; offset + 4 <= byteLength; offset += stride) {
    const view = new DataView(new ArrayBuffer(4))
    file.read(new Uint8Array(view.buffer), offset)
    if (view.getInt32(0, true) === dim) continue
    const problem = `row 0 has ${dim} dimensions, and at this place no row of as many begins`
    throw new ZgqError('ZGQ_DIMENSION', `${problem}: one before it has another number`, { path, offset })
  }
}
