// What a fold does to the catalogue: it reserves numbers, publishes its segments in one transaction, and notes the
// files that it takes out of the index. On a Node without node:sqlite the same tests run under Node 24, too.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import type { FoldToPublish } from '../src/catalogue/publish-fold.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import type { Snapshot } from '../src/catalogue/snapshot.ts'
import { CatalogueWatch } from '../src/catalogue/watch.ts'
import { hasBit } from '../src/format/bitmap.ts'
import { decodeFooter, decodeSuperseded, FOOTER } from '../src/format/directory.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { ZgqIndex } from '../src/index.ts'
import { VectorsWriter } from '../src/storage/vectors-writer.ts'
import { writeDelta } from '../src/write/delta-file.ts'
import {
  askCatalogue,
  Changer,
  closedAfterEach,
  copiesOfBuilt,
  editCatalogue,
  INDEX_ID,
  makeEmptyCatalogue
} from './support/changed-catalogue.ts'
import { codeOf } from './support/errors.ts'
import { CALIBRATION } from './support/format-samples.ts'
import { alsoUnderNode24 } from './support/node-24.ts'
import { DIM, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('fold-catalogue')
const LEAST_TESTS = 75
/** What is checked with both drivers. */
const FILES = ['fold-catalogue', 'fold-chunks', 'fold-lock', 'fold-clean-up'].map((name) => `test/${name}.test.ts`)
const NOW_MS = 1_700_000_000_000
const own = closedAfterEach()
const copyOfBuilt = copiesOfBuilt(temp)
const emptyCatalogue = (): string => makeEmptyCatalogue(temp.fresh('index'))

/** Adds a delta of some rows. */
function addDelta(folder: string, changer: Changer, ids: readonly number[]): void {
  changer.change(() => {
    const { quantizer, fields } = changer.snapshot
    const vectors = SMALL.slice(0, ids.length * DIM)
    const rows = { count: ids.length, ids: [...ids], vectors, payloads: ids.map(() => undefined) }
    const delta = writeDelta({ folder, meta: changer.meta, quantizer, fields }, rows)
    changer.meta = changer.writer.addDelta(delta, changer.meta)
  })
  changer.change(() => undefined)
}

/** A fold that leaves an index as it is. */
function sameFold({ meta, files, segments, centroids, zoneCodes }: Snapshot, generation: number): FoldToPublish {
  return {
    generation,
    files,
    segments: [...segments],
    centroids,
    zoneCount: meta.zoneCount,
    zoneCodes,
    quantizer: undefined,
    calibration: undefined,
    nowMs: NOW_MS
  }
}

/** Reserves numbers and publishes a fold; returns what another process then finds. */
function publish(changer: Changer, fold: Partial<FoldToPublish>): Snapshot {
  const { generation } = changer.writer.reserve({ segments: 0, files: 0 })
  changer.change(() => {
    changer.meta = changer.writer.publishFold({ ...sameFold(changer.snapshot, generation), ...fold }, changer.meta)
  })
  return changer.reread()
}

describe('reserved numbers', () => {
  it('are above those that were given, and are given once', () => {
    const folder = copyOfBuilt()
    const { writer, meta } = own(new Changer(folder))
    const first = writer.reserve({ segments: 5, files: 2 })
    const second = writer.reserve({ segments: 1, files: 1 })
    expect(first).toEqual({
      generation: meta.generation + 1,
      firstSegment: meta.nextSegment,
      firstFile: meta.nextFile
    })
    expect(second).toEqual({
      generation: meta.generation + 2,
      firstSegment: meta.nextSegment + 5,
      firstFile: meta.nextFile + 2
    })
    expect(readCatalogue(folder).meta).toEqual({
      ...meta,
      generation: meta.generation + 2,
      nextSegment: meta.nextSegment + 6,
      nextFile: meta.nextFile + 3
    })
  })

  it.each(['full', 'batch'] as const)('are noted until they are given up (%s)', (durability) => {
    const folder = emptyCatalogue()
    const { writer } = own(new Changer(folder, { durability }))
    const { generation } = writer.reserve({ segments: 1, files: 1 })
    const other = writer.reserve({ segments: 1, files: 1 })
    writer.removeFoldFiles({ superseded: [], reservations: [generation] })
    expect(writer.readFoldFiles().reservations).toMatchObject([
      { generation: other.generation, process: { pid: process.pid } }
    ])
  })

  it('are seen by a writer that had the index open before, whose deltas take others', async () => {
    const folder = copyOfBuilt()
    const index = own(ZgqIndex.open<number>(folder, { mode: 'write' }))
    await index.add([{ id: 9000, vector: SMALL.slice(0, DIM) }])
    const { writer, meta } = own(new Changer(folder))
    const reserved = writer.reserve({ segments: 7, files: 3 })
    await index.add(Array.from({ length: 600 }, (_, i) => ({ id: 9001 + i, vector: SMALL.slice(0, DIM) })))
    const { files, segments } = readCatalogue(folder)
    expect(files.at(-1)).toMatchObject({
      kind: 'delta',
      generation: reserved.generation + 1,
      file: meta.nextFile + 3
    })
    expect(segments.at(segments.count - 2).segment).toBe(meta.nextSegment + 7)
  })

  it('are not given again by a commit of somebody who takes the index for an older one', () => {
    const changer = own(new Changer(copyOfBuilt()))
    const { meta: before } = changer
    const { generation } = changer.writer.reserve({ segments: 7, files: 3 })
    changer.change(() => {
      changer.meta = before
      changer.insert([9000, [...SMALL.slice(0, DIM)]])
    })
    expect(changer.reread().meta).toMatchObject({
      generation,
      nextSegment: before.nextSegment + 7,
      nextFile: before.nextFile + 3
    })
  })

  it('leave files, segments and zones as they are: readers keep what they have', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    const watch = own(new CatalogueWatch(readCatalogue(folder)))
    changer.writer.reserve({ segments: 7, files: 3 })
    expect(watch.read(changer.known)?.snapshot).toBeUndefined()
  })
})

