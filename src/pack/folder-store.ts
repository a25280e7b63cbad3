// A folder to publish to, as to a bucket: the same objects as files, to be copied to any web server. Files appear
// whole, by a temporary name; they and the folder are synced before anything names them.

import { randomBytes } from 'node:crypto'
import { access, link, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { expectPath } from '../arguments.ts'
import { systemCode, wrapReadError, wrapWriteError, ZgqError } from '../errors.ts'
import type { GotBytes } from '../remote/byte-source.ts'
import { syncFolder } from '../storage/file-writer.ts'
import { readPiece, readPieces } from './file-pieces.ts'
import type { FileContent, ObjectStore } from './object-store.ts'

/** What file systems without hard links answer: FAT, some network file systems. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EISDIR'])

/**
 * Returns a store for `publishIndex` in a folder, which the first object creates. Rejects with
 * ZGQ_NOT_FOUND, ZGQ_READ_ONLY and ZGQ_IO. On file systems without hard links, two publishers at the very same moment
 * may take the same number. Throws TypeError for what is no path.
 */
export function folderStore(path: string | URL): ObjectStore {
  return new FolderStore(expectPath('path', path))
}

class FolderStore implements ObjectStore {
  readonly place: string

  constructor(path: string) {
    this.place = path
  }

  async getBytes(...asked: Parameters<ObjectStore['getBytes']>): Promise<GotBytes> {
    const [name, offset, length, signal] = asked
    signal.throwIfAborted()
    const path = this.#pathOf(name)
    const { size } = await stat(path).catch((error: unknown) => {
      throw wrapReadError(error, path, 'read')
    })
    const bytes = await readPiece(path, offset, Math.max(0, Math.min(length, size - offset)))
    return { bytes, byteLength: size }
  }

  async list(prefix: string, signal: AbortSignal): Promise<string[]> {
    signal.throwIfAborted()
    try {
      return (await readdir(this.place)).filter((name) => name.startsWith(prefix))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return []
      throw wrapReadError(error, this.place, 'list the folder')
    }
  }

  async has(name: string, byteLength: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const path = this.#pathOf(name)
    try {
      return (await stat(path)).size === byteLength
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw wrapReadError(error, path, 'look for a file')
    }
  }

  async put(name: string, content: Uint8Array | FileContent, signal: AbortSignal): Promise<void> {
    await this.#store(name, { content, signal }, async (from, to) => {
      await rename(from, to)
      return true
    })
  }

  async putIfAbsent(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    return await this.#store(name, { content: bytes, signal }, moveIfAbsent)
  }

  /** Writes and syncs a file under a temporary name, which `move` gives its own. */
  async #store(
    name: string,
    { content, signal }: { readonly content: Uint8Array | FileContent; readonly signal: AbortSignal },
    move: (from: string, to: string) => Promise<boolean>
  ): Promise<boolean> {
    signal.throwIfAborted()
    const to = this.#pathOf(name)
    const from = join(this.place, `.${name}.${randomBytes(6).toString('hex')}.tmp`)
    try {
      await mkdir(this.place, { recursive: true })
      await writeFile(from, content, signal)
      const isMoved = await move(from, to)
      syncFolder(this.place)
      return isMoved
    } catch (error) {
      signal.throwIfAborted()
      throw wrapWriteError(error, to, 'store a file')
    } finally {
      await rm(from, { force: true }).catch(() => undefined)
    }
  }

  #pathOf(name: string): string {
    if (!/^\w[\w.-]*$/.test(name)) throw new ZgqError('ZGQ_CORRUPT', `no name of an object: ${JSON.stringify(name)}`)
    return join(this.place, name)
  }
}

/** A link is made in one step, unless there is something of that name. */
async function moveIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST') return false
    if (code === undefined || !NO_LINKS.has(code)) throw error
  }
  const isThere = await access(to).then(
    () => true,
    () => false
  )
  if (!isThere) await rename(from, to)
  return !isThere
}

async function writeFile(path: string, content: Uint8Array | FileContent, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'wx')
  try {
    if (content instanceof Uint8Array) await writeAll(file, content)
    else
      for await (const piece of readPieces(content.path, content.byteLength)) {
        signal.throwIfAborted()
        await writeAll(file, piece)
        content.onBytes?.(piece.byteLength)
      }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) done += (await file.write(bytes, done)).bytesWritten
}
