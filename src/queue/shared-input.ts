// The input of a build on a queue, as the coordinator finds it: what it is, where workers find it, and what has to be
// brought to them.

import { createHash } from 'node:crypto'
import { createReadStream, copyFileSync, constants, linkSync, readdirSync, realpathSync } from 'node:fs'
import { extname, join, relative, isAbsolute, sep } from 'node:path'

import type { BucketInputs } from '../artifacts/bucket-inputs.ts'
import type { InputObject } from '../artifacts/input-window.ts'
import { isBucketUrl } from '../artifacts/open-store.ts'
import type { BuildPlan } from '../build/build-options.ts'
import { stampFile, type FileStamp } from '../build/fingerprint.ts'
import { isParquet } from '../build/input.ts'
import { readInput } from '../build/read-input.ts'
import {
  SPOOLED_FIELDS,
  SPOOLED_IDS,
  SPOOLED_PAYLOADS,
  SPOOLED_ROWS,
  SPOOLED_TEXTS,
  type Recipe,
  type Site
} from '../build/site.ts'
import { fillFolder } from '../build/temporary-folder.ts'
import type { WorkingFolder } from '../build/working-folder.ts'
import { systemCode, wrapReadError, wrapWriteError, ZgqError } from '../errors.ts'
import { INDEX_ENDING } from '../input/blob-spool.ts'
import { fetchParquetHead } from '../input/parquet-head.ts'
import { fetchVectorHead } from '../input/vector-head.ts'
import { syncFile } from '../storage/file-writer.ts'
import { VERSIONS, type SharedRecipe, type SharedRows } from './shared-recipe.ts'

const SPOOLS = [
  SPOOLED_IDS,
  SPOOLED_ROWS,
  ...[SPOOLED_TEXTS, SPOOLED_PAYLOADS, SPOOLED_FIELDS].flatMap((name) => [name, name + INDEX_ENDING])
]
const READ_BYTES = 2 ** 20

/** The input of a build, ready to be shared. */
export interface SharedInput {
  readonly shared: SharedRecipe
  /** Files of the artifact of the input, by name, and where they are on this machine. */
  readonly files: ReadonlyMap<string, string>
  /** The site of what this machine does itself: the index in the working folder. */
  readonly site: Site
  /** The caller's file as it was before it was read; none where its rows were spooled. */
  readonly stamps: readonly FileStamp[]
}

export interface InputOptions {
  readonly store: string
  readonly inputs: BucketInputs
}

/** What is read of the input here, and where workers find it. */
interface Source {
  readonly plan: BuildPlan
  readonly label: string | undefined
  /** Of rows that stay where they are. */
  readonly rows: SharedRows | undefined
  /** Tells one content from another: an ETag, or a digest. */
  readonly content: string
  close(): Promise<void>
}

/**
 * Reads what must be known of the input, and spools what comes once. Rejects as `readInput` does, and with
 * ZGQ_NOT_FOUND or ZGQ_IO for an object that cannot be read.
 */
export async function shareInput(plan: BuildPlan, folder: WorkingFolder, options: InputOptions): Promise<SharedInput> {
  const source = await openSource(plan, options)
  try {
    const { site } = await readInput(source.plan, folder, { isDurable: true, isShared: true })
    const isRead = site.recipe.rows === 'file'
    const files = filesToBring(folder, isRead && source.rows === undefined ? plan.input : undefined)
    const recipe: Recipe = {
      ...site.recipe,
      label: source.label ?? site.recipe.label,
      ids: site.recipe.ids === 'file' ? 'spool' : site.recipe.ids,
      identity: hashOf([site.recipe.identity, isRead ? source.content : ''])
    }
    const rows: SharedRows =
      (isRead ? source.rows : undefined) ?? rowsToBring(files, { isRead, column: plan.column ?? null })
    const shared = {
      ...VERSIONS,
      recipe,
      rows,
      input: files.size === 0 ? null : `input-${recipe.identity.slice(0, 16)}`
    }
    const mine: Site = { ...site, recipe, inputPath: undefined, idsPath: undefined, inputs: [] }
    return { shared, files, site: mine, stamps: isRead && source.label === undefined ? site.inputs : [] }
  } finally {
    await source.close()
  }
}

