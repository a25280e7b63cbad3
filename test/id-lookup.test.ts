// From the hash of an id to its rows, through an open ids file: what is found, what is read, what is refused.

import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { idTree } from '../src/format/id-tree.ts'
import { FetchedBytes } from '../src/storage/fetched-bytes.ts'
import { IdLookup, type IdReaders } from '../src/storage/id-lookup.ts'
import { openReaders, type Readers } from '../src/storage/open-readers.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { ascendingEntries, encodeIdsFile, INDEX_ID, type IdEntry } from './support/id-pages.ts'
import { MAPPINGS } from './support/mappings.ts'
import { randomFrom } from './support/random.ts'
import { numbered } from './support/reader-contract.ts'
import { useTempFolder } from './support/temp-folder.ts'

const SEED = 540
const PAGE = 4096
const temp = useTempFolder('id-lookup')

interface Open {
  readonly lookup: IdLookup
  readonly readers: Readers
  readonly path: string
}

function open(
  file: Uint8Array,
  rowCount: number,
  options: { verify?: 'touch' | 'none'; mapping?: 'pread' } = {}
): Open {
  const path = temp.fresh('ids.zgq')
  writeFileSync(path, file)
  const { verify = 'touch', mapping = 'pread' } = options
  const readers = openReaders(temp.path, numbered({ path, byteLength: file.byteLength }), mapping)
  return { lookup: new IdLookup({ file: 0, rowCount }, { readers, path, indexId: INDEX_ID, verify }), readers, path }
}

const hashOf = ({ low, high }: Pick<IdEntry, 'low' | 'high'>): Uint32Array => Uint32Array.of(low, high)

function find(lookup: IdLookup, hash: Pick<IdEntry, 'low' | 'high'>): { segment: number; row: number }[] {
  const count = lookup.find(hashOf(hash))
  return Array.from({ length: count }, (_, i) => ({ segment: lookup.segments[i], row: lookup.rows[i] }))
}

const placesOf = (entries: readonly IdEntry[]): { segment: number; row: number }[] =>
  entries.map(({ segment, row }) => ({ segment, row }))

describe.each([1, 255, 256, 255 * 255 + 1])('a lookup among %d ids', (count) => {
  const entries = ascendingEntries(count)
  const file = encodeIdsFile(entries)

  it.each(MAPPINGS)('finds every id, and no other (%s)', (mapping) => {
    const path = temp.fresh('ids.zgq')
    writeFileSync(path, file)
    const readers = openReaders(temp.path, numbered({ path, byteLength: file.byteLength }), mapping)
    const of = { readers, path, indexId: INDEX_ID, verify: 'touch' as const }
    const lookup = new IdLookup({ file: 0, rowCount: count }, of)
    const random = randomFrom(SEED)
    for (let round = 0; round < 500; round++) {
      const entry = entries[Math.floor(random() * count)]
      expect(find(lookup, entry)).toEqual(placesOf([entry]))
    }
    for (const hash of [
      { low: 0xffff_ffff, high: 0 },
      { low: 1000, high: 0 },
      { low: 0, high: 0xffff_ffff }
    ])
      expect(find(lookup, hash)).toEqual([])
    readers.close()
  })

  it('verifies every page once', () => {
    const { lookup, readers } = open(file, count)
    for (let round = 0; round < 2; round++) {
      for (const entry of entries) lookup.find(hashOf(entry))
      lookup.find(Uint32Array.of(0xffff_ffff, 0xffff_ffff)) // through the last page of every level
    }
    expect(lookup.counters.pagesVerified).toBe(idTree(count).rootPage)
    readers.close()
  })

  it('reads a page of each level for the first id, and a leaf at most for the next', () => {
    const { lookup, readers } = open(file, count)
    const { levels } = idTree(count)
    lookup.find(hashOf(entries[0]))
    expect(lookup.counters.bytesRead).toBe(levels.length * PAGE)
    lookup.find(hashOf(entries[Math.min(count - 1, 255 * 200 - 2)]))
    expect(lookup.counters.bytesRead).toBeLessThanOrEqual((levels.length + 1) * PAGE)
    readers.close()
  })
})

describe('ids of equal hashes', () => {
  it.each([2, 16, 17, 255, 600])('are all found, the least segment first: %d of each', (copies) => {
    const entries = ascendingEntries(copies * 40, copies)
    const { lookup, readers } = open(encodeIdsFile(entries), entries.length)
    for (let i = 0; i < entries.length; i += copies)
      expect(find(lookup, entries[i])).toEqual(placesOf(entries.slice(i, i + copies)))
    readers.close()
  })
})

describe('more equal hashes than any build makes', () => {
  const sameHash = (count: number): IdEntry[] =>
    Array.from({ length: count }, (_, segment) => ({ low: 1, high: 1, segment, row: 0 }))

  it('are corrupt from 1,025 on, with their place', () => {
    const most = open(encodeIdsFile(sameHash(1024)), 1024)
    expect(find(most.lookup, { low: 1, high: 1 })).toHaveLength(1024)
    most.readers.close()
    const forged = open(encodeIdsFile(sameHash(5000)), 5000)
    const error = errorOf(() => forged.lookup.find(Uint32Array.of(1, 1)))
    expect([error.code, error.path, error.offset]).toEqual(['ZGQ_CORRUPT', forged.path, 5 * PAGE + 4 * 16])
    forged.readers.close()
  })

  it('are not all fetched', () => {
    const { lookup, readers } = open(encodeIdsFile(sameHash(5000)), 5000)
    let pages = 0
    for (;;) {
      const ranges = lookup.rangesFor(Uint32Array.of(1, 1))
      if (ranges.length === 0) break
      lookup.load(ranges)
      pages++
    }
    expect(pages).toBe(1 + 5) // those above the leaves at once
    readers.close()
  })
})

