// Fingerprints of inputs: is this the input that an interrupted build has read, and is it still the one that this build
// began with? Of files by their length, times and a sample of their bytes.

import { createHash } from 'node:crypto'
import { closeSync, readSync, statSync } from 'node:fs'

import { wrapReadError, ZgqError } from '../errors.ts'
import { checkRegular, openRegular } from '../input/input-file.ts'

/** Ranges of a file that are looked at, spread evenly from the first byte to the last, and bytes of each. */
const RANGES = 64
const RANGE_BYTES = 4096

/** A file as it was at a moment. */
export interface FileStamp {
  readonly path: string
  readonly byteLength: number
  readonly mtimeMs: number
  /** No program can set this one back. It changes with the file's name, too: an earlier build is not held to it. */
  readonly ctimeMs: number
  /** SHA-256 of the sample, in hex. */
  readonly sample: string
}

/**
 * Takes the fingerprint of a database and its write-ahead log, without opening them: to open and close a database's
 * file would drop the locks that other connections of this process hold on it. Throws ZGQ_NOT_FOUND, ZGQ_IO, and
 * ZGQ_BUILD_INPUT for what is no file.
 */
export function fingerprintDatabase(path: string): string {
  try {
    checkRegular(statSync(path), path)
    return [path, `${path}-wal`]
      .map((file) => statSync(file, { throwIfNoEntry: file === path }))
      .map((stats) => `${stats?.size ?? 0} ${stats?.mtimeMs ?? 0}`)
      .join(' ')
  } catch (error) {
    throw wrapReadError(error, path, 'read the input')
  }
}

/** Takes the fingerprint of a file; throws ZGQ_NOT_FOUND, ZGQ_IO, and ZGQ_BUILD_INPUT for what is no file. */
export function fingerprintFile(path: string): string {
  const { byteLength, mtimeMs, sample } = stampFile(path)
  return `${byteLength} ${mtimeMs} ${sample}`
}

/** Notes how a file is now; throws as `fingerprintFile` does. */
export function stampFile(path: string): FileStamp {
  const { descriptor, stats } = openRegular(path)
  try {
    const { size, mtimeMs, ctimeMs } = stats
    const hash = createHash('sha256')
    const bytes = new Uint8Array(RANGE_BYTES)
    for (let range = 0; range < RANGES; range++) {
      const offset = Math.floor((Math.max(0, size - RANGE_BYTES) * range) / (RANGES - 1))
      hash.update(bytes.subarray(0, readSync(descriptor, bytes, { position: offset })))
      if (size <= RANGE_BYTES) break
    }
    return { path, byteLength: size, mtimeMs, ctimeMs, sample: hash.digest('hex') }
  } catch (error) {
    throw wrapReadError(error, path, 'read the input')
  } finally {
    closeSync(descriptor)
  }
}

/** Throws ZGQ_BUILD_INPUT if a file is not as it was when its stamp was taken: its rows may be of both. */
export function expectUnchanged(stamps: readonly FileStamp[]): void {
  for (const then of stamps) {
    const now = stampAgain(then.path)
    const changed =
      now === undefined
        ? 'it is gone'
        : now.byteLength !== then.byteLength
          ? `it has ${now.byteLength} bytes, and had ${then.byteLength} at the beginning`
          : now.mtimeMs !== then.mtimeMs || now.ctimeMs !== then.ctimeMs || now.sample !== then.sample
            ? 'it was written to, replaced or renamed'
            : undefined
    if (changed === undefined) continue
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the input was changed while the build read it: ${changed}; repeat the build when nobody writes to it`,
      { path: then.path }
    )
  }
}

function stampAgain(path: string): FileStamp | undefined {
  try {
    return stampFile(path)
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND') return undefined
    throw error
  }
}
