// Tables of changes that are damaged or forged: refused, whoever reads them.

import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import type { SqlValue } from '../src/catalogue/driver.ts'
import { checkDatabase, readCatalogue } from '../src/catalogue/reader.ts'
import { metaChecksum, rowChecksum } from '../src/catalogue/rows.ts'
import { CatalogueWatch } from '../src/catalogue/watch.ts'
import { encodeChangesMeta, encodeFreshId, NO_CHANGES, type ChangesMeta } from '../src/format/changes-record.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import {
  Changer,
  closedAfterEach,
  copiesOfBuilt,
  editCatalogue,
  EMPTY_MAP,
  makeEmptyCatalogue
} from './support/changed-catalogue.ts'
import { codeOf } from './support/errors.ts'
import { DIM, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('changes-damage')

const own = closedAfterEach()
const copyOfBuilt = copiesOfBuilt(temp)
const emptyCatalogue = (of: Parameters<typeof makeEmptyCatalogue>[1] = {}): string =>
  makeEmptyCatalogue(temp.fresh('index'), of)

describe('what is damaged is ZGQ_CORRUPT', () => {
  /** An index with two rows of each table of changes. */
  function changedIndex(metric: 'l2' | 'cosine' = 'l2'): string {
    const folder = metric === 'l2' ? copyOfBuilt() : emptyCatalogue({ metric, dim: DIM })
    const changer = new Changer(folder)
    const { segments } = changer.snapshot
    changer.change(() => {
      changer.insert([9001, [...SMALL.slice(0, DIM)], EMPTY_MAP], [9002, [...SMALL.slice(DIM, 2 * DIM)]])
      for (const position of segments.count === 0 ? [] : [0, 1]) {
        const { segment } = segments.at(position)
        changer.deleteRow(segment, 2)
        changer.patch({ segment, row: 1 }, EMPTY_MAP)
      }
    })
    changer.close()
    return folder
  }

  const expectCorrupt = (folder: string): void => {
    expect(codeOf(() => readCatalogue(folder))).toBe('ZGQ_CORRUPT')
  }

  it.each([
    'UPDATE fresh SET crc = crc + 1 WHERE sequence = 1',
    'UPDATE fresh SET sequence = 20 WHERE sequence = 2',
    'UPDATE fresh SET sequence = 0 WHERE sequence = 1',
    'UPDATE fresh SET sequence = -1 WHERE sequence = 1',
    "UPDATE fresh SET id = x'0100000000000000'",
    "UPDATE fresh SET vector = x'00' WHERE sequence = 1",
    'UPDATE fresh SET vector = zeroblob(100000000) WHERE sequence = 1',
    "UPDATE fresh SET vector = 'text' WHERE sequence = 1",
    "UPDATE fresh SET payload = x'81'",
    'UPDATE fresh SET payload = zeroblob(100000000)',
    'DELETE FROM fresh WHERE sequence = 1',
    'DELETE FROM fresh',
    'UPDATE masks SET crc = 5',
    'UPDATE masks SET segment = segment + 1',
    "UPDATE masks SET deleted = x'ff'",
    'UPDATE masks SET deleted = zeroblob(100000000)',
    'UPDATE masks SET deleted = 7',
    'DELETE FROM masks WHERE sequence = (SELECT min(sequence) FROM masks)',
    'UPDATE masks SET sequence = 1000 WHERE sequence = (SELECT max(sequence) FROM masks)',
    'UPDATE patches SET crc = crc - 1',
    'UPDATE patches SET row = row + 1',
    'UPDATE patches SET row = -1',
    'UPDATE patches SET segment = 77777',
    "UPDATE patches SET payload = x''",
    'UPDATE patches SET payload = zeroblob(100000000)',
    'DELETE FROM patches',
    "DELETE FROM meta WHERE key = 'changes'",
    "UPDATE meta SET crc = crc + 1 WHERE key = 'changes'"
  ])('%s', (sql) => {
    const folder = changedIndex()
    editCatalogue(folder, [sql])
    expectCorrupt(folder)
  })

  const rowWith = (table: string, ...values: SqlValue[]): [string, ...SqlValue[]] => [
    `REPLACE INTO ${table} VALUES (${values.map(() => '?').join()}, ?)`,
    ...values,
    rowChecksum(values.filter((value) => typeof value === 'number' || value instanceof Uint8Array))
  ]
  const vector = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.of(...values).buffer)
  const LONG_ID = Buffer.from(new BigUint64Array([2n ** 53n]).buffer)

  it.each([
    ['a vector of another length', rowWith('fresh', 1, encodeFreshId(9001), vector(1, 2), EMPTY_MAP)],
    [
      'a vector that is not finite',
      rowWith('fresh', 1, encodeFreshId(9001), vector(1, 2, 3, 4, NaN, 6, 7, 8), EMPTY_MAP)
    ],
    ['an id beyond 2^53', rowWith('fresh', 1, LONG_ID, vector(1, 2, 3, 4, 5, 6, 7, 8), EMPTY_MAP)],
    ['an id of another length', rowWith('fresh', 1, Uint8Array.of(1), vector(1, 2, 3, 4, 5, 6, 7, 8), EMPTY_MAP)],
    ['a mask of a segment that is not there', rowWith('masks', 3, 88888, Uint8Array.of(4))],
    ['a mask of another length', rowWith('masks', 3, 0, Uint8Array.of(4))],
    ['a patch of a segment that is not there', rowWith('patches', 4, 88888, 0, EMPTY_MAP)],
    ['a patch of a row that is not there', rowWith('patches', 4, 0, 10_000, EMPTY_MAP)],
    ['a patch without a payload', rowWith('patches', 4, 0, 1, new Uint8Array(0))]
  ])('whatever its checksum: %s', (_what, row) => {
    const folder = changedIndex()
    editCatalogue(folder, row)
    expectCorrupt(folder)
  })

  it('whatever its checksum: a vector of length zero with cosine', () => {
    const folder = changedIndex('cosine')
    readCatalogue(folder)
    editCatalogue(folder, rowWith('fresh', 1, encodeFreshId(9001), vector(0, 0, 0, -0, 0, 0, 0, 0), EMPTY_MAP))
    expectCorrupt(folder)
  })

  it('whatever its checksum: masks that have bits past the last row, and two of one segment', () => {
    const folder = changedIndex()
    const { segments } = readCatalogue(folder)
    const odd = [...segments].find(({ rowCount }) => rowCount % 8 !== 0)
    if (odd === undefined) throw new Error('every segment has a multiple of 8 rows')
    const bytes = new Uint8Array(Math.ceil(odd.rowCount / 8))
    bytes[bytes.length - 1] = 0x80
    editCatalogue(folder, ['DELETE FROM masks WHERE segment = ?', odd.segment], rowWith('masks', 3, odd.segment, bytes))
    expectCorrupt(folder)
    const other = changedIndex()
    bytes.fill(0)
    editCatalogue(other, ['DELETE FROM masks'], ...[3, 5].map((at) => rowWith('masks', at, odd.segment, bytes)))
    expectCorrupt(other)
  })

  const changesWith = (more: Partial<ChangesMeta>): [string, ...SqlValue[]] => {
    const value = encodeChangesMeta({
      ...NO_CHANGES,
      nextSequence: 7,
      freshCount: 2,
      freshBytes: 65,
      ...MASKED,
      ...more
    })
    return ['UPDATE meta SET value = ?, crc = ? WHERE key = ?', value, metaChecksum('changes', value), 'changes']
  }
  const MASKED = { deletedCount: 2, patchCount: 2 }

  it('has counts that the next cases change', () => {
    const folder = changedIndex()
    editCatalogue(folder, changesWith({}))
    expect(readCatalogue(folder).changes.meta).toMatchObject({ freshCount: 2, freshBytes: 65, ...MASKED })
  })

  it.each<Partial<ChangesMeta>>([
    { nextSequence: 0 },
    { nextSequence: 3 },
    { nextSequence: 6 },
    { freshCount: 1 },
    { freshCount: 3 },
    { freshCount: 2 ** 52, nextSequence: 2 ** 53 - 1 },
    { freshCount: 2 ** 52, freshRemoved: 5, nextSequence: 2 ** 53 - 1 },
    { freshBytes: 64 },
    { freshRemoved: 100 },
    { deletedCount: 1 },
    { deletedCount: 3 },
    { deletedCount: 501 },
    { patchCount: 1 },
    { patchCount: 3 }
  ])('counts that contradict the rows: %j', (more) => {
    const folder = changedIndex()
    editCatalogue(folder, changesWith(more))
    expectCorrupt(folder)
  })

  it('a record of another length', () => {
    const folder = changedIndex()
    const value = new Uint8Array(63)
    editCatalogue(folder, [
      'UPDATE meta SET value = ?, crc = ? WHERE key = ?',
      value,
      metaChecksum('changes', value),
      'changes'
    ])
    expectCorrupt(folder)
  })

  it('in what a watch reads, and a writer', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    const watch = own(new CatalogueWatch(changer.snapshot))
    const { known } = changer
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    editCatalogue(folder, ['UPDATE fresh SET crc = 1'])
    expect(codeOf(() => watch.read(known))).toBe('ZGQ_CORRUPT')
    changer.changes = NO_CHANGES
    expect(codeOf(() => { changer.change(() => undefined) })).toBe('ZGQ_CORRUPT') // prettier-ignore
  })

  it('in table writers, where the whole database is checked; reading does without it', () => {
    const folder = changedIndex()
    editCatalogue(folder, ["INSERT INTO writers VALUES (1, x'00', 7)"])
    const snapshot = readCatalogue(folder)
    expect(codeOf(() => { checkDatabase(snapshot) })).toBe('ZGQ_CORRUPT') // prettier-ignore
  })

  it('but not what a writer that died had not committed', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    changer.writer.begin()
    changer.insert(...Array.from({ length: 100 }, (_, i) => [i + 2, [1, 1, 1]] as const))
    const left = temp.fresh('left')
    mkdirSync(left)
    for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(left, name))
    rmSync(join(left, `${CATALOGUE_NAME}-shm`))
    changer.writer.rollback()
    expect(readCatalogue(left).changes.fresh.map(({ id }) => id)).toEqual([1])
  })
})
