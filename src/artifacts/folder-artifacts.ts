// Artifacts in a folder that all machines see. Tasks make them in place, by a rename, so that there is nothing to move.

import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { mkdir, opendir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { isTemporaryName, temporaryEnding } from '../build/stored-json.ts'
import { systemCode, wrapReadError, wrapWriteError, ZgqError } from '../errors.ts'
import { folderStore } from '../pack/folder-store.ts'
import type { ObjectStore } from '../pack/object-store.ts'
import { inParallel } from '../pack/parallel.ts'
import { checkName, type ArtifactStore } from './artifact-store.ts'
import { publishOnce, readWhole } from './small-objects.ts'

const REMOVED_AT_A_TIME = 8

/**
 * Opens the store of one build in a folder, which must exist; the folder of the build is made in it, unless it must be
 * there already (`isBegun`). Rejects with ZGQ_NOT_FOUND, ZGQ_READ_ONLY or ZGQ_IO.
 */
export async function openFolderArtifacts(folder: string, build: string, isBegun = false): Promise<ArtifactStore> {
  checkName(build)
  checkFolder(folder)
  const path = join(folder, build)
  if (isBegun) await expectBegun(folder, path)
  try {
    if (!isBegun) await mkdir(path, { recursive: true })
    await tryToWrite(path)
  } catch (error) {
    throw wrapWriteError(error, path, isBegun ? 'use the folder of a build' : 'make the folder of a build')
  }
  return new FolderArtifacts(path)
}

/** Rejects with ZGQ_NOT_FOUND, ZGQ_READ_ONLY or ZGQ_IO where a folder cannot be a store. */
export async function expectStoreFolder(folder: string): Promise<void> {
  checkFolder(folder)
  await tryToWrite(folder).catch((error: unknown) => {
    throw wrapWriteError(error, folder, 'write to the store')
  })
}

/** Only trying tells: on network file systems permissions are the server's. */
async function tryToWrite(folder: string): Promise<void> {
  const tried = join(folder, `tried-${randomBytes(6).toString('hex')}.${temporaryEnding()}`)
  await mkdir(tried)
  await rm(tried, { recursive: true, force: true }) // a collector may have been faster
}

async function expectBegun(folder: string, path: string): Promise<void> {
  try {
    await readdir(folder) // network file systems may remember that it was not there
    await stat(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw wrapReadError(error, path, 'look for a build')
    throw new ZgqError('ZGQ_NOT_FOUND', 'the build is not in this store: it was given up, or has ended', {
      path,
      cause: error
    })
  }
}

function checkFolder(folder: string): void {
  let isFolder
  try {
    isFolder = statSync(folder).isDirectory()
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw wrapReadError(error, folder, 'open the store')
    throw new ZgqError('ZGQ_NOT_FOUND', 'the folder of the store is not there: make it, or mount it on this machine', {
      path: folder,
      cause: error
    })
  }
  if (!isFolder) throw new ZgqError('ZGQ_IO', 'the store is a file, expected a folder', { path: folder })
}

class FolderArtifacts implements ArtifactStore {
  readonly place: string
  readonly path: string
  readonly #objects: ObjectStore
  #removals = 0
  #isClosed = false

  constructor(path: string) {
    this.place = path
    this.path = path
    this.#objects = folderStore(path)
  }

  async has(name: string, signal: AbortSignal): Promise<boolean> {
    this.#check(name, signal)
    return await this.#isThere(name, (found) => found.isDirectory())
  }

  async read(name: string, files: readonly string[] | undefined, signal: AbortSignal): Promise<number> {
    this.#check(name, signal)
    if (!(await this.#isThere(name, (found) => found.isDirectory()))) throw this.#missing(name, 'the artifact')
    for (const file of files ?? [])
      if (!(await this.#isThere(join(name, file), (found) => found.isFile())))
        throw this.#missing(join(name, file), 'a file of an artifact')
    return 0
  }

  async write(name: string, signal: AbortSignal): Promise<number> {
    return await this.read(name, undefined, signal)
  }

  async publish(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    this.#check(name, signal)
    return await publishOnce(this.#objects, { name, bytes, isTried: true }, signal)
  }

  async readObject(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    this.#check(name, signal)
    return await readWhole(this.#objects, name, signal)
  }

  release(): void {
    // All that is here is the store's.
  }

  async list(signal: AbortSignal): Promise<string[]> {
    this.#checkOpen(signal)
    try {
      return await readdir(this.path)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return []
      throw wrapReadError(error, this.path, 'list artifacts')
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    this.#check(name, signal)
    const path = join(this.path, name)
    // Under another name first: half an artifact must not be there.
    const dying = isTemporaryName(name) ? path : `${path}.removed-${this.#removals++}.${temporaryEnding()}`
    try {
      if (dying !== path) await rename(path, dying)
      await rm(dying, { recursive: true, force: true, maxRetries: 3 })
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw wrapWriteError(error, path, 'remove an artifact')
    }
  }

  async clear(signal: AbortSignal): Promise<void> {
    await inParallel(await this.list(signal), { most: REMOVED_AT_A_TIME, signal }, async (name, ending) => {
      await this.remove(name, ending)
    })
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) => {
      throw wrapWriteError(error, this.path, 'remove the folder of a build')
    })
  }

  close(): Promise<void> {
    this.#isClosed = true
    return Promise.resolve()
  }

  /**
   * Network file systems remember for a while that a name was not there; they look again when the folder is read.
   */
  async #isThere(name: string, isWanted: (found: Awaited<ReturnType<typeof stat>>) => boolean): Promise<boolean> {
    const path = join(this.path, name)
    try {
      const found = await stat(path).catch(async (error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error
        const folder = await opendir(this.path)
        await folder.read().finally(() => folder.close())
        return await stat(path)
      })
      return isWanted(found)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw wrapReadError(error, path, 'look for an artifact')
    }
  }

  #missing(name: string, what: string): ZgqError {
    return new ZgqError('ZGQ_NOT_FOUND', `${what} is not there`, { path: join(this.path, name) })
  }

  #check(name: string, signal: AbortSignal): void {
    checkName(name)
    this.#checkOpen(signal)
  }

  #checkOpen(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (this.#isClosed) throw new ZgqError('ZGQ_CLOSED', 'the store was closed', { path: this.place })
  }
}
