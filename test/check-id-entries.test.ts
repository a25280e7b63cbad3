// The check of an ids file: its pages against each other, its entries against the ids beside the rows.

import { crc32 } from 'node:zlib'
import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { IdEntriesCheck } from '../src/check/check-id-entries.ts'
import { hashInteger, hashText, idHash } from '../src/format/id-hash.ts'
import { idTree } from '../src/format/id-tree.ts'
import { openPreadReader } from '../src/storage/pread-reader.ts'
import { verifyIds, type IdsToVerify } from '../src/storage/verify-ids.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { compareEntries, encodeIdsFile, INDEX_ID, type IdEntry } from './support/id-pages.ts'
import { numbered } from './support/reader-contract.ts'
import { useTempFolder } from './support/temp-folder.ts'

const PAGE = 4096
const ROWS = 300
const temp = useTempFolder('check-ids')

/** Three segments of integer ids. */
const SEGMENTS = [2, 5, 9].map((segment, i) => ({
  segment,
  ids: Float64Array.from({ length: ROWS }, (_, row) => 17 * (row * 3 + i))
}))

/** One went. */
const KNOWN = { segments: new Set([1, 2, 5, 9]), nextSegment: 10 }

function entryOf(id: number | Uint8Array, place: { segment: number; row: number }): IdEntry {
  const hash = idHash()
  if (typeof id === 'number') hashInteger(id, hash)
  else hashText(id, hash)
  return { low: hash[0], high: hash[1], ...place }
}

const ENTRIES = SEGMENTS.flatMap(({ segment, ids }) => Array.from(ids, (id, row) => entryOf(id, { segment, row })))

function toVerify(file: Uint8Array, rowCount: number): IdsToVerify & { close(): void } {
  const path = temp.fresh('ids.zgq')
  writeFileSync(path, file)
  const reader = openPreadReader(numbered({ path, byteLength: file.byteLength }))
  const close = (): void => {
    reader.close()
  }
  return { file: 0, path, indexId: INDEX_ID, tree: idTree(rowCount), reader, close }
}

/** Checks files of these entries against the segments; returns how many pages were verified. */
function check(...files: readonly (readonly IdEntry[])[]): number {
  const ids = files.map((entries) => toVerify(encodeIdsFile([...entries].sort(compareEntries)), entries.length))
  try {
    const checking = new IdEntriesCheck()
    for (const { segment, ids: all } of SEGMENTS) {
      checking.takeRows({ segment, firstRow: 0 }, all.subarray(0, 100))
      checking.takeRows({ segment, firstRow: 100 }, all.subarray(100))
    }
    return checking.expectEntries(ids, KNOWN)
  } finally {
    for (const { close } of ids) close()
  }
}

describe('the check of ids', () => {
  it('passes where every row has its entry', () => {
    expect(check(ENTRIES)).toBe(5)
  })

  it('passes where entries of segments that went are there besides', () => {
    expect(check([...ENTRIES, entryOf(1, { segment: 3, row: 4 })])).toBe(5)
  })

  it('passes where they are in several files', () => {
    const [first, second] = [0, 1].map((part) => ENTRIES.filter((_, i) => i % 2 === part))
    expect(check(first, [...second, entryOf(1, { segment: 3, row: 4 })])).toBe(6)
  })

  it('refuses an entry that two files have, and one that none has', () => {
    expect(codeOf(() => check(ENTRIES, [ENTRIES[5]]))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => check(ENTRIES.slice(3), ENTRIES.slice(0, 2)))).toBe('ZGQ_CORRUPT')
  })

  it('passes for texts, whatever pieces they come in and in whatever order', () => {
    const texts = Array.from({ length: 5000 }, (_, i) => Buffer.from(`note-${i}`))
    const entries = texts.map((text, row) => entryOf(text, { segment: 1, row })).sort(compareEntries)
    const ids = toVerify(encodeIdsFile(entries), entries.length)
    const checking = new IdEntriesCheck()
    checking.takeRows({ segment: 1, firstRow: 4000 }, texts.slice(4000))
    checking.takeRows({ segment: 1, firstRow: 0 }, texts.slice(0, 4000))
    expect(checking.expectEntries([ids], KNOWN)).toBe(idTree(5000).rootPage)
    ids.close()
  })

  const replaced = (at: number, entry: Partial<IdEntry>): IdEntry[] =>
    ENTRIES.map((old, i) => (i === at ? { ...old, ...entry } : old))

  it.each([
    ['an entry of another row', replaced(7, { row: 8 })],
    ['an entry of another segment', replaced(7, { segment: 9 })],
    ['an entry of a segment that went', replaced(7, { segment: 3 })],
    ['an entry of a segment that never was', [...ENTRIES, entryOf(1, { segment: 10, row: 0 })]],
    ['an entry of a row that is not there', replaced(7, { row: ROWS })],
    ['another hash', replaced(899, { low: ENTRIES[899].low ^ 1 })],
    ['two rows in the place of each other', replaced(7, { row: 8 }).map((e, i) => (i === 8 ? { ...e, row: 7 } : e))],
    ['an entry too few', ENTRIES.slice(1)],
    ['an entry too many', [...ENTRIES, entryOf(1, { segment: 9, row: ROWS })]]
  ])('refuses %s', (_, entries) => {
    expect(codeOf(() => check(entries))).toBe('ZGQ_CORRUPT')
  })
})

describe('the pages of an ids file are refused', () => {
  const sorted = [...ENTRIES].sort(compareEntries)

  /** Changes words of a page of a sound file, with a checksum that fits. */
  function forged(page: number, change: (words: Uint32Array) => void): Uint8Array {
    const file = encodeIdsFile(sorted)
    const words = new Uint32Array(file.buffer, page * PAGE, 1024)
    change(words)
    const number = new Uint8Array(8)
    number[0] = page
    words[1023] = crc32(file.subarray(page * PAGE, page * PAGE + 4092), crc32(number, crc32(INDEX_ID)))
    return file
  }

  const errorAt = (file: Uint8Array): [string, number] => {
    const ids = toVerify(file, sorted.length)
    const { code, offset } = errorOf(() => verifyIds(ids))
    ids.close()
    return [code, Math.floor((offset ?? 0) / PAGE)]
  }

  it('unless nothing was changed', () => {
    const ids = toVerify(
      forged(2, () => {}),
      sorted.length
    )
    let entries = 0
    expect(verifyIds(ids, (words) => (entries += words.length / 4))).toBe(5)
    expect(entries).toBe(sorted.length)
    ids.close()
  })

  it('where a leaf begins below the end of the one before', () => {
    expect(errorAt(forged(3, (words) => words.fill(0, 0, 2)))).toEqual(['ZGQ_CORRUPT', 3])
  })

  it.each([0, 1])('where the root has another hash for a leaf (word %d)', (word) => {
    expect(errorAt(forged(5, (words) => (words[4 + word] ^= 1)))).toEqual(['ZGQ_CORRUPT', 5])
  })

  it.each([1, 4, 5])('where page %d is damaged', (page) => {
    const file = encodeIdsFile(sorted)
    file[page * PAGE + 5] ^= 1
    expect(errorAt(file)).toEqual(['ZGQ_CORRUPT', page])
  })
})
