// How chunks of numbered records change: those whose records stay keep their bytes, and chunks stay few.

import { describe, expect, it } from 'vitest'

import type { Database } from '../src/catalogue/driver.ts'
import { loadDriver } from '../src/catalogue/load-driver.ts'
import { dealAsBefore, digestOf, rewriteChunks } from '../src/catalogue/rewrite-chunks.ts'
import { readChunks } from '../src/catalogue/rows.ts'
import { CATALOGUE_DDL } from '../src/catalogue/tables.ts'
import { CHUNK_RECORDS } from '../src/format/chunks.ts'
import { decodeFileRecords, encodeFileRecords, FILE_RECORD, type FileRecord } from '../src/format/file-record.ts'
import { closedAfterEach } from './support/changed-catalogue.ts'
import { FILE } from './support/format-samples.ts'
import { randomFrom } from './support/random.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('fold-chunks')
const own = closedAfterEach()

function emptyTables(): Database {
  const database = own(loadDriver().open(temp.fresh('catalogue.sqlite'), { mode: 'create' }))
  database.pragma('synchronous = OFF')
  database.exec(CATALOGUE_DDL)
  return database
}

const record = (file: number, rowCount = 1): FileRecord => ({ ...FILE, file, rowCount })

/** Has table `files` hold some records; returns how many bytes were written. */
function store(database: Database, records: readonly FileRecord[]): number {
  const numbered = { records, numberOf: ({ file }: FileRecord) => file, encode: encodeFileRecords }
  return rewriteChunks(database, 'files', dealAsBefore(database, 'files', numbered))
}

function stored(database: Database, count: number): FileRecord[] {
  const bytesOf = (records: number): number => records * FILE_RECORD.byteLength
  const expected = { count, bytesOf, isDense: false, isStepped: false }
  const { records } = readChunks(database, { table: 'files', catalogueBytes: 2 ** 30, path: 'x' }, expected)
  return decodeFileRecords(records, 'x')
}

const shapeOf = (database: Database): unknown[][] => database.prepare('SELECT first, count FROM files').all()

describe('chunks of numbered records', () => {
  const records = Array.from({ length: 1300 }, (_, i) => record(i * 2))
  const bytes = (count: number): number => count * FILE_RECORD.byteLength

  function filled(): Database {
    const database = emptyTables()
    store(database, records)
    expect(shapeOf(database)).toEqual([
      [0, 512],
      [1024, 512],
      [2048, 276]
    ])
    return database
  }

  it('are not written where nothing changed', () => {
    const database = filled()
    const digest = digestOf(database)
    expect(store(database, records)).toBe(0)
    expect(digestOf(database)).toEqual(digest)
  })

  it('lose a record without a change of the others', () => {
    const database = filled()
    expect(store(database, records.toSpliced(7, 1))).toBe(bytes(511))
    expect(shapeOf(database)[0]).toEqual([0, 511])
    expect(store(database, records.slice(8))).toBe(bytes(504))
    expect(shapeOf(database)[0]).toEqual([16, 504])
  })

  it('have a changed record without a change of the others', () => {
    const database = filled()
    expect(store(database, records.toSpliced(600, 1, record(1200, 5)))).toBe(bytes(512))
    expect(stored(database, 1300)[600].rowCount).toBe(5)
  })

  it('that lose all their records go', () => {
    const database = filled()
    expect(store(database, records.toSpliced(512, 512))).toBe(0)
    expect(shapeOf(database)).toEqual([
      [0, 512],
      [2048, 276]
    ])
    expect(store(database, [])).toBe(0)
    expect(shapeOf(database)).toEqual([])
  })

  it('get records at the end as chunks of their own, which are put together while they are small', () => {
    const database = filled()
    let all = records
    for (let round = 0; round < 5; round++) {
      all = [...all, ...Array.from({ length: 40 }, (_, i) => record(10_000 + round * 100 + i))]
      expect(store(database, all)).toBe(bytes([40, 80, 120, 160, 40][round]))
    }
    expect(shapeOf(database).slice(3)).toEqual([
      [10_000, 160],
      [10_400, 40]
    ])
    expect(stored(database, 1500)).toEqual(all)
  })

  it('hold what they are told after any succession of changes, and stay few', () => {
    const random = randomFrom(15)
    const database = emptyTables()
    let all: FileRecord[] = []
    let next = 0
    for (let round = 0; round < 120; round++) {
      const share = random() < 0.2 ? 0.5 : 0.02
      all = all.flatMap((one) => (random() < share ? (random() < 0.5 ? [] : record(one.file, round)) : one))
      const added = Math.floor(random() * (random() < 0.2 ? 900 : 12))
      for (let i = 0; i < added; i++) all.push(record((next += 1 + Math.floor(random() * 3))))
      store(database, all)
      expect(stored(database, all.length)).toEqual(all)
      const most = Math.ceil((all.length / CHUNK_RECORDS) * 4) + 2
      expect(shapeOf(database).length).toBeLessThanOrEqual(most)
    }
  })
})
