// Assignment by 16-bit integers in the scalar kernel, as in assembly/assign.ts.

import type { AssignRun } from './kernel.ts'
import type { ScalarViews } from './scalar-views.ts'

const round = Math.fround
const MOST_VALUE = 32767
const MOST_NORM = 46000
const LEAST_VALUE = round(1e-33)

/** The nearest integer, of two as near the even one. */
function nearestEven(value: number): number {
  const low = Math.floor(value)
  const above = value - low
  return above < 0.5 || (above === 0.5 && low % 2 === 0) ? low : low + 1
}

/** Euclidean norm of a row times `scale`; float32 throughout. */
function scaledNorm(row: Float32Array, scale: number): number {
  const bulk = row.length & ~3
  const lanes = new Float32Array(4)
  for (let i = 0; i < bulk; i++) {
    const x = round(row[i] * scale)
    lanes[i & 3] += round(x * x)
  }
  let sum = round(round(lanes[0] + lanes[1]) + round(lanes[2] + lanes[3]))
  for (let i = bulk; i < row.length; i++) {
    const x = round(row[i] * scale)
    sum = round(sum + round(x * x))
  }
  return round(Math.sqrt(sum))
}

/** Where rows lie and where their integers and units go. */
interface Rows {
  readonly rows: number
  readonly count: number
  readonly dim: number
  readonly out: number
  readonly units: number
}

export function quantizeRows({ floats, shorts }: ScalarViews, of: Rows): void {
  const width = (of.dim + 7) & ~7
  for (let i = 0; i < of.count; i++) {
    const row = floats.subarray(of.rows / 4 + i * of.dim, of.rows / 4 + (i + 1) * of.dim)
    const out = shorts.subarray(of.out / 2 + i * width, of.out / 2 + (i + 1) * width).fill(0)
    const most = row.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
    floats[of.units / 4 + i] = 0
    if (!(most > LEAST_VALUE)) continue
    const fitting = Math.min(MOST_VALUE, round(MOST_NORM / scaledNorm(row, round(1 / most))))
    const scale = round(fitting / most)
    floats[of.units / 4 + i] = 1 / scale
    for (let j = 0; j < of.dim; j++) out[j] = nearestEven(round(row[j] * scale))
  }
}

export function assign({ floats, shorts, words }: ScalarViews, run: AssignRun): void {
  const { count, width, zoneCount } = run
  for (let i = 0; i < count; i++) {
    const row = run.rows / 2 + i * width
    let best = -Infinity
    let nearest = 0
    for (let zone = 0; zone < zoneCount; zone++) {
      const centroid = run.centroids / 2 + zone * width
      let product = 0
      for (let j = 0; j < width; j++) product += shorts[row + j] * shorts[centroid + j]
      const scaled = round(round(round(product) * floats[run.centroidUnits / 4 + zone]) * floats[run.units / 4 + i])
      const score = round(scaled - floats[run.halfNorms / 4 + zone])
      if (score > best) {
        best = score
        nearest = zone
      }
    }
    floats[run.scores / 4 + i] = best
    words[run.zones / 4 + i] = nearest
  }
}
