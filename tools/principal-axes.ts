// The two directions in which points spread most (principal component analysis), to draw points of many dimensions on a
// plane. Numbers only. Orthogonal iteration on the covariance, which is never formed (Golub and Van Loan, Matrix
// Computations, section 8.2): the same points give the same plane.

/** Points on the plane of their two principal axes. */
export interface Plane {
  /** Distances along the axes from the mean of all points, in the order of the points. */
  readonly x: Float64Array
  readonly y: Float64Array
  /** Shares of the variance that lie along x and along y; 0 where all points are equal. */
  readonly shares: readonly [number, number]
}

/** The axes are found from so many values at most, of points at even steps; the shares are of all points. */
const MOST_VALUES = 4 * 2 ** 20
const MOST_ROUNDS = 100
/** Rounds end when they add less than this share to the variance found. */
const LEAST_GAIN = 1e-9

interface Axes {
  readonly first: Float64Array
  readonly second: Float64Array
}

/**
 * Puts points (float32, `dim` values each) on the plane of their principal axes. Of each axis the largest component is
 * positive.
 */
export function projectOnPrincipalAxes(points: readonly Float32Array[]): Plane {
  const x = new Float64Array(points.length)
  const y = new Float64Array(points.length)
  if (points.length === 0) return { x, y, shares: [0, 0] }
  const mean = meanOf(points)
  const { first, second } = findAxes(points, mean)
  const sums = { all: 0, x: 0, y: 0 }
  points.forEach((point, i) => {
    for (let j = 0; j < mean.length; j++) {
      const value = point[j] - mean[j]
      sums.all += value * value
      x[i] += value * first[j]
      y[i] += value * second[j]
    }
    sums.x += x[i] * x[i]
    sums.y += y[i] * y[i]
  })
  return { x, y, shares: sums.all === 0 ? [0, 0] : [sums.x / sums.all, sums.y / sums.all] }
}

function meanOf(points: readonly Float32Array[]): Float64Array {
  const mean = new Float64Array(points[0].length)
  for (const point of points) for (let j = 0; j < mean.length; j++) mean[j] += point[j]
  return mean.map((sum) => sum / points.length)
}

function findAxes(points: readonly Float32Array[], mean: Float64Array): Axes {
  const dim = mean.length
  const step = Math.ceil((points.length * dim) / MOST_VALUES)
  const some = points.filter((_, i) => i % step === 0)
  const random = startValues()
  let axes = orthonormal({
    first: Float64Array.from({ length: dim }, random),
    second: Float64Array.from({ length: dim }, random)
  })
  let found = 0
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const spread = multiply(some, mean, axes)
    const before = found
    found = dot(axes.first, spread.first) + dot(axes.second, spread.second)
    axes = orthonormal(spread)
    if (found - before <= found * LEAST_GAIN && round > 0) break
  }
  return turnToAxes(axes, multiply(some, mean, axes))
}

/** The covariance (not divided by the count) times each axis. */
function multiply(points: readonly Float32Array[], mean: Float64Array, { first, second }: Axes): Axes {
  const dim = mean.length
  const result = { first: new Float64Array(dim), second: new Float64Array(dim) }
  for (const point of points) {
    let along = 0
    let across = 0
    for (let j = 0; j < dim; j++) {
      const value = point[j] - mean[j]
      along += value * first[j]
      across += value * second[j]
    }
    for (let j = 0; j < dim; j++) {
      const value = point[j] - mean[j]
      result.first[j] += value * along
      result.second[j] += value * across
    }
  }
  return result
}

/**
 * Turns the two axes within their plane to where the variance is largest and smallest: the eigenvectors of a symmetric
 * 2 x 2 matrix.
 */
function turnToAxes(axes: Axes, spread: Axes): Axes {
  const a = dot(axes.first, spread.first)
  const b = dot(axes.first, spread.second)
  const c = dot(axes.second, spread.second)
  const half = (a - c) / 2
  const largest = (a + c) / 2 + Math.sqrt(half * half + b * b)
  const [cos, sin] = b === 0 ? (a >= c ? [1, 0] : [0, 1]) : unit(b, largest - a)
  const mixed = (p: number, q: number): Float64Array =>
    withSign(axes.first.map((value, j) => value * p + axes.second[j] * q))
  return { first: mixed(cos, sin), second: mixed(-sin, cos) }
}

function unit(x: number, y: number): readonly [number, number] {
  const length = Math.sqrt(x * x + y * y)
  return [x / length, y / length]
}

/** Gram and Schmidt; an axis along which nothing is left becomes 0. */
function orthonormal({ first, second }: Axes): Axes {
  const one = normalized(first, 0)
  let rest = second
  // Twice is enough (Kahan and Parlett): the first pass leaves rounding errors where both axes were nearly parallel.
  for (let pass = 0; pass < 2; pass++) {
    const along = dot(rest, one)
    rest = rest.map((value, j) => value - one[j] * along)
  }
  return { first: one, second: normalized(rest, Math.sqrt(dot(second, second)) * 1e-12) }
}

function normalized(axis: Float64Array, least: number): Float64Array {
  const length = Math.sqrt(dot(axis, axis))
  return length <= least ? new Float64Array(axis.length) : axis.map((value) => value / length)
}

function withSign(axis: Float64Array): Float64Array {
  const largest = axis.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0)
  return largest < 0 ? axis.map((value) => -value) : axis
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j]
  return sum
}

/**
 * Values in [-1, 1) that are always the same: a start that no axis is at right angles to, but by accident (mulberry32).
 */
function startValues(): () => number {
  let state = 1
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1
  }
}
