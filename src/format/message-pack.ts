// Structured values of the catalogue as plain MessagePack (spec, sections 7.4 and 11.1). What is decoded was looked at
// first: a map, no extension types, no depth, not very many items, and no length that its bytes do not have.

import { isUtf8 } from 'node:buffer'
import type { Packr } from 'msgpackr'

import { ZgqError } from '../errors.ts'
import { requirePackage } from '../require-package.ts'

/** Maps and lists within each other. */
const MOST_DEPTH = 32
/** Entries of all maps and elements of all lists together: a byte each in the file, but some fifty in memory. */
const MOST_ITEMS = 8192

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
  if (wrong !== undefined) throw notMessagePack(wrong, path)
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
  const notPlain = findFault(bytes)
  if (notPlain !== undefined) throw notMessagePack(notPlain, path)
  try {
    return new Walk(bytes).strings()
  } catch (error) {
    if (error instanceof Fault) throw notMessagePack(error.message, path)
    throw error
  }
}

function notMessagePack(why: string, path: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', `a value of table meta is not plain MessagePack: ${why}`, { path })
}

/** Bytes of a value behind its tag, where they are few: nil, booleans, floats and integers. */
const FIXED: ReadonlyMap<number, number> = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  ...[1, 2, 4, 8].map((bytes, i) => [0xcc + i, bytes] as const),
  ...[1, 2, 4, 8].map((bytes, i) => [0xd0 + i, bytes] as const)
])

type Sized = 'bytes' | 'text' | 'list' | 'map'

/** Values that say their own length, in so many bytes behind their tag. */
const SIZED: ReadonlyMap<number, { readonly kind: Sized; readonly lengthBytes: number }> = new Map(
  (
    [
      [0xc4, 'bytes', [1, 2, 4]],
      [0xd9, 'text', [1, 2, 4]],
      [0xdc, 'list', [2, 4]],
      [0xde, 'map', [2, 4]]
    ] as const
  ).flatMap(([first, kind, lengths]) =>
    lengths.map((lengthBytes, i): [number, { kind: Sized; lengthBytes: number }] => [first + i, { kind, lengthBytes }])
  )
)

/** Says why bytes are not one map of plain MessagePack; undefined where they are. */
function findFault(bytes: Uint8Array): string | undefined {
  const walk = new Walk(bytes)
  try {
    walk.map()
  } catch (error) {
    if (error instanceof Fault) return error.message
    throw error
  }
  return walk.at === bytes.byteLength ? undefined : `${bytes.byteLength - walk.at} bytes are left behind it`
}

class Fault extends Error {}

/** A small integer is a tag of its own. */
function isInteger(tag: number): boolean {
  return tag < 0x80 || tag >= 0xe0
}

class Walk {
  at = 0
  #items = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Passes over a value that has to be a map. */
  map(): void {
    const tag = this.#view.getUint8(this.#take(1))
    const size = isInteger(tag) || FIXED.has(tag) ? undefined : this.#sizeOf(tag)
    if (size?.kind !== 'map') throw new Fault('it is not a map')
    this.#sized(size, 0)
  }

  /** Reads a map of strings to strings that was walked over before. */
  strings(): [string, string][] {
    const { length } = this.#sizeOf(this.#view.getUint8(this.#take(1)))
    return Array.from({ length }, () => [this.#string(), this.#string()])
  }

  #string(): string {
    const tag = this.#view.getUint8(this.#take(1))
    const size = isInteger(tag) || FIXED.has(tag) ? undefined : this.#sizeOf(tag)
    if (size?.kind !== 'text') throw new Fault('a value is not a string')
    const start = this.#take(size.length)
    return Buffer.from(this.#bytes.subarray(start, this.at)).toString()
  }

  #value(depth: number): void {
    const tag = this.#view.getUint8(this.#take(1))
    const fixed = isInteger(tag) ? 0 : FIXED.get(tag)
    if (fixed !== undefined) this.#take(fixed)
    else this.#sized(this.#sizeOf(tag), depth)
  }

  /** The kind and length of a value by its tag. */
  #sizeOf(tag: number): { kind: Sized; length: number } {
    if (tag < 0x90) return { kind: 'map', length: tag & 15 }
    if (tag < 0xa0) return { kind: 'list', length: tag & 15 }
    if (tag < 0xc0) return { kind: 'text', length: tag & 31 }
    const sized = SIZED.get(tag)
    if (sized === undefined) throw new Fault(`type 0x${tag.toString(16)} is not allowed`)
    let length = 0
    for (let i = 0; i < sized.lengthBytes; i++) length = length * 256 + this.#view.getUint8(this.#take(1))
    return { kind: sized.kind, length }
  }

  #sized({ kind, length }: { kind: Sized; length: number }, depth: number): void {
    if (kind === 'bytes' || kind === 'text') {
      const start = this.#take(length)
      if (kind === 'text' && !isUtf8(this.#bytes.subarray(start, this.at))) throw new Fault('a string is not UTF-8')
      return
    }
    if (depth === MOST_DEPTH) throw new Fault(`maps and lists are more than ${MOST_DEPTH} deep`)
    // Every item has a byte at least: a length that the bytes do not have ends here, before anything is made of it.
    const left = this.#bytes.byteLength - this.at
    if (length * (kind === 'map' ? 2 : 1) > left) throw new Fault(`${length} items are said where ${left} bytes are`)
    this.#items += length
    if (this.#items > MOST_ITEMS) throw new Fault(`it has more than ${MOST_ITEMS} items`)
    const keys = new Set<string>()
    for (let i = 0; i < length; i++) {
      if (kind === 'map') this.#key(keys)
      this.#value(depth + 1)
    }
  }

  #key(keys: Set<string>): void {
    const tag = this.#view.getUint8(this.#take(1))
    const { kind, length } = isInteger(tag) ? { kind: 'number', length: 0 } : this.#sizeOf(tag)
    if (kind !== 'text') throw new Fault('a key is not a string')
    const start = this.#take(length)
    const bytes = this.#bytes.subarray(start, this.at)
    if (!isUtf8(bytes)) throw new Fault('a key is not UTF-8')
    const key = Buffer.from(bytes).toString()
    if (keys.has(key)) throw new Fault('a key stands twice')
    keys.add(key)
  }

  /** Passes over bytes; returns where they start. */
  #take(length: number): number {
    const start = this.at
    if (start + length > this.#bytes.byteLength) throw new Fault('it ends early')
    this.at += length
    return start
  }
}
