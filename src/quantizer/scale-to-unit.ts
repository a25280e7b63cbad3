// The length of a row that is seen under cosine.

/** Scales a row to length one, in place. */
export function scaleToUnit(row: Float32Array): void {
  let norm2 = 0
  for (let i = 0; i < row.length; i++) norm2 += row[i] * row[i]
  const scale = 1 / Math.sqrt(norm2)
  for (let i = 0; i < row.length; i++) row[i] *= scale
}
