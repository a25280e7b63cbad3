// Measures the alignment of an index: the deviation of the cosine of the angle at a centroid between a query and a row
// of the zone (for ip: between a query and the way from the centroid to the row). Searches with a filter estimate by it
// how many rows of a zone may be nearer than the hits there are (search/masked-rule.ts).

import { ELEMENT_BYTES } from '../format/layout.ts'
import { heapIds } from '../kernels/addresses.ts'
import { HEAP_CAPACITY_AT } from '../kernels/layouts.ts'
import { listMatching } from '../search/probe.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { SearchState } from '../search/search-state.ts'
import { evenly } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'

/** Queries, from all over the index, and zones of each that are looked at, at most, and rows of a zone. */
const MOST_QUERIES = 32
const MOST_ZONES = 32
const MOST_ROWS = 128
/** The nearest zone is the query's own, where queries are rows. */
const FIRST_RANK = 1

/** Measures the alignment; undefined where there are too few zones. Calls `turn` often. */
export async function measureAlignment(
  context: SearchContext,
  queries: readonly CalibrationQuery[],
  turn: () => Promise<void>
): Promise<number | undefined> {
  let sum = 0
  let count = 0
  for (const { vector } of evenly(queries, MOST_QUERIES)) {
    const zones = context.states.use((state) => zonesOf(state, vector))
    for (const zone of zones) {
      const cosines = cosinesOfZone(context, zone, vector)
      for (const cosine of cosines) sum += cosine * cosine
      count += cosines.length
    }
    await turn()
  }
  return count === 0 ? undefined : Math.sqrt(sum / count)
}

/** Zones near a query, without the nearest. */
function zonesOf(state: SearchState, vector: Float32Array): number[] {
  state.setQuery(vector)
  const { memory, zoneList } = state.workspace
  const zones = { positions: 0, count: state.workspace.zoneCount }
  const count = listMatching(state, { wanted: FIRST_RANK + MOST_ZONES, zones, packed: undefined })
  const { words } = memory
  const ids = heapIds(zoneList, words[(zoneList + HEAP_CAPACITY_AT) / 4]) / 4
  const listed = Array.from({ length: count }, (_, i) => words[ids + i * 2])
  return listed.slice(FIRST_RANK)
}

/** The cosines of some rows of a zone, in double precision. */
function cosinesOfZone({ workspace, files }: SearchContext, zone: number, query: Float32Array): number[] {
  const { dim, metric, memory, centroids } = workspace
  const centroid = memory.float32At(centroids + zone * dim * ELEMENT_BYTES, dim).slice()
  const unit = metric === 'cosine' ? scaled(query) : query
  const toQuery = metric === 'ip' ? Float64Array.from(unit) : Float64Array.from(unit, (value, i) => value - centroid[i])
  const cosines: number[] = []
  workspace.segments.ofZone(zone, (segment) => {
    for (let row = 0; row < Math.min(segment.rowCount, MOST_ROWS); row++) {
      const values = files.readRow({ segment, row })
      const vector = metric === 'cosine' ? scaled(values) : values
      let [dot, length2, query2] = [0, 0, 0]
      for (let i = 0; i < dim; i++) {
        const difference = vector[i] - centroid[i]
        dot += difference * toQuery[i]
        length2 += difference * difference
        query2 += toQuery[i] * toQuery[i]
      }
      const cosine = dot / Math.sqrt(length2 * query2)
      if (Number.isFinite(cosine)) cosines.push(cosine)
    }
  })
  return cosines
}

function scaled(vector: Float32Array): Float32Array {
  let norm2 = 0
  for (const value of vector) norm2 += value * value
  const scale = 1 / Math.sqrt(norm2)
  return vector.map((value) => value * scale)
}
