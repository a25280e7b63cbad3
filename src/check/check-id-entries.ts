// Holds an ids file against the ids beside the rows: every row must have its entry, and no entry may be of another.

import { createCipheriv, randomBytes, type Cipher } from 'node:crypto'

import { ZgqError } from '../errors.ts'
import { hashInteger, hashText, idHash } from '../format/id-hash.ts'
import { ENTRY_WORDS } from '../format/id-pages.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import { verifyIds, type IdsToVerify } from '../storage/verify-ids.ts'

/**
 * Two sets of entries in any order, compared without keeping either. An entry has the 16 bytes of a block of AES: each
 * is enciphered with a key that nobody who makes a file knows, and the sums of the results are compared, four words
 * modulo 2^32. Two sets that differ have equal sums about once in 2^128 (Clarke et al. 2003, "Incremental Multiset Hash
 * Functions", section 5).
 */
export class IdEntriesCheck {
  readonly #key = randomBytes(16)
  readonly #rows = new EntrySum(this.#key)
  readonly #hash = idHash()
  readonly #entry = new Uint32Array(ENTRY_WORDS)

  /** Takes ids of rows of a segment, from `firstRow` on: integers, or UTF-8 bytes. */
  takeRows(
    of: { readonly segment: number; readonly firstRow: number },
    ids: Float64Array | readonly Uint8Array[]
  ): void {
    const entry = this.#entry
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]
      if (typeof id === 'number') hashInteger(id, this.#hash)
      else hashText(id, this.#hash)
      entry[0] = this.#hash[0]
      entry[1] = this.#hash[1]
      entry[2] = of.firstRow + i
      entry[3] = of.segment
      this.#rows.add(entry)
    }
  }

  /**
   * Reads the ids file, once all rows were taken, and returns how many pages were verified; throws ZGQ_CORRUPT where it
   * does not have exactly their entries, and what `verifyIds` throws.
   */
  expectEntries(ids: IdsToVerify): number {
    const entries = new EntrySum(this.#key)
    const pages = verifyIds(ids, (words) => {
      entries.add(words)
    })
    const [found, expected] = [entries.finish(), this.#rows.finish()]
    if (found.some((word, i) => word !== expected[i]))
      throw new ZgqError('ZGQ_CORRUPT', 'the ids do not lead to the rows that have them', {
        path: ids.path,
        offset: PAGE_BYTES
      })
    return pages
  }
}

/** Entries that are enciphered at a time. */
const PORTION = 2 ** 12

/** The sum over enciphered entries. */
class EntrySum {
  readonly #cipher: Cipher
  readonly #words = new Uint32Array(PORTION * ENTRY_WORDS)
  readonly #sum = new Uint32Array(ENTRY_WORDS)
  #length = 0

  constructor(key: Uint8Array) {
    // Of equal blocks equal results, wherever they stand: what a cipher for secrets must not have is what is needed.
    this.#cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  }

  /** Adds whole entries, at most a page of them. */
  add(words: Uint32Array): void {
    if (this.#length + words.length > this.#words.length) this.#flush()
    this.#words.set(words, this.#length)
    this.#length += words.length
  }

  finish(): Uint32Array {
    this.#flush()
    return this.#sum
  }

  #flush(): void {
    const bytes = this.#cipher.update(new Uint8Array(this.#words.buffer, 0, this.#length * 4))
    const words = new Uint32Array(this.#length)
    new Uint8Array(words.buffer).set(bytes)
    for (let i = 0; i < words.length; i++) this.#sum[i % ENTRY_WORDS] += words[i]
    this.#length = 0
  }
}
