// The first stage: finds out what the input is, brings what can be read only once into a file of the working folder,
// and writes the recipe. Where the folder holds the work of a build that died, and the recipe is the same, that work is
// kept.

import { createHash } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import { wrapWriteError, ZgqError } from '../errors.ts'
import { FORMAT_VERSION } from '../format/layout.ts'
import { currentBoot, isStillUp } from '../storage/boot.ts'
import { FileWriter, syncFile } from '../storage/file-writer.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import { optionsDeciding, type BuildPlan } from './build-options.ts'
import { defaultZones } from './default-zones.ts'
import { expectUnchanged, fingerprintDatabase, fingerprintFile, stampFile, type FileStamp } from './fingerprint.ts'
import { checkFreeSpace, checkMemory, chooseRowsPerPart } from './resources.ts'
import {
  readRecipe,
  RECIPE_NAME,
  SPOOLED_IDS,
  SPOOLED_ROWS,
  type InputLocation,
  type Recipe,
  type Site
} from './site.ts'
import { arrayIdSource, float32ArraySource } from '../input/float32-array.ts'
import { spoolBatchFile } from '../input/batch-file.ts'
import { batchFormatOf } from '../input/batch-format.ts'
import { openIdFile } from '../input/id-file.ts'
import { expectVectorEnding } from '../input/read-vectors.ts'
import { spoolBatches } from '../input/spool.ts'
import { openVectorFile } from '../input/vector-file.ts'
import { isTemporaryName, writeStored } from './stored-json.ts'
import type { WorkingFolder } from './working-folder.ts'

/** Rises when stages leave other files than before: what a build of another version left is not gone on with. */
const STAGES_VERSION = 2
/**
 * Rows of the input pass through the kernel in calls of about so many bytes; a constant, since results must not depend
 * on memory.
 */
const CALL_BYTES = 1024 * 1024
/** Bytes of an array that are written at a time. */
const SPOOL_BYTES = 4 * CALL_BYTES

/**
 * Ends the names of files that are being spooled: those of a build that died stay until it is known whether they are
 * the same.
 */
const SPOOLING = '.spooling'

interface RowFacts {
  readonly dim: number
  readonly count: number
  readonly label: string
  readonly location: InputLocation
  /** They came with ids. */
  readonly hasIds: boolean
  /** Digest of what was spooled; undefined for files, whose fingerprint is taken. */
  readonly digest: string | undefined
}

/** `isBegun`: an earlier build of the same input and options has left work there. */
interface PreparedSite {
  readonly site: Site
  readonly isBegun: boolean
}

/** The caller's files, as they are when the build begins; a database looks after its readers itself. */
interface InputStamps {
  readonly rows: readonly FileStamp[]
  readonly ids: readonly FileStamp[]
}

/**
 * Prepares the input and the recipe; isDurable: so that the work outlasts the run of the system, as stages in several
 * processes need. Throws ZGQ_BUILD_INPUT, what the sources throw, RangeError for too little memory, ZGQ_IO for a full
 * disk.
 */
export async function readInput(plan: BuildPlan, folder: WorkingFolder, isDurable: boolean): Promise<PreparedSite> {
  folder.clear((name) => !name.endsWith(SPOOLING) && !isTemporaryName(name)) // of a build that died
  const stamps = stampInputs(plan)
  const before = readRecipe(folder.path)
  const mayGoOn = before !== undefined && isTrusted(before) && (before.isDurable || !isDurable)
  const known = typeof plan.input === 'string' ? identify(plan, fingerprintInput(plan.input, plan)) : undefined
  const begun = (recipe: Recipe): PreparedSite => ({
    site: siteOf(plan, folder.path, { recipe, stamps }),
    isBegun: true
  })
  if (mayGoOn && before.identity === known) return begun(before)
  const rows = await describeRows(plan, folder)
  const idsLocation = rows.hasIds ? 'spool' : prepareIds(plan, rows.count, folder)
  if (rows.location === 'spool') expectUnchanged(stamps.rows)
  const identity = known ?? identify(plan, rows.digest ?? '')
  if (mayGoOn && before.identity === identity) {
    folder.clear((name) => !name.endsWith(SPOOLING)) // spooled once more, it is the same
    return begun(before)
  }
  folder.clear((name) => name.endsWith(SPOOLING))
  const recipe = makeRecipe(plan, { ...rows, identity, idsLocation, isDurable })
  checkMemory(recipe)
  checkFreeSpace(folder.path, recipe)
  for (const name of [SPOOLED_ROWS, SPOOLED_IDS]) keepSpooled(folder, name, isDurable)
  // synced in any case: where syncing is not allowed, that shows before the work is done
  writeStored(folder.file(RECIPE_NAME), recipe, true)
  return { site: siteOf(plan, folder.path, { recipe, stamps }), isBegun: false }
}

