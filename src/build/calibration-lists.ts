// Lists of neighbours, as the steps of a calibration hand them on, and what becomes of several.

import { CALIBRATED_KS } from '../format/calibration.ts'

/** Neighbours that are wanted of every query. */
export const NEIGHBOURS = CALIBRATED_KS[CALIBRATED_KS.length - 1]

/** Neighbours of a query, nearest first; of those that are as near, the lower ordinal first. */
export interface Neighbours {
  /** See format/ordinals.ts. */
  readonly ordinals: Float64Array
  readonly distances: Float64Array
}

/** Takes up to `count` items, evenly spread. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  const taken = Math.min(items.length, count)
  return Array.from({ length: taken }, (_, i) => items[Math.floor((i * items.length) / taken)])
}

/**
 * Merges what scans over rows of their own found for the same queries: the k nearest of each, as one scan over all of
 * those rows finds them. Each scan must have looked for k.
 */
export function mergeNeighbours(lists: readonly (readonly Neighbours[])[], k: number): Neighbours[] {
  const [first = [], ...others] = lists
  return others
    .reduce<readonly Neighbours[]>((merged, list) => merged.map((of, i) => mergeTwo(of, list[i], k)), first)
    .slice()
}

function mergeTwo(left: Neighbours, right: Neighbours, k: number): Neighbours {
  const count = Math.min(k, left.ordinals.length + right.ordinals.length)
  const [ordinals, distances] = [new Float64Array(count), new Float64Array(count)]
  let [l, r] = [0, 0]
  for (let i = 0; i < count; i++) {
    const isLeft = r === right.ordinals.length || (l < left.ordinals.length && isNearer(left, l, { of: right, at: r }))
    const from = isLeft ? left : right
    const at = isLeft ? l++ : r++
    ordinals[i] = from.ordinals[at]
    distances[i] = from.distances[at]
  }
  return { ordinals, distances }
}

/** In the order of the kernel's heaps (kernels/scalar-heap.ts). */
function isNearer(left: Neighbours, at: number, right: { readonly of: Neighbours; readonly at: number }): boolean {
  const [distance, other] = [left.distances[at], right.of.distances[right.at]]
  return distance < other || (distance === other && left.ordinals[at] < right.of.ordinals[right.at])
}
