// The sample that training sees: random rows of the input, scaled, in blocks. What finds its middle and the first
// centroids is taken out of each block when that is read.

import { join } from 'node:path'

import type { RowSource } from '../input/row-source.ts'
import { openRawRows } from '../input/spool.ts'
import { sampleSome, seededRandom } from '../quantizer/random.ts'
import { FileWriter } from '../storage/file-writer.ts'
import type { ArtifactFolder } from './artifact-folder.ts'
import { namesOf, SAMPLE_FILES } from './artifact-names.ts'
import type { Assigner } from './assigner.ts'
import { checkRows, type BroughtFiles } from './input.ts'
import { readFloats, readSums, writeArray } from './raw-arrays.ts'
import { blockRange, EARLY_STEP, isEarlyRound, planSample } from './sample-blocks.ts'
import type { Recipe, Site } from './site.ts'
import type { TaskContext } from './task-context.ts'

/** Parts of the sample whose means give its centre, an odd number; below so many rows a part it is the mean of all. */
const CENTRE_PARTS = 15
const FEWEST_ROWS_PER_PART = 4
/** Keeps the choice of the first centroids apart from that of the sample. */
const FIRST_SEED = 0x7a13

/**
 * Takes a block of the sample, scaled; throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for a bad row in it. `onRows` is told
 * rows done; it may throw to stop.
 */
export async function sampleBlock(
  context: TaskContext,
  block: number,
  to: ArtifactFolder & { readonly brought?: BroughtFiles | undefined; readonly onRows: (rows: number) => Promise<void> }
): Promise<void> {
  const { recipe } = context.site
  const plan = planSample(recipe)
  const { first, count } = blockRange(plan, block)
  const wanted = rowsOfBlock(recipe, block)
  const files = new BlockFiles(to, { recipe, first, count, hasEarly: plan.hasEarly })
  try {
    const assigner = context.openAssigner()
    await context.withInput(to.brought, async ({ rows }) => {
      for (let at = 0; at < count; at += recipe.rowsPerBlock) {
        const some = wanted.slice(at, at + recipe.rowsPerBlock)
        readScaled({ rows, label: recipe.label }, some, assigner)
        files.add(assigner, some.length)
        await to.onRows(some.length)
      }
    })
    files.finish()
  } finally {
    files.close()
  }
}

/** Numbers of the rows of the input that are in a block, ascending. */
export function rowsOfBlock(recipe: Recipe, block: number): number[] {
  const plan = planSample(recipe)
  const { first, count } = blockRange(plan, block)
  return sampleSome(
    { count: recipe.count, wanted: plan.count },
    { first, end: first + count },
    seededRandom(recipe.seed, first)
  )
}

/**
 * Reads rows into the assigner and scales them. Neighbouring rows are read at once: a small input is its own sample.
 */
function readScaled(
  { rows, label }: { readonly rows: RowSource; readonly label: string },
  wanted: readonly number[],
  assigner: Assigner
): void {
  const { dim, metric } = assigner.shape
  const view = assigner.rowsView(wanted.length)
  for (const { at, count } of runsOf(wanted)) {
    const target = view.subarray(at * dim, (at + count) * dim)
    rows.readRows(wanted[at], target)
    checkRows(target, wanted[at], { dim, metric, label })
  }
  assigner.scale(wanted.length)
}

function runsOf(numbers: readonly number[]): { at: number; count: number }[] {
  const runs: { at: number; count: number }[] = []
  for (const [at, number] of numbers.entries()) {
    const last = runs.at(-1)
    if (last !== undefined && numbers[at - 1] + 1 === number) last.count++
    else runs.push({ at, count: 1 })
  }
  return runs
}

interface BlockFacts {
  readonly recipe: Recipe
  /** Rows of the block in the sample. */
  readonly first: number
  readonly count: number
  readonly hasEarly: boolean
}

/** What a block leaves, written as its rows come. */
class BlockFiles {
  readonly #to: ArtifactFolder
  readonly #of: BlockFacts
  readonly #rows: FileWriter
  readonly #early: FileWriter | undefined
  readonly #firsts: FileWriter
  /** Rows of the sample that become first centroids and are not here yet, ascending. */
  readonly #firstRows: number[]
  readonly #sums: Float64Array
  #done = 0

