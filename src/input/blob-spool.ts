// A blob spool: bytes of any length for each row, in two files of the working folder. NAME has the bytes, row after
// row; NAME.index has 16 bytes a row: u64 offset, u32 byteLength, u32 CRC-32 of the bytes.

import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { crc32 } from 'node:zlib'

import { wrapReadError, ZgqError } from '../errors.ts'
import { highWord, joinU64, lowWord } from '../format/u64.ts'
import { FileWriter } from '../storage/file-writer.ts'
import { readFully } from '../storage/pread-reader.ts'

const ENTRY_BYTES = 16
const CHUNK_BYTES = 64 * 1024
/** Entries of the index that are read together. */
const WINDOW_ENTRIES = 256
/** Rows that are asked for together are read together where no more lies between them, up to so many bytes at once. */
const MOST_GAP_BYTES = 4096
const MOST_RUN_BYTES = 2 ** 20

/** Ends the name of the index of a spool. */
export const INDEX_ENDING = '.index'

/** Collects bytes, hashes them and writes them to a file, or hashes them alone. */
class HashedFile {
  readonly #file: FileWriter | undefined
  readonly #hash = createHash('sha256')
  readonly #chunk = new Uint8Array(CHUNK_BYTES)
  #filled = 0

  constructor(path: string | undefined) {
    this.#file = path === undefined ? undefined : new FileWriter(path)
  }

  write(bytes: Uint8Array): void {
    if (this.#filled + bytes.byteLength > CHUNK_BYTES) this.#flush()
    if (bytes.byteLength > CHUNK_BYTES) this.#pass(bytes)
    else {
      this.#chunk.set(bytes, this.#filled)
      this.#filled += bytes.byteLength
    }
  }

  /** Returns the SHA-256 of all that was written. */
  finish(): Uint8Array {
    this.#flush()
    this.#file?.flush()
    return this.#hash.digest()
  }

  close(): void {
    this.#file?.close()
  }

  #flush(): void {
    this.#pass(this.#chunk.subarray(0, this.#filled))
    this.#filled = 0
  }

  #pass(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#file?.write(bytes)
  }
}

/** Writes a blob spool; without a path it takes its digest only. */
export class BlobSpoolWriter {
  readonly #bytes: HashedFile
  readonly #index: HashedFile
  readonly #entry = new DataView(new ArrayBuffer(ENTRY_BYTES))
  #count = 0
  #offset = 0

  /** Creates both files; throws ZgqError where one exists or cannot be made. */
  constructor(path: string | undefined) {
    this.#bytes = new HashedFile(path)
    try {
      this.#index = new HashedFile(path === undefined ? undefined : path + INDEX_ENDING)
    } catch (error) {
      this.#bytes.close()
      throw error
    }
  }

  /** Rows so far. */
  get count(): number {
    return this.#count
  }

  /** Bytes of all rows so far. */
  get byteLength(): number {
    return this.#offset
  }

