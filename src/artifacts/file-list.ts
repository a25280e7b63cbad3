// The list of an artifact's files, which is stored last: an artifact is there once its list is.

import { crc32 } from 'node:zlib'

import { ZgqError } from '../errors.ts'
import { readPieces } from '../pack/file-pieces.ts'

/** Name of the list among the files of an artifact. */
export const LIST_NAME = 'files.json'

/** A file of an artifact. */
export interface ListedFile {
  readonly name: string
  readonly byteLength: number
  readonly crc32: number
}

export function encodeFileList(files: readonly ListedFile[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(files.toSorted((a, b) => (a.name < b.name ? -1 : 1))))
}

/** Reads a list; throws ZGQ_CORRUPT for what is none. `path` names it in messages. */
export function decodeFileList(bytes: Uint8Array, path: string): readonly ListedFile[] {
  let found: unknown
  try {
    found = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    found = undefined
  }
  if (Array.isArray(found) && found.every(isListedFile)) return found
  throw new ZgqError('ZGQ_CORRUPT', 'this is no list of files: remove the artifact, and its task is done again', {
    path
  })
}

function isListedFile(found: unknown): found is ListedFile {
  if (typeof found !== 'object' || found === null) return false
  if (!('name' in found && 'byteLength' in found && 'crc32' in found)) return false
  const { name, byteLength } = found
  // Files are made under these names: nothing may lead out of the folder.
  return typeof name === 'string' && /^\w[\w.-]*$/.test(name) && isCount(byteLength) && isCount(found.crc32)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/** Computes the CRC-32 of a file of a known length; rejects with ZGQ_TRUNCATED or ZGQ_IO. */
export async function crcOfFile(path: string, byteLength: number): Promise<number> {
  let crc = 0
  for await (const piece of readPieces(path, byteLength)) crc = crc32(piece, crc)
  return crc
}
