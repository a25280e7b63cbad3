// Training: k-means on a sample. Lloyd's algorithm from random rows (Lloyd 1982); small clusters are spent on splitting
// large ones, so that sizes stay even. The zones are numbered in the end, near ones in a row.

import { runInOrder, type Crew } from './crew.ts'
import type { SampleBlock } from './nearest-of-sample.ts'
import { inOrder } from './order-zones.ts'
import { seededRandom } from '../quantizer/random.ts'
import { openSample, readSampleFacts } from './sample.ts'
import { RowSums } from './row-sums.ts'
import { planShards } from './shards.ts'
import { trainedPath, type Site, type StoredTraining } from './site.ts'
import type { RowSource } from '../input/row-source.ts'
import { splitLarge } from './split-large.ts'
import { encodeArray, writeStored } from './stored-json.ts'

/** Rounds over the early sample, then over all of it: most movement is in the first rounds, which need fewer rows. */
const EARLY_ROUNDS = 5
const FULL_ROUNDS = 3
const ROUNDS = EARLY_ROUNDS + FULL_ROUNDS

/** Rows of the sample that one task holds against the centroids, as a multiple of those of one call. */
const BLOCKS_PER_TASK = 8
/** Keeps training's random numbers apart from those of sampling. */
const TRAIN_SEED = 0x7a13

/**
 * Trains on the sample of the site and leaves the centroids there, with the plan of the shards. `onRound` may throw to
 * stop.
 */
export async function trainSite(
  site: Site,
  crew: Crew,
  onRound: (round: number, rounds: number) => Promise<void>
): Promise<void> {
  const { dim, count, zones } = site.recipe
  const sample = openSample(site, false)
  let early: RowSource | undefined
  try {
    early = openSample(site, true)
    const trained = await train({ site, crew, sample, early, onRound })
    const order = await findOrder(crew, trained.centroids)
    const sizes = Float64Array.from(order, (zone) => trained.sizes[zone])
    const facts = readSampleFacts(site)
    const stored: StoredTraining = {
      origin: facts.origin,
      centroids: encodeArray(inOrder(trained.centroids, dim, order)),
      sampleCount: sizes.reduce((sum, size) => sum + size, 0),
      shardStarts: planShards(sizes, { count, dim })
    }
    writeStored(trainedPath(site), stored, site.recipe.isDurable)
  } finally {
    sample.close()
    early?.close()
  }
  await onRound(zones === 1 ? 1 : ROUNDS, zones === 1 ? 1 : ROUNDS)
}

/** Returns the old number of each zone in the order in which zones are numbered. */
async function findOrder(crew: Crew, centroids: Float32Array): Promise<Uint32Array> {
  const { zones } = await crew.run({ kind: 'order', centroids }, () => undefined)
  if (zones === undefined) throw new Error('the zones came back without their order')
  return zones
}

interface Training {
  readonly site: Site
  readonly crew: Crew
  readonly sample: RowSource
  readonly early: RowSource
  readonly onRound: (round: number, rounds: number) => Promise<void>
}

/**
 * Returns centroids in the space of the sample (float32, zones * dim) and how many of its rows each had in the last
 * round.
 */
async function train(training: Training): Promise<{ centroids: Float32Array; sizes: Float64Array }> {
  const { sample, early, onRound } = training
  const { zones, dim, seed } = training.site.recipe
  const random = seededRandom(seed + TRAIN_SEED)
  const centroids = firstCentroids(sample, zones, random)
  const sizes = new Float64Array(zones)
  const into = { sums: new RowSums(training.site), sizes }
  const rounds = zones === 1 ? 1 : ROUNDS
  for (let round = 0; round < rounds; round++) {
    await onRound(round, rounds)
    sizes.fill(0)
    into.sums.clear()
    const isEarly = round < EARLY_ROUNDS
    await accumulate(training, { round, isEarly, centroids, sample: isEarly ? early : sample }, into)
    const sums = into.sums.values()
    for (let zone = 0; zone < zones; zone++) {
      if (sizes[zone] === 0) continue
      for (let i = 0; i < dim; i++) centroids[zone * dim + i] = sums[zone * dim + i] / sizes[zone]
    }
    if (round < rounds - 1) splitLarge(centroids, sizes, random)
  }
  return { centroids, sizes }
}

/** Distinct rows of the sample, one from each stratum. */
function firstCentroids(sample: RowSource, zones: number, random: () => number): Float32Array {
  const centroids = new Float32Array(new SharedArrayBuffer(zones * sample.dim * 4))
  for (let zone = 0; zone < zones; zone++) {
    const start = Math.floor((zone * sample.count) / zones)
    const end = Math.floor(((zone + 1) * sample.count) / zones)
    const row = start + Math.floor(random() * (end - start))
    sample.readRows(Math.min(row, sample.count - 1), centroids.subarray(zone * sample.dim, (zone + 1) * sample.dim))
  }
  return centroids
}

interface Accumulation {
  readonly sums: RowSums
  readonly sizes: Float64Array
}

/**
 * Sums up the rows of each centroid, in the order of the sample whoever found their centroids: float sums depend on it.
 */
async function accumulate(
  training: Training,
  round: { round: number; isEarly: boolean; centroids: Float32Array; sample: RowSource },
  into: Accumulation
): Promise<void> {
  const { sample, ...facts } = round
  const rowsPerTask = training.site.recipe.rowsPerBlock * BLOCKS_PER_TASK
  const blocks: SampleBlock[] = []
  for (let firstRow = 0; firstRow < sample.count; firstRow += rowsPerTask)
    blocks.push({ ...facts, firstRow, count: Math.min(rowsPerTask, sample.count - firstRow) })
  await runInOrder(
    training.crew,
    blocks.map((block) => ({ kind: 'nearest', block })),
    {
      done: () => undefined,
      answer({ zones = new Uint32Array(0) }, task) {
        for (const zone of zones) into.sizes[zone]++
        into.sums.add(sample, blocks[task].firstRow, zones)
      }
    }
  )
}
