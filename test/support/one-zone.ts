// A search of one zone in kernel memory by the stages of src/search, with the tolerance that they set; and values that
// are hard on float32.

import type { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import { setTolerance, takeHits } from '../../src/search/scan.ts'
import { SearchState } from '../../src/search/search-state.ts'
import { Workspace } from '../../src/search/workspace.ts'
import type { Hit } from '../../src/types.ts'
import { norms, type Problem } from './brute-force.ts'
import { memoryOf, put, putIds, type KernelKind } from './kernels.ts'
import type { MakeValue } from './random.ts'
import { inverseNorms } from './scan-all.ts'
import { snapshotOf, zoneOf } from './snapshot.ts'

const sign = (random: () => number): number => (random() < 0.5 ? -1 : 1)
const ulps = (random: () => number): number => 1 + Math.floor(random() * 3) * 2 ** -23

/** Values at the ends of what float32 holds, and vectors that float32 sums cannot tell apart. */
export const VALUE_KINDS: readonly (readonly [string, MakeValue])[] = [
  ['ordinary', (random) => random() * 2 - 1],
  ['huge', (random) => sign(random) * (3e38 + random() * 4e37)],
  ['large', (random) => sign(random) * random() * 1e19],
  ['denormal', (random) => sign(random) * (1e-45 + random() * 1e-40)],
  ['small', (random) => sign(random) * random() * 1e-20],
  ['mixed', (random) => sign(random) * 10 ** (random() * 82 - 44)],
  ['1 ulp apart', ulps],
  ['1 ulp apart, both signs', (random) => sign(random) * ulps(random)]
]

/** Searches a problem as one zone of an index; also returns how many rows needed double precision. */
export function searchOneZone(kind: KernelKind, problem: Problem, k: number): { hits: Hit[]; confirmed: number } {
  const { metric, rows, ids, query } = problem
  const dim = query.length
  const rowNorms = norms(rows, dim)
  const zone = zoneOf({
    rowCount: ids.length,
    minNorm: Math.min(...rowNorms),
    maxNorm: Math.max(...rowNorms),
    centroid: new Float32Array(dim)
  })
  const memory: KernelMemory = memoryOf(kind)
  const snapshot = snapshotOf({ dim, metric, zones: [zone] })
  const state = new SearchState(snapshot.meta, new Workspace(snapshot, memory), undefined)
  const run = {
    rows: put(memory, rows),
    ids: putIds(memory, ids),
    inverseNorms: put(memory, inverseNorms(rows, dim)),
    mask: 0,
    firstRow: 0,
    count: ids.length
  }
  state.setQuery(query)
  state.startHits(k)
  setTolerance(state, zone)
  const confirmed = memory.kernel.scan(state.scanQuery, run)
  return { hits: takeHits(state, k), confirmed }
}
