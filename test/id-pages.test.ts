// Pages of ids files: what is written is what is read, and what cannot be at a place is refused there.

import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'

import { ENTRY_WORDS, findEntry, hasHash, IdPagesEncoder, verifyIdPage } from '../src/format/id-pages.ts'
import { entriesIn, firstChildOf, idTree, levelOf } from '../src/format/id-tree.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { ascendingEntries, encodeIdsFile, INDEX_ID, type IdEntry } from './support/id-pages.ts'

const PAGE = 4096
const PATH = 'ids-000001-00000.zgq'

const pageOf = (file: Uint8Array, page: number): Uint32Array =>
  new Uint32Array(file.slice(page * PAGE, (page + 1) * PAGE).buffer)

function verify(words: Uint32Array, page: number, of: { rows: number; verifiesChecksum?: boolean }): void {
  const { rows, verifiesChecksum = true } = of
  verifyIdPage(words, page, { path: PATH, indexId: INDEX_ID, tree: idTree(rows), verifiesChecksum })
}

/** Finds entries by going down from the root through verified pages, as the spec says it. */
function lookUp(file: Uint8Array, rows: number, hash: Uint32Array): IdEntry[] {
  const tree = idTree(rows)
  let page = tree.rootPage
  for (let level = tree.levels.length - 1; level > 0; level--) {
    const words = pageOf(file, page)
    const before = findEntry(words, entriesIn(tree.levels[level], page), hash) - 1
    page = words[Math.max(0, before) * ENTRY_WORDS + 2]
  }
  const found: IdEntry[] = []
  for (; page <= tree.levels[0].pageCount; page++) {
    const words = pageOf(file, page)
    const count = entriesIn(tree.levels[0], page)
    let entry = findEntry(words, count, hash)
    for (; entry < count && hasHash(words, entry, hash); entry++) {
      const [low, high, row, segment] = words.subarray(entry * ENTRY_WORDS)
      found.push({ low, high, row, segment })
    }
    if (entry < count) break
  }
  return found
}

describe('the shape of an ids file', () => {
  it.each([
    [1, [1]],
    [255, [1]],
    [256, [2, 1]],
    [255 * 255, [255, 1]],
    [255 * 255 + 1, [256, 2, 1]],
    [50_000_000, [196_079, 769, 4, 1]],
    [2 ** 31, [8_421_505, 33_026, 130, 1]]
  ])('of %d ids has levels of %j pages', (rows, pages) => {
    const tree = idTree(rows)
    expect(tree.levels.map(({ pageCount }) => pageCount)).toEqual(pages)
    const all = pages.reduce((sum, count) => sum + count, 0)
    expect(tree).toMatchObject({ rowCount: rows, rootPage: all, byteLength: (all + 1) * PAGE })
    expect([levelOf(tree, 1), levelOf(tree, all)]).toEqual([0, pages.length - 1])
    tree.levels.forEach((level, i) => {
      expect(level.entryCount).toBe(i === 0 ? rows : pages[i - 1])
    })
  })

  it('has no pages of zero ids, and none beyond its last', () => {
    expect(() => idTree(0)).toThrow(RangeError)
    expect(() => levelOf(idTree(256), 4)).toThrow(RangeError)
    expect(() => levelOf(idTree(256), 0)).toThrow(RangeError)
  })

  it('leads from the first page of a level to the first below, from the last to the last', () => {
    const tree = idTree(255 * 255 + 1)
    expect([firstChildOf(tree, 1, 257), firstChildOf(tree, 1, 258), firstChildOf(tree, 2, 259)]).toEqual([1, 256, 257])
    expect([entriesIn(tree.levels[1], 257), entriesIn(tree.levels[1], 258)]).toEqual([255, 1])
  })
})

describe.each([1, 2, 255, 256, 511, 255 * 255, 255 * 255 + 1])('an ids file of %d entries', (rows) => {
  const entries = ascendingEntries(rows)
  const file = encodeIdsFile(entries)

  it('has pages that verify, each at its own place only', () => {
    const { rootPage } = idTree(rows)
    for (let page = 1; page <= rootPage; page++) verify(pageOf(file, page), page, { rows })
    if (rows > 510) expect(codeOf(() => verify(pageOf(file, 1), 2, { rows }))).toBe('ZGQ_CORRUPT')
  })

  it('has every entry, once', () => {
    for (let i = 0; i < rows; i += rows > 1000 ? 97 : 1) {
      const { low, high } = entries[i]
      expect(lookUp(file, rows, Uint32Array.of(low, high))).toEqual([entries[i]])
    }
    const { low, high } = entries[rows - 1]
    expect(lookUp(file, rows, Uint32Array.of(low, high))).toEqual([entries[rows - 1]])
  })

  it('has nothing between and behind its entries', () => {
    for (const [low, high] of [
      [1001, 0],
      [0xffff_ffff, 0],
      [0xffff_ffff, 0xffff_ffff],
      [5, 0x8000_0000]
    ])
      expect(lookUp(file, rows, Uint32Array.of(low, high))).toEqual([])
  })
})

describe('equal hashes', () => {
  it.each([2, 3, 254, 255, 256, 600])('are all found, also over the borders of pages: %d of each', (copies) => {
    const rows = copies * 300
    const entries = ascendingEntries(rows, copies)
    const file = encodeIdsFile(entries)
    for (let page = 1; page <= idTree(rows).rootPage; page++) verify(pageOf(file, page), page, { rows })
    for (let i = 0; i < rows; i += copies) {
      const { low, high } = entries[i]
      expect(lookUp(file, rows, Uint32Array.of(low, high))).toEqual(entries.slice(i, i + copies))
    }
  })

  it('may fill a whole file', () => {
    const entries = Array.from({ length: 255 * 255 + 9 }, (_, i) => ({ low: 7, high: 9, segment: i, row: 0 }))
    const file = encodeIdsFile(entries)
    for (let page = 1; page <= idTree(entries.length).rootPage; page++)
      verify(pageOf(file, page), page, { rows: entries.length })
    expect(lookUp(file, entries.length, Uint32Array.of(7, 9))).toEqual(entries)
  })
})

