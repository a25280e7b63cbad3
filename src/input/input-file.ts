// A file that a build reads: checked positioned reads, and the header of a .npy file.

import { closeSync, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'

import { wrapReadError, ZgqError } from '../errors.ts'
import { refuseAsarPath } from '../asar-path.ts'
import { OPEN_TO_READ } from '../small-file.ts'
import { NPY_HEADER_LIMIT, parseNpyHeader, type NpyHeader } from './npy.ts'

/** The largest single read, and the size of a source's buffer. */
export const CHUNK_BYTES = 4 * 2 ** 20

/** Describes a file that is shorter than `expected` bytes. */
export function truncated(file: Pick<InputFile, 'path' | 'byteLength'>, expected: number): ZgqError {
  return new ZgqError('ZGQ_TRUNCATED', `the file is too short: found ${file.byteLength} bytes, expected ${expected}`, {
    path: file.path,
    offset: file.byteLength
  })
}

/** A regular file open for positioned reads; every byte count is checked. */
export class InputFile {
  readonly path: string
  readonly byteLength: number
  #descriptor: number | undefined

  private constructor(path: string, open: { readonly descriptor: number; readonly size: number }) {
    this.path = path
    this.byteLength = open.size
    this.#descriptor = open.descriptor
  }

  /**
   * Opens a file for reading; throws ZGQ_NOT_FOUND and ZGQ_IO, ZGQ_UNSUPPORTED inside app.asar, and ZGQ_BUILD_INPUT for
   * a directory, a FIFO or a device.
   */
  static open(path: string): InputFile {
    refuseAsarPath(path)
    const { descriptor, stats } = openRegular(path)
    return new InputFile(path, { descriptor, size: stats.size })
  }

  /**
   * Reads until `target` is full; throws ZGQ_TRUNCATED where the file ends first, ZGQ_IO, and ZGQ_CLOSED after `close`.
   */
  read(target: Uint8Array, offset: number): void {
    if (this.#descriptor === undefined) throw new ZgqError('ZGQ_CLOSED', 'the input was closed', { path: this.path })
    for (let done = 0; done < target.byteLength;) {
      const length = Math.min(target.byteLength - done, CHUNK_BYTES)
      const found = this.#readOnce(target.subarray(done, done + length), offset + done)
      if (found === 0) {
        const message = `the file ended during a read: found ${done} bytes, expected ${target.byteLength}`
        throw new ZgqError('ZGQ_TRUNCATED', message, { path: this.path, offset: offset + done })
      }
      done += found
    }
  }

  /** Reads the first bytes of the file; throws ZGQ_TRUNCATED if it has fewer. */
  readHeader(byteLength: number): DataView {
    if (this.byteLength < byteLength) throw truncated(this, byteLength)
    const bytes = new Uint8Array(byteLength)
    this.read(bytes, 0)
    return new DataView(bytes.buffer)
  }

  /** Throws ZGQ_TRUNCATED if the file is shorter than its header says, ZGQ_BUILD_INPUT if it is longer. */
  checkByteLength(expected: number): void {
    if (this.byteLength < expected) throw truncated(this, expected)
    if (this.byteLength === expected) return
    const message = `the file is longer than its header says: found ${this.byteLength} bytes, expected ${expected}`
    throw new ZgqError('ZGQ_BUILD_INPUT', message, { path: this.path, offset: expected })
  }

  /** Closes the file; a second call does nothing. */
  close(): void {
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    if (descriptor !== undefined) closeSync(descriptor)
  }

  #readOnce(target: Uint8Array, position: number): number {
    if (this.#descriptor === undefined) return 0
    try {
      return readSync(this.#descriptor, target, { position })
    } catch (error) {
      throw wrapReadError(error, this.path, 'read the input')
    }
  }
}

/**
 * Opens a regular file for reading, and never waits for a writer, as a FIFO would have it. Throws ZGQ_NOT_FOUND,
 * ZGQ_IO, and ZGQ_BUILD_INPUT for anything else than a file.
 */
export function openRegular(path: string): { readonly descriptor: number; readonly stats: Stats } {
  try {
    checkRegular(statSync(path), path) // before it is opened: that would wake who writes into a FIFO
    const descriptor = openSync(path, OPEN_TO_READ)
    try {
      const stats = fstatSync(descriptor)
      checkRegular(stats, path)
      return { descriptor, stats }
    } catch (error) {
      closeSync(descriptor)
      throw error
    }
  } catch (error) {
    throw wrapReadError(error, path, 'open the input')
  }
}

/** Throws ZGQ_BUILD_INPUT for what is not a regular file. */
export function checkRegular(stats: Stats, path: string): void {
  if (stats.isFile()) return
  const found = stats.isDirectory() ? 'a directory' : stats.isFIFO() ? 'a FIFO' : 'a device or a socket'
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    `the input is ${found}, expected a regular file: it is read more than once, in any order`,
    { path }
  )
}

/** Reads and parses the header of a .npy file; throws ZGQ_BUILD_INPUT and ZGQ_TRUNCATED. */
export function readNpyHeader(file: InputFile): NpyHeader {
  const bytes = new Uint8Array(Math.min(NPY_HEADER_LIMIT, file.byteLength))
  file.read(bytes, 0)
  return parseNpyHeader(bytes, file.path)
}
