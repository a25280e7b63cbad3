// The rerank in the scalar kernel: twins of assembly/rerank.ts and assembly/kept-rows.ts, whose comments say what is
// computed and why.

import { candidateAddress, heapDistances, keptHome, segmentEntry } from './addresses.ts'
import type { RerankRun, ScanQuery } from './kernel.ts'
import {
  BATCH_COUNT_AT,
  BATCH_IDS_AT,
  BATCH_MISSING_AT,
  BATCH_RERANKED_AT,
  BATCH_ROWS_AT,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_SIZE_AT,
  HEAP_CAPACITY_AT,
  HEAP_SIZE_AT,
  KEPT_ADDRESS_AT,
  KEPT_ENTRY_BYTES,
  KEPT_ROW_AT,
  KEPT_SEGMENT_AT,
  KEPT_USED_AT,
  RERANK_DONE,
  RERANK_MISSING,
  RERANK_PAUSED,
  RERANK_ROWS,
  SEGMENT_IDS_AT,
  SEGMENT_PLANES_AT
} from './layouts.ts'
import { exactDistance } from './scalar-distances.ts'
import { heapOffer, readId } from './scalar-heap.ts'
import type { ScalarViews } from './scalar-views.ts'

/** Finds a row, notes its use and returns its address, or 0 if it is not kept. */
function findKept({ words }: ScalarViews, run: RerankRun, segment: number, row: number): number {
  if (run.kept === 0) return 0
  const last = 2 ** run.keptBits - 1
  for (let at = keptHome(run.keptBits, segment, row); ; at = (at + 1) & last) {
    const entry = run.kept + at * KEPT_ENTRY_BYTES
    const address = words[(entry + KEPT_ADDRESS_AT) / 4]
    if (address === 0) return 0
    if (words[(entry + KEPT_ROW_AT) / 4] !== row || words[(entry + KEPT_SEGMENT_AT) / 4] !== segment) continue
    words[(entry + KEPT_USED_AT) / 4] = 1
    return address
  }
}

export function rerank(views: ScalarViews, query: ScanQuery, run: RerankRun & { readonly most: number }): number {
  const { words, floats, view } = views
  const { heap, dim } = query
  const { candidates, wanted, segments, batch, slots, most } = run
  const total = words[(candidates + CANDIDATES_SIZE_AT) / 4]
  let reranked = words[(batch + BATCH_RERANKED_AT) / 4]
  let count = words[(batch + BATCH_COUNT_AT) / 4]
  for (let batches = 0; ; batches++) {
    for (let i = 0; i < count; i++) {
      const distance = exactDistance(floats, query, words[(batch + BATCH_ROWS_AT) / 4 + i] / 4)
      heapOffer(view, heap, { distance, id: readId(view, batch + BATCH_IDS_AT + i * 8) })
    }
    words[(batch + BATCH_COUNT_AT) / 4] = 0
    if (batches === most) return RERANK_PAUSED
    let missing = 0
    for (count = 0; count < RERANK_ROWS && reranked < total; count++) {
      const candidate = candidateAddress(candidates, reranked)
      const isFull = words[(heap + HEAP_SIZE_AT) / 4] === words[(heap + HEAP_CAPACITY_AT) / 4]
      const worst = view.getFloat64(heapDistances(heap), true)
      if (reranked >= wanted && isFull && floats[(candidate + CANDIDATE_LOW_AT) / 4] > worst) break
      reranked++
      const [segment, row] = [words[(candidate + CANDIDATE_SEGMENT_AT) / 4], words[(candidate + CANDIDATE_ROW_AT) / 4]]
      const entry = segmentEntry(segments, segment)
      const address = words[(entry + SEGMENT_PLANES_AT) / 4] === 0 ? 0 : findKept(views, run, segment, row)
      if (address === 0) {
        missing |= 1 << count
        continue
      }
      words[(batch + BATCH_ROWS_AT) / 4 + count] = address
      const id = words[(entry + SEGMENT_IDS_AT) / 4] + row * 8
      words.copyWithin((batch + BATCH_IDS_AT) / 4 + count * 2, id / 4, id / 4 + 2)
    }
    words[(batch + BATCH_RERANKED_AT) / 4] = reranked
    if (count === 0) return RERANK_DONE
    if (missing !== 0) {
      words[(batch + BATCH_COUNT_AT) / 4] = count
      words[(batch + BATCH_MISSING_AT) / 4] = missing
      takeToSlots(views, { batch, count, missing, slots, dim })
      return RERANK_MISSING
    }
  }
}

function takeToSlots(
  { words, floats }: ScalarViews,
  of: { batch: number; count: number; missing: number; slots: number; dim: number }
): void {
  const { batch, count, missing, slots, dim } = of
  for (let i = 0; i < count; i++) {
    const place = (batch + BATCH_ROWS_AT) / 4 + i
    const slot = slots / 4 + i * dim
    if ((missing & (1 << i)) === 0) floats.copyWithin(slot, words[place] / 4, words[place] / 4 + dim)
    words[place] = slot * 4
  }
}
