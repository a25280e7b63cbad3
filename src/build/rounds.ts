// What the rounds of training leave: the centroids that the next one begins with.

import { join } from 'node:path'

import type { ArtifactFolder } from './artifact-folder.ts'
import { namesOf } from './artifact-names.ts'
import { readFloats, readSums, writeArray } from './raw-arrays.ts'
import type { Site } from './site.ts'

/** Files of a round: centroids (float32, zones * dim) in the space whose origin is `origin`. */
const ROUND_FILES = { origin: 'origin', centroids: 'centroids', sizes: 'sizes' }

/** What a round begins with. */
export interface Round {
  /** float32, dim */
  readonly origin: Float32Array
  /** float32, zones * dim, centred */
  readonly centroids: Float32Array
}

export function readRound({ path, recipe }: Site, round: number): Round {
  const folder = join(path, namesOf(recipe).round(round))
  return {
    origin: readFloats(join(folder, ROUND_FILES.origin)),
    centroids: readFloats(join(folder, ROUND_FILES.centroids))
  }
}

export function writeRound(to: ArtifactFolder, { origin, centroids }: Round, sizes: Float64Array): void {
  writeArray(to, ROUND_FILES.origin, origin)
  writeArray(to, ROUND_FILES.centroids, centroids)
  writeArray(to, ROUND_FILES.sizes, sizes)
}

/** Rows of the sample that each zone had in the round before `round`: float64, zones. */
export function readRoundSizes({ path, recipe }: Site, round: number): Float64Array {
  return readSums(join(path, namesOf(recipe).round(round), ROUND_FILES.sizes))
}
