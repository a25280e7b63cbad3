// Brings one file of an artifact to this machine: piece by piece, several at a time, checked, and there whole or not
// at all.

import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { wrapWriteError, ZgqError } from '../errors.ts'
import type { ObjectStore } from '../pack/object-store.ts'
import { inParallel, type Gate } from '../pack/parallel.ts'
import { crcOfFile, type ListedFile } from './file-list.ts'

export const PIECE_BYTES = 8 * 2 ** 20
/** A damaged file is fetched a second time: it may be the way that damaged it. */
const MOST_ATTEMPTS = 2

/** A file on its way from a store. */
export interface Download {
  readonly store: ObjectStore
  /** Name of the object. */
  readonly name: string
  readonly file: ListedFile
  /** Where it is to be. */
  readonly path: string
  /** Folder for what is not complete, on the same file system. */
  readonly folder: string
  /** Lets pieces through. */
  readonly gate: Gate
  readonly piecesAtATime: number
}

/**
 * Brings a file; returns the bytes that were moved. Rejects with ZGQ_CORRUPT where it came damaged twice, with
 * ZGQ_NOT_FOUND where it is not there, and as stores and disks do.
 */
export async function download(wanted: Download, signal: AbortSignal): Promise<number> {
  const { file, path, folder } = wanted
  const temporary = join(folder, `.${randomBytes(8).toString('hex')}.tmp`)
  let moved = 0
  try {
    for (let attempt = 1; ; attempt++) {
      const came = await fetchFile(wanted, temporary, signal)
      moved += came.bytes
      const damage = await describeDamage(file, temporary, came)
      if (damage === undefined) break
      if (attempt === MOST_ATTEMPTS) throw damagedTwice(wanted, damage)
    }
    await mkdir(dirname(path), { recursive: true }) // who gave up the copy meanwhile gave up the folder, too
    await rename(temporary, path)
    return moved
  } catch (error) {
    signal.throwIfAborted()
    throw wrapWriteError(error, path, 'keep a file of an artifact')
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined)
  }
}

/** What came of an object. */
interface Came {
  bytes: number
  /** Length of the object, where the store says it. */
  total: number | undefined
}

async function fetchFile(wanted: Download, temporary: string, signal: AbortSignal): Promise<Came> {
  const count = Math.ceil(wanted.file.byteLength / PIECE_BYTES)
  const came: Came = { bytes: 0, total: undefined }
  const target = await open(temporary, 'w')
  try {
    const offsets = Array.from({ length: count }, (_, i) => i * PIECE_BYTES)
    await inParallel(offsets, { most: wanted.piecesAtATime, signal }, async (offset, ending) => {
      const { bytes, total } = await wanted.gate.pass(() => fetchPiece(wanted, { target, offset }, ending))
      came.bytes += bytes
      came.total = total
    })
  } finally {
    await target.close()
  }
  return came
}

async function fetchPiece(
  { store, name, file }: Download,
  { target, offset }: { readonly target: FileHandle; readonly offset: number },
  signal: AbortSignal
): Promise<Came> {
  signal.throwIfAborted()
  const length = Math.min(PIECE_BYTES, file.byteLength - offset)
  const { bytes, byteLength: total } = await store.getBytes(name, offset, length, signal)
  for (let done = 0; done < bytes.byteLength;)
    done += (await target.write(bytes, done, bytes.byteLength - done, offset + done)).bytesWritten
  return { bytes: bytes.byteLength, total }
}

/** Says what is wrong with what came; undefined: nothing is. */
async function describeDamage(file: ListedFile, path: string, came: Came): Promise<string | undefined> {
  const { bytes, total = bytes } = came
  if (bytes !== file.byteLength || total !== bytes)
    return `${Math.min(bytes, total)} of ${total} bytes came, expected ${file.byteLength}`
  const crc = await crcOfFile(path, bytes)
  return crc === file.crc32 ? undefined : `its CRC-32 is ${crc}, expected ${file.crc32}`
}

function damagedTwice({ store, name }: Download, damage: string): ZgqError {
  return new ZgqError(
    'ZGQ_CORRUPT',
    `${name} came damaged twice: ${damage}. Remove its artifact from the store, and its task is done again`,
    { path: store.place }
  )
}
