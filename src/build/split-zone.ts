// Splits a zone that is too large into pieces of bounded size, whatever the data: by distance where rows differ, by
// order where they do not.

/** Rows of a zone, readable by position in the zone. */
export interface ZoneRows {
  readonly count: number
  readonly dim: number
  /** Reads one row, scaled as the metric wants it, into `target`. */
  readRow(position: number, target: Float32Array): void
}

/** Rows that the direction of a cut is chosen from. */
const SAMPLE_ROWS = 512
const ROUNDS = 4
/** Above this many rows a cut by order comes first: projections of all of them would not fit a small memory. */
const MAX_PROJECTED = 2 ** 20

/**
 * Returns the positions of each piece, ascending. There are `pieces` of them, none empty, none above `largest` rows;
 * needs pieces <= count <= pieces * largest.
 */
export function splitZone(rows: ZoneRows, pieces: number, largest: number): Uint32Array[] {
  const all = new Uint32Array(rows.count)
  for (let i = 0; i < all.length; i++) all[i] = i
  return split({ rows, largest }, all, pieces)
}

function split(zone: { rows: ZoneRows; largest: number }, positions: Uint32Array, pieces: number): Uint32Array[] {
  if (pieces <= 1) return [positions]
  const { largest } = zone
  const count = positions.length
  const { order, natural } =
    count > MAX_PROJECTED ? { order: positions, natural: count / 2 } : orderByCut(zone.rows, positions)
  // Neither side gets less than a quarter: outliers that peel off one by one would make the recursion as deep as there
  // are pieces.
  const least = Math.max(1, Math.floor(pieces / 4))
  const leftPieces = clamp(Math.round((natural / count) * pieces), least, pieces - least)
  const rightPieces = pieces - leftPieces
  const left = clamp(
    Math.round(natural),
    Math.max(leftPieces, count - rightPieces * largest),
    Math.min(count - rightPieces, leftPieces * largest)
  )
  return [
    ...split(zone, order.slice(0, left).sort(), leftPieces),
    ...split(zone, order.slice(left).sort(), rightPieces)
  ]
}

/**
 * Orders rows along the line between two centres; `natural` of them are nearer to the first. Equal projections keep
 * their order.
 */
function orderByCut(rows: ZoneRows, positions: Uint32Array): { order: Uint32Array; natural: number } {
  const { direction, threshold } = findCut(rows, positions)
  const row = new Float32Array(rows.dim)
  const projections = new Float64Array(positions.length)
  let natural = 0
  for (let i = 0; i < positions.length; i++) {
    rows.readRow(positions[i], row)
    projections[i] = dot(row, direction)
    if (projections[i] < threshold) natural++
  }
  const indices = new Uint32Array(positions.length)
  for (let i = 0; i < indices.length; i++) indices[i] = i
  indices.sort((a, b) => projections[a] - projections[b] || a - b)
  // All on one side: the rows do not differ along any line, so order decides.
  const isCut = natural > 0 && natural < positions.length
  return { order: indices.map((i) => positions[i]), natural: isCut ? natural : positions.length / 2 }
}

/** Two-means on a sample, started from two rows far apart. */
function findCut(rows: ZoneRows, positions: Uint32Array): { direction: Float64Array; threshold: number } {
  const sample = readSample(rows, positions)
  let first: Row = farthest(sample, sample[0])
  let second: Row = farthest(sample, first)
  for (let round = 0; round < ROUNDS; round++) {
    const cut = cutBetween(first, second)
    const left = sample.filter((row) => dot(row, cut.direction) < cut.threshold)
    const right = sample.filter((row) => dot(row, cut.direction) >= cut.threshold)
    if (left.length === 0 || right.length === 0) break
    first = mean(left)
    second = mean(right)
  }
  return cutBetween(first, second)
}

function readSample(rows: ZoneRows, positions: Uint32Array): Float32Array[] {
  const count = Math.min(SAMPLE_ROWS, positions.length)
  return Array.from({ length: count }, (_, i) => {
    const row = new Float32Array(rows.dim)
    rows.readRow(positions[Math.floor((i * positions.length) / count)], row)
    return row
  })
}

type Row = Float32Array | Float64Array

function cutBetween(first: Row, second: Row): { direction: Float64Array; threshold: number } {
  const direction = Float64Array.from(second, (value, i) => value - first[i])
  return { direction, threshold: (dot(second, direction) + dot(first, direction)) / 2 }
}

function farthest(sample: readonly Float32Array[], from: Row): Float32Array {
  let best = sample[0]
  let bestDistance = -1
  for (const row of sample) {
    let distance = 0
    for (let i = 0; i < row.length; i++) {
      const difference = row[i] - from[i]
      distance += difference * difference
    }
    if (distance > bestDistance) {
      best = row
      bestDistance = distance
    }
  }
  return best
}

function mean(rows: readonly Float32Array[]): Float64Array {
  const sums = new Float64Array(rows[0].length)
  for (const row of rows) for (let i = 0; i < row.length; i++) sums[i] += row[i]
  return sums.map((sum) => sum / rows.length)
}

function dot(a: Row, b: Row): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value))
}
