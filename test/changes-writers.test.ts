// Who may open an index for writing, and what ends that: features of newer versions, an index that is moved away.

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { ChangeWriter } from '../src/catalogue/change-writer.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { metaChecksum, rowChecksum } from '../src/catalogue/rows.ts'
import { CatalogueWatch } from '../src/catalogue/watch.ts'
import { INDEX_RECORD } from '../src/format/index-record.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import {
  askCatalogue,
  Changer,
  closedAfterEach,
  editCatalogue,
  INDEX_ID,
  logsOf,
  makeEmptyCatalogue
} from './support/changed-catalogue.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('changes-writers')
const own = closedAfterEach()
const emptyCatalogue = (of: Parameters<typeof makeEmptyCatalogue>[1] = {}): string =>
  makeEmptyCatalogue(temp.fresh('index'), of)

describe('opening for writing', () => {
  const open = (folder: string, more: object = {}): ChangeWriter =>
    own(ChangeWriter.open(folder, { indexId: INDEX_ID, durability: 'full', lockTimeoutMs: 50, ...more }))

  it('is ZGQ_MISMATCH for another index than the one that is meant', () => {
    const folder = emptyCatalogue({ indexId: new Uint8Array(16) })
    expect(codeOf(() => open(folder))).toBe('ZGQ_MISMATCH')
    expect(logsOf(folder)).toEqual([])
  })

  it('is ZGQ_CORRUPT where the schema is another, and changes nothing', () => {
    const folder = emptyCatalogue()
    editCatalogue(folder, ['CREATE TRIGGER t AFTER INSERT ON fresh BEGIN DELETE FROM meta; END'])
    expect(codeOf(() => open(folder))).toBe('ZGQ_CORRUPT')
    expect(logsOf(folder)).toEqual([])
  })

  it('is ZGQ_CORRUPT where a journal names another file, which stays', () => {
    const folder = emptyCatalogue()
    writeFileSync(join(folder, `${CATALOGUE_NAME}-journal`), Buffer.from('d9d505f920a163d7', 'hex'))
    expect(codeOf(() => open(folder))).toBe('ZGQ_CORRUPT')
  })

  it('is ZGQ_LOCKED while somebody who is no writer of ours holds the catalogue', async () => {
    const folder = emptyCatalogue()
    const { loadDriver } = await import('../src/catalogue/load-driver.ts')
    const other = own(loadDriver().open(join(folder, CATALOGUE_NAME), { mode: 'write' }))
    other.exec('BEGIN EXCLUSIVE')
    expect(errorOf(() => open(folder)).message).toContain('zgq does not know which process that is')
    other.exec('ROLLBACK')
    open(folder)
  })

  it('forgets writers that died, and keeps those of other machines', () => {
    const folder = emptyCatalogue()
    const about = (pid: number, host: string): Uint8Array =>
      Buffer.from(JSON.stringify({ pid, host, start: '1', since: 1 }))
    for (const [writer, bytes] of [
      [1, about(2 ** 30, (process.env['HOSTNAME'] ?? '') || 'gone')],
      [2, about(5, 'far away')],
      [3, Uint8Array.of(1, 2, 3)]
    ] as const)
      editCatalogue(folder, ['INSERT INTO writers VALUES (?, ?, ?)', writer, bytes, rowChecksum([writer, bytes])])
    const changer = own(new Changer(folder))
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    const left = askCatalogue(folder, 'SELECT about FROM writers').map(([bytes]) => String(bytes))
    expect(left.some((text) => text.includes('\u0001'))).toBe(false)
    const second = own(new Changer(folder, { lockTimeoutMs: 0 }))
    changer.writer.begin()
    expect(errorOf(() => { second.writer.begin() }).message).toMatch(/process 5 on far away, for \d+ s/) // prettier-ignore
  })
})

describe('features that only a newer version knows', () => {
  const setFeatures = (folder: string, name: 'readerFeatures' | 'writerFeatures'): void => {
    const [[value]] = askCatalogue(folder, "SELECT value FROM meta WHERE key = 'index'")
    if (!(value instanceof Uint8Array)) throw new Error('no index record')
    const bytes = Uint8Array.from(value)
    new DataView(bytes.buffer).setUint32(INDEX_RECORD.fields[name].offset, 4, true)
    editCatalogue(folder, [
      'UPDATE meta SET value = ?, crc = ? WHERE key = ?',
      bytes,
      metaChecksum('index', bytes),
      'index'
    ])
  }

  it('of writers: the index is read, and not opened for writing', () => {
    const folder = emptyCatalogue()
    setFeatures(folder, 'writerFeatures')
    expect(readCatalogue(folder).meta.count).toBe(0)
    expect(codeOf(() => new Changer(folder))).toBe('ZGQ_UNSUPPORTED')
  })

  it('of writers that come while it is open: no transaction begins, and readers go on', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    const watch = own(new CatalogueWatch(changer.snapshot))
    setFeatures(folder, 'writerFeatures')
    expect(codeOf(() => { changer.writer.begin() })).toBe('ZGQ_UNSUPPORTED') // prettier-ignore
    expect(newsOf(watch.read(changer.known)).changes.fresh).toEqual([])
  })

  it('of readers that come while it is open: nothing more is read', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    const watch = own(new CatalogueWatch(changer.snapshot))
    watch.read(changer.known)
    setFeatures(folder, 'readerFeatures')
    expect(watch.hasChanged()).toBe(true)
    expect(codeOf(() => watch.read(changer.known))).toBe('ZGQ_UNSUPPORTED')
    expect(watch.hasChanged()).toBe(true)
    expect(codeOf(() => { changer.writer.begin() })).toBe('ZGQ_UNSUPPORTED') // prettier-ignore
  })

  it('of the format: a newer version is refused before its schema is looked at', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    editCatalogue(folder, ['CREATE TABLE more (x)'], ['PRAGMA user_version = 3'])
    expect(codeOf(() => { changer.writer.begin() })).toBe('ZGQ_UNSUPPORTED') // prettier-ignore
    editCatalogue(folder, ['PRAGMA user_version = 2'])
    expect(codeOf(() => { changer.writer.begin() })).toBe('ZGQ_CORRUPT') // prettier-ignore
  })
})

describe('an index that is moved or replaced under its writer', () => {
  it('is written to no more, and its log stays with it', () => {
    const folder = emptyCatalogue()
    const changer = new Changer(folder)
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    const moved = `${folder}-moved`
    renameSync(folder, moved)
    expect(codeOf(() => { changer.writer.begin() })).toBe('ZGQ_MISMATCH') // prettier-ignore
    makeEmptyCatalogue(folder)
    const other = own(new Changer(folder))
    other.change(() => other.insert([7, [7, 7, 7]]))
    expect(errorOf(() => { changer.writer.begin() }).message).toContain('was moved or replaced: open it again') // prettier-ignore
    changer.close()
    expect(logsOf(folder)).toEqual([`${CATALOGUE_NAME}-shm`, `${CATALOGUE_NAME}-wal`])
    expect(readCatalogue(folder).changes.fresh.map(({ id }) => id)).toEqual([7])
    expect(readCatalogue(moved).changes.fresh.map(({ id }) => id)).toEqual([1])
  })
})

function newsOf<News>(news: News | undefined): News {
  if (news === undefined) throw new Error('the index went away')
  return news
}
