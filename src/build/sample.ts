// The sample that training sees: random rows of the input, scaled and centred, in files of the working folder.

import { join } from 'node:path'

import { FileWriter, removeTemporary } from '../storage/file-writer.ts'
import type { Assigner } from './assigner.ts'
import { checkRows } from './input.ts'
import { sampleRows, seededRandom } from '../quantizer/random.ts'
import { sampleCount, type Site } from './site.ts'
import type { RowSource } from '../input/row-source.ts'
import { openRawRows } from '../input/spool.ts'
import { encodeArray, readStored, writeStored } from './stored-json.ts'
import type { TaskContext } from './task-context.ts'

/** One row in so many of the sample is in the early sample. */
const EARLY_STEP = 4
/** Below this many rows a zone, the early sample is the whole sample. */
const EARLY_ROWS_PER_ZONE = 16

/** Parts of the sample whose means give its centre, an odd number; below so many rows a part it is the mean of all. */
const CENTRE_PARTS = 15
const FEWEST_ROWS_PER_PART = 4

export interface StoredSample {
  /** float32, dim */
  readonly origin: string
  readonly count: number
}

/**
 * Takes the sample, scaled and centred at its middle; throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for a bad row in it.
 * `onRows` is told rows done; it may throw to stop.
 */
export async function sampleInput(context: TaskContext, onRows: (rows: number) => Promise<void>): Promise<void> {
  const { site } = context
  const input = context.openInput()
  const { dim, seed } = site.recipe
  const assigner = context.openAssigner()
  const wanted = sampleRows(input.rows.count, sampleCount(site.recipe), seededRandom(seed))
  const scaledPath = join(site.path, 'sample.scaled')
  removeTemporary(scaledPath)
  const origin = await writeScaled({ rows: input.rows, assigner, path: scaledPath, onRows }, wanted)
  assigner.setCentre(origin)
  const scaled = openRawRows(scaledPath, { dim, count: wanted.length, label: 'sample' })
  try {
    writeCentred(scaled, assigner, { path: samplePath(site, false), step: 1 })
    writeCentred(scaled, assigner, { path: samplePath(site, true), step: EARLY_STEP })
  } finally {
    scaled.close()
  }
  removeTemporary(scaledPath)
  const stored: StoredSample = { origin: encodeArray(origin), count: wanted.length }
  writeStored(factsPath(site), stored, false)
}

export function readSampleFacts(site: Site): StoredSample {
  return readStored<StoredSample>(factsPath(site))
}

/** Opens the sample, or the part of it that early rounds use: all of it where that part would be too small. */
export function openSample(site: Site, isEarly: boolean): RowSource {
  const { dim, zones } = site.recipe
  const count = sampleCount(site.recipe)
  const earlyCount = Math.ceil(count / EARLY_STEP)
  const takesEarly = isEarly && earlyCount >= zones * EARLY_ROWS_PER_ZONE
  return openRawRows(samplePath(site, takesEarly), { dim, count: takesEarly ? earlyCount : count, label: 'sample' })
}

export function discardSample(site: Site): void {
  for (const path of [samplePath(site, false), samplePath(site, true), factsPath(site)]) removeTemporary(path)
}

function samplePath(site: Site, isEarly: boolean): string {
  return join(site.path, isEarly ? 'sample.early' : 'sample.rows')
}

function factsPath(site: Site): string {
  return join(site.path, 'sample.json')
}

/** Copies the wanted rows, scaled, to a file and returns their centre. */
async function writeScaled(
  from: { rows: RowSource; assigner: Assigner; path: string; onRows: (rows: number) => Promise<void> },
  wanted: readonly number[]
): Promise<Float32Array> {
  const { rows, assigner, onRows } = from
  const { dim } = rows
  const writer = new FileWriter(from.path)
  const parts = wanted.length < FEWEST_ROWS_PER_PART * CENTRE_PARTS ? 1 : CENTRE_PARTS
  const sums = new Float64Array(parts * dim)
  try {
    for (let first = 0; first < wanted.length; first += assigner.shape.rowsPerCall) {
      const some = wanted.slice(first, first + assigner.shape.rowsPerCall)
      const view = assigner.rowsView(some.length)
      for (const { at, count } of runsOf(some)) {
        const target = view.subarray(at * dim, (at + count) * dim)
        rows.readRows(some[at], target)
        checkRows(target, some[at], { dim, metric: assigner.shape.metric, label: rows.label })
      }
      assigner.scale(some.length)
      assigner.addRows(
        some.map((_, i) => (first + i) % parts),
        sums
      )
      const scaled = assigner.rowsView(some.length) // kernel memory may have grown
      writer.write(new Uint8Array(scaled.buffer, scaled.byteOffset, scaled.byteLength))
      await onRows(some.length)
    }
    writer.flush()
  } finally {
    writer.close()
  }
  return centreOf(sums, { dim, count: wanted.length })
}

/** Neighbouring rows are read at once: a small input is its own sample. */
function runsOf(numbers: readonly number[]): { at: number; count: number }[] {
  const runs: { at: number; count: number }[] = []
  for (const [at, number] of numbers.entries()) {
    const last = runs.at(-1)
    if (last !== undefined && numbers[at - 1] + 1 === number) last.count++
    else runs.push({ at, count: 1 })
  }
  return runs
}

/**
 * Takes the median of the means of parts, value by value: a few rows that lie far off move the mean of their part only.
 */
function centreOf(sums: Float64Array, { dim, count }: { dim: number; count: number }): Float32Array {
  const parts = sums.length / dim
  const rowsOf = (part: number): number => Math.ceil((count - part) / parts)
  return Float32Array.from({ length: dim }, (_, i) => {
    const means = Float64Array.from({ length: parts }, (__, part) => sums[part * dim + i] / rowsOf(part)).sort()
    return means[parts >> 1]
  })
}

function writeCentred(scaled: RowSource, assigner: Assigner, to: { path: string; step: number }): void {
  removeTemporary(to.path)
  const writer = new FileWriter(to.path)
  const { dim } = scaled
  const { rowsPerCall } = assigner.shape
  try {
    for (let first = 0; first < scaled.count; first += rowsPerCall * to.step) {
      const end = Math.min(scaled.count, first + rowsPerCall * to.step)
      const count = Math.ceil((end - first) / to.step)
      const view = assigner.rowsView(count)
      if (to.step === 1) scaled.readRows(first, view)
      else for (let i = 0; i < count; i++) scaled.readRows(first + i * to.step, view.subarray(i * dim, (i + 1) * dim))
      assigner.centre(count)
      writer.write(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    }
    writer.flush()
  } finally {
    writer.close()
  }
}
