// Who has an index open for reading hears of commits of others; and the log of a catalogue that is written to.

import { renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { readCatalogue } from '../src/catalogue/reader.ts'
import { CatalogueWatch } from '../src/catalogue/watch.ts'
import { NO_CHANGES } from '../src/format/changes-record.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import { Changer, closedAfterEach, logsOf, makeEmptyCatalogue } from './support/changed-catalogue.ts'
import { codeOf } from './support/errors.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('changes-watch')

const own = closedAfterEach()
const emptyCatalogue = (of: Parameters<typeof makeEmptyCatalogue>[1] = {}): string =>
  makeEmptyCatalogue(temp.fresh('index'), of)

describe('a watch', () => {
  const LOOK_MS = 30

  it('of an index that nobody changes opens nothing', async () => {
    const folder = emptyCatalogue()
    await wait(LOOK_MS)
    const watch = own(new CatalogueWatch(readCatalogue(folder)))
    expect(watch.hasChanged()).toBe(false)
    await wait(LOOK_MS)
    expect([watch.hasChanged(), logsOf(folder)]).toEqual([false, []])
  })

  it('tells of every commit, and of each once', async () => {
    const folder = emptyCatalogue()
    const snapshot = readCatalogue(folder)
    const watch = own(new CatalogueWatch(snapshot))
    const changer = own(new Changer(folder))
    let since = snapshot.changes.meta
    for (let id = 0; id < 20; id++) {
      changer.change(() => changer.insert([id, [1, 1, 1]]))
      if (id === 0) await wait(LOOK_MS)
      expect(watch.hasChanged()).toBe(true)
      expect(watch.hasChanged()).toBe(true)
      const { changes } = newsOf(watch.read({ snapshot, since }))
      expect(changes.fresh.map((row) => row.id)).toEqual([id])
      since = changes.meta
      expect(watch.hasChanged()).toBe(false)
    }
  })

  it('tells of what was committed to a log before it looked', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    const snapshot = readCatalogue(folder)
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    const watch = own(new CatalogueWatch(snapshot))
    expect(watch.hasChanged()).toBe(true)
    expect(newsOf(watch.read({ snapshot, since: NO_CHANGES })).changes.fresh).toHaveLength(1)
  })

  it('tells of changes that were sealed before it looked', async () => {
    const folder = emptyCatalogue()
    const snapshot = readCatalogue(folder)
    const watch = own(new CatalogueWatch(snapshot))
    const changer = new Changer(folder)
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    changer.close()
    expect(logsOf(folder)).toEqual([])
    await wait(LOOK_MS)
    expect(watch.hasChanged()).toBe(true)
    const { changes } = newsOf(watch.read({ snapshot, since: NO_CHANGES }))
    expect(changes.fresh.map(({ id }) => id)).toEqual([1])
    await wait(LOOK_MS)
    if (watch.hasChanged()) watch.read({ snapshot, since: changes.meta })
    await wait(LOOK_MS)
    expect(watch.hasChanged()).toBe(false)
  })

  it('that is closed last seals the catalogue', () => {
    const folder = emptyCatalogue()
    const changer = new Changer(folder)
    const watch = new CatalogueWatch(changer.snapshot)
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    watch.read({ snapshot: changer.snapshot, since: NO_CHANGES })
    changer.close()
    expect(logsOf(folder)).toHaveLength(2)
    watch.close()
    watch.close()
    expect(logsOf(folder)).toEqual([])
    expect(readCatalogue(folder).changes.fresh).toHaveLength(1)
    expect(watch.hasChanged()).toBe(false)
    expect(codeOf(() => watch.read(changer.known))).toBe('ZGQ_CLOSED')
  })

  it('leaves an index alone that has taken the place of its own', async () => {
    const folder = emptyCatalogue()
    const watch = own(new CatalogueWatch(readCatalogue(folder)))
    const { snapshot, changes } = { snapshot: readCatalogue(folder), changes: NO_CHANGES }
    renameSync(folder, `${folder}-old`)
    await wait(LOOK_MS)
    expect(watch.hasChanged()).toBe(false)
    makeEmptyCatalogue(folder, { indexId: new Uint8Array(16) })
    await wait(LOOK_MS)
    expect(watch.hasChanged()).toBe(false)
    expect(watch.read({ snapshot, since: changes })).toBeUndefined()
  })
})

describe('the log', () => {
  const BIG = 2 ** 20

  it('is moved from 8 MB on, and cut from 64 MB on', () => {
    const folder = emptyCatalogue({ dim: 2 ** 16 })
    const changer = own(new Changer(folder))
    const log = join(folder, `${CATALOGUE_NAME}-wal`)
    const size = (name: string): number => statSync(join(folder, name)).size
    const grow = (times: number): void => {
      const vector = new Float32Array(2 ** 16).fill(1)
      for (let i = 0; i < times; i++)
        changer.change(() => {
          changer.insert(
            ...Array.from({ length: 8 }, (_, j) => [changer.changes.nextSequence + j, [...vector]] as const)
          )
        })
    }
    grow(2)
    changer.writer.checkpoint()
    expect(size(CATALOGUE_NAME)).toBeLessThan(BIG)
    grow(3)
    changer.writer.checkpoint()
    expect(size(CATALOGUE_NAME)).toBeGreaterThan(8 * BIG)
    expect(statSync(log).size).toBeGreaterThan(8 * BIG)
    grow(32)
    expect(statSync(log).size).toBeGreaterThan(64 * BIG)
    changer.writer.checkpoint()
    expect(statSync(log).size).toBe(0)
    expect(readCatalogue(folder).changes.meta.freshCount).toBe(37 * 8)
  })
})

function newsOf<News>(news: News | undefined): News {
  if (news === undefined) throw new Error('the index went away')
  return news
}
