// Neighbours of a float64, which make open ranges of numbers closed ones.

/** Returns the least number above `value`; 0 and -0 are one number. NaN above infinity. */
export function nextAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? 1n : -1n))
  return view.getFloat64(0)
}

/** Returns the largest number below `value`. NaN below minus infinity. */
export function nextBelow(value: number): number {
  return -nextAbove(-value)
}
