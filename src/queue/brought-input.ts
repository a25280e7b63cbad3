// What a task reads of the input, brought to the machine that does it: files of a folder that all see are there, of
// objects of a bucket come the bytes that the task reads.

import { join } from 'node:path'

import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { BucketInputs } from '../artifacts/bucket-inputs.ts'
import type { InputObject, InputWindow } from '../artifacts/input-window.ts'
import type { ArtifactInput, ArtifactTask } from '../build/artifact-names.ts'
import { stampFile } from '../build/fingerprint.ts'
import { isParquet, type BroughtFiles } from '../build/input.ts'
import { rowsOfBlock } from '../build/sample.ts'
import {
  SPOOLED_FIELDS,
  SPOOLED_IDS,
  SPOOLED_PAYLOADS,
  SPOOLED_ROWS,
  SPOOLED_TEXTS,
  type Recipe
} from '../build/site.ts'
import { ZgqError } from '../errors.ts'
import { INDEX_ENDING } from '../input/blob-spool.ts'
import { fetchParquetHead } from '../input/parquet-head.ts'
import { openParquetRows } from '../input/parquet-row-source.ts'
import type { ByteRange } from '../input/row-source.ts'
import { openRowFile, VECTOR_ENDINGS } from '../input/vector-file.ts'
import { fetchVectorHead } from '../input/vector-head.ts'
import type { SharedRecipe } from './shared-recipe.ts'

/** The store of a build, and what reads objects of buckets. */
export interface InputSeam {
  readonly store: ArtifactStore
  /** `s3://bucket/prefix` of the build; undefined: the store is a folder. */
  readonly bucketPlace: string | undefined
  /** The folder of the store, which has the folders of builds; undefined: it is a bucket. */
  readonly folder: string | undefined
  readonly inputs: BucketInputs
}

/** Files that hold what a task reads of the input, for that task alone. */
export interface Brought {
  /** Undefined where the files of the site are there for all tasks. */
  readonly files: BroughtFiles | undefined
  /** Bytes that were moved. */
  readonly bytes: number
  close(): Promise<void>
}

const NOTHING: Brought = { files: undefined, bytes: 0, close: () => Promise.resolve() }

/** Path of the rows on a machine that sees the store's folder; undefined where they come by pieces, or are spooled. */
export function localRows({ rows, input }: SharedRecipe, { folder, store }: InputSeam): string | undefined {
  if (rows.kind === 'file') return join(folder ?? '', rows.file.path)
  if (folder === undefined || rows.kind === 'object' || rows.name === SPOOLED_ROWS) return undefined
  return join(store.path, input ?? '', rows.name)
}

/** Rows of the input that a task reads; undefined: none. */
function rowsOf(recipe: Recipe, task: ArtifactTask): { readonly first: number; readonly count: number } | undefined {
  if (task.kind === 'assign') {
    const first = task.part * recipe.rowsPerPart
    return { first, count: Math.min(recipe.rowsPerPart, recipe.count - first) }
  }
  if (task.kind !== 'sample') return undefined
  const rows = rowsOfBlock(recipe, task.block)
  return { first: rows[0], count: rows[rows.length - 1] - rows[0] + 1 }
}

/** How many rows of the input a task reads, of a file that is there whole. */
export function rowsRead(recipe: Recipe, task: ArtifactTask): number {
  return task.kind === 'sample' ? rowsOfBlock(recipe, task.block).length : (rowsOf(recipe, task)?.count ?? 0)
}

/** Lists files of the artifact of the input that a task looks rows up in: they must be there whole. */
export function wholeFiles({ recipe, input }: SharedRecipe, task: ArtifactTask): ArtifactInput[] {
  const { documents, ids } = recipe
  if (input === null) return []
  const files: string[] = []
  const addSpool = (name: string): number => files.push(name, name + INDEX_ENDING)
  if (documents?.idType === 'string') addSpool(SPOOLED_TEXTS)
  else if (ids === 'spool') files.push(SPOOLED_IDS)
  if (task.kind === 'write' && documents !== null) {
    if (documents.hasPayloads) addSpool(SPOOLED_PAYLOADS)
    if (documents.fields.length > 0) addSpool(SPOOLED_FIELDS)
    return [{ name: input, files }]
  }
  return task.kind === 'check-ids' && files.length > 0 ? [{ name: input, files }] : []
}

