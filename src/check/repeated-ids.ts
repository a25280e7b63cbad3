// Looks for an id that two rows have, in bounded memory: where ids are very many they are compared in portions, and
// read once for each.

import { createHash, randomBytes } from 'node:crypto'

import { bytesEqual } from '../format/layout.ts'
import { highWord, joinU64, lowWord, MOST_HIGH_WORD } from '../format/u64.ts'

/** Ids that are compared with each other at a time: 32 MB. */
const IDS_AT_A_TIME = 2 ** 22
/** Keys whose texts are compared. */
const MOST_SUSPECTS = 64

/** Ids of rows: integers, or UTF-8 bytes. */
export type IdsToCompare = Float64Array | readonly Uint8Array[]

/** Reads all ids, and hands them over in pieces. */
export type ReadIds = (take: (ids: IdsToCompare) => void) => Promise<void>

/**
 * Finds an id that two of `count` rows have; undefined: there is none. Calls `readIds` once for each portion at least.
 */
export async function findRepeatedId(
  count: number,
  readIds: ReadIds,
  idsAtATime = IDS_AT_A_TIME
): Promise<number | string | undefined> {
  const portions = Math.ceil(count / idsAtATime)
  // Nobody who makes a file knows it, so that no file has all its ids in one portion.
  const salt = randomBytes(16)
  for (let number = 0; number < portions; number++) {
    const portion = new Portion({ number, portions, salt })
    await readIds((ids) => {
      portion.take(ids)
    })
    const keys = portion.findRepeated()
    if (keys.length === 0) continue
    if (!portion.hasTexts) return keys[0]
    const text = await findRepeatedText(new Set(keys), salt, readIds)
    if (text !== undefined) return text
  }
  return undefined
}

/** Reads all ids once more: two texts may have one key and differ, though that is seldom. */
async function findRepeatedText(
  keys: ReadonlySet<number>,
  salt: Uint8Array,
  readIds: ReadIds
): Promise<string | undefined> {
  const texts = new Map<number, Uint8Array[]>()
  let found: string | undefined
  await readIds((ids) => {
    for (const id of ids) {
      if (found !== undefined || typeof id === 'number') return
      const key = keyOf(id, salt)
      if (!keys.has(key)) continue
      const others = texts.get(key) ?? []
      if (others.some((other) => bytesEqual(other, id))) found = Buffer.from(id).toString('utf8')
      texts.set(key, [...others, id])
    }
  })
  return found
}

/** The keys of one portion out of several. */
class Portion {
  /** Whether its last ids were texts. */
  hasTexts = false
  readonly #of: { readonly number: number; readonly portions: number; readonly salt: Buffer }
  readonly #saltWord: number
  #keys = new Float64Array(1024)
  #count = 0

  constructor(of: { number: number; portions: number; salt: Buffer }) {
    this.#of = of
    this.#saltWord = of.salt.readUInt32LE()
  }

  take(ids: IdsToCompare): void {
    const { number, portions, salt } = this.#of
    this.hasTexts = !(ids instanceof Float64Array)
    for (const id of ids) {
      const key = typeof id === 'number' ? id : keyOf(id, salt)
      if (mixed(key, this.#saltWord) % portions !== number) continue
      if (this.#count === this.#keys.length) {
        const more = new Float64Array(this.#count * 2)
        more.set(this.#keys)
        this.#keys = more
      }
      this.#keys[this.#count++] = key
    }
  }

  /** Returns some of the keys that are there twice. */
  findRepeated(): number[] {
    const sorted = this.#keys.subarray(0, this.#count).sort()
    const found: number[] = []
    for (let i = 1; i < sorted.length && found.length < MOST_SUSPECTS; i++)
      if (sorted[i] === sorted[i - 1]) found.push(sorted[i])
    return found
  }
}

/** 53 bits of a text that nobody can foresee: what is made to have equal keys has them by chance alone. */
function keyOf(id: Uint8Array, salt: Uint8Array): number {
  const digest = createHash('sha256').update(salt).update(id).digest()
  return joinU64(digest.readUInt32LE(), digest.readUInt32LE(4) & MOST_HIGH_WORD)
}

/** Mixes a key with the salt to 32 bits: the finalizer of MurmurHash3 over both words. */
function mixed(key: number, salt: number): number {
  let hash = lowWord(key) ^ Math.imul(highWord(key) + 1, 0x9e37_79b1) ^ salt
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