  /** Appends the bytes of the next row. */
  append(bytes: Uint8Array): void {
    const entry = this.#entry
    entry.setUint32(0, lowWord(this.#offset), true)
    entry.setUint32(4, highWord(this.#offset), true)
    entry.setUint32(8, bytes.byteLength, true)
    entry.setUint32(12, crc32(bytes), true)
    this.#bytes.write(bytes)
    this.#index.write(new Uint8Array(entry.buffer))
    this.#offset += bytes.byteLength
    this.#count++
  }

  /** Writes what is left; returns a SHA-256 of all bytes and where each row begins, in hex. */
  finish(): string {
    return createHash('sha256').update(this.#bytes.finish()).update(this.#index.finish()).digest('hex')
  }

  /** Closes the files; a second call does nothing. */
  close(): void {
    this.#bytes.close()
    this.#index.close()
  }
}

interface Entry {
  readonly offset: number
  readonly byteLength: number
  readonly crc: number
}

/** An open blob spool that this build wrote. */
export class BlobSpool {
  readonly path: string
  readonly count: number
  readonly #descriptor: number
  readonly #byteLength: number
  readonly #indexDescriptor: number
  readonly #window: DataView
  /** First row of the window, and the row behind its last one. */
  #windowStart = 0
  #windowEnd = 0
  #isClosed = false

  /** Opens a spool of `count` rows; throws ZGQ_NOT_FOUND and ZGQ_IO. */
  constructor(path: string, count: number) {
    this.path = path
    this.count = count
    this.#window = new DataView(new ArrayBuffer(Math.min(WINDOW_ENTRIES, count) * ENTRY_BYTES))
    this.#descriptor = openFile(path)
    try {
      this.#byteLength = fstatSync(this.#descriptor).size
      this.#indexDescriptor = openFile(path + INDEX_ENDING)
    } catch (error) {
      closeSync(this.#descriptor)
      throw error
    }
  }

  byteLengthOf(row: number): number {
    return this.#entryOf(row).byteLength
  }

  /** CRC-32 of the bytes of a row. */
  crcOf(row: number): number {
    return this.#entryOf(row).crc
  }

  /** Reads the bytes of a row, which are the caller's; throws ZGQ_CORRUPT, ZGQ_TRUNCATED and ZGQ_IO. */
  read(row: number): Uint8Array {
    const entry = this.#entryOf(row)
    const bytes = new Uint8Array(entry.byteLength)
    this.#readAt(entry.offset, bytes)
    return this.#checked(bytes, entry, row)
  }

  /**
   * Reads rows that are in ascending order (a row may come again), neighbours together; the bytes are the caller's.
   * Throws as `read` does.
   */
  *readAscending(rows: ArrayLike<number>): Generator<Uint8Array> {
    for (let first = 0; first < rows.length;) {
      const entries = [this.#entryOf(rows[first])]
      const { offset } = entries[0]
      let end = offset + entries[0].byteLength
      for (let next = first + 1; next < rows.length; next++) {
        const entry = this.#entryOf(rows[next])
        const nextEnd = entry.offset + entry.byteLength
        if (entry.offset - end > MOST_GAP_BYTES || nextEnd - offset > MOST_RUN_BYTES) break
        entries.push(entry)
        end = Math.max(end, nextEnd)
      }
      const run = new Uint8Array(end - offset)
      this.#readAt(offset, run)
      for (const [i, entry] of entries.entries()) {
        const start = entry.offset - offset
        yield this.#checked(run.slice(start, start + entry.byteLength), entry, rows[first + i])
      }
      first += entries.length
    }
  }

  /** Reads all rows from the first to the last. */
  *readAll(): Generator<Uint8Array> {
    const rows = new Float64Array(Math.min(WINDOW_ENTRIES, this.count))
    for (let first = 0; first < this.count; first += rows.length) {
      const some = rows.subarray(0, this.count - first)
      for (let i = 0; i < some.length; i++) some[i] = first + i
      yield* this.readAscending(some)
    }
  }

  /** Closes the files; a second call does nothing. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#descriptor)
    closeSync(this.#indexDescriptor)
  }

  #entryOf(row: number): Entry {
    if (!(row >= 0 && row < this.count))
      throw new RangeError(`${this.path}: there is no row ${row}, there are ${this.count}`)
    if (row < this.#windowStart || row >= this.#windowEnd) this.#moveWindow(row)
    const at = (row - this.#windowStart) * ENTRY_BYTES
    const view = this.#window
    const offset = joinU64(view.getUint32(at, true), view.getUint32(at + 4, true))
    const byteLength = view.getUint32(at + 8, true)
    if (offset + byteLength > this.#byteLength) throw this.#damage(row, offset) // before room is made for it
    return { offset, byteLength, crc: view.getUint32(at + 12, true) }
  }

  #moveWindow(row: number): void {
    const rows = Math.min(this.#window.byteLength / ENTRY_BYTES, this.count - row)
    const target = new Uint8Array(this.#window.buffer, 0, rows * ENTRY_BYTES)
    this.#windowEnd = 0 // nothing, should the read fail
    readFully({ descriptor: this.#indexDescriptor, path: this.path + INDEX_ENDING }, row * ENTRY_BYTES, target)
    this.#windowStart = row
    this.#windowEnd = row + rows
  }

  #readAt(offset: number, target: Uint8Array): void {
    if (target.byteLength > 0) readFully({ descriptor: this.#descriptor, path: this.path }, offset, target)
  }

  #checked(bytes: Uint8Array, { offset, crc }: Entry, row: number): Uint8Array {
    if (crc32(bytes) === crc) return bytes
    throw this.#damage(row, offset)
  }

  #damage(row: number, offset: number): ZgqError {
    const message = `row ${row} of a temporary file of the build is damaged`
    return new ZgqError('ZGQ_CORRUPT', message, { path: this.path, offset })
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw wrapReadError(error, path, 'open a temporary file')
  }
}
