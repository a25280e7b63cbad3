// Declared fields: checked where a caller gives them, and as the catalogue keeps them, a MessagePack map of names and
// types (spec, section 7.4). A field's number is its place in the declaration, from 1 on.

import { utf8ByteLength } from '#platform'

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { isPlainObject } from '../plain-object.ts'
import type { FieldType } from '../types.ts'
import { decodeStringMap } from './message-pack.ts'
import { MessagePackWriter } from './message-pack-writer.ts'

export const MOST_FIELDS = 256
const MOST_NAME_BYTES = 255
/** More than what all names and types take. */
const MOST_DECLARATION_BYTES = MOST_FIELDS * (MOST_NAME_BYTES + 16)
const FIELD_TYPES: readonly FieldType[] = ['string', 'number', 'boolean', 'string[]']

/** Half of a surrogate pair: such a string has no UTF-8. */
export const LONE_SURROGATE = /\p{Surrogate}/u

/** A declared field. */
export interface DeclaredField {
  /** 1, 2, 3, ... in the order of the declaration; columns name fields by it. */
  readonly number: number
  readonly name: string
  readonly type: FieldType
}

/** Checks the fields that a caller declares; throws TypeError and RangeError. */
export function checkFields(fields: unknown): readonly DeclaredField[] {
  if (!isPlainObject(fields))
    throw new TypeError(`fields must be an object of names and types, found ${describe(fields)}`)
  const entries = Object.entries(fields)
  if (entries.length > MOST_FIELDS)
    throw new RangeError(`fields must have at most ${MOST_FIELDS} names, found ${entries.length}`)
  return entries.map(([name, type], i) => {
    const wrong = faultOfName(name)
    if (wrong !== undefined) throw new RangeError(`fields: the name ${describe(name)} ${wrong}`)
    if (!isFieldType(type))
      throw new TypeError(`field ${describe(name)} must be one of ${FIELD_TYPES.join(', ')}, found ${describe(type)}`)
    return { number: i + 1, name, type }
  })
}

/** Encodes the declaration of checked fields. */
export function encodeFields(fields: readonly DeclaredField[]): Uint8Array {
  const writer = new MessagePackWriter(MOST_DECLARATION_BYTES, () => {
    throw new RangeError(`fields have more than ${MOST_DECLARATION_BYTES} bytes`)
  })
  writer.beginMap(fields.length)
  for (const { name, type } of fields) {
    writer.writeText(name)
    writer.writeText(type)
  }
  return writer.written.slice()
}

/** Decodes the declaration of fields; throws ZGQ_CORRUPT, naming `path`. */
export function decodeFields(bytes: Uint8Array, path: string): readonly DeclaredField[] {
  const entries = decodeStringMap(bytes, path)
  if (entries.length === 0 || entries.length > MOST_FIELDS)
    throw damage(`declares ${entries.length} fields, expected 1 to ${MOST_FIELDS}`, path)
  return entries.map(([name, type], i) => {
    const wrong = faultOfName(name)
    if (wrong !== undefined) throw damage(`has the name ${describe(name)}, which ${wrong}`, path)
    if (!isFieldType(type))
      throw damage(
        `gives field ${describe(name)} the type ${describe(type)}, expected one of ${FIELD_TYPES.join(', ')}`,
        path
      )
    return { number: i + 1, name, type }
  })
}

/** Makes fields findable by name. */
export function fieldsByName(fields: readonly DeclaredField[]): ReadonlyMap<string, DeclaredField> {
  return new Map(fields.map((field) => [field.name, field]))
}

/**
 * Says what is wrong with a value of a field in a row, as the end of a sentence about it; undefined: nothing. A row may
 * lack a field, so undefined is a value.
 */
export function faultOfValue(type: FieldType, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (type === 'string[]') {
    if (!Array.isArray(value)) return `is ${describe(value)}, expected an array of strings`
    for (const [i, element] of value.entries()) {
      const wrong = faultOfString(element)
      if (wrong !== undefined) return `has at [${i}] ${wrong}`
    }
    return undefined
  }
  if (type === 'string') {
    const wrong = faultOfString(value)
    return wrong === undefined ? undefined : `is ${wrong}`
  }
  if (typeof value !== type) return `is ${describe(value)}, expected a ${type}`
  return Number.isNaN(value) ? 'is NaN, which no field can hold' : undefined
}

function faultOfString(value: unknown): string | undefined {
  if (typeof value !== 'string') return `${describe(value)}, expected a string`
  return LONE_SURROGATE.test(value) ? `a string with a lone surrogate: ${describe(value)}` : undefined
}

function isFieldType(value: unknown): value is FieldType {
  return FIELD_TYPES.some((type) => type === value)
}

/** Says why no field may have a name; undefined: it may. */
function faultOfName(name: string): string | undefined {
  if (name === '') return 'is empty'
  // Filters take such names for operators.
  if (name.startsWith('$')) return 'begins with $'
  if (LONE_SURROGATE.test(name)) return 'has a lone surrogate'
  const byteLength = utf8ByteLength(name)
  return byteLength > MOST_NAME_BYTES ? `has ${byteLength} bytes, more than ${MOST_NAME_BYTES}` : undefined
}

function damage(what: string, path: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', `the value fields of table meta ${what}`, { path })
}
