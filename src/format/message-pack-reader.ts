// Reads plain MessagePack of any origin, value after value: passes over a value, or builds it. Whatever is wrong with
// the bytes is found here: no extension types, no depth, not very many items, no length that the bytes do not have, no
// key twice.

import { decodeStrictUtf8, isUtf8, textView } from '#platform'

import { joinU64 } from './u64.ts'

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

type SizedKind = 'bytes' | 'text' | 'list' | 'map'

interface Sized {
  readonly kind: SizedKind
  readonly length: number
}

/** Values that say their own length, in so many bytes behind their tag. */
const SIZED: ReadonlyMap<number, { readonly kind: SizedKind; readonly lengthBytes: number }> = new Map(
  (
    [
      [0xc4, 'bytes', [1, 2, 4]],
      [0xd9, 'text', [1, 2, 4]],
      [0xdc, 'list', [2, 4]],
      [0xde, 'map', [2, 4]]
    ] as const
  ).flatMap(([first, kind, lengths]) =>
    lengths.map((lengthBytes, i): [number, { kind: SizedKind; lengthBytes: number }] => [
      first + i,
      { kind, lengthBytes }
    ])
  )
)

class Fault extends Error {}

/** Says why bytes cannot be read by `read`; undefined where they can. */
export function faultOf(read: () => void): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (error instanceof Fault) return error.message
    throw error
  }
}

/** Most maps and lists within each other; most entries of all maps and elements of all lists together. */
export interface MessagePackLimits {
  readonly depth: number
  readonly items: number
}

/** A small integer is a tag of its own. */
function isInteger(tag: number): boolean {
  return tag < 0x80 || tag >= 0xe0
}

/** Reads a value after the other. Its methods throw what `faultOf` turns into a sentence. */
export class MessagePackReader {
  /** Bytes that were read. */
  at = 0
  #items = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #limits: MessagePackLimits

  constructor(bytes: Uint8Array, limits: MessagePackLimits) {
    this.#bytes = textView(bytes)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#limits = limits
  }

  /** Looks for bytes behind what was read. */
  expectEnd(): void {
    if (this.at !== this.#bytes.byteLength)
      throw new Fault(`${this.#bytes.byteLength - this.at} bytes are left behind it`)
  }

  /** Passes over a value that has to be a map. */
  skipMap(): void {
    this.#skipSized(this.#beginMap(), 0)
  }

  /** Builds a map as an object, of all its entries or of those with keys that are wanted; the others are looked at. */
  readMap(wanted?: ReadonlySet<string>): Record<string, unknown> {
    const { length } = this.#beginMap()
    return this.#readEntries(length, 0, wanted)
  }

  /** Builds the entries of a map of strings to strings, in the order of their bytes. */
  readStrings(): [string, string][] {
    const { length } = this.#beginMap()
    this.#enter(length, length * 2, 0)
    const entries = new Map<string, string>()
    for (let i = 0; i < length; i++) {
      const key = this.#key()
      if (entries.has(key)) throw new Fault('it has a duplicate key')
      const tag = this.#byte()
      const size = isInteger(tag) || FIXED.has(tag) ? undefined : this.#sizeOf(tag)
      if (size?.kind !== 'text') throw new Fault('a value is not a string')
      entries.set(key, this.#text(size.length, 'a string'))
    }
    return [...entries]
  }

  /** Builds a value. */
  readValue(): unknown {
    return this.#read(0)
  }

  #beginMap(): Sized {
    const tag = this.#byte()
    const size = isInteger(tag) || FIXED.has(tag) ? undefined : this.#sizeOf(tag)
    if (size?.kind !== 'map') throw new Fault('it is not a map')
    return size
  }

  #skip(depth: number): void {
    const tag = this.#byte()
    const fixed = isInteger(tag) ? 0 : FIXED.get(tag)
    if (fixed !== undefined) this.#take(fixed)
    else this.#skipSized(this.#sizeOf(tag), depth)
  }

