// The site of a build: its working folder, the recipe in it, and where each stage leaves its results. Plain data, so
// that it can be handed to threads.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Boot } from '../storage/boot.ts'
import type { Metric } from '../types.ts'
import { readStored } from './stored-json.ts'

/** Where rows or ids are read from: where the caller has them, from a file that the build wrote, or (ids) counted. */
export type InputPlace = 'file' | 'spool' | 'counted'

/**
 * What is built from what, written down before the work starts: a build that goes on after a crash, and stages in other
 * processes, hold what they are told against it.
 */
export interface Recipe {
  /** SHA-256 of the input's fingerprint, the options and the version of the stages, in hex. */
  readonly identity: string
  /** The run of the system that wrote the files of this site. */
  readonly boot: Boot
  /** Those files are synced: they outlast that run. */
  readonly isDurable: boolean
  readonly metric: Metric
  /** Zones asked for. */
  readonly zonesAsked: number | null
  readonly bits: number
  readonly seed: number
  readonly memoryBytes: number
  readonly dim: number
  readonly count: number
  /** Names the input in messages. */
  readonly label: string
  readonly rows: InputPlace
  readonly ids: InputPlace
  /** Zones to train. */
  readonly zones: number
  /** Rows that pass through the kernel in one call, and that one digest covers (spec, section 7). */
  readonly rowsPerBlock: number
  /** Rows that are assigned in one task: a multiple of the former. */
  readonly rowsPerPart: number
}

export interface Site {
  readonly path: string
  readonly recipe: Recipe
  /** The caller's files; undefined where rows or ids are not in one. */
  readonly inputPath: string | undefined
  readonly idsPath: string | undefined
}

export const RECIPE_NAME = 'recipe.json'
export const SPOOLED_ROWS = 'input.rows'
export const SPOOLED_IDS = 'input.ids'

/** Rows of the sample for each zone: k-means gains little from more (faiss warns below 39 a centroid). */
const ROWS_PER_ZONE = 64

/** Rows of the sample of a build. */
export function sampleCount(recipe: Pick<Recipe, 'count' | 'zones'>): number {
  return Math.min(recipe.count, recipe.zones * ROWS_PER_ZONE)
}

export function partCount(recipe: Recipe): number {
  return Math.ceil(recipe.count / recipe.rowsPerPart)
}

/** Folder of an assigned part of the input. */
export function partPath(site: Site, part: number): string {
  return join(site.path, `part-${String(part).padStart(5, '0')}`)
}

/** Folder of a written shard. */
export function shardPath(site: Site, shard: number): string {
  return join(site.path, `shard-${String(shard).padStart(5, '0')}`)
}

export function trainedPath(site: Site): string {
  return join(site.path, 'trained.json')
}

export function assignedPath(site: Site): string {
  return join(site.path, 'assigned.json')
}

/** Centroids and their division into shards. */
export interface StoredTraining {
  /** The point that rows are centred on: float32, dim. */
  readonly origin: string
  /** float32, zones * dim, in the centred space. */
  readonly centroids: string
  readonly sampleCount: number
  /** First zone of each shard, and the end. */
  readonly shardStarts: readonly number[]
}

/** Rows of each zone over all parts, and the digest of the input. */
export interface StoredAssignment {
  /** Rows of each trained zone: u32, zones. */
  readonly zoneRows: string
  readonly inputDigest: string
}

/** Reads the recipe of a working folder; undefined where there is none. */
export function readRecipe(folder: string): Recipe | undefined {
  const path = join(folder, RECIPE_NAME)
  return existsSync(path) ? readStored<Recipe>(path) : undefined
}
