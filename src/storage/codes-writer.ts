// Writes the codes files of a build (spec, section 8): one columns extent a segment, in the order of the segments.

import { join } from 'node:path'

import { encodeColumns, type Column } from '../format/columns.ts'
import { type FileRecord } from '../format/file-record.ts'
import { HEADER } from '../format/header.ts'
import { dataFileName, PAGE_BYTES, SHARD_BYTES } from '../format/layout.ts'
import type { FileExtent } from '../format/segment-record.ts'
import { completeFile, type GenerationFacts } from './data-file-writer.ts'
import { FileWriter } from './file-writer.ts'

/** The codes of a segment, and what of its vectors file is repeated beside them. */
export interface CodesToWrite {
  readonly segment: number
  readonly rowCount: number
  /** u64, rowCount */
  readonly ids: Uint8Array
  readonly pageCrcs: Uint32Array
  readonly planes: Uint8Array
  /** Undefined with one bit a dimension. */
  readonly refinedCodes: Uint8Array | undefined
}

export class CodesWriter {
  readonly #facts: GenerationFacts
  readonly #files: FileRecord[] = []
  readonly #extents: FileExtent[] = []
  #file: FileWriter | undefined
  #segmentCount = 0
  #rowCount = 0

  constructor(facts: GenerationFacts) {
    this.#facts = facts
  }

  /** Writes the codes of the next segment. */
  writeSegment(segment: CodesToWrite): void {
    const columns: Column[] = [
      { kind: 'ids', bytes: segment.ids },
      {
        kind: 'pageCrcs',
        bytes: new Uint8Array(segment.pageCrcs.buffer, segment.pageCrcs.byteOffset, segment.pageCrcs.byteLength)
      },
      { kind: 'planes', bytes: segment.planes }
    ]
    if (segment.refinedCodes !== undefined) columns.push({ kind: 'refinedCodes', bytes: segment.refinedCodes })
    const { bytes, headerCrc } = encodeColumns(segment.segment, segment.rowCount, columns)
    if (this.#file !== undefined && this.#file.byteLength - PAGE_BYTES + bytes.byteLength > SHARD_BYTES)
      this.#finishFile()
    const file = this.#file ?? this.#startFile()
    this.#extents.push({
      file: this.#files.length,
      offset: file.byteLength,
      byteLength: bytes.byteLength,
      crc: headerCrc
    })
    file.write(bytes)
    file.padTo(PAGE_BYTES)
    this.#segmentCount++
    this.#rowCount += segment.rowCount
  }

  /** Completes the last file; returns the files, numbered from 0 on, and the extents of the segments in them. */
  finish(): { files: readonly FileRecord[]; extents: readonly FileExtent[] } {
    if (this.#file !== undefined) this.#finishFile()
    return { files: this.#files, extents: this.#extents }
  }

  /** Closes what is open, after a failure; idempotent. */
  close(): void {
    this.#file?.close()
  }

  #startFile(): FileWriter {
    const { folder, generation } = this.#facts
    this.#file = new FileWriter(join(folder, dataFileName('codes', generation, this.#files.length)))
    this.#file.write(new Uint8Array(HEADER.byteLength)) // its place; the header is written last
    return this.#file
  }

  #finishFile(): void {
    const file = this.#file
    if (file === undefined) return
    const shard = this.#files.length
    this.#files.push(
      completeFile(file, {
        ...this.#facts,
        kind: 'codes',
        shard,
        segmentCount: this.#segmentCount,
        rowCount: this.#rowCount
      })
    )
    this.#file = undefined
    this.#segmentCount = 0
    this.#rowCount = 0
  }
}
