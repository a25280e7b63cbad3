// Writes plain MessagePack, each value in its shortest form, into room that grows up to a limit. What values may be is
// checked by its users.

import { textView, utf8ByteLength, writeUtf8 } from '#platform'

import { highWord, lowWord } from './u64.ts'

const FIRST_BYTES = 4096
/** Of what stands in front of a value. */
const MOST_HEAD_BYTES = 9

export class MessagePackWriter {
  #bytes = textView(new Uint8Array(FIRST_BYTES))
  #view = viewOf(this.#bytes)
  #at = 0
  readonly #mostBytes: number
  readonly #onFull: () => never

  /** onFull: called for a value that would end beyond `mostBytes`; throws. */
  constructor(mostBytes: number, onFull: () => never) {
    this.#mostBytes = mostBytes
    this.#onFull = onFull
  }

  /** Begins again. */
  reset(): void {
    this.#at = 0
  }

  /** Returns what was written since `reset`: a view, until the next write. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  writeNull(): void {
    this.#tag(0xc0)
  }

  writeBoolean(value: boolean): void {
    this.#tag(value ? 0xc3 : 0xc2)
  }

  /** Writes safe integers as integers, anything else, -0 too, as float64. */
  writeNumber(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      this.#tag(0xcb)
      this.#view.setFloat64(this.#at, value)
      this.#at += 8
    } else if (value >= 0) this.#writeUnsigned(value)
    else this.#writeNegative(value)
  }

  writeText(value: string): void {
    const byteLength = utf8ByteLength(value)
    this.#writeHead(byteLength, TEXT)
    this.#reserve(byteLength)
    writeUtf8(value, this.#bytes, this.#at)
    this.#at += byteLength
  }

  writeBytes(value: Uint8Array): void {
    this.#writeHead(value.byteLength, BYTES)
    this.#reserve(value.byteLength)
    this.#bytes.set(value, this.#at)
    this.#at += value.byteLength
  }

  /** Begins a list; its elements follow. */
  beginList(length: number): void {
    this.#writeHead(length, LIST)
  }

  /** Begins a map; its keys, each before its value, follow. */
  beginMap(length: number): void {
    this.#writeHead(length, MAP)
  }

  #writeUnsigned(value: number): void {
    if (value < 0x80) this.#tag(value)
    else if (value < 2 ** 8) this.#sized(0xcc, 1, value)
    else if (value < 2 ** 16) this.#sized(0xcd, 2, value)
    else if (value < 2 ** 32) this.#sized(0xce, 4, value)
    else this.#words(0xcf, value)
  }

  #writeNegative(value: number): void {
    if (value >= -0x20) this.#tag(value + 0x100)
    else if (value >= -(2 ** 7)) this.#sized(0xd0, 1, value + 2 ** 8)
    else if (value >= -(2 ** 15)) this.#sized(0xd1, 2, value + 2 ** 16)
    else if (value >= -(2 ** 31)) this.#sized(0xd2, 4, value + 2 ** 32)
    else this.#words(0xd3, value)
  }

  #writeHead(length: number, kind: HeadKind): void {
    if (length < kind.shortEnd) this.#tag(kind.shortTag + length)
    else if (length < 2 ** 8 && kind.tag8 !== undefined) this.#sized(kind.tag8, 1, length)
    else if (length < 2 ** 16) this.#sized(kind.tag16, 2, length)
    else this.#sized(kind.tag16 + 1, 4, length)
  }

  #tag(tag: number): void {
    this.#reserve(MOST_HEAD_BYTES)
    this.#bytes[this.#at++] = tag
  }

  #sized(tag: number, byteLength: 1 | 2 | 4, value: number): void {
    this.#tag(tag)
    for (let i = 1; i <= byteLength; i++) this.#bytes[this.#at++] = Math.floor(value / 2 ** (8 * (byteLength - i)))
  }

  #words(tag: number, value: number): void {
    this.#tag(tag)
    this.#view.setInt32(this.#at, highWord(value))
    this.#view.setUint32(this.#at + 4, lowWord(value))
    this.#at += 8
  }

  #reserve(byteLength: number): void {
    const needed = this.#at + byteLength
    if (needed <= this.#bytes.byteLength) return
    if (needed > this.#mostBytes + MOST_HEAD_BYTES) this.#onFull()
    const most = this.#mostBytes + MOST_HEAD_BYTES
    const larger = textView(new Uint8Array(Math.min(Math.max(needed, this.#bytes.byteLength * 2), most)))
    larger.set(this.written)
    this.#bytes = larger
    this.#view = viewOf(larger)
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

interface HeadKind {
  readonly shortEnd: number
  readonly shortTag: number
  readonly tag8?: number
  readonly tag16: number
}

const TEXT: HeadKind = { shortEnd: 32, shortTag: 0xa0, tag8: 0xd9, tag16: 0xda }
const BYTES: HeadKind = { shortEnd: 0, shortTag: 0, tag8: 0xc4, tag16: 0xc5 }
const LIST: HeadKind = { shortEnd: 16, shortTag: 0x90, tag16: 0xdc }
const MAP: HeadKind = { shortEnd: 16, shortTag: 0x80, tag16: 0xde }
