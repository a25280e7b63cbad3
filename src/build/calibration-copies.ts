// Which neighbours of a query that is a row are near copies of it. Queries of the same kind may have no copies: a
// calibration by rows holds for both only if it looks at rows with and without them.

import type { SearchContext } from '../search/search-context.ts'
import { NEIGHBOURS, type Neighbours } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import { rowOf, slotOf } from '../format/ordinals.ts'

/**
 * Square of the distance of a copy, as a share of the median square of the distance of the last neighbour wanted: a
 * tenth of that distance. Rows of ordinary sets have few neighbours that are so near.
 */
const COPY_SHARE = 0.01
/** Rounding keeps the cosine distance of equal vectors above zero. */
const EQUAL = 1e-12
/** Relative error that a product of a vector with itself may have in float32. */
const FLOAT32_ERROR = 1e-4

/** Finds of each query the positions of its copies among its neighbours. */
export function findCopies(
  context: SearchContext,
  queries: readonly CalibrationQuery[],
  neighbours: readonly Neighbours[]
): number[][] {
  if (queries.every(({ row }) => row === undefined)) return neighbours.map(() => [])
  if (context.workspace.metric === 'ip') return findLikeVectors(context, queries, neighbours)
  const far = medianOf(neighbours.map(({ distances }) => distances[Math.min(NEIGHBOURS, distances.length) - 1] ?? 0))
  const limit = Math.max(EQUAL, far * COPY_SHARE)
  return neighbours.map(({ distances }, i) => {
    const end = distances.findIndex((distance) => distance > limit)
    return queries[i].row === undefined ? [] : range(end === -1 ? distances.length : end)
  })
}

/** Inner products do not tell copies from long vectors: rows are compared. */
function findLikeVectors(
  context: SearchContext,
  queries: readonly CalibrationQuery[],
  neighbours: readonly Neighbours[]
): number[][] {
  const squareTo = ({ vector }: CalibrationQuery, ordinal: number): number => {
    const row = context.files.readRow({
      segment: context.workspace.segments.inSlot(slotOf(ordinal)),
      row: rowOf(ordinal)
    })
    let sum = 0
    for (let i = 0; i < vector.length; i++) sum += (vector[i] - row[i]) ** 2
    return sum
  }
  const far = medianOf(
    neighbours.map(({ ordinals }, i) =>
      ordinals.length === 0 ? 0 : squareTo(queries[i], ordinals[Math.min(NEIGHBOURS, ordinals.length) - 1])
    )
  )
  const radius = Math.sqrt(far * COPY_SHARE)
  return neighbours.map(({ ordinals, distances }, i) => {
    const norm2 = queries[i].vector.reduce((sum, value) => sum + value * value, 0)
    // <x, y> = <x, x> + <x, y - x>: of a copy y it differs from <x, x> by |x| * radius at most. Products are sums in
    // float32; what is left is looked at in double precision.
    const slack = Math.sqrt(norm2) * radius + FLOAT32_ERROR * norm2
    return range(ordinals.length).filter(
      (at) =>
        Math.abs(-distances[at] - norm2) <= slack &&
        squareTo(queries[i], ordinals[at]) <= Math.max(radius * radius, EQUAL * norm2)
    )
  })
}

function medianOf(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  return sorted.length === 0 ? 0 : sorted[sorted.length >> 1]
}

function range(end: number): number[] {
  return Array.from({ length: end }, (_, i) => i)
}
