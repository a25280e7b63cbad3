// A window on an object that a build reads in place: a sparse file of the object's length and ending, of which only
// what was fetched holds bytes. Whatever reads files reads it.

import { ftruncateSync } from 'node:fs'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import { wrapWriteError, ZgqError } from '../errors.ts'
import type { ByteRange } from '../input/row-source.ts'
import { inParallel, type Gate } from '../pack/parallel.ts'
import type { ByteSource, GotBytes } from '../remote/byte-source.ts'
import { planPieces, RangeSet } from './range-set.ts'

/** What comes by one request. */
const PIECE_BYTES = 8 * 2 ** 20
/** A request costs more than so many bytes. */
const GAP_BYTES = 2 ** 16
const PIECES_AT_A_TIME = 6

/** The state of an object that all of a build is made of. */
export interface InputObject {
  /** `s3://bucket/key`. */
  readonly place: string
  readonly byteLength: number
  /** Undefined where the store gives none; then only the length tells one state from another. */
  readonly etag: string | undefined
}

export interface InputWindow extends InputObject {
  /** The local file; what was not fetched reads as zeros. */
  readonly path: string
  /**
   * Fetches what is not there yet of some ranges; what is behind the end does not count. Returns the bytes that were
   * moved. Rejects with ZGQ_BUILD_INPUT where the object is not the one any more that the build began with.
   */
  fetch(ranges: readonly ByteRange[], signal: AbortSignal): Promise<number>
  /** Whether all of a range is there. */
  holds(range: ByteRange): boolean
  /** Gives up what was fetched, and its room on the disk; not while something is fetched. */
  release(): void
  /** Removes the file. A second call does nothing. */
  close(): Promise<void>
}

/** Where a window gets its bytes, and where it lies. */
export interface WindowOptions {
  readonly object: InputObject
  /** Repeats what fails in passing. */
  readonly source: ByteSource
  /** Name of the object in `source`. */
  readonly name: string
  readonly path: string
  /** Lets requests through, of all windows. */
  readonly gate: Gate
}

/** Opens a window; rejects with ZGQ_IO and ZGQ_READ_ONLY. */
export async function openWindow(options: WindowOptions): Promise<InputWindow> {
  const { path, object } = options
  try {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, 'wx')
    try {
      await file.truncate(object.byteLength)
    } catch (error) {
      await file.close()
      throw error
    }
    return new BucketWindow(options, file)
  } catch (error) {
    throw wrapWriteError(error, path, 'make a window on the input')
  }
}

class BucketWindow implements InputWindow {
  readonly place: string
  readonly byteLength: number
  readonly etag: string | undefined
  readonly path: string
  readonly #options: WindowOptions
  readonly #file: FileHandle
  readonly #present = new RangeSet()
  /** Fetches that began before the latest release count for nothing. */
  #releases = 0
  #isClosed = false

  constructor(options: WindowOptions, file: FileHandle) {
    const { place, byteLength, etag } = options.object
    this.place = place
    this.byteLength = byteLength
    this.etag = etag
    this.path = options.path
    this.#options = options
    this.#file = file
  }

  async fetch(ranges: readonly ByteRange[], signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    this.#checkOpen()
    const missing = ranges.flatMap((range) => this.#present.missing(this.#clip(range)))
    const pieces = planPieces(missing, { gapBytes: GAP_BYTES, pieceBytes: PIECE_BYTES })
    let moved = 0
    await inParallel(pieces, { most: PIECES_AT_A_TIME, signal }, async (piece, ending) => {
      const bytes = await this.#options.gate.pass(() => this.#fetchPiece(piece, ending))
      moved += bytes
    })
    return moved
  }

  holds(range: ByteRange): boolean {
    return this.#present.missing(this.#clip(range)).length === 0
  }

  release(): void {
    this.#checkOpen()
    this.#releases++
    this.#present.clear()
    try {
      ftruncateSync(this.#file.fd, 0)
      ftruncateSync(this.#file.fd, this.byteLength)
    } catch (error) {
      throw wrapWriteError(error, this.path, 'empty a window on the input')
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#file.close()
    await rm(this.path, { force: true }).catch((error: unknown) => {
      throw wrapWriteError(error, this.path, 'remove a window on the input')
    })
  }

  async #fetchPiece(piece: ByteRange, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const releases = this.#releases
    const bytes = await this.#read(piece, signal)
    this.#checkOpen()
    try {
      for (let done = 0; done < bytes.byteLength;)
        done += (await this.#file.write(bytes, done, bytes.byteLength - done, piece.offset + done)).bytesWritten
    } catch (error) {
      throw wrapWriteError(error, this.path, 'keep a part of the input')
    }
    if (releases === this.#releases) this.#present.add(piece)
    return bytes.byteLength
  }

  async #read({ offset, byteLength }: ByteRange, signal: AbortSignal): Promise<Uint8Array> {
    const { source, name } = this.#options
    const got = await source.getBytes(name, offset, byteLength, signal).catch((error: unknown) => {
      if (error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND')
        throw changedInput(this, 'it is not there', error)
      throw error
    })
    const change = describeChange(this, got)
    if (change !== undefined) throw changedInput(this, change)
    if (got.bytes.byteLength === byteLength) return got.bytes
    throw changedInput(this, `it ends at byte ${offset + got.bytes.byteLength} of ${this.byteLength}`)
  }

  #clip({ offset, byteLength }: ByteRange): ByteRange {
    const start = Math.min(offset, this.byteLength)
    return { offset: start, byteLength: Math.min(offset + byteLength, this.byteLength) - start }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ZgqError('ZGQ_CLOSED', 'the window on the input was closed', { path: this.place })
  }
}

/** Says in what an answer is of another state of the object; undefined: in nothing that the answer says. */
function describeChange(object: InputObject, got: GotBytes): string | undefined {
  const { byteLength = object.byteLength, etag = object.etag } = got
  if (byteLength !== object.byteLength) return `it has ${byteLength} bytes, and had ${object.byteLength}`
  if (object.etag !== undefined && etag !== object.etag) return `its ETag is ${etag}, and was ${object.etag}`
  return undefined
}

function changedInput({ place }: InputObject, change: string, cause?: unknown): ZgqError {
  return new ZgqError(
    'ZGQ_BUILD_INPUT',
    `the input changed while the build read it: ${change}. Start the build again, and leave the object alone until ` +
      'it has ended',
    { path: place, cause }
  )
}
