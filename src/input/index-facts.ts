// Facts of an index as callers give them, to a build or to create. Each check returns the value as the work takes it,
// or throws TypeError or RangeError.

import { describe } from '../describe.ts'
import { CODE_BITS } from '../format/codes.ts'
import { LONE_SURROGATE } from '../format/fields.ts'
import { METRIC_CODES } from '../format/layout.ts'
import { PAYLOAD_LIMITS, PayloadEncoder } from '../format/payload.ts'
import { expectOneOf, expectWholeNumber } from '../options.ts'
import { isPlainObject } from '../plain-object.ts'
import type { Metric } from '../types.ts'

export function expectMetric(name: string, given: Metric): Metric {
  expectOneOf(name, given, Object.keys(METRIC_CODES))
  return given
}

export function expectBits(name: string, given: number): number {
  expectWholeNumber(name, given, { least: 0, most: 8 })
  if (!CODE_BITS.includes(given)) throw new RangeError(`${name} must be 0, 1, 2, 4 or 8, found ${given}`)
  return given
}

export function expectText(name: string, given: string | undefined): string | undefined {
  if (given !== undefined && (typeof given !== 'string' || given === ''))
    throw new TypeError(`${name} must be a non-empty string, found ${describe(given)}`)
  return given
}

/** Bytes of the longest name of a model, and of the largest note as the catalogue keeps it. */
const MOST_MODEL_BYTES = 1024
const MOST_NOTE_BYTES = 2 ** 20
/** A reader of the catalogue takes some more. */
const MOST_NOTE_ITEMS = 8000

/** A map of one entry, and its key. */
const NOTE_HEAD = Buffer.from('\x81\xa4note', 'latin1')

/** Returns the name of a model, or null. */
export function expectModel(name: string, given: string | undefined): string | null {
  const model = expectText(name, given) ?? null
  if (model === null) return null
  if (LONE_SURROGATE.test(model)) throw new TypeError(`${name} has a lone surrogate, found ${describe(model)}`)
  if (Buffer.byteLength(model) > MOST_MODEL_BYTES)
    throw new RangeError(`${name} must have at most ${MOST_MODEL_BYTES} bytes of UTF-8, found ${describe(model)}`)
  return model
}

/** Returns a note as the catalogue keeps it, `{ note }` as MessagePack; undefined: none. what: for messages. */
export function expectNote(name: string, given: unknown, what: string): Uint8Array | undefined {
  if (given === undefined) return undefined
  if (!isPlainObject(given)) throw new TypeError(`${name} must be a plain object, found ${describe(given)}`)
  const encoder = new PayloadEncoder(name, {
    depth: PAYLOAD_LIMITS.depth - 1,
    items: MOST_NOTE_ITEMS,
    bytes: MOST_NOTE_BYTES - NOTE_HEAD.byteLength
  })
  return Uint8Array.from(Buffer.concat([NOTE_HEAD, encoder.encode(given, what)]))
}
