// What folds keep in the folder of an index, as a check and a backup see it.

import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { FoldLock } from '../src/catalogue/fold-lock.ts'
import { checkIndex } from '../src/check.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { FOLD_LOCK_NAME } from '../src/format/layout.ts'
import { ZgqIndex } from '../src/index.ts'
import { askCatalogue, closedAfterEach, copiesOfBuilt, editCatalogue } from './support/changed-catalogue.ts'
import { foldDeltas, type FoldedIndex } from './support/folded-catalogue.ts'
import { holdLock } from './support/lock-holder.ts'
import { printedBy } from './support/run-node.ts'
import { errorFrom, rejection } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('fold-check')
const own = closedAfterEach()
const copyOfBuilt = copiesOfBuilt(temp)

/** An index that was folded, with a reservation of a fold that died, and the lock. */
function foldedIndex(): FoldedIndex & { readonly folder: string; readonly generation: number } {
  const folder = copyOfBuilt()
  const folded = foldDeltas(folder, { nowMs: 1_700_000_000_000 })
  const { generation } = folded.changer.writer.reserve({ segments: 1, files: 1 })
  FoldLock.take(folder, 0).release()
  folded.changer.close()
  return { ...folded, folder, generation }
}

describe('a check of an index that was folded', () => {
  it('passes, and notes whose the files are that are not part of it', async () => {
    const { folder, superseded, generation } = foldedIndex()
    const name = `vectors-${String(generation).padStart(6, '0')}-00000.zgq`
    for (const each of [name, `${name}.columns`, 'notes.txt']) writeFileSync(join(folder, each), 'x')
    const { count, notes } = await checkIndex(folder)
    expect(count).toBe(500)
    expect(notes.toSorted()).toEqual(
      [
        ...superseded.map(
          (file) => `${fileNameOf(file)} was part of the index before a fold: the next fold removes it`
        ),
        `${name} is of a fold that is under way, or died: the next fold removes it`,
        `${name}.columns is of a fold that is under way, or died: the next fold removes it`,
        'notes.txt is in the folder and not part of the index'
      ].toSorted()
    )
  })

  it.each([
    'UPDATE reservations SET crc = crc + 1',
    'UPDATE reservations SET generation = 99',
    'UPDATE superseded SET crc = crc + 1',
    'UPDATE superseded SET file = 0 WHERE file = (SELECT min(file) FROM superseded)'
  ])('finds what is damaged: %s', async (sql) => {
    const { folder } = foldedIndex()
    editCatalogue(folder, [sql])
    expect((await errorFrom(checkIndex(folder))).code).toBe('ZGQ_CORRUPT')
    own(ZgqIndex.open(folder)) // readers need none of it
  })
})

describe('a backup of an index that was folded', () => {
  it('has what is part of the index, and nothing else', async () => {
    const { folder } = foldedIndex()
    const copy = temp.fresh('backup')
    await own(ZgqIndex.open(folder)).backup(copy)
    for (const table of ['reservations', 'superseded', 'writers'])
      expect(askCatalogue(copy, `SELECT count(*) FROM ${table}`)).toEqual([[0]])
    expect(await checkIndex(copy)).toMatchObject({ count: 500, notes: [] })
    expect(existsSync(join(copy, FOLD_LOCK_NAME))).toBe(false)
  })

  it('waits for a fold that is under way, and frees the lock', async () => {
    const { folder } = foldedIndex()
    const holder = await holdLock(folder, temp)
    const copy = temp.fresh('backup')
    const waiting = own(ZgqIndex.open(folder)).backup(copy)
    expect(await Promise.race([waiting, new Promise((resolve) => setImmediate(resolve, 'waits'))])).toBe('waits')
    await holder.kill()
    await waiting
    expect(existsSync(copy)).toBe(true)
    FoldLock.take(folder, 0).release()
  })

  it('keeps folds out while it copies', async () => {
    const { folder } = foldedIndex()
    const index = own(ZgqIndex.open(folder))
    const seen: unknown[] = []
    await index.backup(temp.fresh('backup'), { onProgress: () => seen.push(FoldLock.tryTake(folder)) })
    expect(new Set(seen)).toEqual(new Set([undefined]))
  })

  it('that waits ends by its signal, and leaves nothing', async () => {
    const { folder } = foldedIndex()
    const lock = FoldLock.take(folder, 0)
    const copy = temp.fresh('backup')
    const stop = new AbortController()
    const waiting = rejection(own(ZgqIndex.open(folder)).backup(copy, { signal: stop.signal }))
    const reason = new Error('enough')
    setImmediate(() => {
      stop.abort(reason)
    })
    expect(await waiting).toBe(reason)
    lock.release()
    expect(readdirSync(temp.path).filter((name) => join(temp.path, name).startsWith(copy))).toEqual([])
  })

  it('works where the index may not be written: nobody folds it there', () => {
    const { folder } = foldedIndex()
    const copy = temp.fresh('backup')
    chmodSync(temp.path, 0o777)
    chmodSync(folder, 0o555)
    try {
      const printed = printedBy(`
        const index = ZgqIndex.open(${JSON.stringify(folder)})
        await ZgqIndex.open(${JSON.stringify(folder)}).backup(${JSON.stringify(`${copy}-first`)})
        if (process.getuid() === 0) process.setuid(65534)
        await index.backup(${JSON.stringify(copy)})
        const { count } = await checkIndex(${JSON.stringify(copy)})
        print(count)`)
      expect(printed).toBe(500)
    } finally {
      chmodSync(folder, 0o755)
    }
  })
})
