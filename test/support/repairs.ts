// Indexes to be repaired: built, then changed in every way; and what an index holds, row by row, with the bytes of its
// payloads and where each row is.

import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { readCatalogue } from '../../src/catalogue/reader.ts'
import { hasBit } from '../../src/format/bitmap.ts'
import type { SegmentRecord } from '../../src/format/segment-record.ts'
import { EncodedPayload } from '../../src/input/encoded-payload.ts'
import { findRemains } from '../../src/repair/find-remains.ts'
import { Losses, type RepairDamage, type RepairLosses } from '../../src/repair/losses.ts'
import { Salvage } from '../../src/repair/salvage.ts'
import { findDataFiles } from '../../src/storage/data-files.ts'
import { DocumentFiles } from '../../src/storage/document-files.ts'
import { openReaders } from '../../src/storage/open-readers.ts'
import { SegmentFiles } from '../../src/storage/segment-files.ts'
import type { Id } from '../../src/types.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'
import { buildDocuments, documentPayload, type DocumentShape } from './document-index.ts'
import { makeVectors } from './datasets.ts'

/** A live row. */
export interface HeldRow {
  /** Undefined: a fresh row. */
  readonly place: { readonly segment: SegmentRecord; readonly row: number } | undefined
  readonly isPatched: boolean
  /** In hex, as the payload. */
  readonly vector: string
  /** Empty: it has none. */
  readonly payload: string
}

export type Content = ReadonlyMap<Id, HeldRow>

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Reads all live rows of a sound index. */
export function contentOf(folder: string): Content {
  const snapshot = readCatalogue(folder)
  const files = findDataFiles(snapshot)
  const readers = openReaders(folder, files, 'pread')
  try {
    const segmentFiles = new SegmentFiles(snapshot.meta, readers, { verify: 'touch', files, usesOrdinals: false })
    const documents = new DocumentFiles(
      snapshot,
      { files: segmentFiles, readers },
      { verify: 'touch', cacheBytes: 2 ** 24 }
    )
    const { masks, patches, fresh } = snapshot.changes
    const content = new Map<Id, HeldRow>()
    for (const segment of snapshot.segments) {
      const deleted = masks.find((mask) => mask.segment === segment.segment)?.deleted
      for (let row = 0; row < segment.rowCount; row++) {
        if (deleted !== undefined && hasBit(deleted, row)) continue
        const patch = patches.find((one) => one.segment === segment.segment && one.row === row)
        const payload = patch?.payload ?? documents.payloadOf({ segment, row })
        content.set(documents.idOf({ segment, row }), {
          place: { segment, row },
          isPatched: patch !== undefined,
          vector: hexOf(bytesOf(segmentFiles.readRow({ segment, row }))),
          payload: payload === undefined ? '' : hexOf(payload)
        })
      }
    }
    for (const { id, vector, payload } of fresh) {
      const held = { place: undefined, isPatched: false, vector: hexOf(bytesOf(vector)) }
      content.set(id, { ...held, payload: payload === undefined ? '' : hexOf(payload) })
    }
    return content
  } finally {
    readers.close()
  }
}

/** Vectors and payloads by id, to be compared. */
export function rowsIn(content: Content): Map<Id, string> {
  return new Map(Array.from(content, ([id, { vector, payload }]): [Id, string] => [id, `${vector} ${payload}`]).sort())
}

const DELTA_ROWS = 700
/** Of ids that are integers: those of a built index are multiples of 3. */
const idOf = (ids: DocumentShape['ids'], name: string, row: number): Id =>
  ids === 'string' ? `${name}-${row}` : row * 3 + (name === 'delta' ? 1 : 2)

/** Builds an index of documents and changes it: a delta, fresh rows, deletions and updates in all of these. */
export async function makeChangedDocuments(shape: DocumentShape): Promise<void> {
  const made = `${shape.output}.made`
  await buildDocuments({ ...shape, output: made })
  const { output, dim, seed, ids } = shape
  const vectors = makeVectors('clustered', { count: DELTA_ROWS + 20, dim }, seed + 1)
  const rowsNamed = (name: string, count: number, from: number) =>
    Array.from({ length: count }, (_, row) => {
      const vector = vectors.slice((from + row) * dim, (from + row + 1) * dim)
      const payload = documentPayload(row)
      return { id: idOf(ids, name, row), vector, ...(payload === undefined ? {} : { payload }) }
    })
  const index = ZgqIndex.open<Id>(made, { mode: 'write', model: 'a model' })
  try {
    const built = Array.from(index.ids())
    await index.add(rowsNamed('delta', DELTA_ROWS, 0))
    await index.add(rowsNamed('fresh', 20, DELTA_ROWS))
    await index.delete([built[3], built[7], built[built.length - 1], idOf(ids, 'delta', 5), idOf(ids, 'fresh', 2)])
    await index.update([built[1], built[9], idOf(ids, 'delta', 8), idOf(ids, 'fresh', 4)], { kind: 'updated' })
    // An id of a built row that is a fresh row's by now.
    await index.upsert([{ id: built[11], vector: vectors.slice(0, dim), payload: { kind: 'upserted' } }])
    await index.backup(output) // sealed, and nobody has it open
  } finally {
    index.close()
  }
}

/** Digests of all files in a folder. */
export function filesIn(folder: string): Map<string, string> {
  const digestOf = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex')
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, digestOf(name)])
  )
}

/** Copies a folder; returns where to. */
export function copyOf(folder: string, to: string): string {
  cpSync(folder, to, { recursive: true })
  return to
}

/** Reads bytes of a file. */
export function readAt(path: string, offset: number, byteLength: number): Uint8Array {
  return Uint8Array.from(readFileSync(path).subarray(offset, offset + byteLength))
}

/** What a repair would give to its build, and what it would say. */
export interface Salvaged {
  /** In hex. */
  readonly rows: ReadonlyMap<Id, { readonly vector: string; readonly payload: string }>
  readonly lost: RepairLosses
  readonly damage: readonly RepairDamage[]
}

/** Reads what is left of an index, without building another one of it. */
export async function salvageFrom(folder: string, acceptLoss = false, hasTwins = false): Promise<Salvaged> {
  const losses = new Losses()
  const remains = findRemains(folder, losses, { acceptLoss, fields: [] })
  try {
    const rows = new Map<Id, { vector: string; payload: string }>()
    const { dim } = remains.meta
    for await (const { ids = [], vectors, payloads = [] } of new Salvage(remains, losses, hasTwins).batches()) {
      for (let i = 0; i < ids.length; i++) {
        const payload = payloads[i]
        const bytes = payload instanceof EncodedPayload ? payload.bytes : new Uint8Array(0)
        if (rows.has(ids[i])) throw new Error(`the id ${ids[i]} came twice`)
        rows.set(ids[i], { vector: hexOf(bytesOf(vectors.subarray(i * dim, (i + 1) * dim))), payload: hexOf(bytes) })
      }
    }
    return { rows, lost: losses.lost, damage: losses.damage }
  } finally {
    remains.files.close()
  }
}
