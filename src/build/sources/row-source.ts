// The seam between a build and where its vectors and ids come from: random access by row number.
// What can only be read once (an async iterable) is spooled to a file first and then read through this seam.

/** Vectors of one dimension, readable in any order, as often as wanted. */
export interface RowSource {
  readonly dim: number
  readonly count: number
  /** Names the source in messages: a path, or what kind of value it is. */
  readonly label: string
  /** Reads rows `firstRow` up to `firstRow + target.length / dim` into `target` (float32, row-major). */
  readRows(firstRow: number, target: Float32Array): void
  close(): void
}

/** Ids in the order of the rows. */
export interface IdSource {
  readonly count: number
  readonly label: string
  /** Reads the ids of rows `firstRow` up to `firstRow + target.length`, each a safe integer >= 0. */
  readIds(firstRow: number, target: Float64Array): void
  close(): void
}
