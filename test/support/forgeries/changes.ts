// Forged tables of changes, with checksums that fit: rows that no index can have, or that have no end.

import { metaChecksum, rowChecksum } from '../../../src/catalogue/rows.ts'
import { encodeChangesMeta, NO_CHANGES, type ChangesMeta } from '../../../src/format/changes-record.ts'
import { INDEX_RECORD } from '../../../src/format/index-record.ts'
import { withDatabase } from '../forge/catalogue.ts'
import { legal, refused, type Forgery } from './forgery.ts'
import { repeatRows } from './pages.ts'

type Value = number | Uint8Array

const EMPTY_MAP = Uint8Array.of(0x80)
/** Of every specimen. */
const SEGMENT = 0
const ID = Uint8Array.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0)

/** Inserts rows and says so under `changes`. */
function change(folder: string, rows: (vector: Uint8Array) => readonly Row[], counts: Partial<ChangesMeta>): void {
  withDatabase(folder, (database) => {
    const index = database.prepare<[], Buffer>("SELECT value FROM meta WHERE key = 'index'").pluck().get()
    const dim = index?.readUInt32LE(INDEX_RECORD.fields.dim.offset) ?? 0
    const vector = new Uint8Array(new Float32Array(dim).fill(1).buffer)
    for (const [table, ...values] of rows(vector)) {
      const places = values.map(() => '?').join()
      const bound = values.map((value) => (typeof value === 'number' ? BigInt(value) : value))
      database.prepare(`INSERT INTO ${table} VALUES (${places}, ?)`).run(...bound, BigInt(rowChecksum(values)))
    }
    const value = encodeChangesMeta({ ...NO_CHANGES, ...counts })
    const insert = database.prepare('REPLACE INTO meta VALUES (?, ?, ?)')
    insert.run('changes', value, BigInt(metaChecksum('changes', value)))
  })
}

type Row = readonly [table: 'fresh' | 'masks' | 'patches', ...values: Value[]]

const one = (counts: Partial<ChangesMeta>): Partial<ChangesMeta> => ({ nextSequence: 2, ...counts })
const oneFresh = (vector: Uint8Array): Partial<ChangesMeta> => ({ freshCount: 1, freshBytes: vector.byteLength + 1 })

const forged = (title: string, rows: (vector: Uint8Array) => readonly Row[], counts: Partial<ChangesMeta>): Forgery =>
  refused(title, (folder) => {
    change(folder, rows, counts)
  })

/** One row of a table, repeated without end, among as many as numbers can say. */
const repeated = (table: Row[0], row: (vector: Uint8Array) => Row, counts: Partial<ChangesMeta>): Forgery =>
  refused(`rows of table ${table} that are repeated without end`, (folder) => {
    change(folder, (vector) => [row(vector)], { ...counts, nextSequence: 2 ** 53 - 1 })
    repeatRows(folder, table, 12)
  })

export const CHANGES: readonly Forgery[] = [
  legal('nothing but a counter', (folder) => {
    change(folder, () => [], { nextSequence: 2 ** 53 - 1, freshRemoved: 5 })
  }),
  repeated('fresh', (vector) => ['fresh', 1, ID, vector, EMPTY_MAP], { freshCount: 2 ** 52 }),
  {
    ...repeated('fresh', (vector) => ['fresh', 1, ID, vector, EMPTY_MAP], { freshCount: 2 ** 31, freshRemoved: 1 }),
    title: 'sequences of fresh rows that are repeated without end'
  },
  repeated('masks', () => ['masks', 1, SEGMENT, Uint8Array.of(1)], { deletedCount: 1 }),
  repeated('patches', () => ['patches', 1, SEGMENT, 0, EMPTY_MAP], { patchCount: 2 ** 52 }),
  forged('fresh rows that are not there, as many as numbers can say', () => [], {
    nextSequence: 2 ** 53 - 1,
    freshCount: 2 ** 53 - 3
  }),
  forged(
    'fresh rows that are not there, after some were removed',
    () => [],
    { nextSequence: 2 ** 53 - 1, freshCount: 2 ** 30, freshRemoved: 7 } // prettier-ignore
  ),
  refused('a fresh row with a vector of 100 MB', (folder) => {
    change(folder, (vector) => [['fresh', 1, ID, vector, EMPTY_MAP]], one({ freshCount: 1, freshBytes: 100_000_001 }))
    withDatabase(folder, (database) => {
      database.exec('UPDATE fresh SET vector = zeroblob(100000000)')
    })
  }),
  refused('a patch of 100 MB', (folder) => {
    change(folder, () => [['patches', 1, SEGMENT, 0, EMPTY_MAP]], one({ patchCount: 1 }))
    withDatabase(folder, (database) => {
      database.exec('UPDATE patches SET payload = zeroblob(100000000)')
    })
  }),
  forged(
    'a fresh row whose vector is infinite',
    (vector) => {
      const infinite = new Float32Array(vector.byteLength / 4).fill(Infinity)
      return [['fresh', 1, ID, new Uint8Array(infinite.buffer), EMPTY_MAP]]
    },
    one(oneFresh(new Uint8Array(0)))
  ),
  forged(
    'a mask of a segment that is not there',
    () => [['masks', 1, 2 ** 40, Uint8Array.of(1)]],
    one({ deletedCount: 1 })
  ),
  forged(
    'a mask that deletes rows past the last',
    () => [['masks', 1, SEGMENT, new Uint8Array(2 ** 16).fill(255)]],
    one({ deletedCount: 2 })
  ),
  forged(
    'a patch of a row that is not there',
    () => [['patches', 1, SEGMENT, 2 ** 40, EMPTY_MAP]],
    one({ patchCount: 1 })
  ),
  forged('two patches of one row', () => [['patches', 1, SEGMENT, 0, EMPTY_MAP], ['patches', 2, SEGMENT, 0, EMPTY_MAP]], { nextSequence: 3, patchCount: 2 }), // prettier-ignore
  {
    ...forged(
      'a patch that is no payload',
      () => [['patches', 1, SEGMENT, 0, Uint8Array.of(0xc1)]],
      one({ patchCount: 1 })
    ),
    seen: 'check'
  }
]
