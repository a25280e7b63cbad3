// Fingerprints of inputs: is this the input that an interrupted build has read? Of files by their length, time of
// change and a sample of their bytes.

import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'

import { wrapReadError } from '../errors.ts'

/** Places that are looked at, spread evenly from the first byte to the last, and bytes read at each. */
const PLACES = 64
const PLACE_BYTES = 4096

/**
 * Takes the fingerprint of a database and its write-ahead log, without opening them: to open and close a database's
 * file would drop the locks that other connections of this process hold on it. Throws ZGQ_NOT_FOUND or ZGQ_IO.
 */
export function fingerprintDatabase(path: string): string {
  try {
    return [path, `${path}-wal`]
      .map((file) => statSync(file, { throwIfNoEntry: file === path }))
      .map((stats) => `${stats?.size ?? 0} ${stats?.mtimeMs ?? 0}`)
      .join(' ')
  } catch (error) {
    throw wrapReadError(error, path, 'read the input')
  }
}

/** Takes the fingerprint of a file; throws ZGQ_NOT_FOUND or ZGQ_IO. */
export function fingerprintFile(path: string): string {
  try {
    const descriptor = openSync(path, 'r')
    try {
      const { size, mtimeMs } = fstatSync(descriptor)
      const hash = createHash('sha256').update(`${size} ${mtimeMs} `)
      const bytes = new Uint8Array(PLACE_BYTES)
      for (let place = 0; place < PLACES; place++) {
        const offset = Math.floor((Math.max(0, size - PLACE_BYTES) * place) / (PLACES - 1))
        hash.update(bytes.subarray(0, readSync(descriptor, bytes, { position: offset })))
        if (size <= PLACE_BYTES) break
      }
      return hash.digest('hex')
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw wrapReadError(error, path, 'read the input')
  }
}
