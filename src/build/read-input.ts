// The first stage: finds out what the input is, brings what can be read only once into a file of the working folder,
// and writes the recipe. Where the folder holds the work of a build that died, and the recipe is the same, that work is
// kept.

import { existsSync, renameSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import { wrapWriteError, ZgqError } from '../errors.ts'
import { currentBoot, isStillUp } from '../storage/boot.ts'
import { FileWriter, syncFile } from '../storage/file-writer.ts'
import { INDEX_ENDING } from '../input/blob-spool.ts'
import type { DocumentPaths } from '../input/document-spool.ts'
import { openParquetRows } from '../input/parquet-row-source.ts'
import type { IdSource, RowSource } from '../input/row-source.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import { optionsDeciding, type BuildPlan } from './build-options.ts'
import { defaultZones } from './default-zones.ts'
import { describeDocuments, expectGivenCounts, spoolGiven, type SpooledColumns } from './given-columns.ts'
import { rowNumbers } from './input.ts'
import { areTexts } from './option-checks.ts'
import { expectUnchanged } from './fingerprint.ts'
import { contentOf, identify, seenFiles, stampInputs, type InputStamps } from './identity.ts'
import { checkFreeSpace, checkMemory, chooseRowsPerPart } from './resources.ts'
import {
  readRecipe,
  RECIPE_NAME,
  SPOOLED_FIELDS,
  SPOOLED_IDS,
  SPOOLED_PAYLOADS,
  SPOOLED_ROWS,
  SPOOLED_TEXTS,
  type DocumentFacts,
  type InputLocation,
  type Recipe,
  type Site,
  type StoredRecipe
} from './site.ts'
import { arrayIdSource, float32ArraySource } from '../input/float32-array.ts'
import { spoolBatchFile } from '../input/batch-file.ts'
import { batchFormatOf, hasColumns } from '../input/batch-format.ts'
import { openIdFile } from '../input/id-file.ts'
import { expectVectorEnding } from '../input/read-vectors.ts'
import { openRawIds, spoolBatches } from '../input/spool.ts'
import { openVectorFile } from '../input/vector-file.ts'
import type { IdType } from '../types.ts'
import { isTemporaryName, writeStored } from './stored-json.ts'
import type { WorkingFolder } from './working-folder.ts'

/**
 * Rows of the input pass through the kernel in calls of about so many bytes; a constant, since results must not depend
 * on memory.
 */
const CALL_BYTES = 1024 * 1024
/** Bytes of an array that are written at a time, and ids that are copied together. */
const SPOOL_BYTES = 4 * CALL_BYTES
const COPIED_IDS = 65_536
const NOTHING: SpooledColumns = { texts: undefined, payloads: undefined, fields: undefined }
const SPOOLED = [
  SPOOLED_ROWS,
  SPOOLED_IDS,
  ...[SPOOLED_TEXTS, SPOOLED_PAYLOADS, SPOOLED_FIELDS].flatMap((name) => [name, name + INDEX_ENDING])
]

/**
 * In the names of files that are being spooled: those of a build that died stay until it is known whether they are the
 * same.
 */
const SPOOLING = '.spooling'

function isSpooling(name: string): boolean {
  return name.includes(SPOOLING)
}

interface RowFacts {
  readonly dim: number
  readonly count: number
  readonly label: string
  readonly location: InputLocation
  /** Kind of the ids that they came with. */
  readonly idType: IdType | undefined
  /** What else they came with. */
  readonly columns: SpooledColumns
  /** Digest of what was spooled; undefined for files, whose fingerprint is taken. */
  readonly digest: string | undefined
}

/** `isBegun`: an earlier build of the same input and options has left work there. */
interface PreparedSite {
  readonly site: Site
  readonly isBegun: boolean
}

/** What the work that follows needs of the input. */
export interface ReadingNeeds {
  /** The work outlasts the run of the system, as stages in several processes need. */
  readonly isDurable: boolean
  /** Other machines do the work: large parts, vectors of Parquet files where they are, ids in one form. */
  readonly isShared: boolean
}

/**
 * Prepares the input and the recipe. Throws ZGQ_BUILD_INPUT, what the sources throw, RangeError for too little memory,
 * ZGQ_IO for a full disk.
 */
export async function readInput(plan: BuildPlan, folder: WorkingFolder, needs: ReadingNeeds): Promise<PreparedSite> {
  const { isDurable, isShared } = needs
  folder.clear((name) => !isSpooling(name) && !isTemporaryName(name)) // of a build that died
  const stamps = stampInputs(plan)
  const before = readRecipe(folder.path)
  const mayGoOn =
    before !== undefined &&
    isTrusted(before) &&
    (before.isDurable || !isDurable) &&
    !(isShared && before.ids === 'file') // other machines get a copy of them
  const given = await spoolGiven(plan, documentPaths(folder))
  const seen = typeof plan.input === 'string' ? identify(plan, given, seenFiles(plan, plan.input)) : undefined
  const goOn = (recipe: StoredRecipe): PreparedSite => {
    folder.clear((name) => !isSpooling(name)) // spooled once more, it is the same
    return { site: siteOf(plan, folder.path, { recipe, stamps }), isBegun: true }
  }
  if (mayGoOn && before.seen === seen) return goOn(before)
  const rows = await describeRows(plan, folder, { given, isShared })
  expectGivenCounts(plan, rows.count)
  const columns = given.payloads === undefined ? { ...given, ...rows.columns } : given
  const texts = given.texts ?? rows.columns.texts
  const hasDocuments = texts !== undefined || columns.payloads !== undefined
  const idsLocation =
    rows.idType === 'integer' ? 'spool' : prepareIds(plan, folder, { ...rows, isCopied: hasDocuments || isShared })
  if (rows.location === 'spool') expectUnchanged(stamps.rows)
  if (hasDocuments) expectUnchanged(stamps.ids)
  const identity = identify(plan, given, contentOf(stamps, rows.digest))
  // A file that is read where it is may have been changed where its stamp does not look.
  if (mayGoOn && seen === undefined && before.identity === identity) return goOn(before)
  folder.clear(isSpooling)
  const documents = describeDocuments({ ...columns, texts }, plan, () =>
    idsLocation === 'spool' ? openRawIds(folder.file(SPOOLED_IDS + SPOOLING), rows) : rowNumbers(rows.count)
  )
  const pure = makeRecipe(plan, { ...rows, identity, idsLocation, documents, isShared })
  const recipe: StoredRecipe = { ...pure, seen: seen ?? identity, boot: currentBoot(), isDurable }
  checkMemory(recipe)
  const documentBytes = [texts, columns.payloads, columns.fields].reduce((sum, one) => sum + (one?.byteLength ?? 0), 0)
  checkFreeSpace(folder.path, recipe, documentBytes)
  for (const name of SPOOLED) keepSpooled(folder, name, isDurable)
  // synced in any case: where syncing is not allowed, that shows before the work is done
  writeStored(folder.file(RECIPE_NAME), recipe, true)
  return { site: siteOf(plan, folder.path, { recipe, stamps }), isBegun: false }
}

/** What is being spooled. */
function documentPaths(folder: WorkingFolder): DocumentPaths {
  return {
    ids: folder.file(SPOOLED_IDS + SPOOLING),
    texts: folder.file(SPOOLED_TEXTS + SPOOLING),
    payloads: folder.file(SPOOLED_PAYLOADS + SPOOLING),
    fields: folder.file(SPOOLED_FIELDS + SPOOLING)
  }
}

/**
 * Finds the site that an earlier stage prepared. Throws ZGQ_NOT_FOUND where there is none, ZGQ_MISMATCH where it is for
 * another input or other options.
 */
export async function findSite(plan: BuildPlan, folder: string): Promise<Site> {
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
  const given = await spoolGiven(plan, undefined)
  if (typeof plan.input !== 'string' || recipe.seen !== identify(plan, given, seenFiles(plan, plan.input))) {
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
    const shown = (given: unknown): unknown => (name === 'note' && typeof given === 'string' ? 'another one' : given)
    const [before, now] = [shown(begun.get(name)) ?? '(default)', shown(value) ?? '(default)']
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the build was started with ${name} ${before}, this stage was called with ${now}: call all stages with the ` +
        'same options',
      { path }
    )
  }
}

/** Tells whether the files of a site are what was written to them. */
function isTrusted(recipe: StoredRecipe): boolean {
  return recipe.isDurable || isStillUp(recipe.boot)
}

function siteOf(plan: BuildPlan, path: string, from: { recipe: StoredRecipe; stamps: InputStamps }): Site {
  const { recipe: stored, stamps } = from
  const { isDurable, seen: _seen, boot: _boot, ...recipe } = stored
  return {
    path,
    recipe,
    isDurable,
    spoolPath: path,
    inputPath: typeof plan.input === 'string' ? plan.input : undefined,
    idsPath: typeof plan.ids === 'string' ? plan.ids : undefined,
    inputs: [...(recipe.rows === 'file' ? stamps.rows : []), ...(recipe.ids === 'file' ? stamps.ids : [])]
  }
}

async function describeRows(
  plan: BuildPlan,
  folder: WorkingFolder,
  { given, isShared }: { readonly given: SpooledColumns; readonly isShared: boolean }
): Promise<RowFacts> {
  const { input, dim = 0, fields, payload, query } = plan
  const target = {
    rowsPath: folder.file(SPOOLED_ROWS + SPOOLING),
    documentPaths: documentPaths(folder),
    fields: given.payloads === undefined ? fields : [],
    signal: plan.signal,
    onRows: (rows: number) => {
      plan.onProgress({ stage: 'read', done: rows, total: input instanceof Float32Array ? input.length / dim : 0 })
    }
  }
  if (typeof input !== 'string') {
    const isArray = input instanceof Float32Array
    const columns = await spoolBatches(isArray ? batchesOfArray(input, dim) : input, { ...target, dim })
    return { ...columns, columns, dim, label: isArray ? 'Float32Array' : 'batches', location: 'spool' }
  }
  const format = batchFormatOf(input, query)
  if (format === undefined) return describeFile(input)
  const hasPayloads = hasColumns(format) && (fields.length > 0 || payload !== undefined)
  if (isShared && format === 'parquet' && !hasPayloads && plan.idColumn === undefined)
    return describeRowsOf(await openParquetRows(input, { column: plan.column }))
  const payloadColumns = hasPayloads ? { fields, others: payload ?? [] } : undefined
  const columns = await spoolBatchFile(input, { ...plan, payloadColumns }, target)
  return { ...columns, columns, label: input, location: 'spool' }
}

function describeFile(path: string): RowFacts {
  expectVectorEnding(path)
  return describeRowsOf(openVectorFile(path))
}

function describeRowsOf(rows: RowSource): RowFacts {
  try {
    const { dim, count, label } = rows
    return { dim, count, label, location: 'file', idType: undefined, columns: NOTHING, digest: undefined }
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

/** Those of documents are looked up one by one, so a file of them is copied (isCopied). */
function prepareIds(plan: BuildPlan, folder: WorkingFolder, rows: { count: number; isCopied: boolean }): InputLocation {
  const { ids } = plan
  const { count } = rows
  if (ids === undefined || areTexts(ids)) return 'counted'
  const source = typeof ids === 'string' ? openIdFile(ids) : arrayIdSource(ids)
  try {
    if (source.count !== count)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `${source.label} has ${source.count} ids for ${count} vectors, expected one each`
      )
    if (typeof ids === 'string' && !rows.isCopied) return 'file'
    copyIds(source, folder.file(SPOOLED_IDS + SPOOLING))
    return 'spool'
  } finally {
    source.close()
  }
}

function copyIds(ids: IdSource, path: string): void {
  const writer = new FileWriter(path)
  try {
    const chunk = new Float64Array(Math.min(COPIED_IDS, ids.count))
    for (let row = 0; row < ids.count; row += chunk.length) {
      const some = chunk.subarray(0, ids.count - row)
      ids.readIds(row, some)
      writer.write(new Uint8Array(some.buffer, 0, some.byteLength))
    }
    writer.flush()
  } finally {
    writer.close()
  }
}

function makeRecipe(
  plan: BuildPlan,
  facts: RowFacts & {
    identity: string
    idsLocation: InputLocation
    documents: DocumentFacts | null
    isShared: boolean
  }
): Recipe {
  const { zones: asked, ...options } = optionsDeciding(plan, 'recipe')
  const { identity, dim, count, label, location, idsLocation, documents, isShared } = facts
  const rowsPerBlock = Math.max(1, Math.floor(CALL_BYTES / (dim * 4)))
  return {
    identity,
    ...options,
    zonesAsked: asked ?? null,
    dim,
    count,
    label,
    rows: location,
    ids: idsLocation,
    documents,
    zones: Math.min(count, asked ?? defaultZones(count, dim)),
    rowsPerBlock,
    rowsPerPart: chooseRowsPerPart({ count, dim, memoryBytes: options.memoryBytes, rowsPerBlock, isShared })
  }
}

function keepSpooled(folder: WorkingFolder, name: string, isDurable: boolean): void {
  const from = folder.file(spoolingName(name))
  try {
    if (!existsSync(from)) return
    if (isDurable) syncFile(from)
    renameSync(from, folder.file(name))
  } catch (error) {
    throw wrapWriteError(error, from, 'rename a temporary file')
  }
}

/** A blob spool is opened by one path, which the name of its index follows from. */
function spoolingName(name: string): string {
  return name.endsWith(INDEX_ENDING) ? name.slice(0, -INDEX_ENDING.length) + SPOOLING + INDEX_ENDING : name + SPOOLING
}
