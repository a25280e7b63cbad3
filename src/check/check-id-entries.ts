// Holds ids files against the ids beside the rows: every row must have its entry in one of them, and no entry may be of
// another row. Entries of segments that went since are no fault.

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
      entry[SEGMENT_WORD] = of.segment
      this.#rows.add(entry)
    }
  }

  /**
   * Reads the ids files, at least one, once all rows were taken, and returns how many pages were verified. Throws
   * ZGQ_CORRUPT where they do not have exactly the entries of these rows besides those of segments that went, and what
   * `verifyIds` throws.
   */
  expectEntries(files: readonly IdsToVerify[], of: KnownSegments): number {
    const entries = new EntrySum(this.#key)
    let pages = 0
    for (const ids of files)
      pages += verifyIds(ids, (words) => {
        entries.add(entriesOfRows(words, ids, of))
      })
    const [found, expected] = [entries.finish(), this.#rows.finish()]
    if (found.some((word, i) => word !== expected[i]))
      throw damageOf(files[0], 'do not lead to the rows that have them')
    return pages
  }
}

/** Which segments entries may be of. */
export interface KnownSegments {
  /** Numbers of those that are there. */
  readonly segments: ReadonlySet<number>
  /** Numbers below it are of segments that are there, or were. */
  readonly nextSegment: number
}

/** Leaves out the entries of segments that went. */
function entriesOfRows(words: Uint32Array, ids: IdsToVerify, of: KnownSegments): Uint32Array {
  const left = new Uint32Array(words.length)
  let count = 0
  for (let at = 0; at < words.length; at += ENTRY_WORDS) {
    const segment = words[at + SEGMENT_WORD]
    if (of.segments.has(segment)) {
      left.set(words.subarray(at, at + ENTRY_WORDS), count)
      count += ENTRY_WORDS
    } else if (segment >= of.nextSegment) {
      throw damageOf(ids, `name segment ${segment}, and the next to come is ${of.nextSegment}`)
    }
  }
  return count === words.length ? words : left.subarray(0, count)
}

const SEGMENT_WORD = 3

function damageOf({ path }: IdsToVerify, what: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', `the ids ${what}`, { path, offset: PAGE_BYTES })
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
