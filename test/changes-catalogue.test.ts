// Rows of the tables of changes: written in transactions, read back whole or from some state on. On a Node without
// node:sqlite the same tests run under Node 24, too.

import { describe, expect, it } from 'vitest'

import { readCatalogue } from '../src/catalogue/reader.ts'
import { CatalogueWatch } from '../src/catalogue/watch.ts'
import { checkIndex } from '../src/check.ts'
import { hasBit } from '../src/format/bitmap.ts'
import { NO_CHANGES } from '../src/format/changes-record.ts'
import { ZgqIndex } from '../src/index.ts'
import { writeDelta } from '../src/write/delta-file.ts'
import {
  askCatalogue,
  Changer,
  closedAfterEach,
  copiesOfBuilt,
  EMPTY_MAP,
  logsOf,
  makeEmptyCatalogue
} from './support/changed-catalogue.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { alsoUnderNode24 } from './support/node-24.ts'
import { DIM, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('changes-catalogue')
const LEAST_TESTS = 85
/** What is checked with both drivers. */
const FILES = ['changes-catalogue', 'changes-writers', 'changes-watch', 'changes-damage'].map(
  (name) => `test/${name}.test.ts`
)
const own = closedAfterEach()
const copyOfBuilt = copiesOfBuilt(temp)
const emptyCatalogue = (of: Parameters<typeof makeEmptyCatalogue>[1] = {}): string =>
  makeEmptyCatalogue(temp.fresh('index'), of)

describe('an index without rows', () => {
  it.each([
    ['integer', 0],
    ['string', 4]
  ] as const)('opens, is searched, is checked and closes (%s ids, %d bits)', async (idType, bits) => {
    const folder = emptyCatalogue({ idType, bits, metric: 'cosine' })
    const index = ZgqIndex.open(folder)
    for (const how of [{}, { exact: true }, { nprobe: 3 }]) {
      expect(index.search([1, 2, 3], { k: 3, ...how })).toEqual([])
      expect(await index.searchAsync([1, 2, 3], { k: 3, ...how })).toEqual([])
      expect(await index.searchBatch(Float32Array.of(1, 2, 3, 4, 5, 6), { k: 3, ...how })).toEqual([[], []])
    }
    expect([index.count(), [...index.ids()]]).toEqual([0, []])
    index.close()
    expect(await checkIndex(folder)).toMatchObject({ ok: true, count: 0, zones: 0, files: 0 })
  })
})

describe('rows of changes', () => {
  it('are none in an index that was never changed', () => {
    expect(readCatalogue(emptyCatalogue()).changes).toEqual({
      meta: NO_CHANGES,
      commit: 0,
      fresh: [],
      kept: undefined,
      masks: [],
      patches: []
    })
  })

  it.each([
    ['integer', [0, 7, Number.MAX_SAFE_INTEGER]],
    ['string', ['a', 'caf\u00e9', 'x'.repeat(1024)]]
  ] as const)('are read as they were written, with %s ids', (idType, ids) => {
    const changer = own(new Changer(emptyCatalogue({ idType })))
    const payloads = [undefined, EMPTY_MAP, Uint8Array.of(0x81, 0xa1, 0x61, 1)]
    changer.change(() => {
      changer.insert(...ids.map((id, i) => [id, [i, -i, 0.5], payloads[i]] as const))
    })
    const { changes } = changer.reread()
    expect(changes.fresh).toEqual(
      ids.map((id, i) => ({ sequence: i + 1, id, vector: Float32Array.of(i, -i, 0.5), payload: payloads[i] }))
    )
    expect([changes.commit, changes.meta, changes.kept]).toEqual([1, changer.changes, undefined])
  })

  it('are read from a state on, with the fresh rows that are left', () => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder))
    const watch = own(new CatalogueWatch(readCatalogue(folder)))
    let [first, second]: number[] = []
    changer.change(() => {
      ;[first, second] = changer.insert([1, [1, 0, 0]], [2, [2, 0, 0]])
    })
    const before = { ...changer.known }
    changer.change(() => {
      changer.remove(first, 12)
      changer.insert([3, [3, 0, 0], EMPTY_MAP])
    })
    const { snapshot, changes } = newsOf(watch.read(before))
    expect(snapshot).toBeUndefined()
    expect(changes.fresh.map(({ id }) => id)).toEqual([3])
    expect([...(changes.kept ?? [])]).toEqual([second, 3])
    expect(changes.meta).toEqual({ ...NO_CHANGES, nextSequence: 4, freshCount: 2, freshBytes: 25, freshRemoved: 1 })
    expect(newsOf(watch.read({ ...before, since: changes.meta })).changes).toMatchObject({ fresh: [], kept: undefined })
  })

  it('mask and patch rows of segments, a newer one in the place of the older', () => {
    const changer = own(new Changer(copyOfBuilt()))
    const { segments } = changer.snapshot
    const [one, other] = [segments.at(0), segments.at(segments.count - 1)]
    changer.change(() => {
      changer.deleteRow(one.segment, 0)
      changer.deleteRow(one.segment, one.rowCount - 1)
      changer.deleteRow(other.segment, 3)
      const sequence = changer.patch({ segment: one.segment, row: 1 }, EMPTY_MAP)
      changer.patch({ segment: one.segment, row: 1 }, Uint8Array.of(0x81, 0xa1, 0x61, 1), sequence)
      const gone = changer.patch({ segment: other.segment, row: 0 }, EMPTY_MAP)
      changer.writer.removePatches([gone])
      changer.count({ patchCount: -1 })
    })
    const { masks, patches, meta } = changer.reread().changes
    const rowsOf = ({ rowCount, deleted }: (typeof masks)[number]): number[] =>
      Array.from({ length: rowCount }, (_, row) => row).filter((row) => hasBit(deleted, row))
    expect(masks.map((mask) => [mask.segment, mask.rowCount, rowsOf(mask)])).toEqual([
      [one.segment, one.rowCount, [0, one.rowCount - 1]],
      [other.segment, other.rowCount, [3]]
    ])
    expect(patches.map(({ segment, row, payload }) => [segment, row, payload.byteLength])).toEqual([
      [one.segment, 1, 4]
    ])
    expect([meta.deletedCount, meta.patchCount]).toEqual([3, 1])
  })

  it('go into a delta, whose segments and zones are then part of the index', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    const watch = own(new CatalogueWatch(changer.snapshot))
    const before = changer.known
    const { quantizer, fields, meta } = changer.snapshot
    const rows = { count: 2, ids: [9001, 9002], vectors: SMALL.slice(0, 2 * DIM), payloads: [undefined, undefined] }
    changer.change(() => {
      const delta = writeDelta({ folder, meta: changer.meta, quantizer, fields }, rows)
      changer.meta = changer.writer.addDelta(delta, changer.meta)
    })
    const { snapshot } = newsOf(watch.read(before))
    expect(snapshot?.meta).toMatchObject({
      commit: 1,
      generation: meta.generation + 1,
      count: meta.count + 2,
      zoneCount: meta.zoneCount,
      deltaZoneCount: 1,
      segmentCount: meta.segmentCount + 1,
      fileCount: meta.fileCount + 1,
      nextSegment: meta.nextSegment + 1,
      nextFile: meta.nextFile + 1
    })
    expect(snapshot?.files.at(-1)).toMatchObject({ kind: 'delta', rowCount: 2 })
    expect(changer.reread().meta).toEqual(snapshot?.meta)
  })

  it('of a delta that was written for another state are refused', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    const { quantizer, fields } = changer.snapshot
    const rows = { count: 1, ids: [9001], vectors: SMALL.slice(0, DIM), payloads: [undefined] }
    const delta = writeDelta({ folder, meta: changer.meta, quantizer, fields }, rows)
    const add = (): void => {
      changer.meta = changer.writer.addDelta(delta, changer.meta)
    }
    changer.change(add)
    expect(codeOf(() => changer.change(add))).toBe('ZGQ_MISMATCH')
  })
})

