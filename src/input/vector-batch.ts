// Batches: the form in which inputs arrive that can only be read once.

/**
 * Vectors that arrive together: `vectors` is float32, rows * dim, row-major; `ids` has one id a row, integers or
 * strings, in every batch or in none, and one kind in all; `payloads` has one plain object a row, in every batch or in
 * none.
 */
export interface VectorBatch {
  readonly vectors: Float32Array
  readonly ids?: ArrayLike<number> | readonly string[] | undefined
  readonly payloads?: readonly object[] | undefined
}
