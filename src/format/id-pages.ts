// The pages of an ids file (spec, section 4.1): written in order, verified, searched. Inside they are words of 32 bits,
// low first; an entry has four. No I/O.

import { ZgqError } from '../errors.ts'
import type { IdHash } from './id-hash.ts'
import { entriesIn, ENTRIES_PER_PAGE, firstChildOf, idTree, levelOf, type IdTree } from './id-tree.ts'
import { checksum, PAGE_BYTES } from './layout.ts'
import { struct } from './struct.ts'
import { highWord, joinU64, lowWord } from './u64.ts'

/** The end of a page, behind its entries. */
export const ID_PAGE = struct(PAGE_BYTES, {
  count: { offset: 4080, type: 'u32' },
  level: { offset: 4084, type: 'u32' },
  reserved: { offset: 4088, type: 'u32' },
  crc: { offset: 4092, type: 'u32' }
})

/** An entry of a leaf: where a row is whose id has this hash. */
export const ID_LEAF_ENTRY = struct(16, {
  hashLow: { offset: 0, type: 'u32' },
  hashHigh: { offset: 4, type: 'u32' },
  row: { offset: 8, type: 'u32' },
  segment: { offset: 12, type: 'u32' }
})

/** An entry of a page above: the hash of the first entry of a page, and that page. */
export const ID_INNER_ENTRY = struct(16, {
  hashLow: { offset: 0, type: 'u32' },
  hashHigh: { offset: 4, type: 'u32' },
  page: { offset: 8, type: 'u64' }
})

export const ID_ENTRY_BYTES = ID_LEAF_ENTRY.byteLength
/** Words of an entry. */
export const ENTRY_WORDS = ID_ENTRY_BYTES / 4
const PAGE_WORDS = PAGE_BYTES / 4
const COUNT_WORD = ID_PAGE.fields.count.offset / 4
const LEVEL_WORD = ID_PAGE.fields.level.offset / 4
const RESERVED_WORD = ID_PAGE.fields.reserved.offset / 4
const CRC_WORD = ID_PAGE.fields.crc.offset / 4

/** An ids file whose pages are verified. */
export interface IdPagesFile {
  readonly path: string
  readonly indexId: Uint8Array
  readonly tree: IdTree
}

/** Makes room for one page. */
export function idPage(): Uint32Array {
  return new Uint32Array(PAGE_WORDS)
}

/** The bytes of a page, to be read into. */
export function bytesOfPage(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, PAGE_BYTES)
}

/** Computes the checksum of a page: its index and its number count too, so that no page can stand for another. */
function crcOfPage(words: Uint32Array, page: number, indexId: Uint8Array): number {
  const number = new Uint8Array(Uint32Array.of(lowWord(page), highWord(page)).buffer)
  return checksum(bytesOfPage(words).subarray(0, ID_PAGE.fields.crc.offset), checksum(number, checksum(indexId)))
}

/**
 * Makes the pages of a file from entries in ascending order of (hash, segment, row), and hands each to `write` in the
 * order of the file; it is good until `write` returns. Of the leaves it keeps their first hashes.
 */
export class IdPagesEncoder {
  readonly tree: IdTree
  readonly #indexId: Uint8Array
  readonly #write: (page: Uint8Array) => void
  readonly #page = idPage()
  /** First hashes of the leaves, two words each. */
  readonly #firsts: Uint32Array
  /** The last entry of the page before, and the first of this one. */
  readonly #edge = new Uint32Array(ENTRY_WORDS * 2)
  #entries = 0

  constructor(of: { readonly indexId: Uint8Array; readonly rowCount: number }, write: (page: Uint8Array) => void) {
    this.tree = idTree(of.rowCount)
    this.#indexId = of.indexId
    this.#write = write
    this.#firsts = new Uint32Array(this.tree.levels[0].pageCount * 2)
  }

