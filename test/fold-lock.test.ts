// The lock of folds and backups: one holder at a time, in whatever process or thread, and free when that dies.

import { chmodSync, mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { FoldLock } from '../src/catalogue/fold-lock.ts'
import { loadDriver } from '../src/catalogue/load-driver.ts'
import { FOLD_LOCK_NAME } from '../src/format/layout.ts'
import { Changer, closedAfterEach, makeEmptyCatalogue } from './support/changed-catalogue.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { holdLock, holdLockInThread, takeAsSomebody } from './support/lock-holder.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('fold-lock')
const own = closedAfterEach()
const emptyCatalogue = (): string => makeEmptyCatalogue(temp.fresh('index'))

/** Takes the lock for the rest of the test. */
function take(folder: string, lockTimeoutMs = 0): FoldLock {
  const lock = FoldLock.take(folder, lockTimeoutMs)
  own({
    close() {
      lock.release()
    }
  })
  return lock
}

describe('the lock of folds', () => {
  it('is held by one at a time, and free once it is released', () => {
    const folder = emptyCatalogue()
    const first = take(folder)
    expect(codeOf(() => take(folder))).toBe('ZGQ_LOCKED')
    first.release()
    first.release()
    const second = take(folder)
    expect(codeOf(() => take(folder, 20))).toBe('ZGQ_LOCKED')
    second.release()
    take(folder)
  })

  it('leaves an empty file, and nothing beside it', () => {
    const folder = emptyCatalogue()
    const lock = take(folder)
    const names = (): string[] => readdirSync(folder).filter((name) => name.startsWith(FOLD_LOCK_NAME))
    expect(names()).toEqual([FOLD_LOCK_NAME])
    lock.release()
    expect(names()).toEqual([FOLD_LOCK_NAME])
    take(folder)
  })

  it('of one index does not keep folds of another out', () => {
    take(emptyCatalogue())
    take(emptyCatalogue())
  })

  it('does not keep writers out, and readers do not look at it', () => {
    const folder = emptyCatalogue()
    take(folder)
    const changer = own(new Changer(folder))
    changer.change(() => changer.insert([1, [1, 2, 3]]))
    expect(changer.reread().changes.fresh).toHaveLength(1)
  })

  it('is held across processes, waited for, and freed by the end of one', async () => {
    const folder = emptyCatalogue()
    const holder = await holdLock(folder, temp)
    expect(codeOf(() => take(folder, 5))).toBe('ZGQ_LOCKED')
    await holder.end()
    take(folder, 20_000)
  })

  it('is free once its holder was killed', async () => {
    const folder = emptyCatalogue()
    const holder = await holdLock(folder, temp)
    expect(codeOf(() => take(folder))).toBe('ZGQ_LOCKED')
    await holder.kill()
    const lock = take(folder)
    expect(readdirSync(folder).filter((name) => name.startsWith(FOLD_LOCK_NAME))).toEqual([FOLD_LOCK_NAME])
    lock.release()
  })

  it('is held across threads, and free once the one that has it was ended', async () => {
    const folder = emptyCatalogue()
    const thread = await holdLockInThread(folder, temp)
    expect(codeOf(() => take(folder))).toBe('ZGQ_LOCKED')
    await thread.terminate()
    take(folder)
  })

  it('says how long it waited, and names who has reserved numbers', () => {
    const folder = emptyCatalogue()
    take(folder)
    const refusal = (): string => errorOf(() => take(folder, 15)).message
    expect(refusal()).toMatch(/for longer than 15 ms \(lockTimeoutMs\): who that is is not known/)
    const changer = own(new Changer(folder))
    changer.change(() => changer.insert([1, [1, 2, 3]]))
    expect(refusal()).toMatch(/: open for writing: this process, for \d+ s/)
    changer.writer.reserve({ segments: 1, files: 1 })
    expect(refusal()).toMatch(/: this process, for \d+ s/)
  })
})

describe('a file that is no lock of ours', () => {
  it.each([
    ['a file with bytes', (path: string) => { writeFileSync(path, 'notes') }], // prettier-ignore
    ['a folder', (path: string) => { mkdirSync(path) }], // prettier-ignore
    ['a link', (path: string) => { symlinkSync('catalogue.sqlite', path) }], // prettier-ignore
    ['a database', makeDatabase],
    ['a journal beside it', (path: string) => { writeFileSync(`${path}-journal`, '') }], // prettier-ignore
    ['a log beside it', (path: string) => { writeFileSync(`${path}-wal`, '') }] // prettier-ignore
  ])('is refused and stays as it is: %s', (_, make) => {
    const folder = emptyCatalogue()
    make(join(folder, FOLD_LOCK_NAME))
    const before = readdirSync(folder)
    expect(errorOf(() => take(folder))).toMatchObject({
      code: 'ZGQ_CORRUPT',
      path: expect.stringContaining('fold.lock')
    })
    expect(readdirSync(folder)).toEqual(before)
  })

  it('is taken once it is empty', () => {
    const folder = emptyCatalogue()
    const path = join(folder, FOLD_LOCK_NAME)
    writeFileSync(path, 'notes')
    truncateSync(path)
    take(folder)
  })
})

describe('an index that may not be written', () => {
  it('is ZGQ_READ_ONLY, whether it has a lock or not', async () => {
    const folder = emptyCatalogue()
    chmodSync(temp.path, 0o755)
    chmodSync(folder, 0o555)
    try {
      expect(await takeAsSomebody(folder, temp)).toBe('ZGQ_READ_ONLY')
      chmodSync(folder, 0o777)
      take(folder).release()
      chmodSync(join(folder, FOLD_LOCK_NAME), 0o444)
      expect(await takeAsSomebody(folder, temp)).toBe('ZGQ_READ_ONLY')
      chmodSync(join(folder, FOLD_LOCK_NAME), 0o666)
      expect(await takeAsSomebody(folder, temp)).toBe('held')
    } finally {
      chmodSync(folder, 0o755)
    }
  })

  it('is ZGQ_NOT_FOUND where there is no folder', () => {
    expect(codeOf(() => take(temp.fresh('nothing')))).toBe('ZGQ_NOT_FOUND')
  })
})

function makeDatabase(path: string): void {
  const database = loadDriver().open(path, { mode: 'create' })
  database.exec('CREATE TABLE t (a)')
  database.close()
}
