// The sample that training sees: random rows of the input, scaled and centred, in files of the working folder.

import { FileWriter, removeTemporary } from '../storage/file-writer.ts'
import type { Metric } from '../types.ts'
import type { Assigner } from './assigner.ts'
import { checkRows } from './input.ts'
import { sampleRows } from './random.ts'
import type { RowSource } from './sources/row-source.ts'
import { openRawRows } from './sources/spool.ts'

/** Rows of the sample for each zone: k-means gains little from more (faiss warns below 39 a centroid). */
export const ROWS_PER_ZONE = 64
/** One row in so many of the sample is in the early sample. */
const EARLY_STEP = 4
/** Below this many rows a zone, the early sample is the whole sample. */
const EARLY_ROWS_PER_ZONE = 16

/** Parts of the sample whose means give its centre, an odd number; below so many rows a part it is the mean of all. */
const CENTRE_PARTS = 15
const FEWEST_ROWS_PER_PART = 4

export interface Samples {
  readonly sample: RowSource
  readonly earlySample: RowSource
  /** Closes and removes the samples. */
  discard(): void
}

/** How to sample. */
export interface SamplePlan {
  readonly zones: number
  readonly metric: Metric
  readonly random: () => number
  readonly file: (name: string) => string
  /** Called as rows are read; may throw to stop. */
  readonly onRows: (done: number, total: number) => Promise<void>
}

/** Takes the sample and sets the assigner's centre to its middle; throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for a bad row in it. */
export async function takeSample(rows: RowSource, assigner: Assigner, plan: SamplePlan): Promise<Samples> {
  const { dim } = rows
  const wanted = sampleRows(rows.count, Math.min(rows.count, plan.zones * ROWS_PER_ZONE), plan.random)
  const scaledPath = plan.file('sample.scaled')
  const centre = await writeScaled({ rows, assigner, plan, path: scaledPath }, wanted)
  assigner.setCentre(centre)
  const scaled = openRawRows(scaledPath, { dim, count: wanted.length, label: 'sample' })
  try {
    writeCentred(scaled, assigner, { path: plan.file('sample.rows'), step: 1 })
    writeCentred(scaled, assigner, { path: plan.file('sample.early'), step: EARLY_STEP })
  } finally {
    scaled.close()
  }
  removeTemporary(scaledPath)
  await plan.onRows(wanted.length, wanted.length)
  return openSamples(plan, { dim, count: wanted.length })
}

function openSamples(plan: SamplePlan, shape: { dim: number; count: number }): Samples {
  const paths = { sample: plan.file('sample.rows'), early: plan.file('sample.early') }
  const opened: RowSource[] = []
  const discard = (): void => {
    for (const source of opened) source.close()
    removeTemporary(paths.sample)
    removeTemporary(paths.early)
  }
  try {
    const sample = openRawRows(paths.sample, { ...shape, label: 'sample' })
    opened.push(sample)
    const earlyCount = Math.ceil(shape.count / EARLY_STEP)
    if (earlyCount < plan.zones * EARLY_ROWS_PER_ZONE) return { sample, earlySample: sample, discard }
    const earlySample = openRawRows(paths.early, { ...shape, count: earlyCount, label: 'sample' })
    opened.push(earlySample)
    return { sample, earlySample, discard }
  } catch (error) {
    discard()
    throw error
  }
}

/** Copies the wanted rows, scaled, to a file and returns their centre. */
async function writeScaled(from: { rows: RowSource; assigner: Assigner; plan: SamplePlan; path: string }, wanted: readonly number[]): Promise<Float32Array> {
  const { rows, assigner, plan } = from
  const { dim } = rows
  const writer = new FileWriter(from.path)
  const parts = wanted.length < FEWEST_ROWS_PER_PART * CENTRE_PARTS ? 1 : CENTRE_PARTS
  const sums = new Float64Array(parts * dim)
  const row = new Float32Array(dim)
  try {
    for (let first = 0; first < wanted.length; first += assigner.shape.rowsPerCall) {
      await plan.onRows(first, wanted.length)
      const some = wanted.slice(first, first + assigner.shape.rowsPerCall)
      const view = assigner.rowsView(some.length)
      for (const [i, number] of some.entries()) {
        rows.readRows(number, row)
        checkRows(row, number, { dim, metric: plan.metric, label: rows.label })
        view.set(row, i * dim)
      }
      assigner.scale(some.length)
      for (let i = 0; i < some.length; i++) {
        for (let j = 0, part = ((first + i) % parts) * dim; j < dim; j++) sums[part + j] += view[i * dim + j]
      }
      writer.write(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    }
    writer.flush()
  } finally {
    writer.close()
  }
  return centreOf(sums, { dim, count: wanted.length })
}

/** Takes the median of the means of parts, value by value: a few rows that lie far off move the mean of their part only. */
function centreOf(sums: Float64Array, { dim, count }: { dim: number; count: number }): Float32Array {
  const parts = sums.length / dim
  const rowsOf = (part: number): number => Math.ceil((count - part) / parts)
  return Float32Array.from({ length: dim }, (_, i) => {
    const means = Float64Array.from({ length: parts }, (__, part) => sums[part * dim + i] / rowsOf(part)).sort()
    return means[parts >> 1]
  })
}

function writeCentred(scaled: RowSource, assigner: Assigner, to: { path: string; step: number }): void {
  const writer = new FileWriter(to.path)
  const { dim } = scaled
  const { rowsPerCall } = assigner.shape
  try {
    for (let first = 0; first < scaled.count; first += rowsPerCall * to.step) {
      const end = Math.min(scaled.count, first + rowsPerCall * to.step)
      const count = Math.ceil((end - first) / to.step)
      const view = assigner.rowsView(count)
      for (let i = 0; i < count; i++) scaled.readRows(first + i * to.step, view.subarray(i * dim, (i + 1) * dim))
      assigner.centre(count)
      writer.write(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    }
    writer.flush()
  } finally {
    writer.close()
  }
}
