// What every input that arrives in batches gives.

/**
 * Vectors that arrive together: `vectors` is float32, rows * dim, row-major; `ids` has one id a row, in every batch or
 * in none.
 */
export interface VectorBatch {
  readonly vectors: Float32Array
  readonly ids?: ArrayLike<number> | undefined
}
