// A file that appears whole or not at all: written under a temporary name beside its place, synced, then renamed.

import { closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { ZgqError } from '../src/index.ts'
import { UsageError } from './arguments.ts'

const BUFFER_BYTES = 2 ** 20

export interface NewFileOptions {
  /** Replace a file that is there. */
  readonly force: boolean
  /** Folder of the index, in which nothing may be written. */
  readonly index: string
}

export class NewFile {
  readonly path: string
  /** Bytes so far. */
  byteLength = 0
  readonly #target: string
  readonly #temporary: string
  #file: number | undefined
  readonly #buffer = Buffer.alloc(BUFFER_BYTES)
  #buffered = 0

  private constructor(path: string, target: string) {
    this.path = path
    this.#target = target
    this.#temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
    this.#file = openNew(this.#temporary)
  }

  /**
   * Makes a file for `path`. Throws ZGQ_EXISTS where something is there (without `force`), ZGQ_NOT_FOUND where the
   * folder is missing, ZGQ_READ_ONLY or ZGQ_IO; UsageError for a path inside the index.
   */
  static create(path: string, options: NewFileOptions): NewFile {
    return wrapping(path, () => new NewFile(path, placeOf(path, options)))
  }

  /** Adds bytes to the end. */
  append(bytes: Uint8Array | string): void {
    const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.byteLength
    if (this.#buffered + length > BUFFER_BYTES) this.#flush()
    if (length > BUFFER_BYTES) this.writeAt(this.byteLength, typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
    else {
      if (typeof bytes === 'string') this.#buffer.write(bytes, this.#buffered)
      else this.#buffer.set(bytes, this.#buffered)
      this.#buffered += length
      this.byteLength += length
    }
  }

  /** Writes bytes to a place; not to be mixed with bytes that were appended and are still buffered. */
  writeAt(offset: number, bytes: Uint8Array): void {
    const file = this.#open()
    wrapping(this.path, () => {
      for (let done = 0; done < bytes.byteLength;)
        done += writeSync(file, bytes, done, bytes.byteLength - done, offset + done)
    })
    this.byteLength = Math.max(this.byteLength, offset + bytes.byteLength)
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#buffered)
    this.#buffered = 0
    if (bytes.byteLength > 0) this.writeAt(this.byteLength - bytes.byteLength, bytes)
  }

  /** Puts the file in its place. */
  publish(): void {
    this.#flush()
    const file = this.#open()
    wrapping(this.path, () => {
      fsyncSync(file)
      closeSync(file)
      this.#file = undefined
      renameSync(this.#temporary, this.#target)
    })
  }

  /** Removes what was not published. */
  discard(): void {
    if (this.#file === undefined) return
    closeSync(this.#file)
    this.#file = undefined
    rmSync(this.#temporary, { force: true })
  }

  #open(): number {
    if (this.#file === undefined) throw new Error(`${this.path} was published or discarded`)
    return this.#file
  }
}

/** Opens a file that is not there: what is would be overwritten, and a link followed. */
function openNew(path: string): number {
  try {
    return openSync(path, 'wx')
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause
    throw new ZgqError(
      'ZGQ_EXISTS',
      'the temporary name is taken, perhaps since an earlier run was killed: remove it',
      {
        path,
        cause
      }
    )
  }
}

/** Where the file goes, links followed, once it is known that nothing is lost there. */
function placeOf(path: string, { force, index }: NewFileOptions): string {
  const found = statSync(path, { throwIfNoEntry: false })
  const target = found === undefined ? join(realpathSync(dirname(path)), basename(path)) : realpathSync(path)
  if (dirname(target) === realpathSync(index))
    throw new UsageError(`${path} is in the folder of the index: name a file elsewhere`)
  if (found === undefined) return target
  if (!found.isFile())
    throw new ZgqError('ZGQ_EXISTS', 'cannot write the file: what is there is no file; name another', { path })
  if (!force)
    throw new ZgqError('ZGQ_EXISTS', 'a file is there already; use --force to replace it, or name another', { path })
  return target
}

function wrapping<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof ZgqError || cause instanceof UsageError) throw cause
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT')
      throw new ZgqError('ZGQ_NOT_FOUND', 'the folder for the file does not exist', { path, cause })
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
      throw new ZgqError('ZGQ_READ_ONLY', `cannot write the file: permission denied (${code})`, { path, cause })
    if (code === 'ENOSPC')
      throw new ZgqError('ZGQ_IO', 'cannot write the file: the disk is full; free some space and repeat', {
        path,
        cause
      })
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ZgqError('ZGQ_IO', `cannot write the file: ${reason}`, { path, cause })
  }
}
