// Tells packed indexes (spec, section 12) from others, by what is at a path.

import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { isPacked, PACKED_MAGIC } from '../format/packed-header.ts'
import { manifestNumber } from '../format/packed-index.ts'
import { OPEN_TO_READ } from '../small-file.ts'
import type { Snapshot } from './snapshot.ts'

/** A packed index of one file, or a folder of parts whose manifest has a number, the highest one there. */
export type FoundPacked = { readonly layout: 'file' } | { readonly layout: 'folder'; readonly manifest: number }

/** Says what packed index is at `path`; undefined: none. Throws ZGQ_IO where that cannot be seen. */
export function findPacked(path: string): FoundPacked | undefined {
  try {
    const found = statSync(path)
    if (found.isFile()) return beginsAsPacked(path) ? { layout: 'file' } : undefined
    // A folder with a catalogue is an index, whatever else lies in it.
    if (!found.isDirectory() || existsSync(join(path, CATALOGUE_NAME))) return undefined
    const numbers = readdirSync(path).flatMap((name) => manifestNumber(name) ?? [])
    const manifest = numbers.reduce((highest, number) => Math.max(highest, number), 0)
    return manifest === 0 ? undefined : { layout: 'folder', manifest }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw wrapReadError(error, path, 'open the index')
  }
}

function beginsAsPacked(path: string): boolean {
  const descriptor = openSync(path, OPEN_TO_READ)
  try {
    const bytes = new Uint8Array(PACKED_MAGIC.byteLength)
    return readSync(descriptor, bytes, { position: 0 }) === bytes.byteLength && isPacked(bytes)
  } finally {
    closeSync(descriptor)
  }
}

/** Throws ZGQ_READ_ONLY for a packed index, where it is to be changed. */
export function expectUnpacked({ packed, folder }: Pick<Snapshot, 'packed' | 'folder'>): void {
  if (packed !== undefined)
    throw new ZgqError(
      'ZGQ_READ_ONLY',
      'a packed index cannot be changed: change the index that it was packed from, and pack that again (zgq pack)',
      { path: folder }
    )
}

/** Throws ZGQ_UNSUPPORTED for a packed index, with what to do in the place of what was asked for. */
export function refusePacked(path: string, instead: string): void {
  if (findPacked(path) !== undefined)
    throw new ZgqError('ZGQ_UNSUPPORTED', `this is a packed index, which is only read: ${instead}`, { path })
}