  #skipSized({ kind, length }: Sized, depth: number): void {
    if (kind === 'bytes') this.#take(length)
    else if (kind === 'text') this.#checkText(length, 'a string')
    else if (kind === 'list') {
      this.#enter(length, length, depth)
      for (let i = 0; i < length; i++) this.#skip(depth + 1)
    } else {
      this.#enter(length, length * 2, depth)
      const keys = new Set<string>()
      for (let i = 0; i < length; i++) {
        const key = this.#key()
        if (keys.has(key)) throw new Fault('it has a duplicate key')
        keys.add(key)
        this.#skip(depth + 1)
      }
    }
  }

  #read(depth: number): unknown {
    const tag = this.#byte()
    if (isInteger(tag)) return tag < 0x80 ? tag : tag - 0x100
    const fixed = FIXED.get(tag)
    if (fixed !== undefined) return this.#readFixed(tag, this.#take(fixed))
    const { kind, length } = this.#sizeOf(tag)
    switch (kind) {
      case 'bytes': {
        const start = this.#take(length)
        return Uint8Array.from(this.#bytes.subarray(start, this.at))
      }
      case 'text':
        return this.#text(length, 'a string')
      case 'list':
        return this.#readElements(length, depth)
      case 'map':
        return this.#readEntries(length, depth)
    }
  }

  /** Integers beyond the safe range are rounded, but never into it. */
  #readFixed(tag: number, at: number): unknown {
    const view = this.#view
    switch (tag) {
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return view.getFloat32(at)
      case 0xcb:
        return view.getFloat64(at)
      case 0xcc:
        return view.getUint8(at)
      case 0xcd:
        return view.getUint16(at)
      case 0xce:
        return view.getUint32(at)
      case 0xcf:
        return joinU64(view.getUint32(at + 4), view.getUint32(at))
      case 0xd0:
        return view.getInt8(at)
      case 0xd1:
        return view.getInt16(at)
      case 0xd2:
        return view.getInt32(at)
      case 0xd3:
        return joinU64(view.getUint32(at + 4), view.getInt32(at))
      default:
        return null
    }
  }

  #readElements(length: number, depth: number): unknown[] {
    this.#enter(length, length, depth)
    const list: unknown[] = []
    for (let i = 0; i < length; i++) list.push(this.#read(depth + 1))
    return list
  }

  #readEntries(length: number, depth: number, wanted?: ReadonlySet<string>): Record<string, unknown> {
    this.#enter(length, length * 2, depth)
    const map: Record<string, unknown> = {}
    const passed = new Set<string>()
    for (let i = 0; i < length; i++) {
      const key = this.#key()
      if (Object.hasOwn(map, key) || passed.has(key)) throw new Fault('it has a duplicate key')
      if (wanted !== undefined && !wanted.has(key)) {
        passed.add(key)
        this.#skip(depth + 1)
        continue
      }
      const value = this.#read(depth + 1)
      // Set in the plain way, this one name would change the prototype.
      if (key === '__proto__')
        Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true })
      else map[key] = value
    }
    return map
  }

  /** The kind and length of a value by its tag. */
  #sizeOf(tag: number): Sized {
    if (tag < 0x90) return { kind: 'map', length: tag & 15 }
    if (tag < 0xa0) return { kind: 'list', length: tag & 15 }
    if (tag < 0xc0) return { kind: 'text', length: tag & 31 }
    const sized = SIZED.get(tag)
    if (sized === undefined) throw new Fault(`type 0x${tag.toString(16)} is not allowed`)
    let length = 0
    for (let i = 0; i < sized.lengthBytes; i++) length = length * 256 + this.#byte()
    return { kind: sized.kind, length }
  }

  /** Looks whether a map or list may be entered, before anything is made of it: every item has a byte at least. */
  #enter(length: number, leastBytes: number, depth: number): void {
    if (depth === this.#limits.depth) throw new Fault(`maps and lists are more than ${this.#limits.depth} deep`)
    const left = this.#bytes.byteLength - this.at
    if (leastBytes > left) throw new Fault(`it says ${length} items and has ${left} bytes left`)
    this.#items += length
    if (this.#items > this.#limits.items) throw new Fault(`it has more than ${this.#limits.items} items`)
  }

  #key(): string {
    const tag = this.#byte()
    const size = isInteger(tag) || FIXED.has(tag) ? undefined : this.#sizeOf(tag)
    if (size?.kind !== 'text') throw new Fault('a key is not a string')
    return this.#text(size.length, 'a key')
  }

  #text(length: number, what: string): string {
    const start = this.#take(length)
    const text = decodeStrictUtf8(this.#bytes, start, this.at)
    if (text === undefined) throw new Fault(`${what} is not UTF-8`)
    return text
  }

  #checkText(length: number, what: string): void {
    const start = this.#take(length)
    if (!isUtf8(this.#bytes.subarray(start, this.at))) throw new Fault(`${what} is not UTF-8`)
  }

  #byte(): number {
    return this.#view.getUint8(this.#take(1))
  }

  /** Passes over bytes; returns where they start. */
  #take(length: number): number {
    const start = this.at
    if (start + length > this.#bytes.byteLength) throw new Fault('it ends early')
    this.at += length
    return start
  }
}
