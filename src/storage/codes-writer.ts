// Writes the codes files of a build (spec, section 8): one columns extent a zone, in the order of the zones.

import { join } from 'node:path'

import type { CodesPlace, FileRecord } from '../format/catalogue.ts'
import { COLUMN_KINDS, encodeColumns, type Column } from '../format/columns.ts'
import { encodeHeader, HEADER } from '../format/header.ts'
import { dataFileName, PAGE_BYTES, SHARD_BYTES } from '../format/layout.ts'
import { FileWriter } from './file-writer.ts'
import type { BuildFacts } from './vectors-writer.ts'

/** The codes of a zone, and what of its vectors file is repeated beside them. */
export interface CodesToWrite {
  readonly segment: number
  readonly rowCount: number
  /** u64, rowCount */
  readonly ids: Uint8Array
  readonly pageCrcs: Uint32Array
  readonly signs: Uint8Array
  /** Undefined with one bit a dimension. */
  readonly refinedCodes: Uint8Array | undefined
}

export class CodesWriter {
  readonly #facts: BuildFacts
  readonly #files: Omit<FileRecord, 'file'>[] = []
  readonly #places: CodesPlace[] = []
  #file: FileWriter | undefined
  #zoneCount = 0
  #rowCount = 0

  constructor(facts: BuildFacts) {
    this.#facts = facts
  }

  /** Writes the codes of the next zone. */
  writeZone(zone: CodesToWrite): void {
    const columns: Column[] = [
      { kind: COLUMN_KINDS.ids, bytes: zone.ids },
      {
        kind: COLUMN_KINDS.pageCrcs,
        bytes: new Uint8Array(zone.pageCrcs.buffer, zone.pageCrcs.byteOffset, zone.pageCrcs.byteLength)
      },
      { kind: COLUMN_KINDS.signs, bytes: zone.signs }
    ]
    if (zone.refinedCodes !== undefined) columns.push({ kind: COLUMN_KINDS.refinedCodes, bytes: zone.refinedCodes })
    const { bytes, headerCrc } = encodeColumns(zone.segment, zone.rowCount, columns)
    if (this.#file !== undefined && this.#file.byteLength - PAGE_BYTES + bytes.byteLength > SHARD_BYTES)
      this.#finishFile()
    const file = this.#file ?? this.#startFile()
    this.#places.push({
      codesFile: this.#files.length,
      codesOffset: file.byteLength,
      codesByteLength: bytes.byteLength,
      codesCrc: headerCrc
    })
    file.write(bytes)
    file.padTo(PAGE_BYTES)
    this.#zoneCount++
    this.#rowCount += zone.rowCount
  }

  /** Completes the last file; returns the files, numbered from `firstFile`, and the places of the zones in them. */
  finish(firstFile: number): { files: FileRecord[]; places: CodesPlace[] } {
    if (this.#file !== undefined) this.#finishFile()
    return {
      files: this.#files.map((file, shard) => ({ ...file, file: firstFile + shard })),
      places: this.#places.map((place) => ({ ...place, codesFile: firstFile + place.codesFile }))
    }
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
    const header = encodeHeader({
      ...this.#facts,
      kind: 'codes',
      shard,
      fileByteLength: file.byteLength,
      zoneCount: this.#zoneCount,
      rowCount: this.#rowCount
    })
    file.writeAt(0, header)
    file.sync()
    file.close()
    const headerCrc = HEADER.decode(header, 0, file.path).crc
    this.#files.push({
      kind: 'codes',
      name: dataFileName('codes', this.#facts.generation, shard),
      byteLength: file.byteLength,
      headerCrc
    })
    this.#file = undefined
    this.#zoneCount = 0
    this.#rowCount = 0
  }
}
