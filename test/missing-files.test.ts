// Readers that come late: a file that they have not opened yet went with a fold. They go on with what there is now. And
// files that nobody gave up: removed by hand, they are damage.

import { readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { calibrateIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { isMissingFile, ZgqError } from '../src/errors.ts'
import { OpenIndex } from '../src/search/open-index.ts'
import { searchIndex } from '../src/search/search-index.ts'
import { SeenQueries } from '../src/search/seen-queries.ts'
import { receivedError, sendableError } from '../src/threads/thread-error.ts'
import type { Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { errorOf } from './support/errors.ts'
import { foldByHand } from './support/hand-fold.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('missing-files', IN_MEMORY)
const SEED = 1530
const DIM = 8
/** More files than a reader keeps open: it opens the last of them when it reads them. */
const FILES = 70
const OPEN = { mapping: 'pread', cacheBytes: 2 ** 24, verify: 'touch' } as const

let folder = ''
let writer: ZgqIndex
let vectors: Float32Array
const ids = Array.from({ length: FILES }, (_, i) => i)
const vectorOf = (id: number): Float32Array => vectors.slice(id * DIM, (id + 1) * DIM)

beforeEach(async () => {
  const random = randomFrom(SEED)
  folder = temp.fresh('index')
  vectors = Float32Array.from({ length: FILES * DIM }, () => random() * 2 - 1)
  writer = await ZgqIndex.create(folder, { dim: DIM, fields: { even: 'boolean' } })
  for (const id of ids)
    addDelta(folder, rowsOf({ ids: [id], vectors: vectorOf(id), payloads: [{ even: id % 2 === 0 }] }))
})
afterEach(() => {
  writer.close()
})

/** Makes one file of all. */
function fold(): void {
  foldByHand(folder, () => false).removeFiles()
}

const idsOf = (hits: readonly { readonly id: Id }[]): Id[] => hits.map(({ id }) => id)

function nearest(query: Float32Array, isWanted: (id: number) => boolean = () => true): number[] {
  const distanceTo = (id: number): number => vectorOf(id).reduce((sum, value, i) => sum + (value - query[i]) ** 2, 0)
  return ids
    .filter(isWanted)
    .sort((a, b) => distanceTo(a) - distanceTo(b))
    .slice(0, 10)
}

describe('a file that went with a fold while a call was about to read it', () => {
  it('has the call done once more, on the rows where they are now', () => {
    const index = OpenIndex.open(folder, OPEN)
    let calls = 0
    const found = index.read(() => {
      if (calls++ === 0) fold()
      return searchIndex(index, { query: vectorOf(FILES - 1), options: { exact: true }, seen: new SeenQueries() })
    })
    expect(calls).toBe(2)
    expect(idsOf(Array.isArray(found) ? found : found.hits)).toEqual(nearest(vectorOf(FILES - 1)))
    index.close()
  })

  it('has asynchronous searches done once more', async () => {
    using index = ZgqIndex.open(folder, OPEN)
    const queries = ids.slice(0, 5).map(vectorOf)
    const one = queries.map(async (query) => await index.searchAsync(query, { exact: true }))
    const byId = index.searchAsync({ id: FILES - 1 }, { exact: true })
    const filtered = index.searchAsync(queries[0], { exact: true, filter: { even: true } })
    const batch = Float32Array.from(queries.flatMap((query) => [...query]))
    const many = index.searchBatch(batch, { exact: true, payload: true })
    batch.fill(0) // the caller's own again
    fold()
    const expected = queries.map((query) => nearest(query))
    expect((await Promise.all(one)).map(idsOf)).toEqual(expected)
    expect((await many).map(idsOf)).toEqual(expected)
    expect(idsOf(await byId)).toEqual(nearest(vectorOf(FILES - 1), (id) => id !== FILES - 1))
    expect(idsOf(await filtered)).toEqual(nearest(queries[0], (id) => id % 2 === 0))
  })

  it('has an iterator begin anew, unless it has given rows away', () => {
    const index = ZgqIndex.open(folder, OPEN)
    const [documents, begun, evens] = [index.documents(), index.documents(), index.ids({ even: true })]
    expect(begun.next().value).toMatchObject({ id: 0 })
    for (const id of ids.slice(64)) index.get(id) // whose files take the places of the first
    fold()
    expect(Array.from(evens)).toEqual(ids.filter((id) => id % 2 === 0))
    expect(Array.from(documents, ({ id }) => id)).toEqual(ids)
    expect(errorOf(() => Array.from(begun)).code).toBe('ZGQ_MISMATCH')
    index.close()
  })

  it('is told across threads', () => {
    unlinkSync(
      join(
        folder,
        readdirSync(folder)
          .filter((name) => name.startsWith('delta'))
          .at(-1) ?? ''
      )
    )
    const error = errorOf(() => ZgqIndex.open(folder, OPEN))
    expect(isMissingFile(receivedError(structuredClone(sendableError(error))))).toBe(true)
    expect(isMissingFile(new ZgqError('ZGQ_CORRUPT', 'something else'))).toBe(false)
  })
})

describe('a file that was removed by hand', () => {
  it('is damage that names it, and offers repair, wherever it is missed', async () => {
    using index = ZgqIndex.open(folder, OPEN)
    const name =
      readdirSync(folder)
        .filter((entry) => entry.startsWith('delta'))
        .at(-1) ?? ''
    unlinkSync(join(folder, name))
    const errors: unknown[] = [
      errorOf(() => ZgqIndex.open(folder)),
      errorOf(() => index.search(vectorOf(0), { exact: true })),
      errorOf(() => index.get(FILES - 1)),
      errorOf(() => index.count({ even: true })),
      errorOf(() => [...index.ids()]),
      await index.searchAsync(vectorOf(0), { exact: true }).catch((error: unknown) => error),
      await index.searchBatch(vectorOf(0), { exact: true }).catch((error: unknown) => error),
      await checkIndex(folder).catch((error: unknown) => error),
      await calibrateIndex(folder).catch((error: unknown) => error)
    ]
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'ZGQ_CORRUPT', path: join(folder, name) })
      expect(String(error)).toMatch(/is missing.*zgq repair/)
    }
  })
})
