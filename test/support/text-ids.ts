// Gives an index other ids on disk, byte by byte: strings in the place of integers, and an ids file that leads to them.
// So readers are tested with what no builder made.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { readCatalogue } from '../../src/catalogue/reader.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import { COLUMN_ENTRY, COLUMNS_HEADER, encodeColumns } from '../../src/format/columns.ts'
import {
  decodeFooter,
  DIRECTORY_ENTRY,
  directoryRecordBytes,
  encodeFooter,
  FOOTER
} from '../../src/format/directory.ts'
import { encodeFileRecords, fileNameOf, type FileRecord } from '../../src/format/file-record.ts'
import { decodeHeader, encodeHeader, HEADER } from '../../src/format/header.ts'
import { hashInteger, hashText, idHash } from '../../src/format/id-hash.ts'
import { alignUp, checksum, PAGE_BYTES } from '../../src/format/layout.ts'
import type { Segment } from '../../src/format/segment-table.ts'
import { encodeStringId, encodeStringIds } from '../../src/format/string-ids.ts'
import { u64At } from '../../src/format/u64.ts'
import { compareEntries, encodeIdsFile, type IdEntry } from './id-pages.ts'
import { changeCatalogue, forgeCatalogue } from './index-damage.ts'

/** An id of a row. */
export interface PlacedId {
  readonly id: number | string
  readonly segment: number
  readonly row: number
}

/** Reads a column of a small index by its kind, without verifying it. */
function columnOf(file: Buffer, { columns }: Segment, kind: number): Uint8Array {
  const extent = file.subarray(columns.offset, columns.offset + columns.byteLength)
  for (let at: number = COLUMNS_HEADER.byteLength; ; at += COLUMN_ENTRY.byteLength) {
    const entry = COLUMN_ENTRY.decode(extent, at, 'columns')
    if (entry.kind === kind) return Uint8Array.from(extent.subarray(entry.offset, entry.offset + entry.byteLength))
  }
}

function vectorsFileOf(folder: string, { files }: Snapshot): string {
  const [vectors, ...others] = files.filter(({ kind }) => kind === 'vectors')
  if (others.length > 0) throw new Error('this is for an index with one vectors file')
  return join(folder, fileNameOf(vectors))
}

/** The integer ids of all rows. */
export function integerIdsOf(folder: string): PlacedId[] {
  const snapshot = readCatalogue(folder)
  const file = readFileSync(vectorsFileOf(folder, snapshot))
  return [...snapshot.segments].flatMap((segment) => {
    const words = new Uint32Array(columnOf(file, segment, 1).buffer)
    return Array.from({ length: segment.rowCount }, (_, row) => ({
      id: u64At(words, row),
      segment: segment.segment,
      row
    }))
  })
}

/** Makes texts of the ids of an index without codes and norms, as it was built, with one vectors file. */
export function giveTextIds(folder: string, textOf: (id: number) => string): PlacedId[] {
  const snapshot = readCatalogue(folder)
  const path = vectorsFileOf(folder, snapshot)
  const old = readFileSync(path)
  const segments = [...snapshot.segments]
  const ids = integerIdsOf(folder).map(({ id, ...place }) => ({ ...place, id: textOf(Number(id)) }))
  const parts: Uint8Array[] = [old.subarray(0, Math.min(...segments.map(({ columns }) => columns.offset)))]
  let end = parts[0].byteLength
  const extents = segments.map((segment) => {
    const own = ids.filter((placed) => placed.segment === segment.segment)
    const { bytes, headerCrc } = encodeColumns(segment.segment, segment.rowCount, [
      { kind: 'pageCrcs', bytes: columnOf(old, segment, 3) },
      { kind: 'stringIds', bytes: encodeStringIds(own.map(({ id }) => encodeStringId(id))) }
    ])
    const padded = new Uint8Array(alignUp(bytes.byteLength, PAGE_BYTES))
    padded.set(bytes)
    parts.push(padded)
    end += padded.byteLength
    return { columnsOffset: end - padded.byteLength, columnsByteLength: bytes.byteLength, columnsCrc: headerCrc }
  })
  const footer = decodeFooter(old.subarray(-FOOTER.byteLength), 'vectors', { path, offset: 0 })
  const directory = Uint8Array.from(
    old.subarray(footer.directoryOffset, footer.directoryOffset + footer.directoryByteLength)
  )
  extents.forEach((extent, i) => {
    const at = i * directoryRecordBytes(snapshot.meta.dim)
    DIRECTORY_ENTRY.encode({ ...DIRECTORY_ENTRY.decode(directory, at, path), ...extent }, directory, at)
  })
  const fileByteLength = alignUp(end + directory.byteLength + FOOTER.byteLength, PAGE_BYTES)
  const bytes = Buffer.alloc(fileByteLength)
  bytes.set(Buffer.concat([...parts, directory]))
  bytes.set(
    encodeFooter('vectors', { ...footer, directoryOffset: end, directoryCrc: checksum(directory) }),
    fileByteLength - FOOTER.byteLength
  )
  const header = encodeHeader({
    ...decodeHeader(old.subarray(0, PAGE_BYTES), 'vectors', path),
    kind: 'vectors',
    metric: snapshot.meta.metric,
    fileByteLength
  })
  bytes.set(header)
  writeFileSync(path, bytes)
  forgeCatalogue(folder, ({ files, segments: records, index }) => {
    const at = snapshot.files.findIndex(({ kind }) => kind === 'vectors')
    files.set(at, 'byteLength', fileByteLength)
    files.set(at, 'headerCrc', HEADER.decode(header, 0, path).crc)
    for (const [i, { columnsOffset, columnsByteLength, columnsCrc }] of extents.entries()) {
      records.set(i, 'columnsOffset', columnsOffset)
      records.set(i, 'columnsByteLength', columnsByteLength)
      records.set(i, 'columnsCrc', columnsCrc)
    }
    index.set(0, 'idType', 2)
  })
  return ids
}

/** The entry of a row in an ids file. */
export function entryOf({ id, segment, row }: PlacedId): IdEntry {
  const hash = idHash()
  if (typeof id === 'number') hashInteger(id, hash)
  else hashText(encodeStringId(id), hash)
  return { low: hash[0], high: hash[1], segment, row }
}

/**
 * Writes an ids file of these ids, one for each row, in the place of one that is there; else names it in the catalogue,
 * of which `snapshot` was read.
 */
export function giveIdsFile(folder: string, snapshot: Snapshot, ids: readonly PlacedId[]): string {
  const { meta, files } = snapshot
  const known = files.find(({ kind }) => kind === 'ids')
  const bytes = encodeIdsFile(ids.map(entryOf).sort(compareEntries), meta)
  const record: FileRecord = {
    file: known?.file ?? meta.nextFile,
    kind: 'ids',
    headerCrc: HEADER.decode(bytes, 0, 'ids').crc,
    generation: 1,
    shard: 0,
    byteLength: bytes.byteLength,
    segmentCount: 0,
    rowCount: ids.length
  }
  const path = join(folder, fileNameOf(record))
  const isNamed = existsSync(path)
  writeFileSync(path, bytes)
  if (isNamed) return path
  const records = Buffer.from(encodeFileRecords([record])).toString('hex')
  changeCatalogue(folder, `UPDATE files SET count = count + 1, records = CAST(records || x'${records}' AS BLOB)`)
  forgeCatalogue(folder, ({ index }) => {
    index.set(0, 'fileCount', meta.fileCount + 1)
    index.set(0, 'nextFile', meta.nextFile + 1)
  })
  return path
}
