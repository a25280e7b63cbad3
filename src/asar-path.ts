// Refuses paths inside an archive of Electron (app.asar): what looks like a folder there is one file, and neither
// SQLite nor a mapping can open a part of it. Electron unpacks what its packager is told to (asarUnpack) into a real
// folder beside the archive.

import { existsSync } from 'node:fs'
import { resolve, sep } from 'node:path'

import { ZgqError } from './errors.ts'

const ARCHIVE = /\.asar$/i

/**
 * Throws ZGQ_UNSUPPORTED for a path of which any part ends in `.asar`; `app.asar.unpacked` is a folder like any other.
 */
export function refuseAsarPath(path: string): void {
  const parts = resolve(path).split(sep)
  const archive = parts.findIndex((part) => ARCHIVE.test(part))
  if (archive === -1) return
  const name = parts[archive]
  const twin = parts.with(archive, `${name}.unpacked`).join(sep)
  const instead = existsSync(twin)
    ? `give the path of its unpacked copy: ${twin}`
    : `list it under asarUnpack, and give its path in ${name}.unpacked`
  throw new ZgqError('ZGQ_UNSUPPORTED', `files inside the Electron archive ${name} cannot be opened; ${instead}`, {
    path
  })
}
