// Where single rows are kept in kernel memory: a table of hashes with linear probing, which
// src/cache/candidate-rows.ts fills.

import { KEPT_ADDRESS_AT, KEPT_ENTRY_BYTES, KEPT_ROW_AT, KEPT_SEGMENT_AT, KEPT_USED_AT } from '../layouts'

/** Finds a row in a table of 2^bits entries, notes its use and returns its address, or 0 if it is not kept. */
@inline
export function findKept(table: usize, bits: u32, segment: u32, row: u32): usize {
  if (table == 0) return 0
  const last: u32 = (1 << bits) - 1
  let at = ((segment * 0x9e37_79b1) ^ (row * 0x85eb_ca6b)) >>> (32 - bits)
  let entry = table + <usize>at * KEPT_ENTRY_BYTES
  while (load<u32>(entry, KEPT_ADDRESS_AT) != 0) {
    if (load<u32>(entry, KEPT_ROW_AT) == row && load<u32>(entry, KEPT_SEGMENT_AT) == segment) {
      store<u32>(entry, 1, KEPT_USED_AT)
      return load<u32>(entry, KEPT_ADDRESS_AT)
    }
    at = (at + 1) & last
    entry = table + <usize>at * KEPT_ENTRY_BYTES
  }
  return 0
}
