// Sizes and small rules that every file of an index shares (spec, sections 1 to 3). No I/O.

import { compareBytes, crc32 } from '#platform'

import { METRIC_COSINE, METRIC_IP, METRIC_L2 } from '../kernels/layouts.ts'
import type { IdType, Metric } from '../types.ts'
import type { FileKind } from './kinds.ts'

export const FORMAT_VERSION = 2
export const PAGE_BYTES = 4096
export const ELEMENT_BYTES = 4
export const MAX_DIM = 65_536
/** Bytes of segments after which a shard takes no further one. */
export const SHARD_BYTES = 2 ** 30
export const KNOWN_READER_FEATURES = 0
export const KNOWN_WRITER_FEATURES = 0

export const CATALOGUE_NAME = 'catalogue.sqlite'
/** Empty; whoever folds the index has it locked. */
export const FOLD_LOCK_NAME = 'fold.lock'

/** Codes of the metrics in headers (spec, section 2). */
export const METRIC_CODES: Readonly<Record<Metric, number>> = { l2: METRIC_L2, cosine: METRIC_COSINE, ip: METRIC_IP }

/** Codes of the types of ids. */
export const ID_TYPES: Readonly<Record<IdType, number>> = { integer: 1, string: 2 }

/** Where bytes lie in a file. */
export interface Extent {
  readonly offset: number
  readonly byteLength: number
}

/** Rounds up to a multiple of `step`. */
export function alignUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}

/** Counts the pages that `byteLength` bytes fill from the start of a page. */
export function pageCount(byteLength: number): number {
  return Math.ceil(byteLength / PAGE_BYTES)
}

/** Names a data file: kind, generation and shard in decimal (spec, section 1). */
export function dataFileName(kind: FileKind, generation: number, shard: number): string {
  return `${kind}-${String(generation).padStart(6, '0')}-${String(shard).padStart(5, '0')}.zgq`
}

/** Computes CRC-32 (IEEE) of the bytes, after others whose CRC is `before`. */
export function checksum(bytes: Uint8Array, before = 0): number {
  return crc32(bytes, before)
}

/** Compares two byte strings. */
export function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  return compareBytes(left, right) === 0
}
