// The rows of a shard that a build wrote and that no index has yet: read with plain positioned reads, some pages at a
// time, each page held against its checksum.

import { closeSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'

import { wrapReadError, ZgqError } from '../errors.ts'
import { columnsTableBytes, decodeEntries, expectColumn, MOST_COLUMNS } from '../format/columns.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { decodeHeader } from '../format/header.ts'
import { checksum, ELEMENT_BYTES, METRIC_CODES, PAGE_BYTES, pageCount } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { readFully, type OpenedFile } from '../storage/pread-reader.ts'
import type { Metric } from '../types.ts'
import { FACTS_NAME } from './artifact-names.ts'
import type { SegmentRange } from './calibration-ranges.ts'
import type { RowsToScan, ScannedPart, ScannedSegment } from './calibration-scan.ts'
import { readStored } from './stored-json.ts'
import type { StoredShard } from './write-shard.ts'

/** Bytes of rows of a part: as few as stay in the processor's caches while all queries meet them. */
const PART_BYTES = 64 * 1024

type StoredSegment = StoredShard['segments'][number]

/** What a shard is expected to have. */
interface ShardToOpen {
  readonly folder: string
  readonly dim: number
  readonly metric: Metric
  /** For its rows. */
  readonly memory: KernelMemory
}

export class WrittenRows {
  readonly segments: readonly StoredSegment[]
  readonly #of: ShardToOpen
  readonly #files: OpenedFile[] = []
  readonly #rowsPerPart: number
  /** For the pages of a part. */
  readonly #room: number

  /**
   * Opens the vectors files of a written shard. Throws ZGQ_NOT_FOUND where something is missing, ZGQ_TRUNCATED,
   * ZGQ_CORRUPT, ZGQ_MISMATCH for rows of another dimension or metric, ZGQ_UNSUPPORTED or ZGQ_IO.
   */
  constructor(of: ShardToOpen) {
    const { files, segments } = readStored<StoredShard>(join(of.folder, FACTS_NAME))
    this.#of = of
    this.segments = segments
    const rowBytes = of.dim * ELEMENT_BYTES
    this.#rowsPerPart = Math.max(1, Math.floor(PART_BYTES / rowBytes))
    // They may begin and end within a page.
    this.#room = of.memory.allocate((pageCount(this.#rowsPerPart * rowBytes) + 1) * PAGE_BYTES)
    try {
      for (const record of files.vectors) this.#files.push(openVectors(record, of))
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** The rows of some segments; throws ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO where they are read. */
  rowsOf({ first, end }: SegmentRange): RowsToScan {
    const { dim, metric, memory } = this.#of
    const segments = this.segments.slice(first, end)
    return { dim, metric, memory, rowsPerPart: this.#rowsPerPart, segments: () => this.#scanned(segments) }
  }

  *#scanned(segments: readonly StoredSegment[]): Generator<ScannedSegment> {
    // A build numbers its segments through, and an index gives them slots in that order.
    for (const segment of segments) yield { slot: segment.segment, parts: this.#partsOf(segment) }
  }

  *#partsOf(segment: StoredSegment): Generator<ScannedPart> {
    const { rowCount } = segment
    const crcs = this.#readPageCrcs(segment)
    const rowBytes = this.#of.dim * ELEMENT_BYTES
    for (let firstRow = 0; firstRow < rowCount; firstRow += this.#rowsPerPart) {
      const count = Math.min(this.#rowsPerPart, rowCount - firstRow)
      const firstPage = Math.floor((firstRow * rowBytes) / PAGE_BYTES)
      this.#readPages(segment, { firstPage, endPage: pageCount((firstRow + count) * rowBytes), crcs })
      yield { rows: this.#room + firstRow * rowBytes - firstPage * PAGE_BYTES, count, firstRow }
    }
  }

  #readPages(
    { segment, rows }: StoredSegment,
    of: { readonly firstPage: number; readonly endPage: number; readonly crcs: Uint32Array }
  ): void {
    const { firstPage, endPage, crcs } = of
    const file = this.#files[rows.file]
    const offset = rows.offset + firstPage * PAGE_BYTES
    const pages = this.#of.memory.bytesAt(this.#room, (endPage - firstPage) * PAGE_BYTES)
    readFully(file, offset, pages)
    for (let at = 0; at < pages.byteLength; at += PAGE_BYTES) {
      const page = firstPage + at / PAGE_BYTES
      const computed = checksum(pages.subarray(at, at + PAGE_BYTES))
      if (computed !== crcs[page])
        throw damage(
          file,
          `page ${page} of segment ${segment} has CRC ${computed}, expected ${crcs[page]}`,
          offset + at
        )
    }
  }

  #readPageCrcs({ segment, rowCount, columns }: StoredSegment): Uint32Array {
    const file = this.#files[columns.file]
    const { offset, byteLength } = columns
    const bytes = new Uint8Array(Math.min(byteLength, columnsTableBytes(MOST_COLUMNS)))
    readFully(file, offset, bytes)
    const expected = { path: file.path, offset, segment, rowCount, headerCrc: columns.crc }
    const entries = decodeEntries({ bytes, byteLength, kind: 'columns' }, expected)
    const crcs = new Uint32Array(pageCount(rowCount * this.#of.dim * ELEMENT_BYTES))
    const column = expectColumn({ entries, kind: 'pageCrcs', byteLength: crcs.byteLength }, expected)
    const target = new Uint8Array(crcs.buffer)
    readFully(file, offset + column.offset, target)
    const computed = checksum(target)
    if (computed !== column.crc)
      throw damage(
        file,
        `a column of segment ${segment} has CRC ${computed}, expected ${column.crc}`,
        offset + column.offset
      )
    return crcs
  }

  /** Idempotent; the memory for rows stays taken. */
  close(): void {
    for (const { descriptor } of this.#files.splice(0)) closeSync(descriptor)
  }
}

/** Opens a vectors file whose length and header are as they should be. Its number may be that of an index by now. */
function openVectors(record: FileRecord, { folder, dim, metric }: ShardToOpen): OpenedFile {
  const path = join(folder, fileNameOf(record))
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'r')
    const { size } = fstatSync(descriptor)
    if (size !== record.byteLength)
      throw new ZgqError(
        size < record.byteLength ? 'ZGQ_TRUNCATED' : 'ZGQ_CORRUPT',
        `the file has ${size} bytes, ${record.byteLength} were written`,
        { path }
      )
    const page = new Uint8Array(PAGE_BYTES)
    readFully({ descriptor, path }, 0, page)
    const header = decodeHeader(page, 'vectors', path)
    if (header.dim !== dim || header.metric !== METRIC_CODES[metric])
      throw new ZgqError('ZGQ_MISMATCH', `the rows are not those of a build with dim ${dim} and metric ${metric}`, {
        path
      })
    return { descriptor, path }
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor)
    throw wrapReadError(error, path, 'read what an earlier task of the build left')
  }
}

function damage({ path }: OpenedFile, message: string, offset: number): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path, offset })
}
