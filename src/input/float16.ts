// IEEE 754 half-precision floats: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits. Decoding only.

/** Decodes the 16 bits of a half; every half, subnormals included, is exact in float32. */
export function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

let table: Float32Array | undefined

/**
 * Returns the values of all 65,536 halves, indexed by their bits; built at the first call (256 KiB) and shared: do not
 * write to it.
 */
export function float16Table(): Float32Array {
  table ??= Float32Array.from({ length: 65_536 }, (_, bits) => decodeFloat16(bits))
  return table
}
