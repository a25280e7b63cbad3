// Centroids in one byte a dimension in the scalar kernel: twins of assembly/centroids.ts, whose comments say what is
// computed and why.

import type { PackedRun } from './kernel.ts'
import {
  METRIC_IP,
  PACKED_CROSS_AT,
  PACKED_FACTOR_BYTES,
  PACKED_NORM2_AT,
  PACKED_STEP_AT,
  SCALAR_INTEGER_STEP_AT,
  SCALAR_MEAN_DISTANCE2_AT,
  SCALAR_MEAN_PRODUCT_AT
} from './layouts.ts'
import { nearest } from './scalar-codes.ts'
import { l2Single, productDouble, productSingle } from './scalar-distances.ts'
import type { ScalarViews } from './scalar-views.ts'

const round = Math.fround
const LARGEST = 127
const LEAST_PART = 0.25

export function packCentroid(
  { bytes, floats }: ScalarViews,
  of: { rotated: number; width: number; packed: number; factors: number }
): void {
  const { width, packed, factors } = of
  const rotated = of.rotated / 4
  let largest = 0
  for (let i = 0; i < width; i++) largest = Math.max(largest, Math.abs(floats[rotated + i]))
  const step = largest > 0 ? round(largest / LARGEST) : 1
  const inverse = round(1 / step)
  for (let i = 0; i < width; i++)
    bytes[packed + i] = Math.min(Math.max(nearest(round(floats[rotated + i] * inverse)), -128), 127)
  floats[(factors + PACKED_STEP_AT) / 4] = step
  floats[(factors + PACKED_NORM2_AT) / 4] = productDouble(floats, rotated, rotated, width)
}

export function packedDistances({ bytes, shorts, words, floats }: ScalarViews, run: PackedRun): void {
  const { width, dim, scalars } = run
  const [integerStep, meanDistance2, meanProduct] = [
    SCALAR_INTEGER_STEP_AT,
    SCALAR_MEAN_DISTANCE2_AT,
    SCALAR_MEAN_PRODUCT_AT
  ].map((at) => floats[(scalars + at) / 4])
  for (let i = 0; i < run.count; i++) {
    const zone = run.positions === 0 ? i : words[run.positions / 4 + i]
    const own = (run.factors + zone * PACKED_FACTOR_BYTES) / 4
    let sum = 0
    for (let j = 0; j < width; j++) {
      const byte = (bytes[run.packed + zone * width + j] << 24) >> 24
      sum += byte * shorts[run.integers / 2 + j]
    }
    const product = round(round(sum) * round(floats[own + PACKED_STEP_AT / 4] * integerStep))
    const both = round(meanDistance2 + floats[own + PACKED_NORM2_AT / 4])
    const distance2 = round(both - round(2 * product))
    const out = run.out / 4 + i
    const centroid = run.centroids / 4 + zone * dim
    if (!(distance2 >= round(LEAST_PART * both)))
      floats[out] = (run.metric === METRIC_IP ? productSingle : l2Single)(floats, centroid, run.query / 4, dim)
    else if (run.metric !== METRIC_IP) floats[out] = distance2
    else floats[out] = -round(product + round(meanProduct + floats[own + PACKED_CROSS_AT / 4]))
  }
}
