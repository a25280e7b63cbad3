// Clean-up after folds: what it removes, what it leaves for a while, and all that it never touches.

import { existsSync, mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { FoldLock } from '../src/catalogue/fold-lock.ts'
import { rowChecksum } from '../src/catalogue/rows.ts'
import { checkIndex } from '../src/check.ts'
import { encodeFileRecords, fileNameOf, type FileRecord } from '../src/format/file-record.ts'
import { FOLD_LOCK_NAME } from '../src/format/layout.ts'
import { cleanUp, type CleanUpOptions, type CleanUpReport } from '../src/fold/clean-up.ts'
import { ZgqIndex } from '../src/index.ts'
import { Changer, closedAfterEach, copiesOfBuilt, editCatalogue } from './support/changed-catalogue.ts'
import { codeOf } from './support/errors.ts'
import { foldDeltas, type FoldedIndex } from './support/folded-catalogue.ts'
import { DIM, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('fold-clean-up')
const own = closedAfterEach()
const copyOfBuilt = copiesOfBuilt(temp)
const NOW_MS = 1_700_000_000_000
const LATER_MS = NOW_MS + 60_000

/** An index whose two deltas were taken out by a fold at NOW_MS. */
function foldedIndex(): FoldedIndex & { readonly folder: string } {
  const folder = copyOfBuilt()
  const folded = foldDeltas(folder, { nowMs: NOW_MS })
  own(folded.changer)
  return { folder, ...folded }
}

/** Cleans up as a fold does. */
function clean(folder: string, changer: Changer, more: Partial<CleanUpOptions> = {}): CleanUpReport {
  const lock = FoldLock.take(folder, 1000)
  try {
    const report = cleanUp(folder, {
      writer: changer.writer,
      isFoldHeld: true,
      nowMs: LATER_MS,
      graceMs: 60_000,
      ...more
    })
    return { removed: report.removed.toSorted(), kept: report.kept.toSorted() }
  } finally {
    lock.release()
  }
}

const touch = (folder: string, ...names: readonly string[]): void => {
  for (const name of names) writeFileSync(join(folder, name), 'x')
}

const listed = (folder: string): string[] => readdirSync(folder).filter((name) => name !== FOLD_LOCK_NAME)

const rowsLeft = ({ writer }: Changer): { files: number[]; generations: number[] } => {
  const { superseded, reservations } = writer.readFoldFiles()
  return {
    files: superseded.map(({ record }) => record.file),
    generations: reservations.map(({ generation }) => generation)
  }
}

/** A removal that the system refuses, as Windows does where a file is open. */
function refusing(code: string, isRefused: (path: string) => boolean = () => true): (path: string) => void {
  return (path) => {
    if (isRefused(path)) throw Object.assign(new Error(`${code}: ${path}`), { code })
    unlinkSync(path)
  }
}

describe('superseded files', () => {
  it('are removed once they have been superseded for a minute, and not before', () => {
    const { folder, changer, superseded } = foldedIndex()
    const names = superseded.map(fileNameOf)
    expect(clean(folder, changer, { nowMs: LATER_MS - 1 })).toEqual({ removed: [], kept: names })
    expect(names.every((name) => existsSync(join(folder, name)))).toBe(true)
    expect(clean(folder, changer)).toEqual({ removed: names, kept: [] })
    expect(names.some((name) => existsSync(join(folder, name)))).toBe(false)
    expect(rowsLeft(changer)).toEqual({ files: [], generations: [] })
    expect(clean(folder, changer)).toEqual({ removed: [], kept: [] })
  })

  it('are removed after another time of grace', () => {
    const { folder, changer } = foldedIndex()
    expect(clean(folder, changer, { nowMs: NOW_MS, graceMs: 0 }).removed).toHaveLength(2)
  })

  it('are removed where the clock was set back by more than that time', () => {
    const { folder, changer } = foldedIndex()
    expect(clean(folder, changer, { nowMs: NOW_MS - 59_999 }).removed).toEqual([])
    expect(clean(folder, changer, { nowMs: NOW_MS - 3_600_000 }).removed).toHaveLength(2)
  })

  it('that are gone already leave no row', () => {
    const { folder, changer, superseded } = foldedIndex()
    unlinkSync(join(folder, fileNameOf(superseded[0])))
    expect(clean(folder, changer)).toEqual({ removed: [fileNameOf(superseded[1])], kept: [] })
    expect(rowsLeft(changer).files).toEqual([])
  })

  it.each(['EBUSY', 'EPERM', 'EACCES'])('that the system does not remove (%s) are tried again', (code) => {
    const { folder, changer, superseded } = foldedIndex()
    const [stuck, other] = superseded.map(fileNameOf)
    const remove = refusing(code, (path) => path.endsWith(stuck))
    for (const removed of [[other], []]) expect(clean(folder, changer, { remove })).toEqual({ removed, kept: [stuck] })
    expect(rowsLeft(changer).files).toEqual([superseded[0].file])
    expect(clean(folder, changer)).toEqual({ removed: [stuck], kept: [] })
  })

  it('that cannot be removed for another reason are an error', () => {
    const { folder, changer, superseded } = foldedIndex()
    expect(codeOf(() => clean(folder, changer, { remove: refusing('EIO') }))).toBe('ZGQ_IO')
    expect(rowsLeft(changer).files).toEqual(superseded.map(({ file }) => file))
  })

  it('do not keep the index from being whole, before they are removed or after', async () => {
    const { folder, changer } = foldedIndex()
    changer.close()
    expect((await checkIndex(folder)).count).toBe(500)
    const again = own(new Changer(folder))
    clean(folder, again)
    again.close()
    expect((await checkIndex(folder)).count).toBe(500)
    const index = own(ZgqIndex.open(folder))
    expect(index.search(SMALL.slice(0, DIM), { k: 1 })).toHaveLength(1)
  })
})

describe('what a dead fold left', () => {
  const left = (generation: number): string[] => {
    const number = String(generation).padStart(6, '0')
    return [
      ...['codes', 'delta', 'fields', 'ids', 'payload', 'vectors'].map((kind) => `${kind}-${number}-00000.zgq`),
      `vectors-${number}-00001.zgq`,
      `vectors-${number}-00001.zgq.columns`
    ]
  }

  it('is removed with its reservation', () => {
    const { folder, changer } = foldedIndex()
    const { generation } = changer.writer.reserve({ segments: 3, files: 3 })
    touch(folder, ...left(generation))
    expect(clean(folder, changer, { nowMs: NOW_MS }).removed).toEqual(left(generation).toSorted())
    expect(rowsLeft(changer).generations).toEqual([])
  })

  it('is removed of several folds, and one that made no file yet', () => {
    const { folder, changer } = foldedIndex()
    const [first, , third] = [1, 2, 3].map(() => changer.writer.reserve({ segments: 1, files: 1 }).generation)
    touch(folder, ...left(first), ...left(third))
    expect(clean(folder, changer, { nowMs: NOW_MS }).removed).toEqual([...left(first), ...left(third)].toSorted())
    expect(rowsLeft(changer).generations).toEqual([])
  })

  it('stays where it is of the fold that cleans up', () => {
    const { folder, changer } = foldedIndex()
    const dead = changer.writer.reserve({ segments: 1, files: 1 }).generation
    const { generation } = changer.writer.reserve({ segments: 1, files: 1 })
    touch(folder, ...left(dead), ...left(generation))
    const { removed } = clean(folder, changer, { nowMs: NOW_MS, ownGeneration: generation })
    expect(removed).toEqual(left(dead).toSorted())
    expect(rowsLeft(changer).generations).toEqual([generation])
  })

  it.each(['EBUSY', 'EPERM', 'EACCES'])('that the system does not remove (%s) is tried again', (code) => {
    const { folder, changer } = foldedIndex()
    const { generation } = changer.writer.reserve({ segments: 1, files: 1 })
    const [stuck, ...others] = left(generation).toSorted()
    touch(folder, stuck, ...others)
    const remove = refusing(code, (path) => path.endsWith(stuck))
    expect(clean(folder, changer, { nowMs: NOW_MS, remove }).removed).toEqual(others)
    expect(rowsLeft(changer).generations).toEqual([generation])
    expect(clean(folder, changer, { nowMs: NOW_MS }).removed).toEqual([stuck])
    expect(rowsLeft(changer).generations).toEqual([])
  })
})

describe('what is never removed', () => {
  it('is whatever somebody else put into the folder, and files of other generations', () => {
    const { folder, changer, superseded } = foldedIndex()
    const { generation } = changer.writer.reserve({ segments: 1, files: 1 })
    const number = String(generation).padStart(6, '0')
    const others = [
      'notes.txt',
      `notes-${number}-00000.zgq`,
      `vectors-${number}-00000.zgq.bak`,
      `vectors-${number}.zgq`,
      `vectors-0${number}-00000.zgq`,
      `vectors-${number}-0.zgq`,
      `my-vectors-${number}-00000.zgq`,
      'vectors-000099-00000.zgq',
      'delta-000098-00000.zgq',
      'vectors-000099-00000.zgq.columns'
    ]
    touch(folder, ...others)
    mkdirSync(join(folder, `codes-${number}-00000.zgq`))
    symlinkSync('notes.txt', join(folder, `ids-${number}-00000.zgq`))
    const before = listed(folder)
    const removed = clean(folder, changer).removed
    expect(removed).toEqual(superseded.map(fileNameOf))
    expect(listed(folder)).toEqual(before.filter((name) => !removed.includes(name)))
  })

  it('is a file of the index, whatever the tables say', async () => {
    const { folder, changer } = foldedIndex()
    const [live] = changer.snapshot.files
    const about = Buffer.from('{}')
    editCatalogue(folder, [
      'INSERT INTO reservations VALUES (?, ?, ?)',
      live.generation,
      about,
      rowChecksum([live.generation, about])
    ])
    expect(clean(folder, changer, { nowMs: NOW_MS }).removed).toEqual([])
    changer.close()
    expect((await checkIndex(folder)).count).toBe(500)
  })

  it('is a superseded file whose time has not come, of a generation that is taken for dead', () => {
    const { folder, changer, superseded } = foldedIndex()
    const [{ generation }] = superseded
    const about = Buffer.from('{}')
    const crc = rowChecksum([generation, about])
    editCatalogue(folder, ['INSERT INTO reservations VALUES (?, ?, ?)', generation, about, crc])
    expect(clean(folder, changer, { nowMs: NOW_MS }).removed).toEqual([])
  })

  it.each([
    ['a file of the index by its number', ({ file }: FileRecord, live: FileRecord) => ({ ...live, file })],
    ['a file of the index', (_: FileRecord, live: FileRecord) => live],
    ['another file than its number says', (record: FileRecord) => ({ ...record, file: record.file + 1 })],
    ['a file that is yet to come', (record: FileRecord) => ({ ...record, generation: 99 })]
  ])('is anything at all where the tables are forged: %s', (_, forge) => {
    const { folder, changer, superseded } = foldedIndex()
    const [record] = superseded
    const forged = forge(record, changer.snapshot.files[0])
    const bytes = encodeFileRecords([forged])
    const key = forged.file === record.file + 1 ? record.file : forged.file
    editCatalogue(
      folder,
      ['DELETE FROM superseded'],
      ['INSERT INTO superseded VALUES (?, ?, ?, ?)', key, bytes, 0, rowChecksum([key, bytes, 0])]
    )
    const before = listed(folder)
    expect(codeOf(() => clean(folder, changer))).toBe('ZGQ_CORRUPT')
    expect(listed(folder)).toEqual(before)
  })
})
