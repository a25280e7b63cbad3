// The cache of codes in kernel memory: what it hands out, what it forgets, and that its size changes no result.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import type { Segment } from '../src/format/segment-table.ts'
import type { KernelMemory } from '../src/kernels/kernel-memory.ts'
import { SEGMENT_ENTRY_BYTES } from '../src/kernels/layouts.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import type { Snapshot } from '../src/catalogue/snapshot.ts'
import { CodesCache } from '../src/cache/codes-cache.ts'
import { findDataFiles } from '../src/storage/data-files.ts'
import { openReaders, type Readers } from '../src/storage/open-readers.ts'
import { SegmentFiles } from '../src/storage/segment-files.ts'
import type { ExplainedHits, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeIds, makeVectors } from './support/datasets.ts'
import { codeOf } from './support/errors.ts'
import { memoryOf } from './support/kernels.ts'
import { MAPPINGS } from './support/mappings.ts'
import { randomFrom } from './support/random.ts'
import { segmentsOf } from './support/snapshot.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('codes-cache', IN_MEMORY)
const SEED = 95
const DIM = 40
const COUNT = 3000
const PLENTY = 2 ** 30
const rows = makeVectors('power-law clusters', { count: COUNT, dim: DIM }, SEED)
const queries = makeVectors('power-law clusters', { count: 8, dim: DIM }, SEED + 1)
const ids = makeIds(COUNT, SEED)
const CASES = (['l2', 'cosine', 'ip'] as const satisfies readonly Metric[]).flatMap((metric) =>
  [1, 2, 4].map((bits) => ({ metric, bits }))
)
const paths = new Map<string, string>()
const pathOf = ({ metric, bits }: { metric: Metric; bits: number }): string => paths.get(`${metric} ${bits}`) ?? ''

beforeAll(async () => {
  for (const { metric, bits } of CASES) {
    const output = temp.fresh(metric)
    paths.set(`${metric} ${bits}`, output)
    await buildIndex({ input: rows, dim: DIM, ids, metric, bits, output, zones: 40 })
  }
})

interface Cached {
  readonly snapshot: Snapshot
  readonly contents: ReadonlyMap<number, Uint8Array>
  readonly memory: KernelMemory
  readonly cache: CodesCache
}

const opened: Readers[] = []
afterAll(() => {
  for (const readers of opened) readers.close()
})

function openCache(folder: string, cacheBytes: number): Cached {
  const snapshot = readCatalogue(folder)
  const files = findDataFiles(snapshot)
  const readers = openReaders(folder, files, 'pread')
  opened.push(readers)
  const memory = memoryOf('wasm')
  const segmentFiles = new SegmentFiles(snapshot.meta, readers, { verify: 'touch', files, usesOrdinals: false })
  return {
    snapshot,
    contents: new Map(Array.from(files, ([file, { path }]) => [file, readFileSync(path)])),
    memory,
    cache: new CodesCache(snapshot, segmentFiles, { memory, cacheBytes })
  }
}

function codesBytes(snapshot: Snapshot): number {
  return segmentsOf(snapshot).reduce((sum, { codes }) => sum + codes.byteLength, 0)
}

/** Tells whether what lies where the table says is the segment's codes, from its ids on, as the file has them. */
function isSound({ memory, cache, contents }: Cached, segment: Segment): boolean {
  const [planes, refined, idsAt, , rowCount] = memory.uint32At(cache.table + segment.slot * SEGMENT_ENTRY_BYTES, 5)
  const { file, offset, byteLength } = segment.codes
  const extent = contents.get(file)?.subarray(offset, offset + byteLength) ?? new Uint8Array(0)
  const view = new DataView(extent.buffer, extent.byteOffset)
  /** Offset of the column in entry `i` of the extent (spec, section 4). */
  const offsetOf = (i: number): number => view.getUint32(24 + i * 32 + 8, true)
  const start = idsAt - offsetOf(0)
  return (
    idsAt === cache.idsOf(segment) &&
    planes - start === offsetOf(2) &&
    (refined === 0 || refined - start === offsetOf(3)) &&
    rowCount === segment.rowCount &&
    Buffer.compare(memory.bytesAt(start, byteLength), extent) === 0
  )
}

