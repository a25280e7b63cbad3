// Training: k-means on the sample, as tasks. Lloyd's algorithm from random rows (Lloyd 1982); small clusters are spent
// on splitting large ones, so that sizes stay even. Blocks of the sample are summed up by themselves and their sums
// joined in the order of the blocks: whoever does that, the floats are the same. The zones are numbered in the end,
// near ones in a row.

import { join } from 'node:path'

import { seededRandom } from '../quantizer/random.ts'
import type { ArtifactFolder } from './artifact-folder.ts'
import { FACTS_NAME, namesOf } from './artifact-names.ts'
import { inOrder, orderZones } from './order-zones.ts'
import { addSums, writeArray } from './raw-arrays.ts'
import { readRound, readRoundSizes, writeRound } from './rounds.ts'
import { openBlock, readCentre, readFirstRows } from './sample.ts'
import { planSample, roundCount } from './sample-blocks.ts'
import { planShards } from './shards.ts'
import type { StoredTraining } from './site.ts'
import { splitLarge } from './split-large.ts'
import { encodeArray, writeStored } from './stored-json.ts'
import type { TaskContext } from './task-context.ts'

/** Keeps the random numbers of each round apart from all others. */
const ROUND_SEED = 0x7a14

const PARTIAL_FILES = { sums: 'sums', sizes: 'sizes' }

/** Begins: the origin is the middle of the sample, the first centroids are rows of it. */
export function beginRounds({ site }: TaskContext, to: ArtifactFolder): void {
  const origin = readCentre(site)
  const centroids = readFirstRows(site)
  const { dim, zones } = site.recipe
  for (let at = 0; at < centroids.length; at++) centroids[at] -= origin[at % dim]
  writeRound(to, { origin, centroids }, new Float64Array(zones))
}

/** Sums up the rows of a block by their nearest centroids, in their order. */
export async function sumBlock(
  context: TaskContext,
  { round, block }: { readonly round: number; readonly block: number },
  to: ArtifactFolder & { readonly turn: () => Promise<void> }
): Promise<void> {
  const { zones } = context.site.recipe
  const assigner = context.openRoundAssigner(round)
  const sums = context.openRowSums()
  const sizes = new Float64Array(zones)
  const rows = openBlock(context.site, round, block)
  try {
    sums.clear()
    for (let first = 0; first < rows.count; first += assigner.shape.rowsPerCall) {
      const some = Math.min(assigner.shape.rowsPerCall, rows.count - first)
      rows.readRows(first, assigner.rowsView(some))
      assigner.centre(some)
      const nearest = assigner.nearest(some)
      for (const zone of nearest) sizes[zone]++
      sums.add(assigner.rowsView(some), nearest)
      await to.turn()
    }
  } finally {
    rows.close()
  }
  writeArray(to, PARTIAL_FILES.sums, sums.values())
  writeArray(to, PARTIAL_FILES.sizes, sizes)
}

/** Joins the sums of all blocks, in their order, into the centroids of the next round. */
export function joinRound({ site }: TaskContext, round: number, to: ArtifactFolder): void {
  const { recipe, path } = site
  const { zones, dim, seed } = recipe
  const sums = new Float64Array(zones * dim)
  const sizes = new Float64Array(zones)
  for (let block = 0; block < planSample(recipe).blocks; block++) {
    const folder = join(path, namesOf(recipe).partial(round, block))
    addSums(join(folder, PARTIAL_FILES.sums), sums)
    addSums(join(folder, PARTIAL_FILES.sizes), sizes)
  }
  const { origin, centroids } = readRound(site, round)
  for (let zone = 0; zone < zones; zone++) {
    if (sizes[zone] === 0) continue
    for (let i = 0; i < dim; i++) centroids[zone * dim + i] = sums[zone * dim + i] / sizes[zone]
  }
  if (round < roundCount(recipe) - 1) splitLarge(centroids, sizes, seededRandom(seed + ROUND_SEED + round))
  writeRound(to, { origin, centroids }, sizes)
}

/** Numbers the zones and plans the shards. */
export function orderTrained({ site }: TaskContext, { folder, isDurable }: ArtifactFolder): void {
  const { recipe } = site
  const { dim, count } = recipe
  const last = roundCount(recipe)
  const { origin, centroids } = readRound(site, last)
  const trainedSizes = readRoundSizes(site, last)
  const order = orderZones(centroids, dim)
  const sizes = Float64Array.from(order, (zone) => trainedSizes[zone])
  const stored: StoredTraining = {
    origin: encodeArray(origin),
    centroids: encodeArray(inOrder(centroids, dim, order)),
    sampleCount: sizes.reduce((sum, size) => sum + size, 0),
    shardStarts: planShards(sizes, { count, dim })
  }
  writeStored(join(folder, FACTS_NAME), stored, isDurable)
}
