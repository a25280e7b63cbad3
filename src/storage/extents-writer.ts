// Writes the files of a build that hold one extent a segment and nothing else: codes, fields, payloads (spec, section
// 4). Extents come in the order of the segments; a file ends where the next would carry it past the length of a shard.

import { join } from 'node:path'

import type { FileRecord } from '../format/file-record.ts'
import { HEADER } from '../format/header.ts'
import type { FileKind } from '../format/kinds.ts'
import { dataFileName, PAGE_BYTES, SHARD_BYTES } from '../format/layout.ts'
import type { FileExtent } from '../format/segment-record.ts'
import { completeFile, type GenerationFacts } from './data-file-writer.ts'
import { FileWriter } from './file-writer.ts'

/** An extent that is ready to be written. */
export interface ExtentToWrite {
  readonly rowCount: number
  readonly byteLength: number
  /** CRC of header and entries. */
  readonly headerCrc: number
  /** All bytes of the extent, in pieces. */
  readonly pieces: Iterable<Uint8Array>
}

export class ExtentsWriter {
  readonly #facts: GenerationFacts
  readonly #kind: FileKind
  readonly #files: FileRecord[] = []
  readonly #extents: FileExtent[] = []
  #file: FileWriter | undefined
  #segmentCount = 0
  #rowCount = 0

  constructor(facts: GenerationFacts, kind: FileKind) {
    this.#facts = facts
    this.#kind = kind
  }

  /** Writes the extent of the next segment. */
  write(extent: ExtentToWrite): void {
    const { rowCount, byteLength, headerCrc, pieces } = extent
    if (this.#file !== undefined && this.#file.byteLength - PAGE_BYTES + byteLength > SHARD_BYTES) this.#finishFile()
    const file = this.#file ?? this.#startFile()
    this.#extents.push({ file: this.#files.length, offset: file.byteLength, byteLength, crc: headerCrc })
    for (const piece of pieces) file.write(piece)
    file.padTo(PAGE_BYTES)
    this.#segmentCount++
    this.#rowCount += rowCount
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
    this.#file = new FileWriter(join(folder, dataFileName(this.#kind, generation, this.#files.length)))
    this.#file.write(new Uint8Array(HEADER.byteLength)) // its place; the header is written last
    return this.#file
  }

  #finishFile(): void {
    const file = this.#file
    if (file === undefined) return
    const counts = { segmentCount: this.#segmentCount, rowCount: this.#rowCount }
    this.#files.push(completeFile(file, { ...this.#facts, kind: this.#kind, shard: this.#files.length, ...counts }))
    this.#file = undefined
    this.#segmentCount = 0
    this.#rowCount = 0
  }
}
