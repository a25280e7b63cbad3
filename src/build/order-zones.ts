// Numbers trained zones so that near zones have near numbers: they then lie near each other in the files, and the zones
// that a query probes are fewer places to read (bench/README.md, "The order of zones").

import { splitZone } from './split-zone.ts'

/** Zones of a piece, in the mean and at most. With 512, places are 2 % fewer still, in twice the time. */
const MEAN_PIECE = 256
const LARGEST_PIECE = 384
/** Dimensions after which a distance that is too large already is given up. */
const BLOCK = 16

/**
 * Returns the old number of each new one. Zones are split into pieces, halves of halves; a path then goes through one
 * piece after the other, each time to the nearest zone of the piece that it has not met. The result depends on the
 * values alone: sums are of doubles, in a fixed order, and of equals the lower number comes first. `centroids`:
 * float32, zones * dim.
 */
export function orderZones(centroids: Float32Array, dim: number): Uint32Array {
  const count = centroids.length / dim
  const order = new Uint32Array(count)
  if (count === 0) return order
  const zones = {
    count,
    dim,
    readRow(zone: number, target: Float32Array): void {
      for (let i = 0, at = zone * dim; i < dim; i++) target[i] = centroids[at + i]
    }
  }
  const pieces = splitZone(zones, Math.ceil(count / MEAN_PIECE), LARGEST_PIECE)
  let last = farthest(centroids, dim, { among: pieces[0], from: pieces[pieces.length - 1][0] })
  let done = 0
  for (const left of pieces) {
    for (let leftCount = left.length; leftCount > 0; leftCount--) {
      const position = nearest(centroids, dim, { among: left.subarray(0, leftCount), to: last })
      last = left[position]
      order[done++] = last
      left.copyWithin(position, position + 1, leftCount)
    }
  }
  return order
}

/** Copies the values of zones, `width` of each, in an order that `orderZones` returned. */
export function inOrder(values: Float32Array, width: number, order: Uint32Array): Float32Array {
  const ordered = new Float32Array(values.length)
  for (let zone = 0; zone < order.length; zone++)
    for (let i = 0; i < width; i++) ordered[zone * width + i] = values[order[zone] * width + i]
  return ordered
}

/** Returns the zone that is farthest from another. */
function farthest(
  centroids: Float32Array,
  dim: number,
  of: { readonly among: Uint32Array; readonly from: number }
): number {
  let best = of.among[0]
  let bestDistance = -1
  for (const zone of of.among) {
    let distance = 0
    for (let i = 0; i < dim; i++) {
      const difference = centroids[zone * dim + i] - centroids[of.from * dim + i]
      distance += difference * difference
    }
    if (distance <= bestDistance) continue
    best = zone
    bestDistance = distance
  }
  return best
}

/** Returns the position of the zone that is nearest to another. */
function nearest(
  centroids: Float32Array,
  dim: number,
  of: { readonly among: Uint32Array; readonly to: number }
): number {
  const { among, to } = of
  let best = 0
  let bestDistance = Infinity
  for (let position = 0; position < among.length; position++) {
    let distance = 0
    let a = among[position] * dim
    let b = to * dim
    const end = a + dim
    while (a < end && distance < bestDistance) {
      for (const stop = Math.min(end, a + BLOCK); a < stop; a++, b++) {
        const difference = centroids[a] - centroids[b]
        distance += difference * difference
      }
    }
    if (distance >= bestDistance || Number.isNaN(distance)) continue
    best = position
    bestDistance = distance
  }
  return best
}
