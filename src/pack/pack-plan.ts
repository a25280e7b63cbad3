// What is written of an index when it is packed: its head, and its parts with their digests (spec, section 12).

import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Snapshot } from '../catalogue/snapshot.ts'
import { wrapWriteError } from '../errors.ts'
import { encodeFileRecords } from '../format/file-record.ts'
import { checksum, PAGE_BYTES, pageCount } from '../format/layout.ts'
import { encodeHead, encodeOpened, partName, type PackedPart } from '../format/packed-index.ts'
import { FileWriter } from '../storage/file-writer.ts'
import { findDataFiles } from '../storage/data-files.ts'
import { fileOf } from '../storage/reader.ts'
import { readPieces } from './file-pieces.ts'
import { withSteadyIndex, type PackProgress, type SteadyIndex } from './steady-index.ts'

/** A part of a packed index, and the file that it is read from. */
export interface PartPlan extends PackedPart {
  /** Of the part, where it is a file of its own. */
  readonly name: string
  readonly path: string
}

/** What a packed index is written of. */
export interface PackPlan {
  /** With it one file begins; in a folder it is the manifest. */
  readonly head: Uint8Array
  /** Tells it from all others: SHA-256 of what the head says. */
  readonly digest: Uint8Array
  readonly parts: readonly PartPlan[]
  /** Of head and parts. */
  readonly byteLength: number
  /** Rows of the index. */
  readonly rows: number
}

export interface PackPlanOptions {
  /** One file, or parts that are files of their own. */
  readonly layout: 'file' | 'folder'
  /** Folder in which a folder is made for what is needed meanwhile. Default: that of the system. */
  readonly temporary?: string | undefined
  readonly onProgress?: ((progress: PackProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes what is to be written of the index in the folder `path`, hands it to `work`, and removes what it made for it.
 * Nothing is written to the index; where something was changed since it was built, a copy is folded. Rejects as opening
 * and folding do, and with the reason of the signal.
 */
export async function withPackPlan<Result>(
  path: string,
  options: PackPlanOptions,
  work: (plan: PackPlan) => Promise<Result>
): Promise<Result> {
  const { signal, onProgress = () => undefined } = options
  signal?.throwIfAborted()
  const temporary = await makeTemporary(options.temporary ?? tmpdir())
  try {
    return await withSteadyIndex(path, { temporary, onProgress, signal }, async (index) =>
      work(await makePlan(index, temporary, options))
    )
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function makeTemporary(folder: string): Promise<string> {
  try {
    return await mkdtemp(join(folder, '.zgq-pack-'))
  } catch (error) {
    throw wrapWriteError(error, folder, 'make a folder for what is packed')
  }
}

async function makePlan(
  { snapshot, values }: SteadyIndex,
  temporary: string,
  { layout, signal, onProgress }: PackPlanOptions
): Promise<PackPlan> {
  const { meta, files, segments, zoneCodes } = snapshot
  const centroids = writeCentroids(snapshot, join(temporary, 'centroids'))
  const dataFiles = findDataFiles(snapshot)
  const sources = [
    { record: undefined, path: centroids.path, byteLength: centroids.byteLength },
    ...files.map((record) => ({ record, path: fileOf(dataFiles, record.file).path, byteLength: record.byteLength }))
  ]
  const total = sources.reduce((sum, { byteLength }) => sum + byteLength, 0)
  let done = 0
  const parts: PartPlan[] = []
  for (const { record, path, byteLength } of sources) {
    const digest = await digestOf(path, byteLength, (bytes) => {
      signal?.throwIfAborted()
      done += bytes
      onProgress?.({ stage: 'digest', done, total })
    })
    parts.push({ byteLength, digest, path, name: partName({ byteLength, digest }, record) })
  }
  const opened = encodeOpened({
    values,
    parts,
    centroidCrcs: centroids.crcs,
    zoneCodes,
    files: encodeFileRecords(files),
    segments: segments.records
  })
  const digest = createHash('sha256').update(opened).digest()
  const head = encodeHead(opened, {
    meta,
    digest,
    centroidPageCount: centroids.crcs.length,
    parts: layout === 'file' ? parts : undefined
  })
  return { head, digest, parts, byteLength: head.byteLength + total, rows: meta.count }
}

/** Writes the centroids up to a whole page, each of which has its CRC in the head. */
function writeCentroids(
  { centroids }: Pick<Snapshot, 'centroids'>,
  path: string
): { readonly path: string; readonly byteLength: number; readonly crcs: Uint32Array } {
  const bytes = new Uint8Array(pageCount(centroids.byteLength) * PAGE_BYTES)
  bytes.set(new Uint8Array(centroids.buffer, centroids.byteOffset, centroids.byteLength))
  const file = new FileWriter(path)
  try {
    file.write(bytes)
    file.flush()
  } finally {
    file.close()
  }
  const crcs = Uint32Array.from({ length: bytes.byteLength / PAGE_BYTES }, (_, page) =>
    checksum(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
  )
  return { path, byteLength: bytes.byteLength, crcs }
}

async function digestOf(path: string, byteLength: number, onBytes: (bytes: number) => void): Promise<Uint8Array> {
  const hash = createHash('sha256')
  for await (const piece of readPieces(path, byteLength)) {
    hash.update(piece)
    onBytes(piece.byteLength)
  }
  return hash.digest()
}