describe('a fold that is published', () => {
  it('leaves rows of chunks that say the same as they are', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    const rowsOf = (): unknown => ['files', 'segments', 'zones', 'zone_codes'].map((table) => askCatalogue(folder, `SELECT * FROM ${table}`)) // prettier-ignore
    const before = rowsOf()
    const { meta } = changer
    const after = publish(changer, {})
    expect(after.meta).toEqual({ ...meta, commit: 1, generation: meta.generation + 1 })
    expect(rowsOf()).toEqual(before)
    expect(changer.writer.readFoldFiles()).toMatchObject({ superseded: [], reservations: [] })
  })

  it('takes deltas out of the index, and notes their files', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    const built = changer.snapshot
    addDelta(folder, changer, [9001, 9002])
    addDelta(folder, changer, [9003])
    const { files, meta } = changer.snapshot
    const after = publish(changer, {
      ...sameFold(built, 0),
      generation: meta.generation + 1
    })
    expect(after.meta).toMatchObject({
      count: built.meta.count,
      deltaZoneCount: 0,
      segmentCount: built.meta.segmentCount,
      fileCount: built.meta.fileCount,
      nextSegment: meta.nextSegment,
      nextFile: meta.nextFile,
      digest: built.meta.digest
    })
    expect(changer.writer.readFoldFiles().superseded).toEqual(
      files.slice(-2).map((record) => ({ record, since: NOW_MS }))
    )
  })

  it('numbers the zones of deltas that are left anew', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    addDelta(folder, changer, [9001, 9002])
    addDelta(folder, changer, [9003])
    const { segments, files, centroids, meta } = changer.snapshot
    const { zoneCount } = meta
    const [last, folded] = [[...segments].at(-1), [...segments].at(-2)]
    if (last === undefined || folded === undefined) throw new Error('there are no deltas')
    const own_ = centroids.slice((zoneCount + 1) * DIM)
    const after = publish(changer, {
      segments: [...[...segments].slice(0, -2), { ...last, zone: zoneCount }],
      files: files.filter(({ file }) => file !== folded.rows.file),
      centroids: Float32Array.of(...centroids.slice(0, zoneCount * DIM), ...own_)
    })
    expect(after.meta).toMatchObject({ deltaZoneCount: 1, count: meta.count - 2 })
    expect([...after.segments].at(-1)).toMatchObject({ segment: last.segment, zone: zoneCount, rowCount: 1 })
    expect(after.centroids.slice(zoneCount * DIM)).toEqual(own_)
  })

  it('takes a new number of zones, and a quantizer', () => {
    const changer = own(new Changer(copyOfBuilt()))
    const { segments, centroids, zoneCodes, meta, quantizer, files } = changer.snapshot
    if (quantizer === undefined) throw new Error('there are no codes')
    const mean = quantizer.mean.map((value) => value + 1)
    const after = publish(changer, {
      zoneCount: meta.zoneCount - 1,
      segments: [...segments].filter(({ zone }) => zone < meta.zoneCount - 1),
      files: files.filter(({ kind }) => kind !== 'ids'),
      centroids: centroids.slice(0, -DIM),
      zoneCodes,
      quantizer: { ...quantizer, mean }
    })
    expect(after.meta.zoneCount).toBe(meta.zoneCount - 1)
    expect(after.quantizer?.mean).toEqual(mean)
  })

  it('is taken by readers, masks and patches by what was done to them', () => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    const [one, other] = [changer.snapshot.segments.at(0), changer.snapshot.segments.at(1)]
    changer.change(() => {
      changer.deleteRow(one.segment, 0)
      changer.deleteRow(other.segment, 1)
    })
    const { generation } = changer.writer.reserve({ segments: 0, files: 0 })
    changer.change(() => {
      const { masks } = changer.reread().changes
      changer.writer.removeMasks(masks.filter(({ segment }) => segment === one.segment).map(({ sequence }) => sequence))
      changer.count({ deletedCount: -1, rowsSinceCalibration: 1 })
      changer.meta = changer.writer.publishFold(sameFold(changer.snapshot, generation), changer.meta)
    })
    const { changes } = changer.reread()
    expect(changes.masks.map(({ segment, deleted }) => [segment, hasBit(deleted, 1)])).toEqual([[other.segment, true]])
    expect(changes.meta).toMatchObject({ deletedCount: 1, rowsSinceCalibration: 1 })
  })

  it('is refused where its numbers are not reserved any more, and nothing is changed', () => {
    const changer = own(new Changer(copyOfBuilt()))
    const before = changer.reread().meta
    const { generation } = changer.writer.reserve({ segments: 1, files: 1 })
    changer.writer.removeFoldFiles({ superseded: [], reservations: [generation] })
    const fold = sameFold(changer.snapshot, generation)
    const publishing = (): void => {
      changer.change(() => {
        changer.writer.publishFold({ ...fold, files: [], segments: [] }, changer.meta)
      })
    }
    expect(codeOf(publishing)).toBe('ZGQ_MISMATCH')
    expect(changer.reread().meta).toMatchObject({ commit: before.commit, digest: before.digest })
  })

  it.each([
    ['a file that is missing', ({ files }: Snapshot) => ({ files: files.slice(1) })],
    ['segments in another order', ({ segments }: Snapshot) => ({ segments: [...segments].reverse() })],
    ['files in another order', ({ files }: Snapshot) => ({ files: [...files].reverse() })],
    ['fewer zones than segments name', ({ centroids }: Snapshot) => ({ centroids: centroids.slice(DIM) })],
    ['half a centroid', ({ centroids }: Snapshot) => ({ centroids: centroids.slice(1) })],
    ['no codes of zones', () => ({ zoneCodes: new Uint8Array(0) })],
    ['a file of a later generation', ({ files }: Snapshot) => ({ files: files.map((file) => ({ ...file, generation: 9 })) })] // prettier-ignore
  ])('is refused with %s', (_, change) => {
    const changer = own(new Changer(copyOfBuilt()))
    expect(codeOf(() => publish(changer, change(changer.snapshot)))).toBe('ZGQ_MISMATCH')
    expect(changer.reread().meta.commit).toBe(0)
  })
})

