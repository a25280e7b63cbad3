// The neighbours that a calibration is held against: those of an exact search but for rounding, for any number of
// queries at once.

import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { QUERIES_PER_SCAN, scanTogether } from '../src/build/calibration-scan.ts'
import { rowsOfIndex } from '../src/build/calibration-ranges.ts'
import { rowOf as rowOfOrdinal, slotOf } from '../src/format/ordinals.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { openContext } from '../src/search/open-context.ts'
import { u64At } from '../src/format/u64.ts'
import type { SearchContext } from '../src/search/search-context.ts'
import type { Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { useTempFolder } from './support/temp-folder.ts'

const idOf = ({ files, workspace }: SearchContext, ordinal: number): number =>
  u64At(files.readIdWords(workspace.segments.inSlot(slotOf(ordinal))), rowOfOrdinal(ordinal))

const temp = useTempFolder('calibration-scan')
const SEED = 83
const DIM = 19
const K = 151

describe.each<Metric>(['l2', 'cosine', 'ip'])(`many queries that are scanned together (%s, seed ${SEED})`, (metric) => {
  it('find what exact searches find, in every pass, and of fewer rows all', async () => {
    const path = temp.fresh('index')
    const input = makeVectors('clustered', { count: 2500, dim: DIM }, SEED)
    await buildIndex({ input, dim: DIM, metric, zones: 40, output: path, calibrate: false })
    const vectors = Array.from({ length: 2 * QUERIES_PER_SCAN + 3 }, (_, i) => rowOf(input, DIM, (i * 7) % 2500))
    // A cache of few parts: every pass has to read them again.
    const { readers, context } = openContext(readCatalogue(path), {
      mapping: 'pread',
      cacheBytes: 100_000,
      verify: 'touch'
    })
    const index = ZgqIndex.open(path)
    try {
      const whole = { first: 0, end: context.workspace.segments.count }
      let zones = 0
      const used = new Set<number>()
      const turn = (): Promise<void> => {
        zones++
        return Promise.resolve()
      }
      for (const [first, count, k] of [
        [0, QUERIES_PER_SCAN, K],
        [QUERIES_PER_SCAN, QUERIES_PER_SCAN + 3, K],
        [5, 1, 4000]
      ]) {
        const some = vectors.slice(first, first + count)
        const found = await scanTogether(rowsOfIndex(context, whole), { vectors: some, k }, turn)
        const exact = some.map((query) => index.search(query, { k, exact: true }))
        for (const [i, hits] of exact.entries()) {
          const distances = new Map(hits.map((hit) => [hit.id, hit.distance]))
          const last = hits[hits.length - 1].distance
          expect(found[i].ordinals).toHaveLength(hits.length)
          for (const [at, ordinal] of found[i].ordinals.entries()) {
            // by rounding to float32, others may be at the end
            const distance = distances.get(idOf(context, ordinal)) ?? last
            expect(Math.abs(found[i].distances[at] - distance)).toBeLessThanOrEqual(1e-5 * Math.abs(last) + 1e-12)
          }
        }
        used.add(context.workspace.memory.usedByteLength)
      }
      expect(zones).toBe(3 * index.info().zones)
      expect(used.size, 'each pass gives back what it takes').toBe(1)
    } finally {
      index.close()
      readers.close()
    }
  })
})
