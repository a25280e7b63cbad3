// Batches: the form in which inputs arrive that can only be read once.

/**
 * Rows that arrive together. `vectors` is float32, rows * dim, row-major. `ids` has one id for each row, integers or
 * strings, of one kind in all batches. `payloads` has one plain object for each row. Every batch has ids, or none; the
 * same goes for payloads.
 */
export interface VectorBatch {
  readonly vectors: Float32Array
  readonly ids?: ArrayLike<number> | readonly string[] | undefined
  readonly payloads?: readonly object[] | undefined
}
