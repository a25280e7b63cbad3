// Checks what a packed index has besides the files of an index: the digests of its head and its parts, and what lies
// beside them.

import { createHash } from 'node:crypto'
import { closeSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import type { PackedOnDisk, PartOnDisk } from '../catalogue/snapshot.ts'
import { isDenied, wrapReadError, ZgqError } from '../errors.ts'
import { bytesEqual, PAGE_BYTES } from '../format/layout.ts'
import { decodePackedHeader } from '../format/packed-header.ts'
import { inflateOpening, LATEST_NAME, manifestNumber } from '../format/packed-index.ts'
import { readSmallFile } from '../small-file.ts'
import { readPart } from '../storage/open-packed.ts'
import { openFile, readFully } from '../storage/pread-reader.ts'

const PIECE_BYTES = 2 ** 20

/**
 * Verifies the SHA-256 of the head and of every part; `onBytes` may throw. Rejects with ZGQ_CORRUPT, ZGQ_MISMATCH where
 * the packed index was replaced meanwhile, ZGQ_IO, and what `onBytes` throws.
 */
export async function checkDigests(
  { head, centroids, parts }: PackedOnDisk,
  onBytes: (bytes: number) => void
): Promise<void> {
  const bytes = readPart(head)
  const header = decodePackedHeader(bytes.subarray(0, PAGE_BYTES), head.path)
  const opened = inflateOpening(bytes.subarray(PAGE_BYTES), header, head.path)
  expectDigest(createHash('sha256').update(opened).digest(), head)
  onBytes(head.byteLength)
  for (const part of [centroids, ...parts]) expectDigest(await digestOf(part, onBytes), part)
}

function expectDigest(found: Uint8Array, { digest, path }: PartOnDisk): void {
  if (bytesEqual(found, digest)) return
  throw new ZgqError('ZGQ_CORRUPT', 'the SHA-256 of its bytes is another than the one that was packed with them', {
    path
  })
}

async function digestOf(part: PartOnDisk, onBytes: (bytes: number) => void): Promise<Uint8Array> {
  const hash = createHash('sha256')
  const descriptor = openFile(part)
  try {
    const buffer = new Uint8Array(Math.min(PIECE_BYTES, part.byteLength))
    for (let offset = 0; offset < part.byteLength; offset += buffer.byteLength) {
      const piece = buffer.subarray(0, part.byteLength - offset)
      readFully({ ...part, descriptor }, offset, piece)
      hash.update(piece)
      onBytes(piece.byteLength)
      await setImmediate()
    }
    return hash.digest()
  } finally {
    closeSync(descriptor)
  }
}

/** Describes what lies beside a packed index and is no part of it. */
export function findPackedLeftovers(packed: PackedOnDisk): string[] {
  return packed.layout === 'file' ? strangersBeside(packed.head) : strangersIn(packed)
}

function strangersBeside({ path }: PartOnDisk): string[] {
  const folder = dirname(path)
  const start = `.${basename(path)}.`
  return listFolder(folder)
    .filter((name) => name.startsWith(start) && name.endsWith('.tmp'))
    .map((name) => `${join(folder, name)} is of a pack that is under way, or died`)
}

function strangersIn({ head, centroids, parts }: PackedOnDisk): string[] {
  const folder = dirname(head.path)
  const known = new Set([head, centroids, ...parts].map(({ path }) => basename(path)))
  const notes: string[] = []
  for (const name of listFolder(folder)) {
    if (known.has(name)) continue
    const note =
      name === LATEST_NAME ? describeLatest(folder, basename(head.path)) : `${name} ${describeStranger(name)}`
    if (note !== undefined) notes.push(note)
  }
  return notes
}

/** Undefined where it names the manifest that was taken. */
function describeLatest(folder: string, manifest: string): string | undefined {
  const text = readSmallFile(join(folder, LATEST_NAME))?.trim()
  return text !== undefined && Number(text) === manifestNumber(manifest)
    ? undefined
    : `${LATEST_NAME} does not name ${manifest}, which is the newest: readers over HTTP may open an older one`
}

function describeStranger(name: string): string {
  if (manifestNumber(name) !== undefined) return 'is an older manifest'
  if (name.endsWith('.tmp')) return 'is of a pack that is under way, or died'
  return /^[a-z]+(-\d+-\d+)?-[0-9a-f]{16}\.zgq$/.test(name)
    ? 'is a part that the newest manifest does not name'
    : 'is in the folder and not part of the packed index'
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isDenied(error)) return []
    throw wrapReadError(error, folder, 'list the folder of the index')
  }
}
