// Writes the vectors files of a build: segments as they come, columns through a temporary file (their size does not
// shrink with the dimension, so they are not held in memory), then directory, footer and header.

import { closeSync, openSync, readSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

import { wrapReadError } from '../errors.ts'
import { encodeColumns, type Column } from '../format/columns.ts'
import type { FileRecord } from '../format/file-record.ts'
import { HEADER } from '../format/header.ts'
import { alignUp, PAGE_BYTES, SHARD_BYTES, dataFileName } from '../format/layout.ts'
import { completeFile, type GenerationFacts } from './data-file-writer.ts'
import { FileWriter } from './file-writer.ts'
import { columnsBeside, writeDirectory, writePages, type DirectorySegment } from './segment-writing.ts'

const COPY_BYTES = 1024 * 1024

/** A segment whose rows are ready to be written. */
export interface SegmentToWrite {
  readonly segment: number
  readonly zone: number
  readonly rowCount: number
  /** The rows, float32, in runs of any length. */
  readonly rowRuns: Iterable<Float32Array>
  /** Ids of the rows: a column of kind `ids` or `stringIds`. */
  readonly ids: Column
  /** float32, rowCount; cosine only */
  readonly inverseNorms: Float32Array | undefined
  readonly centroid: Float32Array
  readonly minNorm: number
  readonly maxNorm: number
  readonly radius: number
  readonly spread: number
}

/** A segment without what lies in other files, and the centroid of its zone. */
export type WrittenSegment = DirectorySegment

export class VectorsWriter {
  readonly files: FileRecord[] = []
  readonly segments: WrittenSegment[] = []
  readonly #facts: GenerationFacts
  #file: FileWriter | undefined
  #columns: FileWriter | undefined
  /** Segments of the open file; where their columns start is known when it is finished. */
  #open: WrittenSegment[] = []

  constructor(facts: GenerationFacts) {
    this.#facts = facts
  }

  /** Writes a segment; returns the CRC of each page of its rows. */
  writeSegment(segment: SegmentToWrite): Uint32Array {
    const { rowRuns, ids, inverseNorms, ...facts } = segment
    const byteLength = segment.rowCount * this.#facts.dim * 4
    if (this.#file !== undefined && this.#file.byteLength - PAGE_BYTES + byteLength > SHARD_BYTES) this.#finishFile()
    const file = this.#file ?? this.#startFile()
    const offset = file.byteLength
    const pageCrcs = writePages(file, rowRuns, byteLength)
    const columns = columnsBeside({ ids, inverseNorms, pageCrcs })
    const { bytes, headerCrc } = encodeColumns(segment.segment, segment.rowCount, columns)
    this.#columns?.write(bytes)
    this.#columns?.padTo(PAGE_BYTES)
    const number = this.files.length
    this.#open.push({
      ...facts,
      rows: { file: number, offset, byteLength, crc: 0 },
      columns: { file: number, offset: 0, byteLength: bytes.byteLength, crc: headerCrc }
    })
    return pageCrcs
  }

  /**
   * Completes and syncs the last file, which says what the files supersede: where that is whole, all of them are. Makes
   * a file without segments where they supersede some and have none.
   */
  finish(superseded: readonly number[] = []): void {
    if (this.#file === undefined && superseded.length > 0) this.#startFile()
    if (this.#file !== undefined) this.#finishFile(superseded)
  }

  /** Closes what is open, after a failure; idempotent. */
  close(): void {
    this.#file?.close()
    this.#columns?.close()
  }

  #startFile(): FileWriter {
    const { folder, generation } = this.#facts
    const file = new FileWriter(join(folder, dataFileName('vectors', generation, this.files.length)))
    this.#file = file
    this.#columns = new FileWriter(`${file.path}.columns`)
    file.write(new Uint8Array(HEADER.byteLength)) // its place; the header is written last
    return file
  }

  #finishFile(superseded: readonly number[] = []): void {
    const file = this.#file
    const extentsFile = this.#columns
    if (file === undefined || extentsFile === undefined) return
    let columnsOffset = file.byteLength
    const segments = this.#open.map((segment) => {
      const columns = { ...segment.columns, offset: columnsOffset }
      columnsOffset += alignUp(columns.byteLength, PAGE_BYTES)
      return { ...segment, columns }
    })
    moveInto(extentsFile, file)
    writeDirectory(file, segments, { ...this.#facts, kind: 'vectors', superseded })
    const rowCount = segments.reduce((sum, segment) => sum + segment.rowCount, 0)
    this.files.push(
      completeFile(file, {
        ...this.#facts,
        kind: 'vectors',
        shard: this.files.length,
        segmentCount: segments.length,
        rowCount
      })
    )
    this.segments.push(...segments)
    this.#open = []
    this.#file = undefined
    this.#columns = undefined
  }
}

/** Appends all of a temporary file to another one and removes it. */
function moveInto(from: FileWriter, to: FileWriter): void {
  from.flush()
  from.close()
  const buffer = new Uint8Array(COPY_BYTES)
  try {
    const descriptor = openSync(from.path, 'r')
    try {
      for (let read = readSync(descriptor, buffer); read > 0; read = readSync(descriptor, buffer))
        to.write(buffer.subarray(0, read))
    } finally {
      closeSync(descriptor)
    }
    unlinkSync(from.path)
  } catch (error) {
    throw wrapReadError(error, from.path, 'read a temporary file')
  }
}
