// The site of a build: its working folder, the recipe in it, and where each stage leaves its results. Plain data, so
// that it can be handed to threads.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { systemCode, wrapReadError } from '../errors.ts'
import type { Boot } from '../storage/boot.ts'
import { readSmallFile } from '../small-file.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { IdType, Metric } from '../types.ts'
import type { FileStamp } from './fingerprint.ts'
import { writeStored } from './stored-json.ts'

/** Where rows or ids are read from: where the caller has them, from a file that the build wrote, or (ids) counted. */
export type InputLocation = 'file' | 'spool' | 'counted'

/**
 * Input and options of a build, written down before the work starts. A build that resumes after a crash, and stages in
 * other processes, compare their own with it.
 */
export interface Recipe {
  /** SHA-256 of what the input holds, the options and the version of the stages, in hex. */
  readonly identity: string
  readonly metric: Metric
  /** Zones asked for. */
  readonly zonesAsked: number | null
  readonly bits: number
  readonly seed: number
  /** Name of the model that made the vectors. */
  readonly model: string | null
  /** A map with the entry `note`, MessagePack in base64. */
  readonly note: string | null
  readonly memoryBytes: number
  readonly dim: number
  readonly count: number
  /** Names the input in messages. */
  readonly label: string
  readonly rows: InputLocation
  /** Of integer ids; those of documents are never in the caller's file. */
  readonly ids: InputLocation
  /** Null: an index of integer ids alone. */
  readonly documents: DocumentFacts | null
  /** Zones to train. */
  readonly zones: number
  /** Rows that pass through the kernel in one call, and that one digest covers (spec, section 7.4). */
  readonly rowsPerBlock: number
  /** Rows that are assigned in one task: a multiple of the former. */
  readonly rowsPerPart: number
}

/** The recipe as a working folder has it, with what is known of the files there on this machine alone. */
export interface StoredRecipe extends Recipe {
  /** SHA-256 of all that decides the work, with the times of the caller's files, in hex. */
  readonly seen: string
  /** The run of the system that wrote the files of this site. */
  readonly boot: Boot
  /** Those files are synced: they outlast that run. */
  readonly isDurable: boolean
}

/**
 * What rows have besides vectors and integer ids. Parts of the input then carry numbers of rows in the place of ids:
 * all else is looked up by them when shards are written.
 */
export interface DocumentFacts {
  readonly idType: IdType
  readonly fields: readonly DeclaredField[]
  readonly hasPayloads: boolean
  /** SHA-256 of ids, payloads and fields, in hex. */
  readonly digest: string
}

export interface Site {
  /** The folder that artifacts are in. */
  readonly path: string
  readonly recipe: Recipe
  /** What is written is synced: it outlasts the run of the system. */
  readonly isDurable: boolean
  /** The folder of what the build spooled. */
  readonly spoolPath: string
  /** The caller's files; undefined where rows or ids are not in one. */
  readonly inputPath: string | undefined
  /** Column of the vectors, in a Parquet file that is read where it is; undefined: the only one there can be. */
  readonly inputColumn?: string | undefined
  readonly idsPath: string | undefined
  /** Those of them that stages read, as they were when the build began. */
  readonly inputs: readonly FileStamp[]
}

export const RECIPE_NAME = 'recipe.json'
/** Tells that the index stands in the working folder, and what of it belongs to the index. */
export const JOINED_NAME = 'joined.json'
export const SPOOLED_ROWS = 'input.rows'
export const SPOOLED_IDS = 'input.ids'
/** Blob spools: string ids, payloads, and the values of fields in them. */
export const SPOOLED_TEXTS = 'input.texts'
export const SPOOLED_PAYLOADS = 'input.payloads'
export const SPOOLED_FIELDS = 'input.fields'

/** Rows of the sample for each zone: k-means gains little from more (faiss warns below 39 a centroid). */
const ROWS_PER_ZONE = 64

/** Rows of the sample of a build. */
export function sampleCount(recipe: Pick<Recipe, 'count' | 'zones'>): number {
  return Math.min(recipe.count, recipe.zones * ROWS_PER_ZONE)
}

export function partCount(recipe: Recipe): number {
  return Math.ceil(recipe.count / recipe.rowsPerPart)
}

export function joinedPath(site: Site): string {
  return join(site.path, JOINED_NAME)
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

/** The index in the working folder, once its shards are joined. */
export interface StoredIndex {
  /** Names of all files of the index. */
  readonly files: readonly string[]
  readonly zones: number
  readonly shards: number
  /** 32 hex digits. */
  readonly indexId: string
}

/** Reads the recipe of a working folder; undefined where there is none, or what is there is no recipe. */
export function readRecipe(folder: string): StoredRecipe | undefined {
  const path = join(folder, RECIPE_NAME)
  try {
    const value: unknown = JSON.parse(readSmallFile(path) ?? '')
    return isRecipe(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError || systemCode(error) === 'ENOENT') return undefined
    throw wrapReadError(error, path, 'read what an earlier build left')
  }
}

/** Looks at the identity alone: it names the version, so the fields after it are those of this version, too. */
function isRecipe(value: unknown): value is StoredRecipe {
  if (typeof value !== 'object' || value === null || !('identity' in value) || !('boot' in value)) return false
  const { identity, boot } = value
  if (typeof identity !== 'string' || typeof boot !== 'object' || boot === null) return false
  return 'run' in boot && typeof boot.run === 'string' && 'host' in boot && typeof boot.host === 'string'
}

/**
 * Makes a recipe that no build goes on with: its input has changed, and work on both may be there. It is not removed: a
 * folder without one looks like what no build made.
 */
export function voidRecipe(site: Site): void {
  writeStored(join(site.path, RECIPE_NAME), {}, true)
}

/** Tells whether all shards are joined: what is left to do is to calibrate the index and to publish it. */
export function isJoined(site: Site): boolean {
  return existsSync(joinedPath(site))
}