describe('what a lookup lacks', () => {
  const count = 255 * 255 * 2
  const entries = ascendingEntries(count, 3)
  const file = encodeIdsFile(entries)
  const { levels, rootPage } = idTree(count)

  it('is told range by range, so that it reads only what was fetched', () => {
    const fetched = new FetchedBytes([])
    const read = (of: number, offset: number, target: Uint8Array): void => {
      if (!fetched.copy(of, offset, target)) throw new Error(`byte ${offset} was not fetched`)
    }
    const readers: IdReaders = { comesAnew: false, isReadable: () => true, readFresh: read, readSettled: read }
    const of = { readers, path: 'ids.zgq', indexId: INDEX_ID, verify: 'touch' as const }
    const lookup = new IdLookup({ file: 0, rowCount: count }, of)
    const random = randomFrom(SEED)
    for (let i = 0; i < 300; i++) {
      const at = Math.floor(random() * (count / 3)) * 3
      const hash = hashOf(entries[at])
      let rounds = 0
      for (;;) {
        const ranges = lookup.rangesFor(hash)
        if (ranges.length === 0) break
        rounds++
        for (const range of ranges) {
          const { offset, byteLength } = range
          fetched.add({ ...range, bytes: file.subarray(offset, offset + byteLength) })
        }
        lookup.load(ranges)
      }
      expect(rounds).toBeLessThanOrEqual(3) // the pages above, a leaf, perhaps the next
      expect(find(lookup, entries[at])).toEqual(placesOf(entries.slice(at, at + 3)))
    }
  })

  it('is the end of the file first, then a leaf, then nothing', () => {
    const { lookup, readers } = open(file, count)
    const hash = hashOf(entries[0])
    const first = levels[0].pageCount + 1
    const upper = { file: 0, offset: first * PAGE, byteLength: (rootPage + 1 - first) * PAGE }
    expect(lookup.rangesFor(hash)).toEqual([upper])
    lookup.load([upper])
    const leaf = { file: 0, offset: PAGE, byteLength: PAGE }
    expect(lookup.rangesFor(hash)).toEqual([leaf])
    lookup.load([leaf])
    expect(lookup.rangesFor(hash)).toEqual([])
    const { bytesRead } = lookup.counters
    expect(find(lookup, entries[0])).toEqual(placesOf(entries.slice(0, 3)))
    expect(lookup.counters.bytesRead).toBe(bytesRead)
    readers.close()
  })

  it('is a leaf more where equal hashes go on in the next', () => {
    const same = Array.from({ length: 600 }, (_, segment) => ({ low: 1, high: 1, segment, row: 0 }))
    const { lookup, readers } = open(encodeIdsFile(same), same.length)
    const offsets: number[] = []
    for (;;) {
      const ranges = lookup.rangesFor(hashOf(same[0]))
      if (ranges.length === 0) break
      offsets.push(...ranges.map(({ offset }) => offset / PAGE))
      lookup.load(ranges)
    }
    expect(offsets).toEqual([4, 1, 2, 3])
    readers.close()
  })
})

describe('a damaged ids file', () => {
  const count = 255 * 4
  const entries = ascendingEntries(count)
  const file = encodeIdsFile(entries)
  const damaged = (offset: number): Uint8Array => {
    const bytes = Uint8Array.from(file)
    bytes[offset] ^= 16
    return bytes
  }

  it.each([
    ['the root', 5, 0],
    ['a leaf', 2, 300],
    ['a checksum', 2, PAGE - 1]
  ])('is corrupt in %s, with its place, as often as it is asked', (_, page, at) => {
    const { lookup, readers, path } = open(damaged(page * PAGE + at), count)
    for (let round = 0; round < 2; round++) {
      const error = errorOf(() => lookup.find(hashOf(entries[255])))
      expect([error.code, error.path]).toEqual(['ZGQ_CORRUPT', path])
      expect(Math.floor((error.offset ?? 0) / PAGE)).toBe(page)
    }
    readers.close()
  })

  it('is read where the damage is not', () => {
    const { lookup, readers } = open(damaged(3 * PAGE), count)
    expect(find(lookup, entries[10])).toEqual(placesOf([entries[10]]))
    expect(codeOf(() => lookup.find(hashOf(entries[600])))).toBe('ZGQ_CORRUPT')
    expect(find(lookup, entries[10])).toEqual(placesOf([entries[10]]))
    readers.close()
  })

  it('is not verified where that is not wanted, but looked at', () => {
    const wrongCrc = open(damaged(2 * PAGE + PAGE - 1), count, { verify: 'none' })
    expect(find(wrongCrc.lookup, entries[300])).toEqual(placesOf([entries[300]]))
    wrongCrc.readers.close()
    const wrongCount = open(damaged(2 * PAGE + 4080), count, { verify: 'none' })
    expect(codeOf(() => wrongCount.lookup.find(hashOf(entries[300])))).toBe('ZGQ_CORRUPT')
    wrongCount.readers.close()
  })

  it('that is short is truncated', () => {
    const { lookup, readers, path } = open(file, count)
    writeFileSync(path, readFileSync(path).subarray(0, 2 * PAGE))
    expect(codeOf(() => lookup.find(hashOf(entries[0])))).toBe('ZGQ_TRUNCATED')
    readers.close()
  })
})
