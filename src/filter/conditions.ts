// Conditions on one field in their normal form, with their keys. A range of numbers is closed, one of strings half
// open: the least string above another is the same with a zero byte behind it.

import { compareBytes, decodeLatin1, encodeUtf8 } from '#platform'

import { makeStringTable } from '../format/string-table.ts'
import { NONE, type Predicate, type StringRange } from './predicate.ts'
import { NumberSet, StringSet } from './sieve.ts'

const START = new Uint8Array()

/** A string field, or a field of lists of strings. */
export interface StringField {
  readonly number: number
  readonly isList: boolean
}

export function exists(field: number): Predicate {
  return { kind: 'exists', field, key: `e${field}` }
}

/** Missing or null. */
export function missing(field: number): Predicate {
  return { kind: 'missing', field, key: `m${field}` }
}

export function isBoolean(field: number, value: boolean): Predicate {
  return value ? { kind: 'true', field, key: `t${field}` } : { kind: 'false', field, key: `f${field}` }
}

/** low <= value <= high; none where one of them is NaN. */
export function inNumbers(field: number, low: number, high: number): Predicate {
  if (!(low <= high)) return NONE
  return { kind: 'numbers', field, low, high, key: `n${field}[${low},${high}]` }
}

export function isOneNumber(field: number, numbers: readonly number[]): Predicate {
  if (numbers.length === 0) return NONE
  if (numbers.length === 1) return inNumbers(field, numbers[0], numbers[0])
  const set = new NumberSet(numbers)
  if (set.values.length === 1) return inNumbers(field, set.values[0], set.values[0])
  return { kind: 'numberSet', field, set, key: `N${field}[${set.values.join()}]` }
}

export function inStrings({ number: field, isList }: StringField, range: StringRange): Predicate {
  const { from, to } = range
  if (to !== undefined && compareBytes(from, to) >= 0) return NONE
  return { kind: 'strings', field, range, isList, key: `s${field}[${keyOf(from)}${to === undefined ? '' : keyOf(to)}]` }
}

export function isOneString(field: StringField, strings: readonly string[]): Predicate {
  const distinct = new Set(strings)
  if (distinct.size === 0) return NONE
  if (distinct.size === 1) return inStrings(field, rangeOfString(strings[0]))
  const { table } = makeStringTable(distinct)
  const key = `S${field.number}[${table.starts.join()}${keyOf(table.bytes)}]`
  return { kind: 'stringSet', field: field.number, set: new StringSet(table), key }
}

export function contains(field: StringField, part: string): Predicate {
  const text = encodeUtf8(part)
  if (text.length === 0) return inStrings(field, { from: START, to: undefined })
  return { kind: 'contains', field: field.number, text, key: `c${field.number}[${keyOf(text)}]` }
}

/** The one string. */
export function rangeOfString(text: string): StringRange {
  return { from: encodeUtf8(text), to: afterString(text) }
}

export function rangeFrom(text: string): StringRange {
  return { from: encodeUtf8(text), to: undefined }
}

export function rangeAfter(text: string): StringRange {
  return { from: afterString(text), to: undefined }
}

export function rangeBefore(text: string): StringRange {
  return { from: START, to: encodeUtf8(text) }
}

export function rangeUpTo(text: string): StringRange {
  return { from: START, to: afterString(text) }
}

/** All strings that begin with a text. */
export function rangeOfPrefix(text: string): StringRange {
  const from = encodeUtf8(text)
  if (from.length === 0) return { from, to: undefined }
  const to = Uint8Array.from(from)
  // UTF-8 has no byte 0xff, so none overflows.
  to[to.length - 1]++
  return { from, to }
}

/** What is in both of two ranges. */
export function intersectRanges(left: StringRange, right: StringRange): StringRange {
  const from = compareBytes(left.from, right.from) >= 0 ? left.from : right.from
  if (left.to === undefined || right.to === undefined) return { from, to: left.to ?? right.to }
  return { from, to: compareBytes(left.to, right.to) <= 0 ? left.to : right.to }
}

function afterString(text: string): Uint8Array {
  return encodeUtf8(`${text}\0`)
}

/** Bytes in a key: their count tells where they end. */
function keyOf(bytes: Uint8Array): string {
  return `${bytes.length}:${decodeLatin1(bytes)}`
}
