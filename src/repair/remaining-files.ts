// The data files that are left of an index, of whatever length, by the numbers that extents name. Reads throw what is
// damage as `isDamage` knows it.

import { lstatSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { openPreadReader, type PreadReader } from '../storage/pread-reader.ts'
import type { DataFile } from '../storage/reader.ts'

export class RemainingFiles {
  readonly reader: PreadReader
  readonly #files: ReadonlyMap<number, DataFile>
  /** Of all files, missing ones too. */
  readonly #paths: ReadonlyMap<number, string>

  constructor(files: ReadonlyMap<number, DataFile>, paths: ReadonlyMap<number, string>) {
    this.#files = files
    this.#paths = paths
    this.reader = openPreadReader(files)
  }

  get files(): ReadonlyMap<number, DataFile> {
    return this.#files
  }

  /** Tells whether a file is there; that one is missing was noted when it was looked for. */
  has(file: number): boolean {
    return this.#files.has(file)
  }

  pathOf(file: number): string {
    return this.#paths.get(file) ?? ''
  }

  byteLengthOf(file: number): number {
    return this.#files.get(file)?.byteLength ?? 0
  }

  /** Copies bytes; throws ZGQ_CORRUPT for a missing file, ZGQ_TRUNCATED or ZGQ_IO. */
  read(file: number, offset: number, target: Uint8Array): void {
    if (!this.has(file))
      throw new ZgqError('ZGQ_CORRUPT', 'a file of the index is missing', { path: this.pathOf(file) })
    this.reader.read(file, offset, target)
  }

  close(): void {
    this.reader.close()
  }
}

/** Looks for a data file; throws ZGQ_CORRUPT where it is missing or no regular file. */
export function findRemainingFile(folder: string, record: Pick<FileRecord, 'kind' | 'generation' | 'shard'>): DataFile {
  const path = join(folder, fileNameOf(record))
  try {
    const found = lstatSync(path)
    if (!found.isFile()) throw new ZgqError('ZGQ_CORRUPT', 'a file of the index is not a regular file', { path })
    const { size, dev, ino } = found
    return { path, absolutePath: resolve(path), byteLength: size, identity: `${dev}:${ino}` }
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT')
      throw new ZgqError('ZGQ_CORRUPT', 'a file of the index is missing', { path, cause })
    throw wrapReadError(cause, path, 'look at a file of the index')
  }
}
