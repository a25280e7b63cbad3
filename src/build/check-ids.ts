// Finds duplicate ids, in bounded memory.

import { ZgqError } from '../errors.ts'
import { highWord } from '../format/u64.ts'
import type { IdSource } from '../input/row-source.ts'

const CHUNK_IDS = 65_536

/**
 * Throws ZGQ_ID_EXISTS naming the id and its first two rows. Reads ascending ids once, others once more for every
 * `idsInMemory` of them.
 */
export function checkUniqueIds(ids: IdSource, idsInMemory: number): void {
  const chunk = new Float64Array(Math.min(CHUNK_IDS, ids.count))
  if (areAscending(ids, chunk)) return
  const passes = Math.max(1, Math.ceil(ids.count / idsInMemory))
  for (let pass = 0; pass < passes; pass++) {
    const sorted = idsOfPass(ids, chunk, { pass, passes }).sort()
    for (let i = 1; i < sorted.length; i++) {
      if (sorted[i] === sorted[i - 1]) throw duplicate(ids, sorted[i], chunk)
    }
  }
}

function areAscending(ids: IdSource, chunk: Float64Array): boolean {
  let last = -1
  for (let row = 0; row < ids.count; row += chunk.length) {
    const some = readChunk(ids, row, chunk)
    for (let i = 0; i < some.length; i++) {
      if (some[i] <= last) return false
      last = some[i]
    }
  }
  return true
}

/** Every id belongs to one pass by a hash, so that passes are about as large whatever the pattern of the ids. */
function idsOfPass(ids: IdSource, chunk: Float64Array, of: { pass: number; passes: number }): Float64Array {
  let kept = new Float64Array(Math.min(ids.count, Math.ceil((ids.count / of.passes) * 1.05) + 1024))
  let size = 0
  for (let row = 0; row < ids.count; row += chunk.length) {
    const some = readChunk(ids, row, chunk)
    for (let i = 0; i < some.length; i++) {
      if (of.passes > 1 && hashOf(some[i]) % of.passes !== of.pass) continue
      if (size === kept.length) {
        const larger = new Float64Array(Math.ceil(size * 1.25))
        larger.set(kept)
        kept = larger
      }
      kept[size++] = some[i]
    }
  }
  return kept.subarray(0, size)
}

/** Mixes both words of an id: the finalizer of MurmurHash3 (Appleby). */
function hashOf(id: number): number {
  let h = (id ^ Math.imul(highWord(id), 0x9e3779b1)) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function readChunk(ids: IdSource, row: number, chunk: Float64Array): Float64Array {
  const some = chunk.subarray(0, Math.min(chunk.length, ids.count - row))
  ids.readIds(row, some)
  return some
}

function duplicate(ids: IdSource, id: number, chunk: Float64Array): ZgqError {
  const rows: number[] = []
  for (let row = 0; row < ids.count && rows.length < 2; row += chunk.length) {
    readChunk(ids, row, chunk).forEach((other, i) => {
      if (other === id) rows.push(row + i)
    })
  }
  return new ZgqError('ZGQ_ID_EXISTS', `duplicate id ${id} in ${ids.label} (rows ${rows.slice(0, 2).join(' and ')})`)
}
