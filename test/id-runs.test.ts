// Runs of ids: sorted while shards are written, merged into one file, whatever is cut where.

import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { IdRunWriter } from '../src/build/id-run.ts'
import type { IdsOfRows } from '../src/format/id-column.ts'
import { joinIdRuns, type IdRunsFile } from '../src/build/join-id-runs.ts'
import { hashInteger, hashText, idHash } from '../src/format/id-hash.ts'
import { decodeHeader } from '../src/format/header.ts'
import type { GenerationFacts } from '../src/storage/data-file-writer.ts'
import { errorOf } from './support/errors.ts'
import { compareEntries, encodeIdsFile, INDEX_ID, type IdEntry } from './support/id-pages.ts'
import { randomFrom } from './support/random.ts'
import { useTempFolder } from './support/temp-folder.ts'

const SEED = 530
const NAME = 'ids-000001-00000.zgq'
const temp = useTempFolder('id-runs')

interface IdsOfSegment {
  readonly segment: number
  readonly ids: IdsOfRows
}

function entriesOf(segments: readonly IdsOfSegment[]): IdEntry[] {
  const hash = idHash()
  const entries: IdEntry[] = []
  for (const { segment, ids } of segments) {
    for (const [row, id] of ids.entries()) {
      if (typeof id === 'number') hashInteger(id, hash)
      else hashText(id, hash)
      entries.push({ low: hash[0], high: hash[1], segment, row })
    }
  }
  return entries.sort(compareEntries)
}

function freshFolder(): string {
  const folder = temp.fresh('folder')
  mkdirSync(folder)
  return folder
}

function writeRuns(segments: readonly IdsOfSegment[], runEntries?: number): IdRunsFile {
  const folder = freshFolder()
  const writer = new IdRunWriter(folder, runEntries)
  for (const { segment, ids } of segments) writer.collect(segment, ids)
  return { ...writer.finish(false), path: join(folder, 'ids.run') }
}

const factsIn = (folder: string): GenerationFacts => ({
  folder,
  indexId: INDEX_ID,
  generation: 1,
  dim: 4,
  metric: 'l2'
})

async function joined(files: readonly IdRunsFile[]): Promise<Buffer> {
  const folder = freshFolder()
  await joinIdRuns(files, factsIn(folder))
  return readFileSync(join(folder, NAME))
}

/** Segments with integer ids in no order. */
function integers(rowCounts: readonly number[]): IdsOfSegment[] {
  const random = randomFrom(SEED)
  const used = new Set<number>()
  const next = (): number => {
    const id = Math.floor(random() * 2 ** Math.ceil(1 + random() * 52))
    if (used.has(id)) return next()
    used.add(id)
    return id
  }
  return rowCounts.map((rows, i) => ({ segment: i * 3, ids: Float64Array.from({ length: rows }, next) }))
}

