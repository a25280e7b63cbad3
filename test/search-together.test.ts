// A batch of queries on one thread, segment after segment: the results are those of searches one by one, to the bit.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { openContext, type CheckedOpenOptions } from '../src/search/open-context.ts'
import { checkRequest, requestedIndex, type SearchRequest } from '../src/search/request.ts'
import { RowMasks } from '../src/search/row-masks.ts'
import type { SearchContext, SearchResult } from '../src/search/search-context.ts'
import { search } from '../src/search/search.ts'
import { FEWEST_TOGETHER, searchTogether } from '../src/search/search-together.ts'
import type { Metric, SearchOptions } from '../src/types.ts'
import { normal } from './support/datasets.ts'
import { codeOf } from './support/errors.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('together', IN_MEMORY)
const SEED = 220
const DIM = 24
const CLUSTERS = 150
const COUNT = 6000
const ZONES = 300
const QUERIES = 150
const OPEN: CheckedOpenOptions = { mapping: 'auto', cacheBytes: 2 ** 24, verify: 'touch' }
/** Holds the codes of some segments only. */
const SMALL_CACHE = 2 ** 15

function vectorsOf(count: number, seed: number, spread: number): Float32Array {
  const centres = randomFrom(SEED)
  const means = Float32Array.from({ length: CLUSTERS * DIM }, () => normal(centres))
  const random = randomFrom(seed)
  const vectors = new Float32Array(count * DIM)
  for (let row = 0; row < count; row++) {
    const at = Math.floor(random() * CLUSTERS) * DIM
    for (let i = 0; i < DIM; i++) vectors[row * DIM + i] = means[at + i] + spread * normal(random)
  }
  return vectors
}

/** Most are like the base, some are far from it. */
const queries = vectorsOf(QUERIES, SEED + 2, 0.5)
queries.set(vectorsOf(20, SEED + 3, 8), 40 * DIM)

interface Opened {
  readonly context: SearchContext
  readonly request: (options: SearchOptions) => SearchRequest
  close(): void
}

/** Opens an index so that codes are scanned, though its rows are so few that scanning them costs less. */
function open(path: string, options: Partial<CheckedOpenOptions> = {}): Opened {
  const snapshot = readCatalogue(path)
  const { context, readers } = openContext(snapshot, { ...OPEN, ...options })
  const index = requestedIndex(snapshot)
  return {
    context,
    request: (wanted) => checkRequest(wanted, index),
    close: () => {
      readers.close()
    }
  }
}

function searchOneByOne(context: SearchContext, of: Float32Array, request: SearchRequest): SearchResult[] {
  return Array.from({ length: of.length / DIM }, (_, i) =>
    search(context, of.subarray(i * DIM, (i + 1) * DIM), request)
  )
}

/** Both ways, each on an index that was just opened. */
function bothWays(path: string, wanted: SearchOptions, options: Partial<CheckedOpenOptions> = {}): void {
  const [one, together] = [open(path, options), open(path, options)]
  try {
    const expected = searchOneByOne(one.context, queries, one.request(wanted))
    for (const round of ['cold', 'warm'])
      expect(searchTogether(together.context, queries, together.request(wanted)), round).toEqual(expected)
    expect(together.context.states.inUse).toBe(0)
  } finally {
    one.close()
    together.close()
  }
}

const CASES = (['l2', 'cosine', 'ip'] satisfies Metric[]).flatMap((metric) =>
  [0, 1, 2, 4, 8].map((bits) => ({ metric, bits }))
)

describe.each(CASES)(`queries that are searched together ($metric, $bits bits, seed ${SEED})`, ({ metric, bits }) => {
  let path = ''
  beforeAll(async () => {
    path = temp.fresh('index')
    const input = vectorsOf(COUNT, SEED + 1, 0.5)
    await buildIndex({ input, dim: DIM, metric, bits, zones: ZONES, output: path })
  })

  it.each<SearchOptions>([
    {},
    { k: 1, recall: 0.9 },
    { k: 100, recall: 0.95 },
    { k: 10, nprobe: 40 },
    { k: 10, nprobe: 3 },
    { k: 5, nprobe: 30, rerank: 200 },
    { k: 1000, nprobe: 20 },
    { k: 0 },
    { k: 10, exact: true }
  ])('have the results of searches one by one (%o)', (wanted) => {
    bothWays(path, wanted)
  })

  it('have them where few codes fit into the cache, and where files are read', () => {
    bothWays(path, { nprobe: 30 }, { cacheBytes: SMALL_CACHE, mapping: 'pread' })
    bothWays(path, {}, { cacheBytes: SMALL_CACHE })
  })

  it('have them with masks', () => {
    const opened = open(path)
    try {
      const { memory, segments } = opened.context.workspace
      const random = randomFrom(SEED + 4)
      const masks = new RowMasks(memory)
      for (const segment of segments) {
        const density = random()
        if (density < 0.2) continue
        const words = Math.ceil(segment.rowCount / 32)
        masks.set(
          segment,
          Uint32Array.from({ length: words }, () => (density < 0.4 ? 0 : random() * 2 ** 32))
        )
      }
      const request = { ...opened.request({ k: 10, nprobe: 40 }), masks }
      const expected = searchOneByOne(opened.context, queries, request)
      expect(searchTogether(opened.context, queries, request)).toEqual(expected)
    } finally {
      opened.close()
    }
  })
})