  /** Takes the next entry, four words at word `at`: hash low, hash high, row, segment. */
  add(words: Uint32Array, at: number): void {
    const entries = this.#entries
    if (entries === this.tree.rowCount) throw new RangeError(`more than ${entries} entries`)
    const place = (entries % ENTRIES_PER_PAGE) * ENTRY_WORDS
    if (place === 0) {
      const leaf = entries / ENTRIES_PER_PAGE
      if (leaf > 0) this.#endPage(0, leaf) // leaves are numbered from 1
      this.#firsts[leaf * 2] = words[at]
      this.#firsts[leaf * 2 + 1] = words[at + 1]
      for (let i = 0; i < ENTRY_WORDS; i++) this.#edge[ENTRY_WORDS + i] = words[at + i]
    }
    for (let i = 0; i < ENTRY_WORDS; i++) this.#page[place + i] = words[at + i]
    if (entries > 0 && !(place === 0 ? isInOrder(this.#edge, ENTRY_WORDS, 0) : isInOrder(this.#page, place, 0)))
      throw new RangeError(`entry ${entries} is not above the one before it`)
    this.#entries++
  }

  /** Completes the leaves and makes the levels above. */
  finish(): void {
    const { levels, rowCount } = this.tree
    if (this.#entries !== rowCount) throw new RangeError(`${this.#entries} entries, expected ${rowCount}`)
    this.#endPage(0, levels[0].pageCount)
    let firsts = this.#firsts
    for (let level = 1; level < levels.length; level++) {
      const { firstPage, pageCount } = levels[level]
      const above = new Uint32Array(pageCount * 2)
      for (let page = firstPage; page < firstPage + pageCount; page++) {
        const child = firstChildOf(this.tree, level, page)
        const position = child - levels[level - 1].firstPage
        for (let i = 0; i < entriesIn(levels[level], page); i++) {
          const at = i * ENTRY_WORDS
          this.#page[at] = firsts[(position + i) * 2]
          this.#page[at + 1] = firsts[(position + i) * 2 + 1]
          this.#page[at + 2] = lowWord(child + i)
          this.#page[at + 3] = highWord(child + i)
        }
        above.set(this.#page.subarray(0, 2), (page - firstPage) * 2)
        this.#endPage(level, page)
      }
      firsts = above
    }
  }

  #endPage(level: number, page: number): void {
    const words = this.#page
    const count = entriesIn(this.tree.levels[level], page)
    this.#edge.set(words.subarray((count - 1) * ENTRY_WORDS, count * ENTRY_WORDS))
    words[COUNT_WORD] = count
    words[LEVEL_WORD] = level
    words[CRC_WORD] = crcOfPage(words, page, this.#indexId)
    this.#write(bytesOfPage(words))
    words.fill(0)
  }
}

/**
 * Verifies a page that was read: its checksum, unless that is not wanted, and that it is what must be at its place:
 * level, count, order, the pages it leads to, zeros. Throws ZGQ_CORRUPT.
 */
export function verifyIdPage(
  words: Uint32Array,
  page: number,
  of: IdPagesFile & { readonly verifiesChecksum: boolean }
): void {
  const damage = (what: string, word: number): ZgqError =>
    new ZgqError('ZGQ_CORRUPT', `page ${page} of the ids ${what}`, {
      path: of.path,
      offset: page * PAGE_BYTES + word * 4
    })
  if (of.verifiesChecksum) {
    const computed = crcOfPage(words, page, of.indexId)
    if (computed !== words[CRC_WORD])
      throw damage(`is damaged: its CRC is ${words[CRC_WORD]}, its bytes give ${computed}`, CRC_WORD)
  }
  const level = levelOf(of.tree, page)
  const count = entriesIn(of.tree.levels[level], page)
  if (words[LEVEL_WORD] !== level) throw damage(`is of level ${words[LEVEL_WORD]}, expected ${level}`, LEVEL_WORD)
  if (words[COUNT_WORD] !== count) throw damage(`has ${words[COUNT_WORD]} entries, expected ${count}`, COUNT_WORD)
  if (words[RESERVED_WORD] !== 0) throw damage(`has ${words[RESERVED_WORD]} where zeros must be`, RESERVED_WORD)
  const end = count * ENTRY_WORDS
  for (let at = end; at < COUNT_WORD; at++)
    if (words[at] !== 0) throw damage(`has ${words[at]} behind its entries, expected 0`, at)
  for (let at = ENTRY_WORDS; at < end; at += ENTRY_WORDS)
    if (!isInOrder(words, at, level)) throw damage('has entries that are not in order', at)
  if (level === 0) return
  const firstChild = firstChildOf(of.tree, level, page)
  for (let i = 0; i < count; i++) {
    const child = joinU64(words[i * ENTRY_WORDS + 2], words[i * ENTRY_WORDS + 3])
    if (child !== firstChild + i)
      throw damage(`leads to page ${child}, expected page ${firstChild + i}`, i * ENTRY_WORDS + 2)
  }
}

/** Tells whether the entry at a word may follow the one before it: in a leaf none stands twice. */
function isInOrder(words: Uint32Array, at: number, level: number): boolean {
  const before = at - ENTRY_WORDS
  if (words[before + 1] !== words[at + 1]) return words[before + 1] < words[at + 1]
  if (words[before] !== words[at]) return words[before] < words[at]
  if (level > 0) return true // a hash that many rows have may begin several pages
  if (words[before + 3] !== words[at + 3]) return words[before + 3] < words[at + 3]
  return words[before + 2] < words[at + 2]
}

/** Tells whether the first entry of a leaf may follow the last of the leaf before. */
export function entriesFollow(last: Uint32Array, first: Uint32Array): boolean {
  return isInOrder(Uint32Array.of(...last.subarray(0, ENTRY_WORDS), ...first.subarray(0, ENTRY_WORDS)), ENTRY_WORDS, 0)
}

/** Finds the first of `count` entries whose hash is not below another; `count` where all are. */
export function findEntry(words: Uint32Array, count: number, hash: IdHash): number {
  const low = hash[0]
  const high = hash[1]
  let from = 0
  let to = count
  while (from < to) {
    const middle = (from + to) >>> 1
    const at = middle * ENTRY_WORDS
    if (words[at + 1] < high || (words[at + 1] === high && words[at] < low)) from = middle + 1
    else to = middle
  }
  return from
}

/** Tells whether an entry has a hash. */
export function hasHash(words: Uint32Array, entry: number, hash: IdHash): boolean {
  const at = entry * ENTRY_WORDS
  return words[at] === hash[0] && words[at + 1] === hash[1]
}
