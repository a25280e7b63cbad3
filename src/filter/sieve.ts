// Sets that rows and dictionaries are looked up in. A bitmap of hashes answers first, and for most of what is not in
// the set that is all; what passes is searched in order, so that hashes which collide by design cost a binary search.

import type { StringTable } from '../format/string-table.ts'

/** Bits of the bitmap for each element, at least: of what is not in the set 1 in 32 passes, or less. */
const BITS_AN_ELEMENT = 32

/** Tells for a hash that it is not in a set, or may be. */
class Sieve {
  readonly #bitmap: Uint32Array
  readonly #shift: number

  constructor(elements: number) {
    const bits = Math.max(5, Math.ceil(Math.log2(elements * BITS_AN_ELEMENT)))
    this.#bitmap = new Uint32Array(2 ** (bits - 5))
    this.#shift = 32 - bits
  }

  add(hash: number): void {
    const bit = hash >>> this.#shift
    this.#bitmap[bit >>> 5] |= 1 << (bit & 31)
  }

  mayHave(hash: number): boolean {
    const bit = hash >>> this.#shift
    return ((this.#bitmap[bit >>> 5] >>> (bit & 31)) & 1) !== 0
  }
}

/** Numbers, none of them NaN; 0 and -0 are one. */
export class NumberSet {
  /** Ascending. */
  readonly values: Float64Array
  readonly #sieve: Sieve

  /** At least one number. */
  constructor(numbers: Iterable<number>) {
    this.values = Float64Array.from(new Set(numbers)).sort()
    this.#sieve = new Sieve(this.values.length)
    const words = new Uint32Array(this.values.buffer)
    for (let i = 0; i < this.values.length; i++) this.#sieve.add(hashNumber(words[i * 2], words[i * 2 + 1]))
  }

  /** Tells whether number i of an array is in the set; words: the same array as u32. */
  hasAt(numbers: Float64Array, words: Uint32Array, i: number): boolean {
    return this.#sieve.mayHave(hashNumber(words[i * 2], words[i * 2 + 1])) && this.#has(numbers[i])
  }

  #has(value: number): boolean {
    const values = this.values
    let [low, high] = [0, values.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (values[middle] < value) low = middle + 1
      else high = middle
    }
    return low < values.length && values[low] === value
  }
}

/** Strings. */
export class StringSet {
  readonly table: StringTable
  readonly #sieve: Sieve

  /** At least one string. */
  constructor(table: StringTable) {
    this.table = table
    this.#sieve = new Sieve(table.count)
    const view = viewOf(table)
    for (let place = 0; place < table.count; place++)
      this.#sieve.add(hashBytes(view, table.starts[place], table.starts[place + 1]))
  }

  /** Sets a mark to 1 for each string of a dictionary that is in the set. */
  mark(dictionary: StringTable, marks: Uint8Array): void {
    if (this.table.count * FEW < dictionary.count) this.#search(dictionary, marks)
    else this.#sift(dictionary, marks)
  }

  /** Searches the dictionary for the strings of the set. */
  #search(dictionary: StringTable, marks: Uint8Array): void {
    const { table } = this
    let place = 0
    for (let i = 0; i < table.count && place < dictionary.count; i++) {
      place = dictionary.advanceTo(table, i, place)
      if (place < dictionary.count && dictionary.compare(place, table, i) === 0) marks[place] = 1
    }
  }

  /** Searches the set for the strings of the dictionary that pass the sieve. */
  #sift(dictionary: StringTable, marks: Uint8Array): void {
    const { table } = this
    const { starts, count } = dictionary
    const view = viewOf(dictionary)
    let place = 0
    for (let i = 0; i < count && place < table.count; i++) {
      if (!this.#sieve.mayHave(hashBytes(view, starts[i], starts[i + 1]))) continue
      // Both ascend: the search goes on where the last one ended.
      place = table.advanceTo(dictionary, i, place)
      if (place < table.count && table.compare(place, dictionary, i) === 0) marks[i] = 1
    }
  }
}

/** A set is searched for, string by string, in a dictionary of more than this times as many. */
const FEW = 8

function viewOf({ bytes }: StringTable): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

// The multipliers are those of MurmurHash3.

/** Hashes a float64 by its words, without the sign: 0 and -0 have one hash. */
function hashNumber(low: number, high: number): number {
  const mixed = Math.imul(low, 0xcc9e_2d51) ^ Math.imul(high & 0x7fff_ffff, 0x1b87_3593)
  return Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca6b)
}

function hashBytes(view: DataView, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getUint32(at, true), 0xcc9e_2d51)
    hash ^= hash >>> 15
  }
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x1b87_3593)
  return Math.imul(hash ^ (hash >>> 13), 0x85eb_ca6b)
}
