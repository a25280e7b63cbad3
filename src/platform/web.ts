// The same as node.ts, by what browsers and their workers have, and Node too: nothing here is asked of Node.

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
const encoder = new TextEncoder()

/** Eight tables of 256 words: what a byte does to a CRC that 0 to 7 bytes come after (M. Kounavis, F. Berry, 2008). */
const CRC_TABLES = crcTables()

function crcTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (-(crc & 1) & 0xedb88320)
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) tables[i] = (tables[i - 256] >>> 8) ^ tables[tables[i - 256] & 0xff]
  return tables
}

/** Computes CRC-32 (IEEE) of bytes, after others whose CRC is `before`. */
export function crc32(bytes: Uint8Array, before: number): number {
  const { buffer, byteOffset, byteLength } = bytes
  const tables = CRC_TABLES
  const head = -byteOffset & 3 // words begin at multiples of 4
  if (byteLength < head + 8) return ~crcOfBytes(bytes, ~before) >>> 0
  let crc = crcOfBytes(bytes.subarray(0, head), ~before)
  const words = new Int32Array(buffer, byteOffset + head, ((byteLength - head) >>> 3) * 2)
  for (let i = 0; i < words.length; i += 2) {
    const low = words[i] ^ crc
    const high = words[i + 1]
    crc =
      tables[0x700 | (low & 0xff)] ^
      tables[0x600 | ((low >>> 8) & 0xff)] ^
      tables[0x500 | ((low >>> 16) & 0xff)] ^
      tables[0x400 | (low >>> 24)] ^
      tables[0x300 | (high & 0xff)] ^
      tables[0x200 | ((high >>> 8) & 0xff)] ^
      tables[0x100 | ((high >>> 16) & 0xff)] ^
      tables[high >>> 24]
  }
  crc = crcOfBytes(bytes.subarray(head + words.byteLength), crc)
  return ~crc >>> 0
}

function crcOfBytes(bytes: Uint8Array, before: number): number {
  let crc = before
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLES[(crc ^ bytes[i]) & 0xff]
  return crc
}

/** Returns the same memory in the form whose text is read and written fastest. */
export function textView(bytes: Uint8Array): Uint8Array {
  return bytes
}

export function isUtf8(bytes: Uint8Array): boolean {
  return decodeStrictUtf8(bytes, 0, bytes.length) !== undefined
}

/** Counts the bytes of a text in UTF-8. */
export function utf8ByteLength(text: string): number {
  let byteLength = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    byteLength += unit < 0x800 ? 1 : 2
    // A pair is 4 bytes: two more than its two code units.
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) i++
  }
  return byteLength
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}

/** Encodes a text as UTF-8; half of a surrogate pair becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Writes a text as UTF-8 into bytes that have room for all of it. */
export function writeUtf8(text: string, target: Uint8Array, offset: number): void {
  encoder.encodeInto(text, target.subarray(offset))
}

/** Decodes UTF-8 from `start` on and before `end`; what is none becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end))
}

/** The same; undefined where it is no UTF-8. */
export function decodeStrictUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  try {
    return strictDecoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** Arguments of one call: engines have room for some ten thousand. */
const MOST_ARGUMENTS = 8192

/** Decodes each byte as the character of its number; the decoder of that name would change 32 of them. */
export function decodeLatin1(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += MOST_ARGUMENTS)
    text += String.fromCharCode(...bytes.subarray(i, i + MOST_ARGUMENTS))
  return text
}

export function decodeBase64(text: string): Uint8Array {
  const characters = atob(text)
  const bytes = new Uint8Array(characters.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i)
  return bytes
}

/** Compares byte strings: below 0, 0 or above 0. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const common = Math.min(left.length, right.length)
  for (let i = 0; i < common; i++) if (left[i] !== right[i]) return left[i] - right[i]
  return left.length - right.length
}

/** Finds the first place, from `from` on, where bytes have others in them; -1: none. */
export function indexOfBytes(bytes: Uint8Array, part: Uint8Array, from: number): number {
  if (part.length === 0) return Math.min(from, bytes.length)
  const last = bytes.length - part.length
  for (let at = bytes.indexOf(part[0], from); at !== -1 && at <= last; at = bytes.indexOf(part[0], at + 1)) {
    let i = 1
    while (i < part.length && bytes[at + i] === part[i]) i++
    if (i === part.length) return at
  }
  return -1
}

/** Calls back in the next turn of the event loop, after what waits for this one. */
export function inNextTurn(callback: () => void): void {
  if ('setImmediate' in globalThis) {
    setImmediate(callback)
    return
  }
  // A timer would wait for 4 ms, where it is not the first.
  const { port1, port2 } = new MessageChannel()
  Object.assign(port1, {
    onmessage: () => {
      port1.close()
      callback()
    }
  })
  port2.postMessage(undefined)
}
