// Artifacts in a bucket, and copies of them in a folder of this process. An artifact is one object for each file, and
// last the list of them.

import { mkdir, stat } from 'node:fs/promises'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { systemCode, wrapReadError, wrapWriteError, ZgqError } from '../errors.ts'
import { Gate, inParallel } from '../pack/parallel.ts'
import type { BucketStore } from '../publish/s3-store.ts'
import { checkName, type ArtifactStore } from './artifact-store.ts'
import { download } from './download.ts'
import { decodeFileList, LIST_NAME, type ListedFile } from './file-list.ts'
import { removeScratch } from './scratch-folder.ts'
import { SharedWork } from './shared-work.ts'
import { publishOnce, readWhole } from './small-objects.ts'
import { upload } from './upload.ts'

/** Shorter files go and come by one request, more of them at a time. */
const SMALL_BYTES = 2 ** 20
const SMALL_AT_A_TIME = 16
/** Pieces of 8 MB that come at a time, of all files that are longer. */
const PIECES_AT_A_TIME = 6

/** The store of one build in a bucket; `path` is a folder of this process alone, which `close` removes. */
export class BucketArtifacts implements ArtifactStore {
  readonly place: string
  readonly path: string
  readonly #store: BucketStore
  readonly #scratch: string
  readonly #small = new Gate(SMALL_AT_A_TIME)
  readonly #pieces = new Gate(PIECES_AT_A_TIME)
  readonly #work = new SharedWork<number>()
  readonly #looking = new SharedWork<readonly ListedFile[]>()
  /** Of artifacts that were read from the store: what stands at their path may be a part of them. */
  readonly #lists = new Map<string, readonly ListedFile[]>()
  readonly #closing = new AbortController()
  #isTried = false

  /** `scratch` is a folder of `makeScratch`. */
  constructor(store: BucketStore, scratch: string) {
    this.#store = store
    this.#scratch = scratch
    this.place = store.place
    this.path = join(scratch, 'artifacts')
    mkdirSync(this.path)
  }

  async has(name: string, signal: AbortSignal): Promise<boolean> {
    return await this.#run(name, signal, (ending) => this.#isStored(name, ending))
  }

