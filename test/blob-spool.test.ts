// Blob spools: rows of any length, written once, read in any order.

import { createHash } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'

import { checkUniqueTexts } from '../src/build/check-texts.ts'
import { BlobSpool, BlobSpoolWriter, INDEX_ENDING } from '../src/input/blob-spool.ts'
import { errorOf } from './support/errors.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('blob-spool', IN_MEMORY)
const SEED = 17

function write(rows: readonly Uint8Array[], path = temp.fresh('spool')): { path: string; digest: string } {
  const writer = new BlobSpoolWriter(path)
  for (const row of rows) writer.append(row)
  const digest = writer.finish()
  writer.close()
  return { path, digest }
}

/** Rows of 0 to some 100 bytes, and a few long ones. */
function makeRows(count: number): Uint8Array[] {
  const random = randomFrom(SEED)
  return Array.from({ length: count }, (_, row) => {
    const length = row % 97 === 5 ? 200_000 : Math.floor(random() * 100)
    return Uint8Array.from({ length }, () => random() * 256)
  })
}

describe('a blob spool', () => {
  const rows = makeRows(1000)
  const { path, digest } = write(rows)

  it('gives every row, in any order', () => {
    const spool = new BlobSpool(path, rows.length)
    for (const row of [999, 0, 5, 500, 4, 5, 998]) {
      expect(Buffer.compare(spool.read(row), rows[row])).toBe(0)
      expect(spool.byteLengthOf(row)).toBe(rows[row].byteLength)
    }
    const some = [0, 0, 1, 5, 6, 7, 300, 301, 302, 302, 999]
    const found = [...spool.readAscending(some)]
    expect(found.map((bytes, i) => Buffer.compare(bytes, rows[some[i]]))).toEqual(some.map(() => 0))
    expect(Buffer.compare(Buffer.concat([...spool.readAll()]), Buffer.concat(rows))).toBe(0)
    spool.close()
    spool.close()
  })

  it('is laid out as the build expects', () => {
    const index = readFileSync(path + INDEX_ENDING)
    expect(index.byteLength).toBe(rows.length * 16)
    let offset = 0
    for (const [row, bytes] of rows.entries()) {
      expect(Number(index.readBigUInt64LE(row * 16))).toBe(offset)
      expect(index.readUInt32LE(row * 16 + 8)).toBe(bytes.byteLength)
      expect(index.readUInt32LE(row * 16 + 12)).toBe(crc32(bytes))
      offset += bytes.byteLength
    }
    expect(statSync(path).size).toBe(offset)
    const hash = (file: string): Buffer => createHash('sha256').update(readFileSync(file)).digest()
    expect(digest).toBe(
      createHash('sha256')
        .update(hash(path))
        .update(hash(path + INDEX_ENDING))
        .digest('hex')
    )
  })

  it('has one digest with and without a file, and another where rows are cut elsewhere', () => {
    const unwritten = new BlobSpoolWriter(undefined)
    for (const row of rows) unwritten.append(row)
    expect(unwritten.finish()).toBe(digest)
    const [first, second] = [Buffer.from('ab'), Buffer.from('c')]
    expect(write([first, second]).digest).not.toBe(write([Buffer.from('a'), Buffer.from('bc')]).digest)
  })

  it('refuses rows that it does not have', () => {
    const spool = new BlobSpool(path, rows.length)
    for (const row of [-1, 1000, NaN]) expect(() => spool.read(row)).toThrow(RangeError)
    spool.close()
  })

  it('finds damage', () => {
    const { path: damaged } = write(rows)
    const bytes = readFileSync(damaged)
    bytes[100] ^= 1
    writeFileSync(damaged, bytes)
    const spool = new BlobSpool(damaged, rows.length)
    expect(errorOf(() => [...spool.readAll()])).toMatchObject({ code: 'ZGQ_CORRUPT', path: damaged })
    spool.close()
    truncateSync(damaged, 1000)
    const cut = new BlobSpool(damaged, rows.length)
    expect(errorOf(() => cut.read(900))).toMatchObject({ code: 'ZGQ_CORRUPT' })
    cut.close()
    truncateSync(damaged + INDEX_ENDING, 100)
    const short = new BlobSpool(damaged, rows.length)
    expect(errorOf(() => short.read(900))).toMatchObject({ code: 'ZGQ_TRUNCATED' })
    short.close()
  })

  it('is not written over', () => {
    expect(errorOf(() => new BlobSpoolWriter(path))).toMatchObject({ code: 'ZGQ_IO' })
  })
})

describe('string ids', () => {
  /** Checks ids, so many at a time. */
  function check(ids: readonly string[], inMemory: number): void {
    const { path } = write(ids.map((id) => Buffer.from(id)))
    const spool = new BlobSpool(path, ids.length)
    try {
      checkUniqueTexts(spool, inMemory, 'the input')
    } finally {
      spool.close()
    }
  }
  const many = Array.from({ length: 5000 }, (_, i) => `note ${(i * 7919) % 5000}`)

  it.each([10_000, 700, 64])('that differ pass, with %i of them in memory', (inMemory) => {
    expect(() => check(many, inMemory)).not.toThrow()
    expect(() => check(many.toSorted(), inMemory)).not.toThrow()
    expect(() => check(['\u00e9', 'e\u0301', 'e', 'E', 'e '], inMemory)).not.toThrow()
  })

  it.each([10_000, 700, 64])('that stand twice are named with both rows, with %i of them in memory', (inMemory) => {
    const ids = [...many]
    ids[4321] = ids[1234]
    const error = errorOf(() => check(ids, inMemory))
    expect(error).toMatchObject({ code: 'ZGQ_ID_EXISTS' })
    expect(error.message).toBe(`duplicate id ${JSON.stringify(ids[1234])} in the input (rows 1234 and 4321)`)
  })

  it('are found where all of them stand twice, and where ascending ones do', () => {
    expect(errorOf(() => check([...many, ...many], 700)).message).toMatch(/^duplicate id "note \d+" in the input/)
    expect(errorOf(() => check(['a', 'b', 'b'], 700)).message).toMatch(/duplicate id "b" in the input \(rows 1 and 2\)/)
  })
})
