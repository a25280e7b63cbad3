// Ids files for tests, made without the builder of a build.

import { IdPagesEncoder } from '../../src/format/id-pages.ts'
import { encodeHeader } from '../../src/format/header.ts'
import { idTree } from '../../src/format/id-tree.ts'
import { PAGE_BYTES } from '../../src/format/layout.ts'
import type { Metric } from '../../src/types.ts'

export const INDEX_ID = Uint8Array.from({ length: 16 }, (_, i) => i * 7 + 1)

/** A place that a hash leads to. */
export interface IdEntry {
  readonly low: number
  readonly high: number
  readonly segment: number
  readonly row: number
}

/** The order of entries in files. */
export function compareEntries(a: IdEntry, b: IdEntry): number {
  return a.high - b.high || a.low - b.low || a.segment - b.segment || a.row - b.row
}

/** Facts of an index that its files repeat. */
export interface IdsFileFacts {
  readonly indexId: Uint8Array
  readonly dim: number
  readonly metric: Metric
  /** Of the file; default: 1. */
  readonly generation?: number
}

/** Encodes a whole file. */
export function encodeIdsFile(
  entries: readonly IdEntry[],
  { indexId, dim, metric, generation = 1 }: IdsFileFacts = { indexId: INDEX_ID, dim: 4, metric: 'l2' }
): Uint8Array {
  const bytes = new Uint8Array(idTree(entries.length).byteLength)
  let at = PAGE_BYTES
  const encoder = new IdPagesEncoder({ indexId, rowCount: entries.length }, (page) => {
    bytes.set(page, at)
    at += PAGE_BYTES
  })
  for (const { low, high, row, segment } of entries) encoder.add(Uint32Array.of(low, high, row, segment), 0)
  encoder.finish()
  bytes.set(
    encodeHeader({
      kind: 'ids',
      indexId,
      generation,
      shard: 0,
      dim,
      metric,
      fileByteLength: bytes.byteLength,
      segmentCount: 0,
      rowCount: entries.length
    })
  )
  return bytes
}

/** Counts up through hashes, `copies` entries of each; the segments of one hash ascend. */
export function ascendingEntries(count: number, copies = 1): IdEntry[] {
  return Array.from({ length: count }, (_, i) => {
    const hash = Math.floor(i / copies)
    return { low: hash % 1000, high: Math.floor(hash / 1000), segment: i % copies, row: hash % 77 }
  })
}