describe('the calibration of an index that is folded', () => {
  const zonesOf = ({ calibration }: Snapshot): number[] =>
    calibration?.curves.flatMap(({ points }) => points.map(({ zones }) => zones)) ?? []

  it('says of zones only what is true of those that are there', () => {
    const changer = own(new Changer(copyOfBuilt()))
    const { segments, files, centroids, zoneCodes } = changer.snapshot
    const given = publish(changer, { calibration: CALIBRATION })
    expect(zonesOf(given)).toEqual([1, 10, 10])
    expect(publish(changer, {}).calibration).toEqual(given.calibration)
    const after = publish(changer, {
      zoneCount: 4,
      segments: [...segments].filter(({ zone }) => zone < 4),
      files: files.filter(({ kind }) => kind !== 'ids'),
      centroids: centroids.slice(0, 4 * DIM),
      zoneCodes
    })
    expect(zonesOf(after)).toEqual([1, 4, 4])
    expect({ ...after.calibration, curves: [] }).toEqual({ ...CALIBRATION, curves: [] })
  })

  it('is replaced, or removed', () => {
    const changer = own(new Changer(copyOfBuilt()))
    const curves = [{ k: 10, points: [{ recall: 0.9, threshold: 1, mean: 0.95, zones: 2.5 }] }]
    const calibration = { ...CALIBRATION, curves }
    publish(changer, { calibration: CALIBRATION })
    expect(publish(changer, { calibration }).calibration).toEqual(calibration)
    expect(publish(changer, {}).calibration).toEqual(calibration)
    expect(publish(changer, { calibration: null }).calibration).toBeNull()
    expect(publish(changer, {}).calibration).toBeNull()
  })

  it('goes with the last zone', () => {
    const changer = own(new Changer(copyOfBuilt()))
    publish(changer, { calibration: CALIBRATION })
    const none = { zoneCount: 0, segments: [], files: [], centroids: new Float32Array(0), zoneCodes: new Uint8Array(0) }
    const after = publish(changer, none)
    expect([after.calibration, after.meta.count, after.meta.zoneCount]).toEqual([null, 0, 0])
  })
})

