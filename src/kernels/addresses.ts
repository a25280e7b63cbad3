// Where the parts of heaps, candidates and the segment table lie, and how long these are: layouts.ts with its numbers
// put together, for callers in TypeScript.

import {
  CANDIDATE_BYTES,
  CANDIDATES_HEADER_BYTES,
  HEAP_DISTANCE_BYTES,
  HEAP_HEADER_BYTES,
  HEAP_ID_BYTES,
  MEMBER_DIMENSION_BYTES,
  MEMBER_TABLES_AT,
  RECORD_BYTES,
  RECORDS_HEADER_BYTES,
  SEGMENT_ENTRY_BYTES
} from './layouts.ts'

/** Bytes of a heap, or of a list, for `capacity` entries. */
export function heapByteLength(capacity: number): number {
  return HEAP_HEADER_BYTES + capacity * (HEAP_DISTANCE_BYTES + HEAP_ID_BYTES)
}

/** Address of a heap's distances: float64, capacity. */
export function heapDistances(heap: number): number {
  return heap + HEAP_HEADER_BYTES
}

/** Address of a heap's ids: u64, capacity. */
export function heapIds(heap: number, capacity: number): number {
  return heap + HEAP_HEADER_BYTES + capacity * HEAP_DISTANCE_BYTES
}

/** Bytes of room for `capacity` candidates. */
export function candidatesByteLength(capacity: number): number {
  return CANDIDATES_HEADER_BYTES + capacity * CANDIDATE_BYTES
}

/** Address of candidate number `at`. */
export function candidateAddress(candidates: number, at: number): number {
  return candidates + CANDIDATES_HEADER_BYTES + at * CANDIDATE_BYTES
}

/** Address of the entry at place `slot` of a segment table. */
export function segmentEntry(table: number, slot: number): number {
  return table + slot * SEGMENT_ENTRY_BYTES
}

/** Bytes of a member of a group of queries. */
export function memberByteLength(width: number): number {
  return MEMBER_TABLES_AT + width * MEMBER_DIMENSION_BYTES
}

/** Bytes of room for `capacity` records. */
export function recordsByteLength(capacity: number): number {
  return RECORDS_HEADER_BYTES + capacity * RECORD_BYTES
}

/** Address of record number `at`. */
export function recordAddress(records: number, at: number): number {
  return records + RECORDS_HEADER_BYTES + at * RECORD_BYTES
}

/** Where a row is looked for first in a table of 2^bits entries of rows that are kept: see assembly/kept-rows.ts. */
export function keptHome(bits: number, segment: number, row: number): number {
  return (Math.imul(segment, 0x9e37_79b1) ^ Math.imul(row, 0x85eb_ca6b)) >>> (32 - bits)
}
