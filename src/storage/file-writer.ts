// Writes one file front to back through a buffer, and syncs it. Every failure is a ZgqError that names the file.

import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'

import { wrapWriteError } from '../errors.ts'

const BUFFER_BYTES = 256 * 1024

export class FileWriter {
  readonly path: string
  readonly #descriptor: number
  readonly #buffer: Uint8Array
  #buffered = 0
  #flushed = 0
  #isClosed = false

  /** Creates the file; throws ZgqError if it exists or cannot be made. */
  constructor(path: string, bufferBytes = BUFFER_BYTES) {
    this.path = path
    this.#buffer = new Uint8Array(bufferBytes)
    try {
      this.#descriptor = openSync(path, 'wx')
    } catch (error) {
      throw wrapWriteError(error, path, 'create a file')
    }
  }

  /** Bytes written so far. */
  get byteLength(): number {
    return this.#flushed + this.#buffered
  }

  write(bytes: Uint8Array): void {
    if (bytes.byteLength >= this.#buffer.byteLength) {
      this.flush()
      this.#writeAll(bytes, this.#flushed)
      this.#flushed += bytes.byteLength
      return
    }
    if (this.#buffered + bytes.byteLength > this.#buffer.byteLength) this.flush()
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered += bytes.byteLength
  }

  /** Writes zeros up to the next multiple of `step`. */
  padTo(step: number): void {
    const missing = (step - (this.byteLength % step)) % step
    if (missing > 0) this.write(new Uint8Array(missing))
  }

  /** Overwrites bytes that were written before. */
  writeAt(offset: number, bytes: Uint8Array): void {
    this.flush()
    this.#writeAll(bytes, offset)
  }

  flush(): void {
    if (this.#buffered === 0) return
    this.#writeAll(this.#buffer.subarray(0, this.#buffered), this.#flushed)
    this.#flushed += this.#buffered
    this.#buffered = 0
  }

  /** Flushes and makes the bytes durable. */
  sync(): void {
    this.flush()
    try {
      fsyncSync(this.#descriptor)
    } catch (error) {
      throw wrapWriteError(error, this.path, 'sync a file')
    }
  }

  /** Closes without flushing; idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#descriptor)
  }

  #writeAll(bytes: Uint8Array, offset: number): void {
    try {
      for (let done = 0; done < bytes.byteLength;)
        done += writeSync(this.#descriptor, bytes, done, bytes.byteLength - done, offset + done)
    } catch (error) {
      throw wrapWriteError(error, this.path, `write ${bytes.byteLength} bytes at ${offset}`)
    }
  }
}

/** Removes a file that is no longer needed, if it is there. */
export function removeTemporary(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch (error) {
    throw wrapWriteError(error, path, 'remove a temporary file')
  }
}

/** Makes the bytes of a file durable that was written before. */
export function syncFile(path: string): void {
  try {
    const descriptor = openSync(path, 'r+') // Windows syncs nothing that is open for reading
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw wrapWriteError(error, path, 'sync a file')
  }
}

/** Makes a folder's entries durable; where a system cannot open folders, its renames are durable by themselves. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  try {
    const descriptor = openSync(path, 'r')
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw wrapWriteError(error, path, 'sync a folder')
  }
}
