// Reads the head and the centroids of a packed index (spec, section 12) from disk: of one file, or of a folder of
// parts. SQLite is not needed.

import { closeSync, lstatSync, realpathSync, statSync, type Stats } from 'node:fs'
import { basename, join, resolve } from 'node:path'

import { refuseAsarPath } from '../asar-path.ts'
import { findPacked, type FoundPacked } from '../catalogue/packed-place.ts'
import { packedSnapshot } from '../catalogue/packed-snapshot.ts'
import { withSnapshot } from '../catalogue/reader.ts'
import type { PackedOnDisk, PartOnDisk, Snapshot } from '../catalogue/snapshot.ts'
import { whileSteady } from '../catalogue/steady-folder.ts'
import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { fileNameOf } from '../format/file-record.ts'
import { alignUp, checksum, PAGE_BYTES } from '../format/layout.ts'
import { decodePackedHeader, type PackedHeader } from '../format/packed-header.ts'
import { decodeOpening, manifestName, partName, partOffsets, type PackedRecords } from '../format/packed-index.ts'
import { areFinite } from '../format/row-values.ts'
import { openFile, readFully } from './pread-reader.ts'
import type { DataFile } from './reader.ts'

/**
 * Reads what is known of the index at `path`, packed or not, and hands it to `open`, which opens its files and may be
 * called several times. Throws as `withSnapshot` does, and what `open` throws.
 */
export function withStoredSnapshot<T>(path: string, open: (snapshot: Snapshot) => T): T {
  refuseAsarPath(path)
  if (findPacked(path) === undefined) return withSnapshot(path, open)
  return whileSteady([path], () => {
    const place = findPacked(path)
    if (place === undefined) throw new ZgqError('ZGQ_NOT_FOUND', 'the packed index was removed', { path })
    return open(readPacked(path, place))
  })
}

function readPacked(path: string, place: FoundPacked): Snapshot {
  const { layout } = place
  const { file, header, records } = readHead(layout === 'file' ? path : join(path, manifestName(place.manifest)))
  expectLayout(header, file, layout)
  const { byteLength } = file
  const snapshot = packedSnapshot(records, { path, centroids: new Float32Array(0), byteLength })
  const names = records.parts.map((part, i) => {
    const of = i === 0 ? undefined : snapshot.files[i - 1]
    if (layout === 'folder') return partName(part, of)
    return of === undefined ? 'centroids' : fileNameOf(of)
  })
  const placed = { path, header, head: { ...file, digest: header.digest }, records, names }
  const packed = layout === 'file' ? partsOfFile(placed) : partsOfFolder(placed)
  return { ...snapshot, packed, centroids: readCentroids(packed.centroids, records) }
}

/** What has the head. */
type HeadFile = Omit<PartOnDisk, 'digest'>

interface PlacedHead {
  readonly path: string
  readonly header: PackedHeader
  readonly head: PartOnDisk
  readonly records: PackedRecords
  /** Of its parts. */
  readonly names: readonly string[]
}

/** Reads the head of the packed index that a file begins with. */
function readHead(path: string): {
  readonly file: HeadFile
  readonly header: PackedHeader
  readonly records: PackedRecords
} {
  const whole = wholeFile(path, statsOf(path, statSync))
  const page = readPart({ ...whole, byteLength: Math.min(PAGE_BYTES, whole.byteLength) })
  const header = decodePackedHeader(page, path)
  const byteLength = PAGE_BYTES + header.openingByteLength
  if (byteLength > whole.byteLength)
    throw new ZgqError('ZGQ_TRUNCATED', `it has ${whole.byteLength} bytes, its head alone has ${byteLength}`, { path })
  const file = { ...whole, byteLength }
  const records = decodeOpening(readPart(file).subarray(PAGE_BYTES), header, path)
  return { file, header, records }
}

