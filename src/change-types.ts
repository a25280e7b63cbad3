// The public types of changing an index.

import type { Fields, Filter, Id, IdType, Metric, OpenOptions, Payload, QueryVector } from './types.ts'

/** A row to be written. */
export interface RowToWrite<I extends Id = number, P = Payload> {
  readonly id: I
  /** `dim` values, rounded to float32. */
  readonly vector: QueryVector
  /** Undefined: the row has no payload. */
  readonly payload?: P | undefined
}

/** Rows to be written, as columns. */
export interface RowsToWrite<I extends Id = number, P = Payload> {
  readonly ids: readonly I[]
  /** float32, one row after the other: ids.length * dim values. */
  readonly vectors: Float32Array | Float64Array
  readonly payloads?: readonly (P | undefined)[] | undefined
}

/** Some rows to be written: one by one, or as columns. */
export type RowBatch<I extends Id = number, P = Payload> = readonly RowToWrite<I, P>[] | RowsToWrite<I, P>

/** Rows to be written at once, or batches of them that are written one after the other. */
export type RowsInput<I extends Id = number, P = Payload> =
  RowBatch<I, P> | AsyncIterable<RowBatch<I, P>> | Iterable<RowBatch<I, P>>

/** Options of `add` and `upsert`. */
export interface AddOptions {
  /** Called after each batch with the number of rows written so far. */
  readonly onProgress?: ((progress: { readonly rows: number }) => void) | undefined
  /** Stops between two batches. Batches that were written stay. */
  readonly signal?: AbortSignal | undefined
}

/** Options of `upsert`. */
export interface UpsertOptions extends AddOptions {
  /** Rows that match are removed in the same transaction. Not allowed with batches. */
  readonly replace?: Filter | undefined
}

/** What `add` and `upsert` did. */
export interface Written {
  /** Rows that were written. */
  readonly rows: number
  /** Rows that were removed: those with the same ids, and those that `replace` chose. */
  readonly removed: number
}

/** Rows to change, by their ids or by a filter, which must not be empty. */
export type RowChoice<I extends Id = number> = readonly I[] | { readonly filter: Filter }

/** Options of `ZgqIndex.create`. */
export interface CreateOptions extends Omit<OpenOptions, 'mode'> {
  /** 1 to 65,536. */
  readonly dim: number
  /** Default `l2`. */
  readonly metric?: Metric | undefined
  /** Default `integer`. */
  readonly ids?: IdType | undefined
  /** Declared fields, which filters can use. */
  readonly fields?: Fields | undefined
  /** Bits of the codes per dimension: 0 (no codes), 1, 2, 4 or 8. Default 4. */
  readonly bits?: number | undefined
  /** Data of the app, as far as MessagePack can hold it. `info()` returns it. */
  readonly note?: unknown
}

/** Options of `optimize`. */
export interface OptimizeOptions {
  /**
   * Rewrite every zone that has a deleted or updated row, however few: all their bytes leave the disk. Default false.
   */
  readonly all?: boolean | undefined
  /** Memory that a fold takes, about; at most half of it for rows. Default 256 MB. */
  readonly memoryBytes?: number | undefined
  /** Called as each step goes on: `done` of `total` rows, rounds (`train`) or queries (`calibrate`). */
  readonly onProgress?:
    | ((progress: {
        readonly stage: 'plan' | 'train' | 'write' | 'calibrate' | 'publish' | 'clean-up'
        readonly done: number
        readonly total: number
      }) => void)
    | undefined
  /** Stops the fold; what it has published by then stays. */
  readonly signal?: AbortSignal | undefined
}

/** What `optimize` did. */
export interface Optimized {
  /** Generations that were published; 0: there was nothing to do. */
  readonly steps: number
  /** Rows that were written into zones. */
  readonly rows: number
  /** Zones that there are now. */
  readonly zones: number
  /** Bytes of the files that were written. */
  readonly bytesWritten: number
  /** Files that were removed. */
  readonly removedFiles: number
}

/** Options of `backup`. */
export interface BackupOptions {
  readonly onProgress?: ((progress: { readonly bytes: number; readonly totalBytes: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}