async function openSource(plan: BuildPlan, options: InputOptions): Promise<Source> {
  const { input, signal = new AbortController().signal } = plan
  const close = (): Promise<void> => Promise.resolve()
  const column = plan.column ?? null
  if (typeof input !== 'string') return { plan, label: undefined, rows: undefined, content: '', close }
  if (isBucketUrl(input)) return await openObject({ plan, input, inputs: options.inputs }, signal)
  const path = pathInStore(input, options.store)
  const content = plan.query === undefined ? await digestOf(input, signal) : ''
  if (path === undefined) return { plan, label: undefined, rows: undefined, content, close }
  const { byteLength, sample } = stampFile(input)
  return { plan, label: undefined, rows: { kind: 'file', file: { path, byteLength, sample }, column }, content, close }
}

/** Opens an object of a bucket through a window: its head, or all of it where it is read in batches. */
async function openObject(
  of: { readonly plan: BuildPlan; readonly input: string; readonly inputs: BucketInputs },
  signal: AbortSignal
): Promise<Source> {
  const { plan, input, inputs } = of
  const object: InputObject = await inputs.look(input, signal)
  const window = await inputs.open(object)
  const fetch = (ranges: Parameters<typeof window.fetch>[0]): Promise<unknown> => window.fetch(ranges, signal)
  try {
    if (!isReadInPlace(plan, window.path)) await fetch([{ offset: 0, byteLength: object.byteLength }])
    else if (isParquet(window.path)) await fetchParquetHead(window.path, { column: plan.column }, fetch)
    else await fetchVectorHead(window.path, fetch)
  } catch (error) {
    await window.close()
    throw error
  }
  return {
    plan: { ...plan, input: window.path },
    label: input,
    rows: { kind: 'object', object, column: plan.column ?? null },
    content: `${object.etag} ${object.byteLength}`,
    close: () => window.close()
  }
}

/** Vectors of a fixed length, and those of Parquet without ids and payloads. */
function isReadInPlace(plan: BuildPlan, path: string): boolean {
  if (isParquet(path)) return plan.idColumn === undefined && plan.payload === undefined && plan.fields.length === 0
  return !['.jsonl', '.ndjson', '.hdf5', '.h5'].includes(extname(path).toLowerCase()) && plan.query === undefined
}

/** Path of a file below the folder of the store; undefined where it is elsewhere. */
function pathInStore(input: string, store: string): string | undefined {
  if (isBucketUrl(store)) return undefined
  try {
    const path = relative(realpathSync(store), realpathSync(input))
    if (path === '' || path.startsWith('..') || isAbsolute(path)) return undefined
    return path.split(sep).join('/') // workers may be of another system
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined // said when it is opened
    throw wrapReadError(error, input, 'look for the input')
  }
}

/** Files of the artifact of the input: what was spooled, and the caller's file where workers cannot see that. */
function filesToBring(folder: WorkingFolder, input: BuildPlan['input'] | undefined): Map<string, string> {
  const there = new Set(readdirSync(folder.path))
  const files = new Map(SPOOLS.filter((name) => there.has(name)).map((name) => [name, folder.file(name)]))
  if (typeof input === 'string') files.set(`rows${extname(input).toLowerCase()}`, input)
  return files
}

function rowsToBring(
  files: ReadonlyMap<string, string>,
  of: { readonly isRead: boolean; readonly column: string | null }
): SharedRows {
  const name = of.isRead ? Array.from(files.keys()).find((file) => file.startsWith('rows.')) : SPOOLED_ROWS
  const path = name === undefined ? undefined : files.get(name)
  if (name === undefined || path === undefined) throw new Error('the rows of the input are nowhere')
  const { byteLength } = stampFile(path)
  return { kind: 'artifact', name, byteLength, column: of.column }
}

/** Puts the files of the input where an artifact of them is to be. Throws ZGQ_IO for a full disk. */
export async function fillInput(path: string, files: ReadonlyMap<string, string>, isDurable: boolean): Promise<void> {
  await fillFolder(path, (folder) => {
    for (const [name, from] of files) {
      const to = join(folder, name)
      try {
        if (SPOOLS.includes(name)) linkOrCopy(from, to)
        else copyFileSync(from, to, constants.COPYFILE_FICLONE) // somebody may write to the caller's file
        if (isDurable) syncFile(to)
      } catch (error) {
        throw wrapWriteError(error, to, 'copy the input')
      }
    }
    return Promise.resolve()
  })
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to, constants.COPYFILE_FICLONE) // another disk, or one without links
  }
}

function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex')
}

/** SHA-256 of all of a file, in hex: other machines cannot see when it was written. */
async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES, signal })) hash.update(asBytes(chunk))
    return hash.digest('hex')
  } catch (error) {
    signal.throwIfAborted()
    throw wrapReadError(error, path, 'read the input')
  }
}

function asBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  throw new ZgqError('ZGQ_IO', 'the file was read as something else than bytes')
}