function stampInputs({ input, ids, query }: BuildPlan): InputStamps {
  const isFile = typeof input === 'string' && batchFormatOf(input, query) !== 'sqlite'
  return { rows: isFile ? [stampFile(input)] : [], ids: typeof ids === 'string' ? [stampFile(ids)] : [] }
}

/**
 * Finds the site that an earlier stage prepared. Throws ZGQ_NOT_FOUND where there is none, ZGQ_MISMATCH where it is for
 * another input or other options.
 */
export function findSite(plan: BuildPlan, folder: string): Site {
  const stamps = stampInputs(plan)
  const recipe = readRecipe(folder)
  if (recipe === undefined)
    throw new ZgqError(
      'ZGQ_NOT_FOUND',
      'no build was started here, or its input has changed since: run the stage read first',
      {
        path: folder
      }
    )
  if (!isTrusted(recipe))
    throw new ZgqError(
      'ZGQ_NOT_FOUND',
      'the work here was not synced and the system has restarted: run the stage read again',
      { path: folder }
    )
  expectSameOptions(plan, recipe, folder)
  if (typeof plan.input !== 'string' || recipe.identity !== identify(plan, fingerprintInput(plan.input, plan))) {
    throw new ZgqError(
      'ZGQ_MISMATCH',
      'the build was started with another input, or its input has changed since: run the stage read again',
      { path: folder }
    )
  }
  return siteOf(plan, folder, { recipe, stamps })
}

