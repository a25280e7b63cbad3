// What goes between the caller's thread and the writer's.

import type { Filter, Id } from '../types.ts'
import type { Rows } from './rows.ts'

/** Byte strings one after the other, in one buffer that can go to another thread; empty: undefined. */
export interface PackedBytes {
  readonly bytes: Uint8Array
  /** Where each ends. */
  readonly ends: Float64Array
}

/** Rows that were checked. */
export interface PackedRows {
  readonly count: number
  readonly ids: readonly Id[]
  /** float32, count * dim */
  readonly vectors: Float32Array
  /** MessagePack; undefined: no row has one. */
  readonly payloads: PackedBytes | undefined
}

/** Rows that a change is for. */
export type Choice = { readonly ids: readonly Id[] } | { readonly filter: Filter }

export type WriteRequest =
  | {
      readonly kind: 'rows'
      readonly packs: readonly PackedRows[]
      /** Rows that have the same ids go; else they are ZGQ_ID_EXISTS. */
      readonly replaces: boolean
      /** Rows that match go first. */
      readonly replace: Filter | undefined
    }
  | { readonly kind: 'update'; readonly choice: Choice; readonly values: Uint8Array }
  | { readonly kind: 'delete'; readonly choice: Choice }
  | { readonly kind: 'close' }

/** What a request did. */
export interface WriteAnswer {
  /** Rows that were written or updated. */
  readonly rows: number
  /** Rows that went. */
  readonly removed: number
  /** The commit that has it. */
  readonly commit: number
}

export function packBytes(values: readonly (Uint8Array | undefined)[]): PackedBytes | undefined {
  if (values.every((value) => value === undefined)) return undefined
  const ends = new Float64Array(values.length)
  let end = 0
  for (const [i, value] of values.entries()) ends[i] = end += value?.byteLength ?? 0
  const bytes = new Uint8Array(end)
  for (const [i, value] of values.entries()) if (value !== undefined) bytes.set(value, ends[i] - value.byteLength)
  return { bytes, ends }
}

function unpackBytes({ bytes, ends }: PackedBytes): (Uint8Array | undefined)[] {
  return Array.from(ends, (end, i) => {
    const start = i === 0 ? 0 : ends[i - 1]
    return end === start ? undefined : bytes.subarray(start, end)
  })
}

/** Joins packs. */
export function unpackRows(packs: readonly PackedRows[]): Rows {
  const count = packs.reduce((sum, pack) => sum + pack.count, 0)
  const ids = packs.flatMap((pack) => pack.ids)
  const payloads = packs.flatMap(
    // No array with holes: flatMap passes over them.
    (pack) => (pack.payloads && unpackBytes(pack.payloads)) ?? Array.from({ length: pack.count }, () => undefined)
  )
  if (packs.length === 1) return { count, ids, vectors: packs[0].vectors, payloads }
  const vectors = new Float32Array(packs.reduce((sum, pack) => sum + pack.vectors.length, 0))
  let at = 0
  for (const pack of packs) {
    vectors.set(pack.vectors, at)
    at += pack.vectors.length
  }
  return { count, ids, vectors, payloads }
}

/** The buffers of packs, which go over instead of being copied. */
export function buffersOf(packs: readonly PackedRows[]): ArrayBuffer[] {
  return packs
    .flatMap(({ vectors, payloads }) => [vectors.buffer, payloads?.bytes.buffer, payloads?.ends.buffer])
    .filter((buffer) => buffer instanceof ArrayBuffer)
}