describe(`runs of ids (seed ${SEED})`, () => {
  it.each([1, 2, 255, 256, 1000, 70_000])('of %d rows give the file of their entries in order', async (rows) => {
    const third = Math.floor(rows / 3)
    const segments = integers([third, third, rows - 2 * third].filter((count) => count > 0))
    expect(await joined([writeRuns(segments)])).toEqual(Buffer.from(encodeIdsFile(entriesOf(segments))))
  })

  it('give the same bytes however they are cut into runs and files', async () => {
    const segments = integers([700, 1, 2000, 299, 64, 1500])
    const expected = Buffer.from(encodeIdsFile(entriesOf(segments)))
    for (const runEntries of [1, 7, 64, 2000, 5000])
      expect(await joined([writeRuns(segments, runEntries)])).toEqual(expected)
    const files = [segments.slice(0, 2), segments.slice(2, 3), segments.slice(3)].map((part) => writeRuns(part, 100))
    expect(await joined(files)).toEqual(expected)
    expect(await joined(files.toReversed())).toEqual(expected)
    expect(await joined([files[1], writeRuns([]), files[0], files[2]])).toEqual(expected)
  })

  it('are of texts, too', async () => {
    const segments = [4, 9].map((segment) => ({
      segment,
      ids: Array.from({ length: 900 }, (_, i) =>
        Buffer.from(`folder-${segment}/file-${i}.md#${'\u00e9'.repeat(i % 5)}`)
      )
    }))
    expect(await joined([writeRuns(segments, 256)])).toEqual(Buffer.from(encodeIdsFile(entriesOf(segments))))
  })

  it('may have equal hashes, by the thousand: their segments and rows come in order', async () => {
    // No two ids of an index are equal; their hashes may be.
    const ids = Float64Array.from({ length: 600 }, (_, row) => row % 2)
    const segments = [1, 2, 3].map((segment) => ({ segment, ids }))
    const expected = Buffer.from(encodeIdsFile(entriesOf(segments)))
    expect(await joined([writeRuns(segments)])).toEqual(expected)
    expect(await joined(segments.map((segment) => writeRuns([segment], 50)))).toEqual(expected)
  })

  it('sort equal high words by the low ones', async () => {
    // "Hello, world!" among texts whose high words are equal by chance: found by trying.
    const texts = equalHighWords()
    const segments = [{ segment: 0, ids: texts.map((text) => Buffer.from(text)) }]
    const [first, second] = entriesOf(segments)
    expect([first.high === second.high, first.low < second.low]).toEqual([true, true])
    for (const ids of [segments[0].ids, segments[0].ids.toReversed()])
      expect(await joined([writeRuns([{ segment: 0, ids }])])).toEqual(
        Buffer.from(encodeIdsFile(entriesOf([{ segment: 0, ids }])))
      )
  })

  it('make no file without rows', async () => {
    const folder = freshFolder()
    const empty = writeRuns([])
    expect(empty.rowCount).toBe(0)
    expect(await joinIdRuns([empty], factsIn(folder))).toBeUndefined()
    expect(await joinIdRuns([], factsIn(folder))).toBeUndefined()
    expect(() => readFileSync(join(folder, NAME))).toThrow('ENOENT')
    expect(() => readFileSync(empty.path)).toThrow('ENOENT')
  })

  it('are joined anew over what a build that died left, with the same record', async () => {
    const files = [writeRuns(integers([3000]), 500)]
    const folder = freshFolder()
    const record = await joinIdRuns(files, factsIn(folder))
    const bytes = readFileSync(join(folder, NAME))
    truncateSync(join(folder, NAME), 9000)
    expect(await joinIdRuns(files, factsIn(folder))).toEqual(record)
    expect(readFileSync(join(folder, NAME))).toEqual(bytes)
    writeFileSync(join(folder, NAME), 'something else')
    expect(await joinIdRuns(files, factsIn(folder))).toEqual(record)
    expect(readFileSync(join(folder, NAME))).toEqual(bytes)
    const header = decodeHeader(bytes.subarray(0, 4096), 'ids', NAME)
    expect(header).toMatchObject({ segmentCount: 0, rowCount: 3000, shard: 0, generation: 1 })
    expect(record).toEqual({
      file: 0,
      kind: 'ids',
      generation: 1,
      shard: 0,
      byteLength: bytes.byteLength,
      headerCrc: header.crc,
      segmentCount: 0,
      rowCount: 3000
    })
  })

  it('tell of all rows while they are joined, and end where the caller throws', async () => {
    const files = [writeRuns(integers([6000]), 1000)]
    let told = 0
    await joinIdRuns(files, factsIn(freshFolder()), async (rows) => {
      told += rows
      await Promise.resolve()
    })
    expect(told).toBe(6000)
    await expect(joinIdRuns(files, factsIn(freshFolder()), () => Promise.reject(new Error('stop')))).rejects.toThrow(
      'stop'
    )
  })

  it('that are cut short or gone are named', async () => {
    const short = writeRuns(integers([300]))
    truncateSync(short.path, 300 * 16 - 1)
    await expect(joined([short])).rejects.toMatchObject({ code: 'ZGQ_TRUNCATED', path: short.path })
    const gone = { ...short, path: `${short.path}.gone` }
    await expect(joined([gone])).rejects.toMatchObject({ code: 'ZGQ_NOT_FOUND', path: gone.path })
  })

  it('are refused where segments do not ascend, or are beyond 32 bits', () => {
    const writer = new IdRunWriter(freshFolder())
    writer.collect(5, Float64Array.of(1))
    for (const segment of [5, 4, 2 ** 32, NaN])
      expect(() => {
        writer.collect(segment, Float64Array.of(2))
      }).toThrow(RangeError)
    writer.close()
  })

  it('are not written over', () => {
    const { path } = writeRuns(integers([3]))
    const again = new IdRunWriter(join(path, '..'))
    again.collect(0, Float64Array.of(1))
    expect(errorOf(() => again.finish(false)).path).toBe(path)
    again.close()
  })
})

/** Two texts whose hashes have the same high word and different low ones. */
function equalHighWords(): string[] {
  const seen = new Map<number, string>()
  const hash = idHash()
  for (let i = 0; ; i++) {
    const text = `text ${i}`
    hashText(Buffer.from(text), hash)
    const before = seen.get(hash[1])
    if (before !== undefined) return [before, text]
    seen.set(hash[1], text)
  }
}