  constructor(to: ArtifactFolder, of: BlockFacts) {
    const writer = (name: string): FileWriter => new FileWriter(join(to.folder, name))
    this.#to = to
    this.#of = of
    this.#rows = writer(SAMPLE_FILES.rows)
    this.#early = of.hasEarly ? writer(SAMPLE_FILES.early) : undefined
    this.#firsts = writer(SAMPLE_FILES.firsts)
    this.#firstRows = firstRowsOf(of.recipe).filter((row) => row >= of.first && row < of.first + of.count)
    this.#sums = new Float64Array(centreParts(of.recipe) * of.recipe.dim)
  }

  /** Adds the first rows of the assigner. */
  add(assigner: Assigner, count: number): void {
    const { first, recipe } = this.#of
    const start = first + this.#done
    const parts = this.#sums.length / recipe.dim
    assigner.addRows(
      Array.from({ length: count }, (_, i) => (start + i) % parts),
      this.#sums
    )
    const rows = assigner.rowsView(count) // kernel memory may have grown
    const row = (i: number): Float32Array => rows.subarray(i * recipe.dim, (i + 1) * recipe.dim)
    this.#rows.write(bytesOf(rows))
    for (let i = 0; this.#early !== undefined && i < count; i += EARLY_STEP) this.#early.write(bytesOf(row(i)))
    while (this.#firstRows.length > 0 && this.#firstRows[0] < start + count)
      this.#firsts.write(bytesOf(row((this.#firstRows.shift() ?? start) - start)))
    this.#done += count
  }

  finish(): void {
    for (const writer of [this.#rows, this.#early, this.#firsts])
      if (this.#to.isDurable) writer?.sync()
      else writer?.flush()
    writeArray(this.#to, SAMPLE_FILES.centre, this.#sums)
  }

  close(): void {
    for (const writer of [this.#rows, this.#early, this.#firsts]) writer?.close()
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** Rows of the sample that become the first centroids, one from each stratum: ascending, one a zone. */
function firstRowsOf(recipe: Recipe): number[] {
  const { zones, seed } = recipe
  const random = seededRandom(seed + FIRST_SEED)
  return sampleSome({ count: planSample(recipe).count, wanted: zones }, { first: 0, end: zones }, random)
}

function centreParts(recipe: Recipe): number {
  return planSample(recipe).count < FEWEST_ROWS_PER_PART * CENTRE_PARTS ? 1 : CENTRE_PARTS
}

/** Opens the rows of a block that a round sees. */
export function openBlock(site: Site, round: number, block: number): RowSource {
  const plan = planSample(site.recipe)
  const isEarly = plan.hasEarly && isEarlyRound(round)
  const { count } = blockRange(plan, block)
  return openRawRows(
    join(site.path, namesOf(site.recipe).sample(block), isEarly ? SAMPLE_FILES.early : SAMPLE_FILES.rows),
    { dim: site.recipe.dim, count: isEarly ? Math.ceil(count / EARLY_STEP) : count, label: 'sample' }
  )
}

/**
 * Finds the middle of the sample: the median of the means of parts, value by value, since a few rows that lie far off
 * move the mean of their part only. float32, dim.
 */
export function readCentre(site: Site): Float32Array {
  const { dim } = site.recipe
  const { count, blocks } = planSample(site.recipe)
  const parts = centreParts(site.recipe)
  const sums = new Float64Array(parts * dim)
  for (let block = 0; block < blocks; block++) {
    const some = readSums(join(site.path, namesOf(site.recipe).sample(block), SAMPLE_FILES.centre))
    for (let i = 0; i < sums.length; i++) sums[i] += some[i]
  }
  const rowsOf = (part: number): number => Math.ceil((count - part) / parts)
  return Float32Array.from({ length: dim }, (_, i) => {
    const means = Float64Array.from({ length: parts }, (__, part) => sums[part * dim + i] / rowsOf(part)).sort()
    return means[parts >> 1]
  })
}

/** Reads the rows that become the first centroids, zone after zone: float32, zones * dim, scaled. */
export function readFirstRows(site: Site): Float32Array {
  const { zones, dim } = site.recipe
  const rows = new Float32Array(zones * dim)
  let done = 0
  for (let block = 0; block < planSample(site.recipe).blocks; block++) {
    const some = readFloats(join(site.path, namesOf(site.recipe).sample(block), SAMPLE_FILES.firsts))
    rows.set(some, done)
    done += some.length
  }
  return rows
}
