// Stores an artifact in a bucket: its files, several at a time, and last the list that makes it whole.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

import { wrapReadError, ZgqError } from '../errors.ts'
import { readPiece } from '../pack/file-pieces.ts'
import type { ObjectStore } from '../pack/object-store.ts'
import { inParallel, type Gate } from '../pack/parallel.ts'
import { crcOfFile, encodeFileList, LIST_NAME, type ListedFile } from './file-list.ts'

const FILES_AT_A_TIME = 16

/** An artifact on its way to a store. */
export interface Upload {
  readonly store: ObjectStore
  readonly name: string
  /** Folder of its files. */
  readonly path: string
  /** Files of at most so many bytes go from memory, as many at a time as the gate lets through. */
  readonly small: { readonly mostBytes: number; readonly gate: Gate }
}

/** Stores an artifact; returns its bytes. Rejects with ZGQ_NOT_FOUND where there is no such folder. */
export async function upload(artifact: Upload, signal: AbortSignal): Promise<number> {
  const { store, name } = artifact
  const files: ListedFile[] = []
  await inParallel(await fileNames(artifact), { most: FILES_AT_A_TIME, signal }, async (file, ending) => {
    files.push(await uploadFile(artifact, file, ending))
  })
  await store.put(`${name}/${LIST_NAME}`, encodeFileList(files), signal)
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0)
}

async function fileNames({ name, path }: Upload): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw wrapReadError(error, path, 'store an artifact')
  })
  const odd = entries.find((entry) => !entry.isFile() || entry.name === LIST_NAME)
  if (odd === undefined) return entries.map((entry) => entry.name)
  throw new ZgqError('ZGQ_UNSUPPORTED', `${name} has ${odd.name}, which is no file that an artifact may have`, { path })
}

async function uploadFile(artifact: Upload, name: string, signal: AbortSignal): Promise<ListedFile> {
  const { store, small } = artifact
  const path = join(artifact.path, name)
  const object = `${artifact.name}/${name}`
  const { size: byteLength } = await stat(path).catch((error: unknown) => {
    throw wrapReadError(error, path, 'store a file of an artifact')
  })
  if (byteLength === 0) return { name, byteLength, crc32: 0 } // the list says all of it
  if (byteLength <= small.mostBytes) {
    const bytes = await small.gate.pass(async () => {
      const content = await readPiece(path, 0, byteLength)
      await store.put(object, content, signal)
      return content
    })
    return { name, byteLength, crc32: crc32(bytes) }
  }
  const [crc] = await Promise.all([crcOfFile(path, byteLength), store.put(object, { path, byteLength }, signal)])
  return { name, byteLength, crc32: crc }
}
