// Rows that come one by one, with ids and payloads, as batches: a batch ends where its vectors fill it, or its payloads
// weigh as much.

import type { IdType } from '../types.ts'
import { BatchBuffer, idsOf } from './batch-source.ts'
import { PAYLOAD_BATCH_BYTES } from './payload-columns.ts'
import type { VectorBatch } from './vector-batch.ts'

/** A row; `id` and `payload` are there in all rows or in none. */
export interface SourceRow {
  readonly vector: Float32Array
  readonly id: number | string | undefined
  readonly payload: object | undefined
  /** About what the payload takes. */
  readonly payloadBytes: number
}

export class RowBatches {
  readonly #buffer: BatchBuffer
  readonly #idType: IdType | undefined
  readonly #hasPayloads: boolean
  #ids: (number | string)[] = []
  #payloads: object[] = []
  #payloadBytes = 0

  constructor(dim: number, of: { readonly idType: IdType | undefined; readonly hasPayloads: boolean }) {
    this.#buffer = new BatchBuffer(dim)
    this.#idType = of.idType
    this.#hasPayloads = of.hasPayloads
  }

  /** Takes a row, whose vector is copied; yields the batch that it ends. */
  *add({ vector, id, payload, payloadBytes }: SourceRow): Generator<VectorBatch> {
    if (id !== undefined) this.#ids.push(id)
    if (payload !== undefined) this.#payloads.push(payload)
    this.#payloadBytes += payloadBytes
    for (const vectors of this.#buffer.append(vector)) yield this.#take(vectors)
    if (this.#payloadBytes >= PAYLOAD_BATCH_BYTES) yield* this.rest()
  }

  /** Yields what is left, if anything. */
  *rest(): Generator<VectorBatch> {
    for (const vectors of this.#buffer.rest()) yield this.#take(vectors)
  }

  #take(vectors: Float32Array): VectorBatch {
    const batch = {
      vectors,
      ...(this.#idType === undefined ? {} : { ids: idsOf(this.#ids) }),
      ...(this.#hasPayloads ? { payloads: this.#payloads } : {})
    }
    this.#ids = []
    this.#payloads = []
    this.#payloadBytes = 0
    return batch
  }
}