describe(`a batch (seed ${SEED})`, () => {
  let path = ''
  beforeAll(async () => {
    path = temp.fresh('batch')
    await buildIndex({ input: vectorsOf(COUNT, SEED + 1, 0.5), dim: DIM, zones: ZONES, output: path })
  })

  it('may have any number of queries', () => {
    const { context, request, close } = open(path)
    try {
      for (const count of [0, 1, FEWEST_TOGETHER - 1, FEWEST_TOGETHER, FEWEST_TOGETHER + 1]) {
        const some = queries.subarray(0, count * DIM)
        expect(searchTogether(context, some, request({}))).toEqual(searchOneByOne(context, some, request({})))
      }
    } finally {
      close()
    }
  })

  it('has each segment scanned once for all queries that chose it', () => {
    const { context, request, close } = open(path)
    try {
      const scanTogether = vi.spyOn(context.workspace.memory.kernel, 'scanTogether')
      searchTogether(context, queries, request({ nprobe: 40 }))
      const slots = scanTogether.mock.calls.map(([, slot]) => slot)
      expect(slots.length).toBeGreaterThan(ZONES / 3)
      expect(new Set(slots).size).toBe(slots.length)
      const pairs = scanTogether.mock.calls.reduce((sum, [, , , count]) => sum + count, 0)
      expect(pairs).toBeGreaterThan(QUERIES * 30)
    } finally {
      close()
    }
  })

  it('has the same results where there is no room for what a segment would record', () => {
    const { context, request, close } = open(path)
    try {
      const expected = searchOneByOne(context, queries, request({ nprobe: 40 }))
      const { kernel } = context.workspace.memory
      const scan = kernel.scanTogether
      vi.spyOn(kernel, 'scanTogether').mockImplementation((of, slot, pairs, count) =>
        slot % 50 === 0 ? 0 : scan(of, slot, pairs, count)
      )
      expect(searchTogether(context, queries, request({ nprobe: 40 }))).toEqual(expected)
    } finally {
      close()
    }
  })

  it('explains each search where that was asked for', () => {
    const { context, request, close } = open(path)
    try {
      const [found] = searchTogether(context, queries, request({ explain: true }))
      expect(found.explain?.zones.length).toBeGreaterThan(0)
    } finally {
      close()
    }
  })

  it('gives back all memory that it took, batch after batch', () => {
    const { context, request, close } = open(path)
    try {
      const { memory } = context.workspace
      for (const wanted of [{}, { k: 100, nprobe: 50 }]) {
        searchTogether(context, queries, request(wanted))
        const used = memory.usedByteLength
        for (let i = 0; i < 3; i++) searchTogether(context, queries, request(wanted))
        expect(memory.usedByteLength).toBe(used)
      }
    } finally {
      close()
    }
  })

  it('throws what a search throws where a file is damaged, and searches on when it is whole', async () => {
    const damaged = temp.fresh('damaged')
    await buildIndex({ input: vectorsOf(COUNT, SEED + 1, 0.5), dim: DIM, zones: ZONES, output: damaged })
    const { context, request, close } = open(damaged, { mapping: 'pread' })
    try {
      const file = join(damaged, readdirSync(damaged).find((name) => name.startsWith('codes-')) ?? '')
      const bytes = readFileSync(file)
      writeFileSync(
        file,
        bytes.map((byte, i) => (i < 8192 ? byte : byte ^ 0xff))
      )
      expect(codeOf(() => searchTogether(context, queries, request({ nprobe: 30 })))).toBe('ZGQ_CORRUPT')
      expect(context.states.inUse).toBe(0)
      writeFileSync(file, bytes)
      const expected = searchOneByOne(context, queries, request({ nprobe: 30 }))
      expect(searchTogether(context, queries, request({ nprobe: 30 }))).toEqual(expected)
    } finally {
      close()
    }
  })
})
