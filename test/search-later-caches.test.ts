// Searches that wait, and caches: how many rounds they take where these are small, that rows are read once, and how
// much memory that takes.

import { mkdirSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'

import { makeIds, makeVectors } from './support/datasets.ts'
import { essence, LaterIndex, type Asked, type LaterOptions } from './support/later-index.ts'
import { CAN_MAP } from './support/mappings.ts'
import { randomFrom } from './support/random.ts'
import { SegmentIndex } from './support/segment-index.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('later-caches', IN_MEMORY)
const SEED = 1030
const SHAPE = { count: 3000, dim: 32 }
const { count: COUNT, dim: DIM } = SHAPE
const ZONES = 50
const METRIC = 'l2'
const rows = makeVectors('clustered', SHAPE, SEED)
const CODED: Asked = { rerank: 20, nprobe: 6 }
let folder = ''

beforeAll(() => {
  folder = temp.fresh('index')
  mkdirSync(folder)
  const centroids = rows.slice(0, ZONES * DIM).map((x) => x + 0.01)
  const index = new SegmentIndex(folder, { dim: DIM, metric: METRIC, bits: 4, centroids }, randomFrom(SEED))
  const ids = makeIds(COUNT, SEED)
  const perZone = COUNT / ZONES
  // Two segments a zone.
  const planned = Array.from({ length: ZONES * 2 }, (_, i) => {
    const [from, to] = [(i * perZone) / 2, ((i + 1) * perZone) / 2]
    return { zone: i >>> 1, ids: ids.slice(from, to), rows: rows.slice(from * DIM, to * DIM) }
  })
  index.add(planned)
  index.publish()
})

const open = (options: Partial<LaterOptions> = {}): LaterIndex => new LaterIndex(folder, { seed: SEED, ...options })

function queriesFrom(random: () => number, count: number): Float32Array[] {
  return Array.from({ length: count }, () => {
    const at = Math.floor(random() * COUNT)
    return rows.slice(at * DIM, (at + 1) * DIM).map((x) => x + random())
  })
}

describe('a search that waits, with a small cache', () => {
  // Codes of a probe take 32 KB, all of them 270 KB, all rows 400 KB.
  const CACHES = [0, 10_000, 40_000, 100_000, 200_000, 400_000]

  it.each(CACHES.flatMap((cacheBytes) => [1, 10, 100].map((inFlight) => ({ cacheBytes, inFlight }))))(
    'takes two rounds for codes at most ($cacheBytes bytes, $inFlight at a time)',
    async ({ cacheBytes, inFlight }) => {
      const random = randomFrom(SEED + 1)
      using index = open({ cacheBytes })
      using other = open()
      for (let batch = 0; batch < 200; batch += inFlight) {
        const all = queriesFrom(random, inFlight).map(async (query) => {
          const result = await index.later(query, CODED)
          expect(essence(result)).toBe(essence(other.search(query, CODED)))
          expect(result.explain?.ioRounds).toBeLessThanOrEqual(2)
        })
        await Promise.all(all)
      }
      expect(index.context.states.inUse).toBe(0)
    }
  )

  it.each(CACHES)('takes one round for all rows, cold and later (%d bytes)', async (cacheBytes) => {
    const random = randomFrom(SEED + 2)
    using index = open({ cacheBytes })
    for (const query of queriesFrom(random, 10))
      expect((await index.later(query, { exact: true })).explain?.ioRounds).toBeLessThanOrEqual(1)
  })

  it('stays within its cache and what searches need, however many it answers', async () => {
    const random = randomFrom(SEED + 3)
    const used = async (cacheBytes: number): Promise<number> => {
      using index = open({ cacheBytes })
      for (let batch = 0; batch < 10; batch++) {
        const [last, ...queries] = queriesFrom(random, 21)
        await Promise.all(queries.map(async (query) => index.later(query, CODED)))
        await index.later(last, { exact: true })
      }
      return index.memory.usedByteLength
    }
    const without = await used(0)
    for (const cacheBytes of [100_000, 300_000, 600_000])
      // What fits into frames and slots of fixed sizes aside.
      expect((await used(cacheBytes)) - without).toBeLessThanOrEqual(cacheBytes + 4096)
  })
})

describe('rows that were reranked', () => {
  it.each(['touch', 'none'] as const)('are read once (verify: %s)', async (verify) => {
    using index = open({ verify })
    const random = randomFrom(SEED + 4)
    for (const query of queriesFrom(random, 20)) {
      const first = await index.later(query, CODED)
      const { bytesRead } = index.reader
      const again = index.later(query, CODED)
      expect(again).not.toBeInstanceOf(Promise)
      expect(essence(await again)).toBe(essence(first))
      expect((await again).explain).toMatchObject({ bytesRead: 0, ioRounds: 0 })
      expect(index.reader.bytesRead).toBe(bytesRead)
      expect(essence(index.search(query, CODED))).toBe(essence(first))
    }
  })

  it('are read again where the cache has no room for them, and are the same', async () => {
    using index = open({ cacheBytes: 0 })
    const [query] = queriesFrom(randomFrom(SEED + 5), 1)
    const first = await index.later(query, CODED)
    const again = index.later(query, CODED)
    expect(again).toBeInstanceOf(Promise)
    expect(essence(await again)).toBe(essence(first))
  })

  it.skipIf(!CAN_MAP)('come from mappings where files are mapped, in two rounds too', async () => {
    for (const cacheBytes of [0, 40_000, 2 ** 24]) {
      using index = open({ mapping: 'mmap', cacheBytes })
      using other = open()
      for (const query of queriesFrom(randomFrom(SEED + 6), 60)) {
        const result = await index.later(query, CODED)
        expect(essence(result)).toBe(essence(other.search(query, CODED)))
        expect(result.explain?.ioRounds, `${cacheBytes} bytes`).toBeLessThanOrEqual(2)
      }
    }
  })
})

it('a search that waits counts its own reads only', async () => {
  const [query, ...others] = queriesFrom(randomFrom(SEED + 7), 10)
  const readIds = (index: LaterIndex): void => {
    index.reading(() => index.context.files.readIdWords(index.context.workspace.segments.at(0)))
  }
  for (const asked of [CODED, { exact: true }]) {
    using alone = open({ cacheBytes: 0 })
    readIds(alone)
    const expected = (await alone.later(query, asked)).explain?.bytesRead
    using index = open({ cacheBytes: 0 })
    readIds(index)
    const searching = index.later(query, asked)
    for (let turn = 0; turn < 10; turn++) {
      readIds(index)
      index.search(others[turn % others.length], { k: 0 })
      await setImmediate()
    }
    expect((await searching).explain?.bytesRead).toBe(expected)
  }
})
