// The hash of ids: against published values of MurmurHash3, and against the algorithm written for any seed.

import { describe, expect, it } from 'vitest'

import { hashInteger, hashText, idHash, SEED_HIGH, SEED_LOW } from '../src/format/id-hash.ts'
import { randomFrom } from './support/random.ts'

const SEED = 520
/** Of SMHasher (src/main.cpp, "MurmurHash3_x86_32"): the hash of the hashes of 256 keys. */
const VERIFICATION = 0xb0f57ee3

/** MurmurHash3_x86_32 for any seed, after the description in https://en.wikipedia.org/wiki/MurmurHash. */
function murmur(bytes: Uint8Array, seed: number): number {
  const rotl = (x: number, by: number): number => (x << by) | (x >>> (32 - by))
  const scramble = (k: number): number => Math.imul(rotl(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let h = seed
  let at = 0
  for (; at + 4 <= bytes.length; at += 4)
    h = Math.imul(rotl(h ^ scramble(view.getUint32(at, true)), 13), 5) + 0xe6546b64
  let rest = 0
  for (let i = 0; at + i < bytes.length; i++) rest += bytes[at + i] * 2 ** (8 * i)
  h ^= scramble(rest)
  h ^= bytes.length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

function words(fill: (into: Uint32Array) => void): { low: number; high: number } {
  const into = idHash()
  fill(into)
  return { low: into[0], high: into[1] }
}

const ofText = (text: string): { low: number; high: number } =>
  words((into) => {
    hashText(utf8(text), into)
  })

const ofInteger = (id: number): { low: number; high: number } =>
  words((into) => {
    hashInteger(id, into)
  })

function bytesOfInteger(id: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(id), true)
  return bytes
}

describe('the hash of ids', () => {
  it('has the seeds of the spec', () => {
    expect([SEED_HIGH, SEED_LOW]).toEqual([0, 0x9747b28c])
  })

  it('is measured by an algorithm that passes the verification of its authors', () => {
    const hashes = new Uint8Array(256 * 4)
    const view = new DataView(hashes.buffer)
    const key = Uint8Array.from({ length: 256 }, (_, i) => i)
    for (let i = 0; i < 256; i++) view.setUint32(i * 4, murmur(key.subarray(0, i), 256 - i), true)
    expect(murmur(hashes, 0)).toBe(VERIFICATION)
  })

  // Seed 0: https://en.wikipedia.org/wiki/MurmurHash; both: https://stackoverflow.com/a/31929528.
  it.each([
    ['test', 0xba6bd213, 0x704b81dc],
    ['Hello, world!', 0xc0363e43, 0x24884cba],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723, 0x2fa826cd]
  ])('of %j is what is published', (text, high, low) => {
    expect(ofText(text)).toEqual({ high, low })
  })

  it.each([
    ['', 0xebb6c228],
    ['a', 0x7fa09ea6],
    ['aa', 0x5d211726],
    ['aaa', 0x283e0130],
    ['aaaa', 0x5a97808a],
    ['ab', 0x74875592],
    ['abc', 0xc84a62dd],
    ['abcd', 0xf0478627],
    ['\u03c0'.repeat(8), 0xd58063c1]
  ])('of %j has the low word that is published', (text, low) => {
    expect(ofText(text).low).toBe(low)
  })

  it.each([
    [[0xff, 0xff, 0xff, 0xff], 0x76293b50],
    [[0x21, 0x43, 0x65, 0x87], 0xf55b516b],
    [[0x21, 0x43, 0x65], 0x7e4a8634],
    [[0x21, 0x43], 0xa0f7b07a],
    [[0x21], 0x72661cf4],
    [[0, 0, 0, 0], 0x2362f9de],
    [[0, 0, 0], 0x85f0b427],
    [[0, 0], 0x30f4c306],
    [[0], 0x514e28b7],
    [[], 0]
  ])('of the bytes %j has the high word that is published', (bytes, high) => {
    expect(
      words((into) => {
        hashText(Uint8Array.from(bytes), into)
      }).high
    ).toBe(high)
  })

  it(`of bytes of any length is the algorithm's (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    for (let length = 0; length < 200; length++) {
      const all = Uint8Array.from({ length: length + 3 }, () => random() * 256)
      const bytes = all.subarray(length % 4, length % 4 === 3 ? length + 3 : length + (length % 4))
      const found = words((into) => {
        hashText(bytes, into)
      })
      expect(found).toEqual({ high: murmur(bytes, SEED_HIGH), low: murmur(bytes, SEED_LOW) })
    }
  })

  it(`of an integer is that of its 8 bytes (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    const ids = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER]
    for (let i = 0; i < 1000; i++) ids.push(Math.floor(random() * 2 ** Math.ceil(random() * 53)))
    for (const id of ids) {
      const bytes = bytesOfInteger(id)
      expect(ofInteger(id)).toEqual({ high: murmur(bytes, SEED_HIGH), low: murmur(bytes, SEED_LOW) })
    }
  })

  it('has another high word for each integer below 2^32', () => {
    const seen = new Set(Array.from({ length: 50_000 }, (_, i) => ofInteger(i * 85_000).high))
    expect(seen.size).toBe(50_000)
  })

  it('leaves nothing of the hash before', () => {
    const into = idHash()
    hashText(utf8('another'), into)
    hashInteger(7, into)
    expect([...into]).toEqual(Object.values(ofInteger(7)))
  })
})