/** Throws where the length of a file is not what its head says, or the head is of another layout. */
function expectLayout({ fileByteLength }: PackedHeader, file: HeadFile, layout: FoundPacked['layout']): void {
  const { path, byteLength, wholeByteLength: found } = file
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', what, { path })
  if (layout === 'folder') {
    if (fileByteLength !== 0) throw damage('the head is of a packed index of one file, not of a folder')
    if (found > alignUp(byteLength, PAGE_BYTES)) throw damage(`it has ${found} bytes, its head has ${byteLength}`)
    return
  }
  if (fileByteLength === 0)
    throw new ZgqError('ZGQ_NOT_AN_INDEX', 'this is a manifest of a packed index: open the folder that it is in', {
      path
    })
  if (found < fileByteLength)
    throw new ZgqError('ZGQ_TRUNCATED', `it has ${found} bytes, its head says ${fileByteLength}`, { path })
  if (found > fileByteLength) throw damage(`it has ${found} bytes, its head says ${fileByteLength}`)
}

function partsOfFile({ path, header, head, records, names }: PlacedHead): PackedOnDisk {
  const offsets = partOffsets(header.openingByteLength, records.parts)
  const [centroids, ...parts] = records.parts.map((part, i) => ({
    ...head,
    ...part,
    path: `${path}#${names[i]}`,
    start: offsets[i]
  }))
  return { layout: 'file', head, centroids, parts, byteLength: head.wholeByteLength }
}

function partsOfFolder({ path, head, records, names }: PlacedHead): PackedOnDisk {
  const [centroids, ...parts] = records.parts.map((part, i) => ({ ...findPart(join(path, names[i]), part), ...part }))
  const byteLength = records.parts.reduce((sum, part) => sum + part.byteLength, head.wholeByteLength)
  return { layout: 'folder', head, centroids, parts, byteLength }
}

function findPart(path: string, { byteLength }: { readonly byteLength: number }): HeadFile {
  const stats = statsOf(path, lstatSync)
  if (stats.size !== byteLength)
    throw new ZgqError(
      stats.size < byteLength ? 'ZGQ_TRUNCATED' : 'ZGQ_CORRUPT',
      `the part has ${stats.size} bytes, the manifest says ${byteLength}`,
      { path }
    )
  return wholeFile(path, stats)
}

/** Throws ZGQ_CORRUPT for what is missing or no regular file. */
function statsOf(path: string, look: (path: string) => Stats): Stats {
  try {
    const stats = look(path)
    if (stats.isFile()) return stats
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw wrapReadError(cause, path, 'open the packed index')
    throw new ZgqError('ZGQ_CORRUPT', `${basename(path)} is missing: pack the index again`, { path, cause })
  }
  throw new ZgqError('ZGQ_CORRUPT', 'this is not a regular file', { path })
}

function wholeFile(path: string, { size, dev, ino }: Stats): HeadFile {
  const absolutePath = realpathSync(resolve(path))
  return { path, absolutePath, identity: `${dev}:${ino}`, start: 0, byteLength: size, wholeByteLength: size }
}

/** Reads a part, or a head, whole; throws ZGQ_TRUNCATED, ZGQ_MISMATCH where it was replaced, or ZGQ_IO. */
export function readPart(part: DataFile): Uint8Array {
  const bytes = new Uint8Array(part.byteLength)
  const descriptor = openFile(part)
  try {
    readFully({ ...part, descriptor }, 0, bytes)
    return bytes
  } finally {
    closeSync(descriptor)
  }
}

/** Reads all centroids; throws ZGQ_CORRUPT. */
function readCentroids(part: PartOnDisk, { meta, centroidCrcs }: PackedRecords): Float32Array {
  const bytes = readPart(part)
  centroidCrcs.forEach((crc, page) => {
    const offset = page * PAGE_BYTES
    const computed = checksum(bytes.subarray(offset, offset + PAGE_BYTES))
    if (computed !== crc)
      throw new ZgqError('ZGQ_CORRUPT', `a page of centroids has CRC ${computed}, expected ${crc}`, {
        path: part.path,
        offset
      })
  })
  if (!areFinite(bytes)) throw new ZgqError('ZGQ_CORRUPT', 'a centroid is not finite', { path: part.path })
  return new Float32Array(bytes.buffer, 0, meta.zoneCount * meta.dim)
}