function expectSameOptions(plan: BuildPlan, recipe: Recipe, path: string): void {
  const begun = new Map<string, unknown>(Object.entries({ ...recipe, zones: recipe.zonesAsked ?? undefined }))
  for (const [name, value] of Object.entries(optionsDeciding(plan, 'recipe'))) {
    if (value === begun.get(name)) continue
    const [before, now] = [begun.get(name) ?? 'of its own choice', value ?? 'left to choose']
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the build was started with ${name} ${before}, this stage was called with ${now}: call all stages with the ` +
        'same options',
      { path }
    )
  }
}

/** Tells whether the files of a site are what was written to them. */
function isTrusted(recipe: Recipe): boolean {
  return recipe.isDurable || isStillUp(recipe.boot)
}

function siteOf(plan: BuildPlan, path: string, from: { recipe: Recipe; stamps: InputStamps }): Site {
  const { recipe, stamps } = from
  return {
    path,
    recipe,
    inputPath: typeof plan.input === 'string' ? plan.input : undefined,
    idsPath: typeof plan.ids === 'string' ? plan.ids : undefined,
    inputs: [...(recipe.rows === 'file' ? stamps.rows : []), ...(recipe.ids === 'file' ? stamps.ids : [])]
  }
}

function fingerprintInput(path: string, { query }: BuildPlan): string {
  return batchFormatOf(path, query) === 'sqlite' ? fingerprintDatabase(path) : fingerprintFile(path)
}

/** Names all that decides what the stages leave. */
function identify(plan: BuildPlan, fingerprint: string): string {
  const { ids } = plan
  const idsFingerprint =
    typeof ids === 'string'
      ? fingerprintFile(ids)
      : ids === undefined
        ? ''
        : hashOf(new Uint8Array(Float64Array.from(ids).buffer))
  const options = { ...optionsDeciding(plan, 'input'), ...optionsDeciding(plan, 'recipe') }
  return hashOf(JSON.stringify([STAGES_VERSION, FORMAT_VERSION, fingerprint, idsFingerprint, options]))
}

function hashOf(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

async function describeRows(plan: BuildPlan, folder: WorkingFolder): Promise<RowFacts> {
  const { input, dim = 0 } = plan
  const target = {
    rowsPath: folder.file(SPOOLED_ROWS + SPOOLING),
    idsPath: folder.file(SPOOLED_IDS + SPOOLING),
    signal: plan.signal,
    onRows: (rows: number) => {
      plan.onProgress({ stage: 'read', done: rows, total: input instanceof Float32Array ? input.length / dim : 0 })
    }
  }
  if (typeof input !== 'string') {
    const isArray = input instanceof Float32Array
    return {
      ...(await spoolBatches(isArray ? batchesOfArray(input, dim) : input, { ...target, dim })),
      dim,
      label: isArray ? 'Float32Array' : 'batches',
      location: 'spool'
    }
  }
  return batchFormatOf(input, plan.query) === undefined
    ? describeFile(input)
    : { ...(await spoolBatchFile(input, plan, target)), label: input, location: 'spool' }
}

function describeFile(path: string): RowFacts {
  expectVectorEnding(path)
  const rows = openVectorFile(path)
  try {
    return { dim: rows.dim, count: rows.count, label: path, location: 'file', hasIds: false, digest: undefined }
  } finally {
    rows.close()
  }
}

async function* batchesOfArray(values: Float32Array, dim: number): AsyncGenerator<VectorBatch> {
  const rows = float32ArraySource(values, dim) // checks the length
  const step = Math.max(1, Math.floor(SPOOL_BYTES / (dim * 4))) * dim
  for (let at = 0; at < rows.count * dim; at += step) {
    await setImmediate()
    yield { vectors: values.subarray(at, at + step) }
  }
}

function prepareIds(plan: BuildPlan, count: number, folder: WorkingFolder): InputLocation {
  const { ids } = plan
  if (ids === undefined) return 'counted'
  const source = typeof ids === 'string' ? openIdFile(ids) : arrayIdSource(ids)
  try {
    if (source.count !== count)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `${source.label} has ${source.count} ids for ${count} vectors, expected one each`
      )
    if (typeof ids === 'string') return 'file'
    const values = new Float64Array(count)
    source.readIds(0, values)
    writeIds(folder.file(SPOOLED_IDS + SPOOLING), new Uint8Array(values.buffer))
    return 'spool'
  } finally {
    source.close()
  }
}

function writeIds(path: string, bytes: Uint8Array): void {
  const writer = new FileWriter(path)
  try {
    writer.write(bytes)
    writer.flush()
  } finally {
    writer.close()
  }
}

function makeRecipe(
  plan: BuildPlan,
  facts: RowFacts & { identity: string; idsLocation: InputLocation; isDurable: boolean }
): Recipe {
  const { zones: asked, ...options } = optionsDeciding(plan, 'recipe')
  const { identity, isDurable, dim, count, label, location, idsLocation } = facts
  const rowsPerBlock = Math.max(1, Math.floor(CALL_BYTES / (dim * 4)))
  return {
    identity,
    boot: currentBoot(),
    isDurable,
    ...options,
    zonesAsked: asked ?? null,
    dim,
    count,
    label,
    rows: location,
    ids: idsLocation,
    zones: Math.min(count, asked ?? defaultZones(count, dim)),
    rowsPerBlock,
    rowsPerPart: chooseRowsPerPart({ count, dim, memoryBytes: options.memoryBytes, rowsPerBlock })
  }
}

function keepSpooled(folder: WorkingFolder, name: string, isDurable: boolean): void {
  const from = folder.file(name + SPOOLING)
  try {
    if (!existsSync(from)) return
    if (isDurable) syncFile(from)
    renameSync(from, folder.file(name))
  } catch (error) {
    throw wrapWriteError(error, from, 'rename a temporary file')
  }
}