  async read(name: string, files: readonly string[] | undefined, signal: AbortSignal): Promise<number> {
    return await this.#run(name, signal, async (ending) => {
      if (await this.#isMadeHere(name, files)) return 0
      const listed = await this.#listOf(name, ending)
      await this.#makeFolder(name)
      let moved = 0
      await inParallel(
        this.#select(name, listed, files),
        { most: SMALL_AT_A_TIME, signal: ending },
        async (file, end) => {
          const { result, isOwn } = await this.#work.join(`read ${name}/${file.name}`, end, (shared) =>
            this.#bring(name, file, shared)
          )
          if (isOwn) moved += result
        }
      )
      return moved
    })
  }

  async write(name: string, signal: AbortSignal): Promise<number> {
    return await this.#run(name, signal, async (ending) => {
      const { result, isOwn } = await this.#work.join(`write ${name}`, ending, (shared) => this.#upload(name, shared))
      return isOwn ? result : 0
    })
  }

  async publish(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return await this.#run(name, signal, async (ending) => {
      const found = await publishOnce(this.#store, { name, bytes, isTried: this.#isTried }, ending)
      this.#isTried = true // it refused one that was there
      return found
    })
  }

  async readObject(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return await this.#run(name, signal, (ending) => readWhole(this.#store, name, ending))
  }

  release(name: string): void {
    checkName(name)
    this.#lists.delete(name)
    try {
      rmSync(join(this.path, name), { recursive: true, force: true, maxRetries: 3 })
    } catch (error) {
      throw wrapWriteError(error, join(this.path, name), 'remove the copy of an artifact')
    }
  }

  async list(signal: AbortSignal): Promise<string[]> {
    return await this.#run(undefined, signal, async (ending) => {
      const { objects, folders } = await this.#store.listNames({ prefix: '' }, ending)
      return [...new Set([...objects, ...folders])]
    })
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#run(name, signal, async (ending) => {
      const { objects } = await this.#store.listNames({ prefix: `${name}/`, isDeep: true }, ending)
      const list = `${name}/${LIST_NAME}`
      // The list first: half an artifact must not be there.
      if (objects.includes(list)) await this.#store.remove([list], ending)
      await this.#store.remove([name, ...objects.filter((object) => object !== list)], ending)
      this.release(name)
    })
  }

  async clear(signal: AbortSignal): Promise<void> {
    const names = await this.list(signal)
    await inParallel(names, { most: SMALL_AT_A_TIME, signal }, (name, ending) => this.remove(name, ending))
    await this.#run(undefined, signal, (ending) => this.#store.dropUploads(ending))
  }

  async close(): Promise<void> {
    this.#closing.abort(new ZgqError('ZGQ_CLOSED', 'the store was closed', { path: this.place }))
    await this.#work.ended() // nothing is to come into the folder any more
    await removeScratch(this.#scratch)
  }

  /** Ends the work when the store is closed, too. */
  async #run<Result>(
    name: string | undefined,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>
  ): Promise<Result> {
    if (name !== undefined) checkName(name)
    signal.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    return await work(AbortSignal.any([signal, this.#closing.signal]))
  }

  async #isStored(name: string, signal: AbortSignal): Promise<boolean> {
    const list = `${name}/${LIST_NAME}`
    return (await this.#small.pass(() => this.#store.look(list, signal))) !== undefined
  }

  /** Whether the artifact is a result of this process, and no copy of the store's. */
  async #isMadeHere(name: string, files: readonly string[] = []): Promise<boolean> {
    if (this.#lists.has(name) || !(await isThere(join(this.path, name)))) return false
    for (const file of files)
      if (!(await isThere(join(this.path, name, file)))) throw this.#missing(`${name}/${file}`, 'a file of an artifact')
    return true
  }

  async #listOf(name: string, signal: AbortSignal): Promise<readonly ListedFile[]> {
    const known = this.#lists.get(name)
    if (known !== undefined) return known
    const { result } = await this.#looking.join(name, signal, async (ending) => {
      const object = `${name}/${LIST_NAME}`
      const bytes = await this.#small.pass(() => readWhole(this.#store, object, ending))
      if (bytes === undefined) throw this.#missing(name, 'the artifact')
      return decodeFileList(bytes, this.place + object)
    })
    this.#lists.set(name, result)
    return result
  }

  #select(name: string, listed: readonly ListedFile[], wanted: readonly string[] | undefined): readonly ListedFile[] {
    return (
      wanted?.map((file) => {
        const found = listed.find((each) => each.name === file)
        if (found === undefined) throw this.#missing(`${name}/${file}`, 'a file of an artifact')
        return found
      }) ?? listed
    )
  }

  /** Brings a file that is not here yet. */
  async #bring(name: string, file: ListedFile, signal: AbortSignal): Promise<number> {
    const path = join(this.path, name, file.name)
    if (await isThere(path)) return 0
    const isSmall = file.byteLength <= SMALL_BYTES
    const wanted = { store: this.#store, name: `${name}/${file.name}`, file, path, folder: this.path }
    const gate = isSmall ? this.#small : this.#pieces
    try {
      return await download({ ...wanted, gate, piecesAtATime: PIECES_AT_A_TIME }, signal)
    } catch (error) {
      const isGone = error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND'
      // Where the artifact is given up as a whole, its list goes first.
      if (!isGone || !(await this.#isStored(name, signal))) throw error
      const message = `${wanted.name} is not there, and is listed; remove its artifact, and its task is done again`
      throw new ZgqError('ZGQ_CORRUPT', message, { path: this.place, cause: error })
    }
  }

  async #upload(name: string, signal: AbortSignal): Promise<number> {
    if (await this.#isStored(name, signal)) return 0
    if (this.#lists.has(name)) throw this.#missing(name, 'the artifact, of which there are copies here,')
    const small = { mostBytes: SMALL_BYTES, gate: this.#small }
    return await upload({ store: this.#store, name, path: join(this.path, name), small }, signal)
  }

  async #makeFolder(name: string): Promise<void> {
    const path = join(this.path, name)
    await mkdir(path, { recursive: true }).catch((error: unknown) => {
      throw wrapWriteError(error, path, 'make the folder of an artifact')
    })
  }

  #missing(name: string, what: string): ZgqError {
    return new ZgqError('ZGQ_NOT_FOUND', `${what} is not there`, { path: this.place + name })
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw wrapReadError(error, path, 'look for a copy')
  }
}
