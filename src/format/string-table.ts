// Distinct strings in the order of their UTF-8 bytes: the dictionary of a field in a segment (spec, section 4.3), and
// the strings that a filter asks for. A string is known by its place, so what comes in order is a range of places.

import { compareBytes, decodeUtf8, encodeUtf8, isUtf8, textView, utf8ByteLength, writeUtf8 } from '#platform'

const WORD_BYTES = 4
/** Starts are u32. */
const MOST_BYTES = 2 ** 32 - 1
/** Code units of surrogates, and those above. */
const ABOVE_SURROGATES = /[\ud800-\uffff]/

/** Strings in UTF-8, distinct and ascending by their bytes; string i is bytes starts[i] to starts[i + 1]. */
export class StringTable {
  readonly count: number
  readonly starts: Uint32Array // count + 1
  readonly bytes: Uint8Array

  constructor(starts: Uint32Array, bytes: Uint8Array) {
    this.count = starts.length - 1
    this.starts = starts
    this.bytes = textView(bytes)
  }

  at(place: number): string {
    return decodeUtf8(this.bytes, this.starts[place], this.starts[place + 1])
  }

  /** Compares a string with one of another table: < 0, 0 or > 0. */
  compare(place: number, other: StringTable, otherPlace: number): number {
    // Bytes one by one: strings are short, and a call of the platform costs as much as some twenty bytes.
    const [left, right] = [this.bytes, other.bytes]
    const start = this.starts[place]
    const otherStart = other.starts[otherPlace]
    const length = this.starts[place + 1] - start
    const otherLength = other.starts[otherPlace + 1] - otherStart
    const common = Math.min(length, otherLength)
    for (let i = 0; i < common; i++) {
      const difference = left[start + i] - right[otherStart + i]
      if (difference !== 0) return difference
    }
    return length - otherLength
  }

  /** Compares a string with other bytes: < 0, 0 or > 0. */
  compareText(place: number, text: Uint8Array): number {
    const bytes = this.bytes
    const start = this.starts[place]
    const length = this.starts[place + 1] - start
    const common = Math.min(length, text.length)
    for (let i = 0; i < common; i++) {
      const difference = bytes[start + i] - text[i]
      if (difference !== 0) return difference
    }
    return length - text.length
  }

  /** Finds the first string that is not less than `text`; `count` if all are less. */
  lowerBound(text: Uint8Array): number {
    let [low, high] = [0, this.count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compareText(middle, text) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Finds the same from place `first` on, by growing steps: it is fast where the string is near. */
  advance(text: Uint8Array, first: number): number {
    let [low, step] = [first, 1]
    while (low + step <= this.count && this.compareText(low + step - 1, text) < 0) {
      low += step
      step *= 2
    }
    let high = Math.min(low + step - 1, this.count)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compareText(middle, text) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Finds the first string, from place `first` on, that is not less than one of another table. */
  advanceTo(other: StringTable, otherPlace: number, first: number): number {
    let [low, step] = [first, 1]
    while (low + step <= this.count && this.compare(low + step - 1, other, otherPlace) < 0) {
      low += step
      step *= 2
    }
    let high = Math.min(low + step - 1, this.count)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compare(middle, other, otherPlace) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Makes a table of strings, which have no lone surrogates; returns their places in it, too. */
export function makeStringTable(strings: ReadonlySet<string>): { table: StringTable; places: Map<string, number> } {
  const sorted = sortByBytes([...strings])
  const starts = new Uint32Array(sorted.length + 1)
  const places = new Map<string, number>()
  let byteLength = 0
  sorted.forEach((text, place) => {
    places.set(text, place)
    byteLength += utf8ByteLength(text)
    starts[place + 1] = byteLength
  })
  if (byteLength > MOST_BYTES) throw new RangeError(`strings of ${byteLength} bytes do not fit into a table of 4 GB`)
  const bytes = textView(new Uint8Array(byteLength))
  sorted.forEach((text, place) => {
    writeUtf8(text, bytes, starts[place])
  })
  return { table: new StringTable(starts, bytes), places }
}

/** Sorts strings by their UTF-8 bytes. JavaScript's own order is that of UTF-16, which differs above U+D7FF only. */
function sortByBytes(strings: string[]): string[] {
  if (!strings.some((text) => ABOVE_SURROGATES.test(text))) return strings.sort()
  const encoded = strings.map((text) => ({ text, bytes: encodeUtf8(text) }))
  return encoded.sort((left, right) => compareBytes(left.bytes, right.bytes)).map(({ text }) => text)
}

/** Encodes a table: u32 count, u32 starts, then the bytes. */
export function encodeStringTable({ count, starts, bytes }: StringTable): Uint8Array {
  const encoded = new Uint8Array(WORD_BYTES * (count + 2) + bytes.byteLength)
  const words = new Uint32Array(encoded.buffer, 0, count + 2)
  words[0] = count
  words.set(starts, 1)
  encoded.set(bytes, words.byteLength)
  return encoded
}

/** Decodes a copy of a table; `damage` makes the error that is thrown for what is none. */
export function decodeStringTable(encoded: Uint8Array, damage: (what: string) => Error): StringTable {
  const copy = new Uint8Array(encoded)
  if (copy.byteLength < 2 * WORD_BYTES) throw damage(`has only ${copy.byteLength} bytes`)
  const count = new Uint32Array(copy.buffer, 0, 1)[0]
  const tableBytes = WORD_BYTES * (count + 2)
  if (tableBytes > copy.byteLength) throw damage(`says ${count} strings and has ${copy.byteLength} bytes`)
  const starts = new Uint32Array(copy.buffer, WORD_BYTES, count + 1)
  const bytes = copy.subarray(tableBytes)
  checkStarts(starts, bytes.byteLength, damage)
  if (!isUtf8(bytes)) throw damage('has strings that are not UTF-8')
  const table = new StringTable(starts, bytes)
  for (let place = 0; place < count; place++) {
    // All bytes together are UTF-8, so each string is where none starts inside a character.
    if (starts[place] < bytes.length && (bytes[starts[place]] & 0xc0) === 0x80)
      throw damage(`starts string ${place} inside a character`)
    if (place > 0 && table.compare(place - 1, table, place) >= 0)
      throw damage(`has string ${place} out of the order of bytes`)
  }
  return table
}

/** Checks starts that divide `end` elements: ascending from 0 to it. */
export function checkStarts(starts: Uint32Array, end: number, damage: (what: string) => Error): void {
  if (starts[0] !== 0) throw damage(`begins with start ${starts[0]}, expected 0`)
  for (let i = 1; i < starts.length; i++) {
    if (starts[i] < starts[i - 1]) throw damage(`has start ${starts[i]} after ${starts[i - 1]}`)
  }
  const last = starts[starts.length - 1]
  if (last !== end) throw damage(`ends at ${last}, expected ${end}`)
}
