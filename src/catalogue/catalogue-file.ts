// The file of a catalogue that is kept open: which one it is, whether it may be written, and whether it is still the
// one at its path. The file itself is never opened here: to close it would drop the locks that SQLite has on it.

import { accessSync, constants, lstatSync } from 'node:fs'
import { dirname } from 'node:path'

import { systemCode, wrapReadError, wrapWriteError, ZgqError } from '../errors.ts'

/** Tells one file from another that has taken its path. */
export interface FileIdentity {
  readonly device: bigint
  readonly inode: bigint
}

/** Says which file is at `path`; undefined: none, or one that cannot be looked at. */
export function identifyFile(path: string): FileIdentity | undefined {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true })
    return { device: dev, inode: ino }
  } catch {
    return undefined
  }
}

export function sameFile(left: FileIdentity | undefined, right: FileIdentity | undefined): boolean {
  return left !== undefined && right !== undefined && left.device === right.device && left.inode === right.inode
}

/** Throws ZGQ_MISMATCH where another file, or none, is at the path of one that is open. */
export function expectSameFile(path: string, opened: FileIdentity | undefined): void {
  if (sameFile(opened, identifyFile(path))) return
  throw new ZgqError('ZGQ_MISMATCH', 'the index was moved or replaced: open it again', { path })
}

/** Throws ZGQ_READ_ONLY where the catalogue at `path`, its folder or a file beside it may not be written. */
export function expectWritable(path: string): void {
  const beside = [`${path}-wal`, `${path}-shm`]
  for (const place of [dirname(path), path, ...beside]) {
    try {
      accessSync(place, constants.W_OK)
    } catch (error) {
      if (beside.includes(place) && systemCode(error) === 'ENOENT') continue
      throw wrapWriteError(error, place, 'write to the index')
    }
  }
}

/** Throws ZGQ_NOT_AN_INDEX for what is no regular file: a link might lead anywhere. */
export function expectRegularFile(path: string): void {
  try {
    if (lstatSync(path).isFile()) return
  } catch (error) {
    throw wrapReadError(error, path, 'open the catalogue')
  }
  throw new ZgqError('ZGQ_NOT_AN_INDEX', 'the catalogue is not a file', { path })
}
