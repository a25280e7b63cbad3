// Numbers trained zones so that near zones have near numbers: they then lie near each other in the files, and the zones
// that a query probes are fewer places to read (bench/README.md, "The order of zones").

import { splitZone } from './split-zone.ts'

/** Zones of a piece, in the mean and at most. With 512, places are 2 % fewer still, in twice the time. */
const MEAN_PIECE = 256
const LARGEST_PIECE = 384
/** Dimensions after which a distance that is too large already is given up. */
const BLOCK = 16

/**
 * Returns the old number of each new one. Zones are split into pieces, halves of halves; a path then goes from piece to
 * piece, and in each from zone to zone, every time to the nearest that is left. The result depends on the values alone:
 * sums are of doubles, in a fixed order, and of equals the lower number comes first. `centroids`: float32, zones * dim.
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
  const means = meansOf(centroids, dim, pieces)
  const numbers = Uint32Array.from(pieces.keys())
  const ordered = pathThrough(means, dim, { among: numbers, from: farthest(means, dim, { among: numbers, from: 0 }) })
  // From an end: of what is farthest from the last piece.
  let last = farthest(centroids, dim, { among: pieces[ordered[0]], from: pieces[ordered[ordered.length - 1]][0] })
  let done = 0
  for (const piece of ordered) {
    const path = pathThrough(centroids, dim, { among: pieces[piece], from: last })
    order.set(path, done)
    done += path.length
    last = path[path.length - 1]
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

function meansOf(centroids: Float32Array, dim: number, pieces: readonly Uint32Array[]): Float32Array {
  const means = new Float32Array(pieces.length * dim)
  for (const [piece, zones] of pieces.entries())
    for (let i = 0; i < dim; i++) {
      let sum = 0
      for (const zone of zones) sum += centroids[zone * dim + i]
      means[piece * dim + i] = sum / zones.length
    }
  return means
}

/** Points of an array (float32, points * dim) by their numbers, ascending, and one of all points. */
interface Points {
  readonly among: Uint32Array
  readonly from: number
}

/** Returns the points in the order of a path that begins near `from`. */
function pathThrough(points: Float32Array, dim: number, { among, from }: Points): Uint32Array {
  const left = among.slice()
  const path = new Uint32Array(left.length)
  let last = from
  for (let done = 0; done < path.length; done++) {
    const position = nearest(points, dim, { among: left.subarray(0, left.length - done), from: last })
    last = left[position]
    path[done] = last
    left.copyWithin(position, position + 1, left.length - done)
  }
  return path
}

function farthest(points: Float32Array, dim: number, { among, from }: Points): number {
  let best = among[0]
  let bestDistance = -1
  for (const point of among) {
    let distance = 0
    for (let i = 0; i < dim; i++) {
      const difference = points[point * dim + i] - points[from * dim + i]
      distance += difference * difference
    }
    if (distance <= bestDistance) continue
    best = point
    bestDistance = distance
  }
  return best
}

/** Returns a position in `among`. */
function nearest(points: Float32Array, dim: number, { among, from }: Points): number {
  let best = 0
  let bestDistance = Infinity
  for (let position = 0; position < among.length; position++) {
    let distance = 0
    let a = among[position] * dim
    let b = from * dim
    const end = a + dim
    while (a < end && distance < bestDistance) {
      for (const stop = Math.min(end, a + BLOCK); a < stop; a++, b++) {
        const difference = points[a] - points[b]
        distance += difference * difference
      }
    }
    if (!(distance < bestDistance)) continue // NaN, too: of values whose difference is too large
    best = position
    bestDistance = distance
  }
  return best
}
