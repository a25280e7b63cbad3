// Finds ids that stand twice, in bounded memory.

import { ZgqError } from '../errors.ts'
import type { IdSource } from './sources/row-source.ts'

const CHUNK_IDS = 65_536

/** Throws ZGQ_ID_EXISTS naming the id and its first two rows. Reads the ids once for every `idsInMemory` of them. */
export function checkUniqueIds(ids: IdSource, idsInMemory: number): void {
  const passes = Math.max(1, Math.ceil(ids.count / idsInMemory))
  const chunk = new Float64Array(Math.min(CHUNK_IDS, ids.count))
  for (let pass = 0; pass < passes; pass++) {
    // Every id belongs to one pass by its remainder; a crowded remainder only makes that pass larger.
    let kept = new Float64Array(Math.min(ids.count, Math.ceil((ids.count / passes) * 1.25) + 16))
    let size = 0
    let isAscending = true
    eachId(ids, chunk, (id) => {
      if (passes > 1 && id % passes !== pass) return
      if (size === kept.length) {
        const larger = new Float64Array(Math.min(ids.count, size * 2))
        larger.set(kept)
        kept = larger
      }
      if (size > 0 && kept[size - 1] >= id) isAscending = false
      kept[size++] = id
    })
    if (isAscending) continue
    const sorted = kept.subarray(0, size).sort()
    for (let i = 1; i < size; i++) {
      if (sorted[i] === sorted[i - 1]) throw duplicate(ids, sorted[i], chunk)
    }
  }
}

function eachId(ids: IdSource, chunk: Float64Array, visit: (id: number, row: number) => void): void {
  for (let row = 0; row < ids.count; row += chunk.length) {
    const some = chunk.subarray(0, Math.min(chunk.length, ids.count - row))
    ids.readIds(row, some)
    for (let i = 0; i < some.length; i++) visit(some[i], row + i)
  }
}

function duplicate(ids: IdSource, id: number, chunk: Float64Array): ZgqError {
  const rows: number[] = []
  eachId(ids, chunk, (other, row) => {
    if (other === id && rows.length < 2) rows.push(row)
  })
  return new ZgqError('ZGQ_ID_EXISTS', `id ${id} stands twice in ${ids.label}: in rows ${rows.join(' and ')}`)
}
