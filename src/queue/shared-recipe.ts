// The recipe of a build as all machines read it, in the store of the build: whoever does a task of it works by this.

import { createHash } from 'node:crypto'
import { isAbsolute } from 'node:path'

import type { InputObject } from '../artifacts/input-window.ts'
import { STAGES_VERSION } from '../build/identity.ts'
import type { Recipe } from '../build/site.ts'
import { ZgqError } from '../errors.ts'
import { FORMAT_VERSION } from '../format/layout.ts'
import { isPlainObject } from '../plain-object.ts'

export const RECIPE_OBJECT = 'recipe.json'

/** A file in a folder that all machines see, as it was when the build began. */
export interface SharedFile {
  /** Below the folder of the store. */
  readonly path: string
  readonly byteLength: number
  /** SHA-256 of a sample of it, in hex. */
  readonly sample: string
}

/** Where workers find the rows of the input. */
export type SharedRows = (
  | /** An object of a bucket, read where it is. */
    { readonly kind: 'object'; readonly object: InputObject }
    /** A file of the store, read where it is. */
  | { readonly kind: 'file'; readonly file: SharedFile }
  /** A file of the artifact of the input. */
  | { readonly kind: 'artifact'; readonly name: string; readonly byteLength: number }
) & {
  /** Column of the vectors, where they are in Parquet. */
  readonly column: string | null
}

export interface SharedRecipe {
  /** Versions of what tasks leave, and of the index. */
  readonly stages: number
  readonly format: number
  readonly recipe: Recipe
  readonly rows: SharedRows
  /** The artifact of all that the coordinator brought along of the input; null: nothing. */
  readonly input: string | null
}

export const VERSIONS = { stages: STAGES_VERSION, format: FORMAT_VERSION }

/**
 * Names the build of a recipe: the same on every machine. Where the rows are is a part of it: workers read them there.
 */
export function buildName({ recipe, rows }: Pick<SharedRecipe, 'recipe' | 'rows'>): string {
  const { identity, rowsPerPart } = recipe
  const hash = createHash('sha256').update(JSON.stringify([VERSIONS, identity, rowsPerPart, rows]))
  return `build-${hash.digest('hex').slice(0, 32)}`
}

export function encodeRecipe(recipe: SharedRecipe): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(recipe))
}

/**
 * Reads the recipe of the build of a name; throws ZGQ_CORRUPT for what is none, ZGQ_MISMATCH for one of another
 * version.
 */
export function decodeRecipe(bytes: Uint8Array, { place, build }: { place: string; build: string }): SharedRecipe {
  const corrupt = (what: string, cause?: unknown): ZgqError =>
    new ZgqError(
      'ZGQ_CORRUPT',
      `${RECIPE_OBJECT} ${what}: something else wrote there. Start the build again; if that does not help, remove ` +
        'the folder of this build from the store',
      { path: place, cause }
    )
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw corrupt('is no JSON', cause)
  }
  if (!isPlainObject(value) || typeof value['stages'] !== 'number' || typeof value['format'] !== 'number')
    throw corrupt('is no recipe of a build')
  const { stages, format } = value
  if (stages !== VERSIONS.stages || format !== VERSIONS.format)
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the build is of another version of zgq (tasks ${stages}, format ${format}) than this process (tasks ` +
        `${VERSIONS.stages}, format ${VERSIONS.format}): give all machines the same version`,
      { path: place }
    )
  if (!isPlainObject(value['recipe']) || !isPlainObject(value['rows'])) throw corrupt('is no recipe of a build')
  const recipe = asRecipe(value)
  if (buildName(recipe) !== build) throw corrupt('is the recipe of another build')
  const { rows } = recipe
  if (rows.kind === 'file' && (isAbsolute(rows.file.path) || rows.file.path.split(/[/\\]/).includes('..')))
    throw corrupt('names a file outside of the store')
  return recipe
}

/** The version says what stands in it. */
function asRecipe(value: object): SharedRecipe
function asRecipe(value: object): object {
  return value
}
