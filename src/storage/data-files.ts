// Holds the data files of an index against its catalogue before anything maps or reads them: lengths first, then
// headers.

import { lstatSync, type Stats } from 'node:fs'
import { join } from 'node:path'

import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { decodeHeader, hex, type Header } from '../format/header.ts'
import { bytesEqual, METRIC_CODES, PAGE_BYTES } from '../format/layout.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { DataFile, Reader } from './reader.ts'

/**
 * Lists the data files with their paths; throws ZGQ_CORRUPT for a missing or longer one and for what is no
 * regular file, ZGQ_TRUNCATED for a shorter one.
 */
export function findDataFiles(snapshot: Snapshot): DataFile[] {
  return snapshot.files.map((file) => {
    const path = join(snapshot.folder, file.name)
    const { size: found, dev, ino } = fileStats(path)
    if (found < file.byteLength)
      throw new ZgqError('ZGQ_TRUNCATED', `the file has ${found} bytes, the catalogue says ${file.byteLength}`, {
        path
      })
    if (found > file.byteLength)
      throw new ZgqError('ZGQ_CORRUPT', `the file has ${found} bytes, the catalogue says ${file.byteLength}`, { path })
    return { path, byteLength: file.byteLength, identity: `${dev}:${ino}` }
  })
}

function fileStats(path: string): Stats {
  try {
    // Not of what a link points to: that is in another folder, or a device.
    const found = lstatSync(path)
    if (!found.isFile()) throw new ZgqError('ZGQ_CORRUPT', 'a file of the index is not a regular file', { path })
    return found
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT')
      throw new ZgqError('ZGQ_CORRUPT', 'a file of the index is missing', { path, cause })
    throw wrapReadError(cause, path, 'open a file of the index')
  }
}

/** Verifies every header page; throws ZGQ_CORRUPT, ZGQ_UNSUPPORTED, or ZGQ_MISMATCH for a file of another build. */
export function checkHeaders(snapshot: Snapshot, files: readonly DataFile[], reader: Reader): void {
  const page = new Uint8Array(PAGE_BYTES)
  files.forEach((file, number) => {
    reader.read(number, 0, page)
    checkHeader({ header: decodeHeader(page, snapshot.files[number].kind, file.path), file, number }, snapshot)
  })
}

function checkHeader(found: { header: Header; file: DataFile; number: number }, snapshot: Snapshot): void {
  const { header, file, number } = found
  const { meta, zones } = snapshot
  const path = file.path
  const mismatch = (what: string, is: string | number, expected: string | number): void => {
    if (is !== expected)
      throw new ZgqError(
        'ZGQ_MISMATCH',
        `the file is of another build: its ${what} is ${is}, the catalogue says ${expected}`,
        { path }
      )
  }
  if (!bytesEqual(header.indexId, meta.indexId)) mismatch('index id', hex(header.indexId), hex(meta.indexId))
  mismatch('generation', header.generation, meta.generation)
  const { kind, headerCrc } = snapshot.files[number]
  mismatch('shard', header.shard, snapshot.files.slice(0, number).filter((other) => other.kind === kind).length)
  mismatch('dim', header.dim, meta.dim)
  mismatch('metric', header.metric, METRIC_CODES[meta.metric])
  mismatch('header CRC', header.crc, headerCrc)
  const inFile = zones.filter((zone) => (kind === 'codes' ? zone.codesFile : zone.file) === number)
  mismatch('length', header.fileByteLength, file.byteLength)
  mismatch('zone count', header.zoneCount, inFile.length)
  mismatch(
    'row count',
    header.rowCount,
    inFile.reduce((sum, zone) => sum + zone.rowCount, 0)
  )
}
