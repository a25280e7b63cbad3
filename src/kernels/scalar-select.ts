// Choosing the smallest of many values in the scalar kernel: twins of selectNearest and selectSmallest of
// assembly/select.ts.

import { heapDistances, heapIds } from './addresses.ts'
import { HEAP_CAPACITY_AT, HEAP_DISTANCE_BYTES, HEAP_ID_BYTES, HEAP_SIZE_AT, SELECT_BINS } from './layouts.ts'
import type { ScalarViews } from './scalar-views.ts'

const round = Math.fround
const FLOAT32_MAX = 3.4028234663852886e38

/** `values`: float32, count; of these, `wanted` are to be found. */
export interface Choice {
  readonly values: number
  readonly count: number
  readonly wanted: number
}

/** Finds a value that at least `wanted` of the values do not exceed, and few more. */
function cutoff(floats: Float32Array, choice: Choice): number {
  const { count, wanted } = choice
  const values = floats.subarray(choice.values / 4, choice.values / 4 + count)
  let least = Infinity,
    most = -Infinity
  for (const value of values) {
    least = Math.min(least, value)
    most = Math.max(most, value)
  }
  const scale = round((SELECT_BINS - 1) / round(most - least))
  if (!(scale > 0 && scale < FLOAT32_MAX) || wanted >= count) return Infinity
  const bins = new Uint32Array(SELECT_BINS)
  for (const value of values) bins[Math.trunc(round(round(value - least) * scale))]++
  let bin = 0
  for (let seen = 0; bin < SELECT_BINS; bin++) {
    seen += bins[bin]
    if (seen >= wanted) break
  }
  return round(least + round((bin + 2) / scale))
}

/**
 * Puts the `wanted` positions of smallest value, ascending by (value, position), into `list`; `names` (u32; 0: none)
 * stand for them. NaN comes last.
 */
export function selectNearest(
  { words, floats, view }: ScalarViews,
  choice: Choice,
  names: number,
  list: number
): number {
  const { values, count, wanted } = choice
  const valueAt = (position: number): number => floats[values / 4 + position] + 0 // -0 and 0 are equal
  const rank = (position: number): number => (Number.isNaN(valueAt(position)) ? Infinity : valueAt(position))
  const isNan = (position: number): number => (Number.isNaN(valueAt(position)) ? 1 : 0)
  const order = Array.from({ length: count }, (_, position) => position).sort(
    (a, b) => isNan(a) - isNan(b) || (rank(a) === rank(b) ? a - b : rank(a) - rank(b))
  )
  order.slice(0, wanted).forEach((position, i) => {
    view.setFloat64(heapDistances(list) + i * HEAP_DISTANCE_BYTES, valueAt(position), true)
    const id = (heapIds(list, wanted) + i * HEAP_ID_BYTES) / 4
    words[id] = names === 0 ? position : words[names / 4 + position]
    words[id + 1] = 0
  })
  words[(list + HEAP_SIZE_AT) / 4] = wanted
  words[(list + HEAP_CAPACITY_AT) / 4] = wanted
  return wanted
}

/**
 * Writes the positions (u32) of at least `wanted` of the smallest values, ascending, and few more; NaN counts as small.
 */
export function selectSmallest({ words, floats }: ScalarViews, choice: Choice, out: number): number {
  const limit = cutoff(floats, choice)
  let kept = 0
  for (let i = 0; i < choice.count; i++) if (!(floats[choice.values / 4 + i] > limit)) words[out / 4 + kept++] = i
  return kept
}