/** Brings what a task reads. Rejects with ZGQ_BUILD_INPUT where the input has changed since the build began. */
export async function bringInput(
  { shared, seam }: { readonly shared: SharedRecipe; readonly seam: InputSeam },
  task: ArtifactTask,
  signal: AbortSignal
): Promise<Brought> {
  const { recipe, rows } = shared
  const range = rowsOf(recipe, task)
  if (range === undefined) return NOTHING
  expectSharedFile(shared, seam)
  const object =
    rows.kind === 'object' ? rows.object : rows.kind === 'artifact' ? artifactFile(shared, seam, rows) : undefined
  if (object === undefined) return NOTHING
  const opened: InputWindow[] = []
  const open = async (of: InputObject): Promise<InputWindow> => {
    const window = await seam.inputs.open(of)
    opened.push(window)
    return window
  }
  const close = async (): Promise<void> => {
    for (const window of opened) await window.close()
  }
  try {
    const window = await open(object)
    let bytes = 0
    const fetch = async (from: InputWindow, ranges: readonly ByteRange[]): Promise<void> => {
      bytes += await from.fetch(ranges, signal)
    }
    const ranges = await rangesIn(window.path, { shared, range, fetch: (some) => fetch(window, some) })
    await fetch(window, ranges)
    const ids = await idsWindow({ shared, seam }, task, open)
    if (ids !== undefined) await fetch(ids, [{ offset: range.first * 8, byteLength: range.count * 8 }])
    return { files: { rows: window.path, ids: ids?.path }, bytes, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Opens a window on the ids that parts of the input carry; undefined: they are counted, or looked up later. */
async function idsWindow(
  { shared, seam }: { readonly shared: SharedRecipe; readonly seam: InputSeam },
  task: ArtifactTask,
  open: (of: InputObject) => Promise<InputWindow>
): Promise<InputWindow | undefined> {
  const { ids, documents, count } = shared.recipe
  if (task.kind !== 'assign' || ids !== 'spool' || documents !== null) return undefined
  const object = artifactFile(shared, seam, { name: SPOOLED_IDS, byteLength: count * 8 })
  return object === undefined ? undefined : await open(object)
}

/** A file of the artifact of the input as an object of the bucket; undefined where the store is a folder. */
function artifactFile(
  { input }: SharedRecipe,
  { bucketPlace }: InputSeam,
  { name, byteLength }: { readonly name: string; readonly byteLength: number }
): InputObject | undefined {
  return bucketPlace === undefined
    ? undefined
    : { place: `${bucketPlace}/${input}/${name}`, byteLength, etag: undefined }
}

/** Finds where rows lie in a file of which nothing is there yet: its head comes first. */
async function rangesIn(
  path: string,
  of: {
    readonly shared: SharedRecipe
    readonly range: { readonly first: number; readonly count: number }
    readonly fetch: (ranges: readonly ByteRange[]) => Promise<void>
  }
): Promise<readonly ByteRange[]> {
  const { shared, range, fetch } = of
  const { dim, rows } = shared.recipe
  if (rows !== 'file') return [{ offset: range.first * dim * 4, byteLength: range.count * dim * 4 }]
  const options = { column: shared.rows.column ?? undefined }
  if (isParquet(path)) await fetchParquetHead(path, options, fetch)
  else await fetchVectorHead(path, fetch)
  const source = isParquet(path) ? await openParquetRows(path, options) : openRowFile(path, VECTOR_ENDINGS)
  try {
    return source.rangesOf(range.first, range.count)
  } finally {
    source.close()
  }
}

/** Throws ZGQ_BUILD_INPUT where a file that all machines see is not as it was when the build began. */
export function expectSharedFile({ rows }: SharedRecipe, { folder }: Pick<InputSeam, 'folder'>): void {
  if (rows.kind !== 'file') return
  const path = join(folder ?? '', rows.file.path)
  const { byteLength, sample } = stampFile(path)
  if (byteLength === rows.file.byteLength && sample === rows.file.sample) return
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    `the input changed while the build read it: it has ${byteLength} bytes, and had ${rows.file.byteLength}, or ` +
      'others. Start the build again, and leave the file alone until it has ended',
    { path }
  )
}
