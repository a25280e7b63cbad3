// Structured values of the catalogue as plain MessagePack (spec, sections 7.4 and 11.1). What is decoded was looked at
// first: a map, no extension types, no depth, not very many items, and no length that its bytes do not have.

import type { Packr } from 'msgpackr'

import { ZgqError } from '../errors.ts'
import { requirePackage } from '../require-package.ts'
import { faultOf, MessagePackReader, type MessagePackLimits } from './message-pack-reader.ts'

/** Maps and lists within each other. */
const MOST_DEPTH = 32
/** Entries of all maps and elements of all lists together: a byte each in the file, but some fifty in memory. */
const MOST_ITEMS = 8192
const LIMITS: MessagePackLimits = { depth: MOST_DEPTH, items: MOST_ITEMS }

let loaded: Packr | undefined

/** Loads msgpackr, which takes tens of milliseconds, for the first value: opening and searching have none. */
function messagePack(): Packr {
  if (loaded === undefined) {
    const library: { Packr: typeof Packr } = requirePackage('msgpackr')
    loaded = new library.Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })
  }
  return loaded
}

/** Encodes a structured value as plain MessagePack. */
export function encodeMessagePack(value: unknown): Uint8Array {
  return new Uint8Array(messagePack().pack(value))
}

/** Decodes one map of plain MessagePack; throws ZGQ_CORRUPT. */
export function decodeMessagePack(bytes: Uint8Array, path: string): unknown {
  const wrong = findFault(bytes)
  if (wrong !== undefined) throw notPlain(wrong, path)
  try {
    return messagePack().unpack(bytes)
  } catch (cause) {
    throw new ZgqError('ZGQ_CORRUPT', 'a value of table meta is not MessagePack', { path, cause })
  }
}

/**
 * Decodes one map of strings to strings, in the order of its bytes and whatever its keys are called; throws
 * ZGQ_CORRUPT. It does without msgpackr, so that opening an index does.
 */
export function decodeStringMap(bytes: Uint8Array, path: string): [string, string][] {
  let entries: [string, string][] = []
  const fault = faultOf(() => {
    const reader = new MessagePackReader(bytes, LIMITS)
    entries = reader.readStrings()
    reader.expectEnd()
  })
  if (fault !== undefined) throw notPlain(fault, path)
  return entries
}

function notPlain(why: string, path: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', `a value of table meta is not plain MessagePack: ${why}`, { path })
}

/** Says why bytes are not one map of plain MessagePack; undefined where they are. */
function findFault(bytes: Uint8Array): string | undefined {
  const reader = new MessagePackReader(bytes, LIMITS)
  return faultOf(() => {
    reader.skipMap()
    reader.expectEnd()
  })
}