describe('rows that are damaged', () => {
  const damaged = (sql: string): void => {
    const folder = copyOfBuilt()
    const changer = own(new Changer(folder))
    addDelta(folder, changer, [9001])
    publish(changer, { ...sameFold(readCatalogue(copyOfBuilt()), 0), generation: changer.meta.generation + 1 })
    changer.writer.reserve({ segments: 1, files: 1 })
    changer.writer.readFoldFiles()
    editCatalogue(folder, [sql])
    expect(codeOf(() => changer.writer.readFoldFiles())).toBe('ZGQ_CORRUPT')
  }

  it.each([
    'UPDATE reservations SET crc = crc + 1',
    'UPDATE reservations SET generation = generation + 1',
    "UPDATE reservations SET about = 'text'",
    'UPDATE reservations SET about = zeroblob(100000000)',
    'UPDATE superseded SET crc = crc + 1',
    'UPDATE superseded SET file = file + 1',
    'UPDATE superseded SET since = since + 1',
    "UPDATE superseded SET since = 'long ago'",
    'UPDATE superseded SET record = zeroblob(100000000)',
    "UPDATE superseded SET record = x'00'"
  ])('are ZGQ_CORRUPT: %s', (sql) => {
    damaged(sql)
  })
})

describe('the last vectors file of a fold', () => {
  it('lists the segments that it supersedes, and may have none of its own', () => {
    const folder = temp.fresh('files')
    mkdirSync(folder)
    const writer = new VectorsWriter({ folder, indexId: INDEX_ID, generation: 4, dim: DIM, metric: 'l2' })
    writer.finish([3, 2 ** 40, 7])
    expect(writer.files).toMatchObject([{ kind: 'vectors', generation: 4, shard: 0, segmentCount: 0, rowCount: 0 }])
    const path = join(folder, fileNameOf(writer.files[0]))
    const bytes = Uint8Array.from(readFileSync(path))
    const footer = decodeFooter(bytes.slice(-FOOTER.byteLength), 'vectors', { path, offset: 0 })
    expect(footer).toMatchObject({ segmentCount: 0, supersededCount: 3, directoryByteLength: 24 })
    const { directoryOffset, directoryByteLength } = footer
    const directory = bytes.subarray(directoryOffset, directoryOffset + directoryByteLength)
    expect([...decodeSuperseded(directory)]).toEqual([3, 2 ** 40, 7])
  })

  it('is not there where a fold has no segments and supersedes none', () => {
    const folder = temp.fresh('files')
    mkdirSync(folder)
    const writer = new VectorsWriter({ folder, indexId: INDEX_ID, generation: 4, dim: DIM, metric: 'l2' })
    writer.finish()
    expect(writer.files).toEqual([])
  })
})

alsoUnderNode24(FILES, { temp, least: LEAST_TESTS })
