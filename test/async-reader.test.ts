// The asynchronous reader of data files: what it reads, how it fails, and which files it keeps open.

import { renameSync, truncateSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'

import { Fetcher } from '../src/search/fetcher.ts'
import { searchLater } from '../src/search/search-later.ts'
import { openAsyncReader } from '../src/storage/open-async-reader.ts'
import { openPreadReader, type PreadReader } from '../src/storage/pread-reader.ts'
import type { DataFiles } from '../src/storage/reader.ts'
import { makeIds, makeVectors } from './support/datasets.ts'
import { essence, LaterIndex } from './support/later-index.ts'
import { randomFrom } from './support/random.ts'
import { makeFile, numbered, openDescriptors } from './support/reader-contract.ts'
import { writeSegmentedIndex } from './support/segmented-index.ts'
import { errorFrom, rejection } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('async-reader')
const SEED = 1050
const isLinux = process.platform === 'linux'

/** Closed after each test. */
const opened: { readonly fresh: PreadReader }[] = []
afterEach(() => {
  for (const { fresh } of opened.splice(0)) fresh.close()
})

function readersOf(files: DataFiles): { fresh: PreadReader; files: DataFiles } {
  const fresh = openPreadReader(files)
  const readers = { fresh, files }
  opened.push(readers)
  return readers
}

describe('an asynchronous reader', () => {
  it(`reads ranges of many files at a time, with few of them open, and closes them (seed ${SEED})`, async () => {
    const random = randomFrom(SEED)
    const files = Array.from({ length: 100 }, () => makeFile(temp, 5000))
    const reader = openAsyncReader(readersOf(numbered(...files)))
    const ranges = Array.from({ length: 300 }, () => {
      const offset = Math.floor(random() * 5000)
      return { file: Math.floor(random() * 100), offset, byteLength: Math.floor(random() * (5001 - offset)) }
    })
    for (let round = 0; round < 3; round++) {
      const parts = await Promise.all([ranges, [...ranges].reverse()].map((some) => reader.readAsync(some, undefined)))
      parts[1].reverse()
      for (const part of parts) {
        part.forEach((bytes, i) => {
          const { file, offset, byteLength } = ranges[i]
          expect(Buffer.compare(bytes, files[file].content.subarray(offset, offset + byteLength))).toBe(0)
        })
      }
      if (isLinux) expect(openDescriptors(temp).length).toBeLessThanOrEqual(64)
    }
    reader.close()
    reader.close()
    for (const { fresh } of opened) fresh.close()
    if (isLinux) expect(openDescriptors(temp)).toEqual([])
  })

  it('rejects with the code of what is wrong, and reads on', async () => {
    const [good, short] = [1, 2].map(() => makeFile(temp, 3000))
    const files: DataFiles = numbered(good, short)
    const reader = openAsyncReader(readersOf(files))
    const codeOf = async (file: number): Promise<string> =>
      (
        await errorFrom(
          reader.readAsync(
            [
              { file: 0, offset: 0, byteLength: 10 },
              { file, offset: 1000, byteLength: 2000 }
            ],
            undefined
          )
        )
      ).code
    await reader.readAsync([{ file: 1, offset: 0, byteLength: 3000 }], undefined)
    truncateSync(short.path, 2500)
    expect(await codeOf(1)).toBe('ZGQ_TRUNCATED')
    const [bytes] = await reader.readAsync([{ file: 0, offset: 7, byteLength: 20 }], undefined)
    expect([...bytes]).toEqual([...good.content.subarray(7, 27)])
    reader.close()
    expect(await codeOf(0)).toBe('ZGQ_CLOSED')
  })

  it('goes on with the file that it opened when another comes into its place', async () => {
    const file = makeFile(temp, 3000)
    const reader = openAsyncReader(readersOf(numbered(file)))
    await reader.readAsync([{ file: 0, offset: 0, byteLength: 1 }], undefined)
    const other = temp.fresh('other')
    writeFileSync(other, Buffer.alloc(3000))
    renameSync(other, file.path)
    const [bytes] = await reader.readAsync([{ file: 0, offset: 0, byteLength: 3000 }], undefined)
    expect(Buffer.compare(bytes, file.content)).toBe(0)
    reader.close()
  })

  it('rejects who waits at once, with the reason of the signal or ZGQ_CLOSED, and closes files once they are read', async () => {
    const file = makeFile(temp, 2 ** 20)
    const reader = openAsyncReader(readersOf(numbered(file)))
    const ranges = [{ file: 0, offset: 0, byteLength: 2 ** 20 }]
    const controller = new AbortController()
    const aborted = rejection(reader.readAsync(ranges, controller.signal))
    const closed = errorFrom(reader.readAsync(ranges, undefined))
    const both = errorFrom(reader.readAsync(ranges, new AbortController().signal))
    let ended = 0
    for (const some of [aborted, closed, both]) void some.then(() => ended++)
    controller.abort('enough')
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    expect(ended).toBe(1)
    reader.close()
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    expect(ended).toBe(3)
    expect([await aborted, (await closed).code, (await both).code]).toEqual(['enough', 'ZGQ_CLOSED', 'ZGQ_CLOSED'])
    for (const { fresh } of opened) fresh.close() // under reads that are under way
    while (isLinux && openDescriptors(temp).includes(file.path)) await new Promise(setImmediate)
    expect(await rejection(reader.readAsync(ranges, AbortSignal.abort('before')))).toMatchObject({ code: 'ZGQ_CLOSED' })
  })

  it(`serves hundreds of searches at a time (seed ${SEED + 1})`, async () => {
    const shape = { count: 1000, dim: 40 }
    const vectors = makeVectors('clustered', shape, SEED)
    const ids = Float64Array.from(makeIds(shape.count, SEED))
    const folder = temp.fresh('index')
    writeSegmentedIndex({ folder, dim: 40, metric: 'l2', bits: 4, vectors, ids, zones: 20, seed: SEED })
    using index = new LaterIndex(folder, { seed: SEED, cacheBytes: 50_000 })
    using other = new LaterIndex(folder, { seed: SEED })
    const fetcher = new Fetcher(openAsyncReader(index.opened.readers))
    const searches = Array.from({ length: 300 }, async (_, i) => {
      const query = vectors.slice(i * 40, (i + 1) * 40).map((x) => x + 0.1)
      const asked = i % 3 === 0 ? { exact: true } : { nprobe: 4, rerank: 20 }
      const result = await searchLater({ index, fetcher, turns: index.turns }, { query, request: index.request(asked) })
      expect(essence(result)).toBe(essence(other.search(query, asked)))
    })
    await Promise.all(searches)
    expect(index.context.states.inUse).toBe(0)
    fetcher.close()
  })
})
