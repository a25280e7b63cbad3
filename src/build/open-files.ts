// Whether files are open somewhere, which Windows alone tells. Windows renames no folder while a file below it is open
// (MS-FSA, FileRenameInformation: STATUS_ACCESS_DENIED for a directory that contains open files), whatever that file
// may be shared for; and Node has no rename with POSIX semantics, which would not change that for folders.

import { closeSync, constants, openSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

import { isRefusal, systemCode } from '../errors.ts'

/** Node hands flags to libuv as they are; UV_FS_O_EXLOCK opens with no sharing, which fails where a file is open. */
const UNSHARED = 0x10000000
/** Scanners, and readers that are just opening an index, have files open for a moment. */
const ATTEMPTS = 40
const PAUSE_MS = 25

/** Returns the name of a file in `folder` that is open in this or another process; undefined on other systems. */
export function findOpenFile(folder: string): string | undefined {
  if (process.platform !== 'win32') return undefined
  return readdirSync(folder).find((name) => isOpenSomewhere(join(folder, name)))
}

function isOpenSomewhere(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | UNSHARED))
    return false
  } catch (error) {
    return systemCode(error) === 'EBUSY'
  }
}

/** Renames a folder; on Windows tries again for a second while files in it are open. */
export function renameFolder(from: string, to: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      renameSync(from, to)
      return
    } catch (error) {
      const isInUse = process.platform === 'win32' && isRefusal(error)
      if (!isInUse || attempt === ATTEMPTS) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
  }
}
