// The values of declared fields in payloads that are MessagePack: what a build takes from payloads as they come.

import { ZgqError } from '../errors.ts'
import { faultOfValue, type DeclaredField } from '../format/fields.ts'
import { decodePayload } from '../format/payload.ts'
import type { FieldValue } from '../types.ts'

/**
 * Takes the values of `fields` out of the payloads of rows; undefined: the row does not have the field. Payloads were
 * checked when they came: throws ZGQ_CORRUPT for one that is no map, or has a value of another type.
 */
export function fieldValuesOf(
  fields: readonly DeclaredField[],
  payloads: readonly (Uint8Array | undefined)[],
  path: string
): (FieldValue | undefined)[][] {
  const wanted = new Set(fields.map(({ name }) => name))
  return payloads.map((bytes, row) => {
    if (bytes === undefined) return fields.map(() => undefined)
    const payload = decodePayload(bytes, { path }, wanted)
    return fields.map((field) => valueOf(field, payload, { row, path }))
  })
}

function valueOf(
  { name, type }: DeclaredField,
  payload: object,
  of: { readonly row: number; readonly path: string }
): FieldValue | undefined {
  const value: unknown = Object.hasOwn(payload, name) ? Reflect.get(payload, name) : undefined
  const fault = faultOfValue(type, value)
  if (fault !== undefined)
    throw new ZgqError('ZGQ_CORRUPT', `row ${of.row}: the field ${name} ${fault}`, { path: of.path })
  return isValue(value) ? value : undefined
}

/** Tells what was checked to the compiler. */
function isValue(value: unknown): value is FieldValue {
  return value !== undefined
}
