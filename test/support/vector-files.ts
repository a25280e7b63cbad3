// Writers of vector files, independent of the readers in src/input.

function bytesOf(values: Float32Array | Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** u32 n, u32 d, then float32 values. */
export function fbin(vectors: Float32Array, dim: number): Buffer {
  return Buffer.concat([bytesOf(Uint32Array.of(vectors.length / dim, dim)), bytesOf(vectors)])
}

/** Rows of an int32 d and d float32 values. */
export function fvecs(vectors: Float32Array, dim: number): Buffer {
  const rows = Array.from({ length: vectors.length / dim }, (_, i) => [
    bytesOf(Int32Array.of(dim)),
    bytesOf(vectors.subarray(i * dim, (i + 1) * dim))
  ])
  return Buffer.concat(rows.flat())
}

/** A two-dimensional .npy array of float32, version 1.0. */
export function npy(vectors: Float32Array, dim: number): Buffer {
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${vectors.length / dim}, ${dim}), }`
  const header = `${dictionary.padEnd(117)}\n`
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]),
    Buffer.from(header),
    bytesOf(vectors)
  ])
}

/** Rows of an int32 length and as many int32 values. */
export function ivecs(rows: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(rows.map((row) => bytesOf(Int32Array.of(row.length, ...row))))
}
