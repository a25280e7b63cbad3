// Structured values of the catalogue, read from plain MessagePack (spec, sections 7.4 and 11.1): a map, no extension
// types, no depth, not very many items, and no length that its bytes do not have.

import { ZgqError } from '../errors.ts'
import { faultOf, MessagePackReader, type MessagePackLimits } from './message-pack-reader.ts'

/** Maps and lists within each other. */
const MOST_DEPTH = 32
/** Entries of all maps and elements of all lists together: a byte each in the file, but some fifty in memory. */
const MOST_ITEMS = 8192
const LIMITS: MessagePackLimits = { depth: MOST_DEPTH, items: MOST_ITEMS }

/** Decodes one map of plain MessagePack; throws ZGQ_CORRUPT. */
export function decodeMessagePack(bytes: Uint8Array, path: string): Record<string, unknown> {
  let value: Record<string, unknown> = {}
  const fault = faultOf(() => {
    const reader = new MessagePackReader(bytes, LIMITS)
    value = reader.readMap()
    reader.expectEnd()
  })
  if (fault !== undefined) throw notPlain(fault, path)
  return value
}

/**
 * Decodes one map of strings to strings, in the order of its bytes and whatever its keys are called; throws
 * ZGQ_CORRUPT.
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
