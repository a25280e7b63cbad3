// Holds the data files of an index against its catalogue before anything maps or reads them: lengths first, then
// headers.

import { lstatSync, type Stats } from 'node:fs'
import { join, resolve } from 'node:path'

import { isMissingFile, missingFile, systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { decodeHeader, hex, type Header } from '../format/header.ts'
import { bytesEqual, METRIC_CODES, PAGE_BYTES } from '../format/layout.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { fileOf, type DataFile, type DataFiles, type Reader } from './reader.ts'

/** Names of missing files that a message has. */
const MOST_NAMED = 8

/**
 * Lists the data files with their paths, or the parts of a packed index that they are; throws ZGQ_CORRUPT for missing
 * ones, all of them named, for a longer one and for what is no regular file, ZGQ_TRUNCATED for a shorter one.
 */
export function findDataFiles(snapshot: Pick<Snapshot, 'folder' | 'files' | 'packed'>): DataFiles {
  const parts = snapshot.packed?.parts
  if (parts !== undefined) return new Map(snapshot.files.map(({ file }, i) => [file, parts[i]]))
  const files = new Map<number, DataFile>()
  const missing: { readonly name: string; readonly error: unknown }[] = []
  for (const record of snapshot.files) {
    try {
      files.set(record.file, findDataFile(snapshot.folder, record))
    } catch (error) {
      if (!isMissingFile(error)) throw error
      missing.push({ name: fileNameOf(record), error })
    }
  }
  if (missing.length > 0) throw missingFiles(snapshot.folder, missing)
  return files
}

function missingFiles(
  folder: string,
  [first, ...others]: readonly { readonly name: string; readonly error: unknown }[]
): unknown {
  if (others.length === 0) return first.error
  const names = others.map(({ name }) => name)
  const named = names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ', ...' : '')
  const cause = first.error instanceof ZgqError ? first.error.cause : first.error
  return missingFile(join(folder, first.name), cause, `files of the index are missing, also ${named}`)
}

function findDataFile(folder: string, file: FileRecord): DataFile {
  const path = join(folder, fileNameOf(file))
  const { size: found, dev, ino } = fileStats(path)
  if (found < file.byteLength)
    throw new ZgqError('ZGQ_TRUNCATED', `the file has ${found} bytes, the catalogue says ${file.byteLength}`, { path })
  if (found > file.byteLength)
    throw new ZgqError('ZGQ_CORRUPT', `the file has ${found} bytes, the catalogue says ${file.byteLength}`, { path })
  return { path, absolutePath: resolve(path), byteLength: file.byteLength, identity: `${dev}:${ino}` }
}

function fileStats(path: string): Stats {
  try {
    // Not of what a link points to: that is in another folder, or a device.
    const found = lstatSync(path)
    if (!found.isFile()) throw new ZgqError('ZGQ_CORRUPT', 'a file of the index is not a regular file', { path })
    return found
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') throw missingFile(path, cause)
    throw wrapReadError(cause, path, 'open a file of the index')
  }
}

/**
 * Verifies the header pages of files; throws ZGQ_CORRUPT, ZGQ_UNSUPPORTED, or ZGQ_MISMATCH for a file of another build.
 */
export function checkHeaders(of: Pick<Snapshot, 'meta' | 'files'>, files: DataFiles, reader: Reader): void {
  const page = new Uint8Array(PAGE_BYTES)
  for (const record of of.files) {
    const { path } = fileOf(files, record.file)
    reader.read(record.file, 0, page)
    checkHeader({ header: decodeHeader(page, record.kind, path), record, path }, of.meta)
  }
}

function checkHeader(found: { header: Header; record: FileRecord; path: string }, meta: Snapshot['meta']): void {
  const { header, record, path } = found
  const mismatch = (what: string, is: string | number, expected: string | number): void => {
    if (is !== expected)
      throw new ZgqError(
        'ZGQ_MISMATCH',
        `the file is of another build: its ${what} is ${is}, the catalogue says ${expected}`,
        { path }
      )
  }
  if (!bytesEqual(header.indexId, meta.indexId)) mismatch('index id', hex(header.indexId), hex(meta.indexId))
  mismatch('generation', header.generation, record.generation)
  mismatch('shard', header.shard, record.shard)
  mismatch('dim', header.dim, meta.dim)
  mismatch('metric', header.metric, METRIC_CODES[meta.metric])
  mismatch('header CRC', header.crc, record.headerCrc)
  mismatch('length', header.fileByteLength, record.byteLength)
  mismatch('segment count', header.segmentCount, record.segmentCount)
  mismatch('row count', header.rowCount, record.rowCount)
}
