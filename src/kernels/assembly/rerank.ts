// The rerank: exact distances of candidates, those of the smallest bounds first, until none that is left can be nearer
// than the hits.

import {
  BATCH_COUNT_AT,
  BATCH_IDS_AT,
  BATCH_MISSING_AT,
  BATCH_RERANKED_AT,
  BATCH_ROWS_AT,
  CANDIDATE_BYTES,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_HEADER_BYTES,
  CANDIDATES_SIZE_AT,
  HEAP_CAPACITY_AT,
  HEAP_SIZE_AT,
  RERANK_DONE,
  RERANK_MISSING,
  RERANK_PAUSED,
  RERANK_ROWS,
  SEGMENT_ENTRY_BYTES,
  SEGMENT_IDS_AT,
  SEGMENT_PLANES_AT
} from '../layouts'
import { findKept } from './kept-rows'
import { exactDistance } from './scan'
import { distances, heapOffer } from './select'

/**
 * Reranks at least `wanted` sorted candidates, then as many as could still be hits; goes on with the batch at hand.
 * Returns RERANK_DONE; RERANK_MISSING, where rows of the batch are not kept: they are to be put into their slots, and
 * the others were; or RERANK_PAUSED after `most` batches. slots: float32, RERANK_ROWS * dim.
 */
export function rerank(
  metric: u32,
  dim: u32,
  query: usize,
  queryNorm2: f64,
  heap: usize,
  candidates: usize,
  wanted: u32,
  segments: usize,
  kept: usize,
  keptBits: u32,
  batch: usize,
  slots: usize,
  most: u32
): u32 {
  const rowBytes = (<usize>dim) << 2
  const total = load<u32>(candidates, CANDIDATES_SIZE_AT)
  const capacity = load<u32>(heap, HEAP_CAPACITY_AT)
  let reranked = load<u32>(batch, BATCH_RERANKED_AT)
  let count = load<u32>(batch, BATCH_COUNT_AT)
  let batches: u32 = 0
  while (true) {
    for (let i: u32 = 0; i < count; i++) {
      const row: usize = load<u32>(batch + ((<usize>i) << 2), BATCH_ROWS_AT)
      const id = load<u64>(batch + ((<usize>i) << 3), BATCH_IDS_AT)
      heapOffer(heap, exactDistance(metric, row, rowBytes, query, queryNorm2), id)
    }
    store<u32>(batch, 0, BATCH_COUNT_AT)
    if (batches == most) return RERANK_PAUSED
    batches++
    let missing: u32 = 0
    for (count = 0; count < <u32>RERANK_ROWS && reranked < total; count++) {
      const candidate = candidates + CANDIDATES_HEADER_BYTES + <usize>reranked * CANDIDATE_BYTES
      const isFull = load<u32>(heap, HEAP_SIZE_AT) == capacity
      const low = <f64>load<f32>(candidate, CANDIDATE_LOW_AT)
      if (reranked >= wanted && isFull && low > load<f64>(distances(heap))) break
      reranked++
      const segment = load<u32>(candidate, CANDIDATE_SEGMENT_AT),
        row = load<u32>(candidate, CANDIDATE_ROW_AT)
      const entry = segments + <usize>segment * SEGMENT_ENTRY_BYTES
      const address: usize = load<u32>(entry, SEGMENT_PLANES_AT) == 0 ? 0 : findKept(kept, keptBits, segment, row)
      if (address == 0) {
        missing |= 1 << count
        continue
      }
      store<u32>(batch + ((<usize>count) << 2), <u32>address, BATCH_ROWS_AT)
      const ids: usize = load<u32>(entry, SEGMENT_IDS_AT)
      store<u64>(batch + ((<usize>count) << 3), load<u64>(ids + ((<usize>row) << 3)), BATCH_IDS_AT)
    }
    store<u32>(batch, reranked, BATCH_RERANKED_AT)
    if (count == 0) return RERANK_DONE
    if (missing != 0) {
      store<u32>(batch, count, BATCH_COUNT_AT)
      store<u32>(batch, missing, BATCH_MISSING_AT)
      takeToSlots(batch, count, missing, slots, rowBytes)
      return RERANK_MISSING
    }
  }
}

/** Copies rows that are at hand to their slots: they may have to go before those come that are missing. */
function takeToSlots(batch: usize, count: u32, missing: u32, slots: usize, rowBytes: usize): void {
  for (let i: u32 = 0; i < count; i++, slots += rowBytes) {
    const place = batch + ((<usize>i) << 2)
    if ((missing & (1 << i)) == 0) memory.copy(slots, <usize>load<u32>(place, BATCH_ROWS_AT), rowBytes)
    store<u32>(place, <u32>slots, BATCH_ROWS_AT)
  }
}
