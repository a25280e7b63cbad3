// Arrays of numbers, as the public methods take them. Those of another realm (a vm context, Jest, jsdom) are no
// instances of this realm's classes, and are taken all the same.

/** Of all typed arrays: a getter that names the class, and that no object can pretend to have. */
const classOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get

interface TypedClasses {
  readonly Float32Array: Float32Array
  readonly Float64Array: Float64Array
}

function isTyped<Name extends keyof TypedClasses>(value: unknown, name: Name): value is TypedClasses[Name] {
  return classOf?.call(value) === name
}

/** Returns float32 of any realm as this realm's, over the same memory; undefined for anything else. */
export function asFloat32Array(value: unknown): Float32Array | undefined {
  if (value instanceof Float32Array) return value
  return isTyped(value, 'Float32Array') ? new Float32Array(value.buffer, value.byteOffset, value.length) : undefined
}

/** Returns float32 over the same memory, float64 rounded into a copy; undefined for anything else. */
export function toFloat32Array(value: unknown): Float32Array | undefined {
  return asFloat32Array(value) ?? (isTyped(value, 'Float64Array') ? Float32Array.from(value) : undefined)
}
