// Tells objects that are written as { ... } or come from JSON from all others, whatever realm they were made in.

/**
 * Tells a plain object: one without a class. A Map or a Date has no keys of its own, and would pass for an empty object
 * where only keys are looked at.
 */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Not compared with Object.prototype: another realm has its own.
  return prototype === null || (Object.getPrototypeOf(prototype) === null && !(Symbol.toStringTag in value))
}