describe('a transaction', () => {
  it('that is undone leaves nothing, and a commit counts', () => {
    const changer = own(new Changer(emptyCatalogue()))
    changer.writer.begin()
    changer.insert([1, [1, 1, 1]])
    changer.writer.rollback()
    changer.writer.rollback()
    expect(changer.reread().changes.fresh).toEqual([])
    changer.changes = NO_CHANGES
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    changer.change(() => changer.insert([2, [1, 1, 1]]))
    expect(changer.reread().meta.commit).toBe(2)
  })

  it('undoes one call of several', () => {
    const changer = own(new Changer(emptyCatalogue()))
    changer.change(() => {
      const { writer } = changer
      writer.savepoint()
      changer.insert([1, [1, 1, 1]])
      writer.release()
      const before = changer.changes
      writer.savepoint()
      changer.insert([2, [2, 2, 2]], [3, [2, 2, 2]])
      writer.rollbackTo()
      changer.changes = before
      writer.savepoint()
      changer.insert([4, [4, 4, 4]])
      writer.release()
    })
    expect(changer.reread().changes.fresh.map(({ id }) => id)).toEqual([1, 4])
  })

  it('keeps others from writing, who hear who it is', () => {
    const folder = emptyCatalogue()
    const first = own(new Changer(folder))
    first.change(() => first.insert([1, [1, 1, 1]]))
    const second = own(new Changer(folder, { lockTimeoutMs: 30 }))
    first.writer.begin()
    const error = errorOf(() => {
      second.writer.begin()
    })
    expect(error.code).toBe('ZGQ_LOCKED')
    expect(error.message).toMatch(/locked for 30 ms \(lockTimeoutMs\); open for writing: this process, for \d+ s/)
    first.writer.rollback()
    second.change(() => second.insert([2, [2, 2, 2]]))
    expect(second.reread().changes.fresh.map(({ id }) => id)).toEqual([1, 2])
  })

  it('sees what others committed before it', () => {
    const folder = emptyCatalogue()
    const [first, second] = [own(new Changer(folder)), own(new Changer(folder))]
    for (let round = 0; round < 5; round++) {
      first.change(() => first.insert([round * 2, [1, 1, 1]]))
      second.change(() => second.insert([round * 2 + 1, [1, 1, 1]]))
    }
    const { fresh, commit } = first.reread().changes
    expect([fresh.map(({ id }) => id), commit]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10])
  })

  it('whose rows end in an error goes on without them', () => {
    const changer = own(new Changer(emptyCatalogue()))
    const { writer } = changer
    writer.begin()
    writer.savepoint()
    expect(() => {
      writer.insertFresh(endlessly())
    }).toThrow('no more rows')
    writer.rollbackTo()
    changer.insert([1, [1, 1, 1]])
    writer.commit({ meta: changer.meta, changes: changer.changes })
    expect(changer.reread().changes.fresh.map(({ id }) => id)).toEqual([1])
  })

  it('that SQLite has failed takes nothing more, and can be undone', () => {
    const changer = own(new Changer(emptyCatalogue()))
    const { writer } = changer
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    writer.begin()
    const twice = { sequence: 1, id: 2, vector: Float32Array.of(1, 1, 1), payload: undefined }
    expect(codeOf(() => { writer.insertFresh([twice]) })).toBe('ZGQ_IO') // prettier-ignore
    expect(() => writer.commit({ meta: changer.meta, changes: changer.changes })).toThrow('the transaction has failed')
    writer.rollback()
    changer.change(() => changer.insert([2, [1, 1, 1]]))
    expect(changer.reread().changes.fresh.map(({ id }) => id)).toEqual([1, 2])
  })

  it.each(['full', 'batch'] as const)('is there for others at once, and after closing (%s)', (durability) => {
    const folder = emptyCatalogue()
    const changer = own(new Changer(folder, { durability }))
    changer.change(() => changer.insert([1, [1, 1, 1]]))
    expect(readCatalogue(folder).changes.fresh).toHaveLength(1)
    changer.writer.sync()
    changer.writer.sync()
    changer.close()
    changer.close()
    expect(readCatalogue(folder).changes.fresh).toHaveLength(1)
    expect([logsOf(folder), askCatalogue(folder, 'SELECT count(*) FROM writers')]).toEqual([[], [[0]]])
  })
})

function* endlessly(): Generator<never> {
  throw new Error('no more rows')
}

alsoUnderNode24(FILES, { temp, least: LEAST_TESTS })

function newsOf<News>(news: News | undefined): News {
  if (news === undefined) throw new Error('the index went away')
  return news
}
