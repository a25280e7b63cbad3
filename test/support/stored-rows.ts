// What an index holds, read from its files without a search: rows and ids of each zone, and digests of the files.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { decodeColumns, decodeIds } from '../../src/format/columns.ts'
import { fileNameOf } from '../../src/format/file-record.ts'
import type { FileExtent } from '../../src/format/segment-record.ts'
import type { Segment } from '../../src/format/segment-table.ts'
import { readCatalogue } from '../../src/catalogue/reader.ts'

export interface StoredSegment {
  readonly segment: Segment
  readonly ids: readonly number[]
  /** float32, ids.length * dim */
  readonly rows: Float32Array
}

/** Reads all segments of the index in `folder`; those of a build are numbered by their zones. */
export function readStored(folder: string): StoredSegment[] {
  const { meta, files, segments } = readCatalogue(folder)
  const contents = new Map(files.map((file) => [file.file, readFileSync(join(folder, fileNameOf(file)))]))
  const bytesOf = ({ file, offset, byteLength }: FileExtent): Uint8Array =>
    Uint8Array.from(contents.get(file)?.subarray(offset, offset + byteLength) ?? [])
  return Array.from(segments, (segment) => {
    const columns = bytesOf(segment.columns)
    const layout = decodeColumns(columns, {
      path: folder,
      offset: segment.columns.offset,
      segment: segment.segment,
      rowCount: segment.rowCount,
      dim: meta.dim,
      idType: meta.idType,
      hasInverseNorms: meta.metric === 'cosine',
      headerCrc: segment.columns.crc,
      bits: 0
    })
    const { ids: column } = layout
    if (column === undefined) throw new Error('the ids of this index are strings')
    const ids = decodeIds(new Uint32Array(columns.slice(column.offset, column.offset + column.byteLength).buffer))
    const rows = new Float32Array(bytesOf(segment.rows).buffer)
    return { segment, ids: Array.from(ids), rows }
  })
}

/** SHA-256 of each data file of the index in `folder`, by name. */
export function dataFileDigests(folder: string): Record<string, string> {
  return digestsOf(
    folder,
    readdirSync(folder).filter((name) => name.endsWith('.zgq'))
  )
}

/** SHA-256 of every file in `folder`, by name. */
export function fileDigests(folder: string): Record<string, string> {
  return digestsOf(folder, readdirSync(folder))
}

function digestsOf(folder: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    [...names].sort().map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex')
    ])
  )
}
