// What searching takes from Node: checksums, UTF-8, comparing bytes, turns of the event loop. Everything else reaches
// it as `#platform`, in whose place builds for browsers put web.ts, which has the same exports.

import { isUtf8 as isUtf8Bytes } from 'node:buffer'
import { setImmediate } from 'node:timers'
import { crc32 as zlibCrc32 } from 'node:zlib'

/** Computes CRC-32 (IEEE) of bytes, after others whose CRC is `before`. */
export function crc32(bytes: Uint8Array, before: number): number {
  // zlib forgets the CRC before where it is handed no memory at all.
  return bytes.byteLength === 0 ? before : zlibCrc32(bytes, before)
}

/** Returns the same memory in the form whose text is read and written fastest. */
export function textView(bytes: Uint8Array): Uint8Array {
  return asBuffer(bytes)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function isUtf8(bytes: Uint8Array): boolean {
  return isUtf8Bytes(bytes)
}

/** Counts the bytes of a text in UTF-8. */
export function utf8ByteLength(text: string): number {
  return Buffer.byteLength(text)
}

/** Encodes a text as UTF-8; half of a surrogate pair becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  return Buffer.from(text)
}

/** Writes a text as UTF-8 into bytes that have room for all of it. */
export function writeUtf8(text: string, target: Uint8Array, offset: number): void {
  asBuffer(target).write(text, offset)
}

/** Decodes UTF-8 from `start` on and before `end`; what is none becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString('utf8', start, end)
}

/** The same; undefined where it is no UTF-8. */
export function decodeStrictUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  return isUtf8Bytes(bytes.subarray(start, end)) ? decodeUtf8(bytes, start, end) : undefined
}

/** Decodes each byte as the character of its number. */
export function decodeLatin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1')
}

export function decodeBase64(text: string): Uint8Array {
  return Buffer.from(text, 'base64')
}

/** Compares byte strings: below 0, 0 or above 0. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right)
}

/** Finds the first place, from `from` on, where bytes have others in them; -1: none. */
export function indexOfBytes(bytes: Uint8Array, part: Uint8Array, from: number): number {
  return asBuffer(bytes).indexOf(part, from)
}

/** Calls back in the next turn of the event loop, after what waits for this one. */
export function inNextTurn(callback: () => void): void {
  setImmediate(callback)
}
