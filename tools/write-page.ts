// Writes an HTML page to a file: whole or not at all, and over nothing but an earlier page.

import {
  closeSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { ZgqError } from '../src/index.ts'
import { UsageError } from './arguments.ts'

/** How pages begin; what begins otherwise is not ours to replace. */
const PAGE_START = '<!doctype html>'

/**
 * Writes a page (ASCII) to `path` and returns its length in bytes. A page that is there is replaced; a link is
 * followed. Throws ZGQ_EXISTS where something else is there, ZGQ_NOT_FOUND where the folder is missing, ZGQ_READ_ONLY,
 * or ZGQ_IO; UsageError for a path inside the index.
 */
export function writePage(path: string, page: { html: string; index: string }): number {
  if (path === '') throw new UsageError('--html needs the path of a file')
  const bytes = Buffer.from(page.html, 'latin1')
  try {
    const target = placeOf(path, page.index)
    const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
    try {
      writeWhole(temporary, bytes)
      renameSync(temporary, target)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    return bytes.byteLength
  } catch (error) {
    throw error instanceof UsageError ? error : wrap(error, path)
  }
}

/** Where the page goes, links followed, once it is known that nothing is lost there. */
function placeOf(path: string, index: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  const target = found === undefined ? join(realpathSync(dirname(path)), basename(path)) : realpathSync(path)
  if (dirname(target) === realpathSync(index))
    throw new UsageError('--html must name a file outside of the folder of the index')
  if (found === undefined) return target
  if (found.isDirectory())
    throw new ZgqError('ZGQ_EXISTS', 'cannot write the page: a folder is there, expected the path of a file', { path })
  if (!found.isFile() || (found.size > 0 && !beginsAsPage(target))) {
    throw new ZgqError(
      'ZGQ_EXISTS',
      'cannot write the page: what is there is no HTML page; name another file or remove it',
      { path }
    )
  }
  return target
}

function beginsAsPage(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const start = Buffer.alloc(PAGE_START.length)
    return (
      readSync(file, start, 0, start.byteLength, 0) === start.byteLength &&
      start.toString('latin1').toLowerCase() === PAGE_START
    )
  } finally {
    closeSync(file)
  }
}

function writeWhole(path: string, bytes: Buffer): void {
  const file = openSync(path, 'w')
  try {
    for (let done = 0; done < bytes.byteLength;) done += writeSync(file, bytes, done, bytes.byteLength - done)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function wrap(error: unknown, path: string): ZgqError {
  if (error instanceof ZgqError) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const reason = error instanceof Error ? error.message : String(error)
  if (code === 'ENOENT')
    return new ZgqError('ZGQ_NOT_FOUND', 'cannot write the page: its folder does not exist', { path, cause: error })
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new ZgqError('ZGQ_READ_ONLY', `cannot write the page: permission denied (${code})`, { path, cause: error })
  if (code === 'ENOSPC')
    return new ZgqError('ZGQ_IO', 'cannot write the page: the disk is full; free some space and repeat', {
      path,
      cause: error
    })
  return new ZgqError('ZGQ_IO', `cannot write the page: ${reason}`, { path, cause: error })
}
