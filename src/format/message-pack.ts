// Structured values of the catalogue as plain MessagePack (spec, sections 7.4 and 11.1). What is decoded was looked at
// first: a map, no extension types, no depth, not very many items, and no length that its bytes do not have.

import type { Packr } from 'msgpackr'

import { ZgqError } from '../errors.ts'
import { requirePackage } from '../require-package.ts'
import { faultOf, MessagePackReader } from './message-pack-reader.ts'

/** Maps and lists within each other. */
const MOST_DEPTH = 32
/** Entries of all maps and elements of all lists together: a byte each in the file, but some fifty in memory. */
const MOST_ITEMS = 8192

let loaded: Packr | undefined
let loadedForMaps: Packr | undefined

/** Loads msgpackr, which takes tens of milliseconds, for the first value: opening and searching have none. */
function messagePack(): Packr {
  loaded ??= makePackr({})
  return loaded
}

function makePackr(options: { mapsAsObjects?: boolean }): Packr {
  const library: { Packr: typeof Packr } = requirePackage('msgpackr')
  return new library.Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number', ...options })
}

/** Encodes a structured value as plain MessagePack. */
export function encodeMessagePack(value: unknown): Uint8Array {
  return new Uint8Array(messagePack().pack(value))
}

/** Decodes one map of plain MessagePack; throws ZGQ_CORRUPT. */
export function decodeMessagePack(bytes: Uint8Array, path: string): unknown {
  return unpack(messagePack(), bytes, path)
}

/**
 * Decodes one map of plain MessagePack as a Map: in the order of the bytes, and whatever its keys are called. Throws
 * ZGQ_CORRUPT.
 */
export function decodeMessagePackMap(bytes: Uint8Array, path: string): unknown {
  loadedForMaps ??= makePackr({ mapsAsObjects: false })
  return unpack(loadedForMaps, bytes, path)
}

function unpack(packr: Packr, bytes: Uint8Array, path: string): unknown {
  const wrong = findFault(bytes)
  if (wrong !== undefined)
    throw new ZgqError('ZGQ_CORRUPT', `a value of table meta is not plain MessagePack: ${wrong}`, { path })
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new ZgqError('ZGQ_CORRUPT', 'a value of table meta is not MessagePack', { path, cause })
  }
}

/** Says why bytes are not one map of plain MessagePack; undefined where they are. */
function findFault(bytes: Uint8Array): string | undefined {
  const reader = new MessagePackReader(bytes, { depth: MOST_DEPTH, items: MOST_ITEMS })
  return faultOf(() => {
    reader.skipMap()
    reader.expectEnd()
  })
}
