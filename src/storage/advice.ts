// Cuts a range that will be read into calls of madvise(MADV_WILLNEED).

import type { Extent } from '../format/layout.ts'

/** Bytes that one MADV_WILLNEED reads at most: the usual readahead limit of a block device. */
const ADVICE_BYTES = 128 * 1024

/** Calls `advise` for each part of `range`; the first offset is the start of its page. */
export function forEachAdvice(
  range: Extent,
  pageBytes: number,
  advise: (offset: number, byteLength: number) => void
): void {
  const start = Math.floor(range.offset / pageBytes) * pageBytes
  const end = range.offset + range.byteLength
  for (let at = start; at < end; at += ADVICE_BYTES) advise(at, Math.min(ADVICE_BYTES, end - at))
}
