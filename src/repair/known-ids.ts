// Ids that were seen, as a table of hashes without pointers: 16 bytes an id, at most two thirds of it filled. Texts
// go in by 128 bits of a digest that nobody can foresee, so that no two have one key.

import { createHash, randomBytes } from 'node:crypto'

import { highWord, lowWord } from '../format/u64.ts'
import type { Id } from '../types.ts'

const KEY_WORDS = 4
const FEWEST_SLOTS = 1024

export class KnownIds {
  readonly #salt = randomBytes(16)
  readonly #saltWord = this.#salt.readUInt32LE()
  readonly #key = new Uint32Array(KEY_WORDS)
  #slots = new Uint32Array(FEWEST_SLOTS * KEY_WORDS)
  #count = 0

  has(id: Id): boolean {
    this.#setKey(id)
    return this.#isAt(this.#find())
  }

  /** Adds an id; tells whether it is new. */
  add(id: Id): boolean {
    this.#setKey(id)
    const slot = this.#find()
    if (this.#isAt(slot)) return false
    this.#slots.set(this.#key, slot)
    this.#count++
    if (this.#count * KEY_WORDS * 3 > this.#slots.length * 2) this.#grow()
    return true
  }

  /** An empty slot has 0 in its last word, which no key has. */
  #setKey(id: Id): void {
    if (typeof id === 'number') {
      this.#key[0] = lowWord(id)
      this.#key[1] = highWord(id)
      this.#key[2] = 0
      this.#key[3] = 1
      return
    }
    const digest = createHash('sha256').update(this.#salt).update(id).digest()
    for (let i = 0; i < KEY_WORDS; i++) this.#key[i] = digest.readUInt32LE(i * 4)
    this.#key[3] |= 1
  }

  /** Finds the slot of the key, or the empty one that it would take. */
  #find(): number {
    const mask = this.#slots.length / KEY_WORDS - 1
    let hash = this.#key[0] ^ Math.imul(this.#key[1] + 1, 0x9e37_79b1) ^ this.#saltWord
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
    let slot = (hash ^ (hash >>> 16)) & mask
    while (this.#slots[slot * KEY_WORDS + 3] !== 0 && !this.#isAt(slot * KEY_WORDS)) slot = (slot + 1) & mask
    return slot * KEY_WORDS
  }

  #isAt(at: number): boolean {
    for (let i = 0; i < KEY_WORDS; i++) if (this.#slots[at + i] !== this.#key[i]) return false
    return true
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    for (let at = 0; at < before.length; at += KEY_WORDS) {
      if (before[at + 3] === 0) continue
      this.#key.set(before.subarray(at, at + KEY_WORDS))
      this.#slots.set(this.#key, this.#find())
    }
  }
}
