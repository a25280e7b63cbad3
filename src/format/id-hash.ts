// The hash of an id, by which the sorted runs of ids files are ordered (spec, section 4.1): 64 bits in two words. It
// only leads to places that may have an id; whoever looks one up compares the id that is stored there.

import { highWord, lowWord } from './u64.ts'

/**
 * MurmurHash3_x86_32 (Austin Appleby, https://github.com/aappleby/smhasher, src/MurmurHash3.cpp, public domain): its
 * constants, and the seeds of the two words.
 */
const FIRST_FACTOR = 0xcc9e_2d51
const SECOND_FACTOR = 0x1b87_3593
const ADDEND = 0xe654_6b64
export const SEED_HIGH = 0
export const SEED_LOW = 0x9747_b28c

/** A hash as two words, low first, as in files. */
export type IdHash = Uint32Array

/** Makes room for a hash, to be filled as often as one likes. */
export function idHash(): IdHash {
  return new Uint32Array(2)
}

/** Hashes an integer id, a safe integer >= 0, as its 8 bytes. */
export function hashInteger(id: number, into: IdHash): void {
  const first = mixBlock(lowWord(id))
  const second = mixBlock(highWord(id))
  into[0] = finish(takeBlock(takeBlock(SEED_LOW, first), second), 8)
  into[1] = finish(takeBlock(takeBlock(SEED_HIGH, first), second), 8)
}

/** Hashes the UTF-8 bytes of a string id. */
export function hashText(bytes: Uint8Array, into: IdHash): void {
  const { length } = bytes
  const whole = length - (length % 4)
  let low = SEED_LOW
  let high = SEED_HIGH
  for (let at = 0; at < whole; at += 4) {
    const block = mixBlock(bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24))
    low = takeBlock(low, block)
    high = takeBlock(high, block)
  }
  if (whole < length) {
    let rest = 0
    for (let at = length - 1; at >= whole; at--) rest = (rest << 8) | bytes[at]
    const block = mixBlock(rest)
    low ^= block
    high ^= block
  }
  into[0] = finish(low, length)
  into[1] = finish(high, length)
}

function mixBlock(block: number): number {
  const mixed = Math.imul(block, FIRST_FACTOR)
  return Math.imul((mixed << 15) | (mixed >>> 17), SECOND_FACTOR)
}

function takeBlock(hash: number, block: number): number {
  const mixed = hash ^ block
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + ADDEND) | 0
}

function finish(hash: number, length: number): number {
  let mixed = hash ^ length
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
