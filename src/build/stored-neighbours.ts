// Lists of neighbours as bytes, for a file that goes from one machine to another. Hosts are little-endian.

import { ZgqError } from '../errors.ts'
import type { Neighbours } from './calibration-lists.ts'

/** Two u32: how many queries there are, and how many neighbours of all of them. */
const HEAD_BYTES = 8

/** Encodes neighbours: the head, ordinals (float64), distances (float64), and how many each query has (u32). */
export function encodeNeighbours(lists: readonly Neighbours[]): Uint8Array {
  const total = lists.reduce((sum, { ordinals }) => sum + ordinals.length, 0)
  const buffer = new ArrayBuffer(byteLengthOf(lists.length, total))
  new Uint32Array(buffer, 0, 2).set([lists.length, total])
  const { ordinals, distances, counts } = layOut(buffer, lists.length, total)
  let at = 0
  for (const [i, list] of lists.entries()) {
    ordinals.set(list.ordinals, at)
    distances.set(list.distances, at)
    counts[i] = list.ordinals.length
    at += counts[i]
  }
  return new Uint8Array(buffer)
}

/** Decodes what `encodeNeighbours` gave; throws ZGQ_CORRUPT, with `path`, where the bytes are not that long. */
export function decodeNeighbours(bytes: Uint8Array, path: string): Neighbours[] {
  const { buffer } = Uint8Array.from(bytes) // aligned
  const [queries = 0, total = 0] = bytes.byteLength < HEAD_BYTES ? [] : new Uint32Array(buffer, 0, 2)
  if (bytes.byteLength !== byteLengthOf(queries, total))
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the file has ${bytes.byteLength} bytes, neighbours of ${queries} queries take ${byteLengthOf(queries, total)}`,
      { path }
    )
  const { ordinals, distances, counts } = layOut(buffer, queries, total)
  const counted = counts.reduce((sum, count) => sum + count, 0)
  if (counted !== total)
    throw new ZgqError('ZGQ_CORRUPT', `queries have ${counted} neighbours, the file says ${total}`, { path })
  let end = 0
  return Array.from(counts, (count) => {
    const start = end
    end += count
    return { ordinals: ordinals.slice(start, end), distances: distances.slice(start, end) }
  })
}

function byteLengthOf(queries: number, total: number): number {
  return HEAD_BYTES + total * 16 + queries * 4
}

function layOut(
  buffer: ArrayBuffer,
  queries: number,
  total: number
): Neighbours & { readonly counts: Uint32Array<ArrayBuffer> } {
  return {
    ordinals: new Float64Array(buffer, HEAD_BYTES, total),
    distances: new Float64Array(buffer, HEAD_BYTES + total * 8, total),
    counts: new Uint32Array(buffer, HEAD_BYTES + total * 16, queries)
  }
}
