// Rows on their way into an index, checked and encoded.

import type { Id } from '../types.ts'

export interface Rows {
  readonly count: number
  readonly ids: readonly Id[]
  /** float32, count * dim */
  readonly vectors: Float32Array
  /** MessagePack; undefined: the row has no payload. */
  readonly payloads: readonly (Uint8Array | undefined)[]
}