describe.each(CASES)('a cache of codes under $metric with $bits bits', (some) => {
  it(`holds the codes of what it says that it holds, whatever was loaded before (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    const { snapshot } = openCache(pathOf(some), PLENTY)
    for (const share of [0, 0.01, 0.2, 0.5, 0.9, 1]) {
      const cached = openCache(pathOf(some), Math.floor(codesBytes(snapshot) * share))
      for (let i = 0; i < 200; i++) {
        const zone = cached.snapshot.segments.at(Math.floor(random() * cached.snapshot.segments.count))
        if (random() < 0.5) cached.cache.touch(zone)
        cached.cache.load(zone)
        expect(cached.cache.holds(zone)).toBe(true)
        const wrong = segmentsOf(cached.snapshot).filter((other) =>
          cached.cache.holds(other) ? !isSound(cached, other) : cached.cache.idsOf(other) !== 0
        )
        expect(
          wrong.map((other) => other.zone),
          `share ${share}, load ${i}`
        ).toEqual([])
      }
    }
  })

  it('holds all zones where there is room for all, and one at least where there is none', () => {
    const held = [PLENTY, 0].map((cacheBytes) => {
      const { snapshot, cache } = openCache(pathOf(some), cacheBytes)
      for (const zone of snapshot.segments) cache.load(zone)
      return segmentsOf(snapshot).filter((zone) => cache.holds(zone)).length
    })
    expect(held[0]).toBe(openCache(pathOf(some), PLENTY).snapshot.segments.count)
    expect(held[1]).toBeGreaterThanOrEqual(1)
    expect(held[1]).toBeLessThan(held[0] / 2)
  })

  it('gives searches what they find with all codes in memory', () => {
    const searchAll = (cacheBytes: number): unknown[] => {
      using index = ZgqIndex.open(pathOf(some), { cacheBytes })
      const search = (i: number, options: object): Omit<ExplainedHits, 'explain'> & { explain: object } => {
        const { hits, explain } = index.search(rowOf(queries, DIM, i), { ...options, explain: true })
        const { zones, rowsReranked, vectorsScanned } = explain
        return { hits, explain: { zones, rowsReranked, vectorsScanned } }
      }
      // Twice over: cold, then with what the first round left.
      return [1, 2].flatMap(() =>
        Array.from({ length: 8 }, (_, i) => [
          search(i, { k: 10, nprobe: 1000, rerank: 1 }),
          search(i, { k: 3, nprobe: 4, rerank: 1 }),
          search(i, { k: 100, rerank: 500, nprobe: 20 })
        ])
      )
    }
    const expected = searchAll(PLENTY)
    const all = codesBytes(readCatalogue(pathOf(some)))
    for (const cacheBytes of [0, Math.floor(all / 100), Math.floor(all / 3)])
      expect(searchAll(cacheBytes), `cacheBytes ${cacheBytes}`).toEqual(expected)
  })
})

describe('a cache of codes', () => {
  const some = { metric: 'l2', bits: 4 } as const

  it('reads nothing for a zone that it holds, and for rows that were reranked', () => {
    for (const mapping of MAPPINGS) {
      using index = ZgqIndex.open(pathOf(some), { mapping })
      const query = rowOf(queries, DIM, 0)
      const read = [1, 2].map(() => index.search(query, { nprobe: 5, rerank: 1, explain: true }).explain)
      // Mapped codes are asked for at once, then the rows; plain reads are one after the other.
      expect(read.map(({ ioRounds }) => ioRounds)).toEqual([mapping === 'mmap' ? 2 : 6, 0])
      expect(read[1].bytesRead).toBe(0)
    }
  })

  it('lets go of zones that are in the way of one that needs all of the room', () => {
    const { snapshot, cache } = openCache(pathOf(some), 0)
    const [a, b] = segmentsOf(snapshot).sort((x, y) => x.codes.byteLength - y.codes.byteLength)
    const largest = segmentsOf(snapshot).reduce((most, zone) =>
      zone.codes.byteLength > most.codes.byteLength ? zone : most
    )
    for (const zone of [a, b]) cache.load(zone)
    expect([a, b].map((zone) => cache.holds(zone))).toEqual([true, true])
    cache.load(largest) // takes all of the room
    expect([a, b, largest].map((zone) => cache.holds(zone))).toEqual([false, false, true])
  })

  it('is corrupt each time that damaged codes are asked for, and sound in other zones', () => {
    const folder = temp.fresh('damaged')
    cpSync(pathOf(some), folder, { recursive: true })
    const { segments, files } = readCatalogue(folder)
    const { file, offset, byteLength } = segments.at(3).codes
    const path = join(folder, fileNameOf(files[file]))
    const bytes = readFileSync(path)
    bytes[offset + byteLength - 5] ^= 1
    writeFileSync(path, bytes)
    const { cache, memory, contents, snapshot } = openCache(folder, 0)
    for (const _ of [1, 2, 3]) {
      expect(
        codeOf(() => {
          cache.load(snapshot.segments.at(3))
        })
      ).toBe('ZGQ_CORRUPT')
      expect(cache.holds(snapshot.segments.at(3))).toBe(false)
      expect(cache.idsOf(snapshot.segments.at(3))).toBe(0)
      for (const zone of segmentsOf(snapshot).filter(({ zone: number }) => number !== 3)) {
        cache.load(zone)
        expect(isSound({ cache, memory, contents, snapshot }, zone)).toBe(true)
      }
    }
  })
})