describe('the encoder', () => {
  const encoder = (rowCount: number): IdPagesEncoder => new IdPagesEncoder({ indexId: INDEX_ID, rowCount }, () => {})

  it('expects as many entries as were said', () => {
    const few = encoder(3)
    few.add(Uint32Array.of(1, 1, 1, 1), 0)
    expect(() => few.finish()).toThrow(RangeError)
    const many = encoder(1)
    many.add(Uint32Array.of(1, 1, 1, 1), 0)
    expect(() => many.add(Uint32Array.of(1, 1, 1, 1), 0)).toThrow(RangeError)
  })
})

describe('the order of entries', () => {
  const last = 255 * 2
  it.each([
    [1, 'the entry before', (entry: IdEntry) => entry],
    [255, 'the last of the page before', (entry: IdEntry) => entry],
    [300, 'a row below', (entry: IdEntry) => ({ ...entry, row: entry.row - 1 })],
    [255, 'a segment below', (entry: IdEntry) => ({ ...entry, segment: entry.segment - 1, row: 99 })],
    [last, 'a low word below', (entry: IdEntry) => ({ ...entry, low: entry.low - 1, segment: 99 })],
    [last, 'a high word below', (entry: IdEntry) => ({ ...entry, high: entry.high - 1, low: 5000 })]
  ])('is kept by the encoder: entry %d may not be %s', (at, _, change) => {
    const entries = Array.from({ length: 600 }, (_, i) => ({ low: i + 9, high: 7, segment: 5, row: 3 }))
    expect(() => encodeIdsFile(entries)).not.toThrow()
    entries[at] = change(entries[at - 1])
    expect(() => encodeIdsFile(entries)).toThrow(RangeError)
  })
})

describe('a page is refused as corrupt, with the place', () => {
  const ROWS = 255 * 3 + 2
  const ROOT = 5
  const file = encodeIdsFile(ascendingEntries(ROWS))

  /** Changes words of a page and makes its checksum fit again. */
  function forge(page: number, change: (words: Uint32Array) => void): Uint32Array {
    const words = pageOf(file, page)
    change(words)
    const number = new Uint8Array(8)
    new DataView(number.buffer).setBigUint64(0, BigInt(page), true)
    words[1023] = crc32(new Uint8Array(words.buffer, 0, 4092), crc32(number, crc32(INDEX_ID)))
    return words
  }

  it('unless nothing was changed', () => {
    for (let page = 1; page <= ROOT; page++)
      verify(
        forge(page, () => {}),
        page,
        { rows: ROWS }
      )
  })

  it.each<readonly [string, number, number, (words: Uint32Array) => void]>([
    ['a count above its own', 1, 1020, (words) => words.fill(256, 1020, 1021)],
    ['a count below its own', 2, 1020, (words) => words.fill(254, 1020, 1021)],
    ['a last page that claims to be full', 4, 1020, (words) => words.fill(255, 1020, 1021)],
    ['another level', 1, 1021, (words) => words.fill(1, 1021, 1022)],
    ['a root that claims to be a leaf', ROOT, 1021, (words) => words.fill(0, 1021, 1022)],
    ['a reserved value', 3, 1022, (words) => words.fill(1, 1022, 1023)],
    ['something behind its entries', 4, 8, (words) => words.fill(1, 8, 9)],
    ['something behind its last entry', ROOT, 1019, (words) => words.fill(1, 1019, 1020)],
    ['hashes that fall', 1, 400, (words) => words.fill(0, 400, 401)],
    ['an entry twice', 2, 40, (words) => words.set(words.slice(36, 40), 40)],
    ['rows of one hash and segment that fall', 1, 8, (words) => words.set([...words.slice(4, 6), 0, 0], 8)],
    ['hashes of children that fall', ROOT, 12, (words) => words.fill(0, 12, 14)],
    ['a child that is itself', ROOT, 6, (words) => words.fill(ROOT, 6, 7)],
    ['a child that is the header', ROOT, 2, (words) => words.fill(0, 2, 3)],
    ['a child of another parent', ROOT, 6, (words) => words.fill(3, 6, 7)],
    ['a child far beyond the file', ROOT, 2, (words) => words.fill(0xffff_ffff, 3, 4)]
  ])('with %s', (_, page, word, change) => {
    const forged = forge(page, change)
    for (const verifiesChecksum of [true, false]) {
      const error = errorOf(() => {
        verify(forged, page, { rows: ROWS, verifiesChecksum })
      })
      expect([error.code, error.path, error.offset]).toEqual(['ZGQ_CORRUPT', PATH, page * PAGE + word * 4])
    }
  })

  it('with any bit flipped, of its checksum too', () => {
    for (let bit = 0; bit < PAGE * 8; bit += 61) {
      const words = pageOf(file, 1)
      words[bit >>> 5] ^= 1 << (bit & 31)
      expect(codeOf(() => verify(words, 1, { rows: ROWS }))).toBe('ZGQ_CORRUPT')
    }
  })

  it('of another index or another place', () => {
    const of = { path: PATH, tree: idTree(ROWS), verifiesChecksum: true }
    expect(codeOf(() => verifyIdPage(pageOf(file, 1), 1, { ...of, indexId: new Uint8Array(16) }))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => verifyIdPage(pageOf(file, 1), 2, { ...of, indexId: INDEX_ID }))).toBe('ZGQ_CORRUPT')
  })
})
