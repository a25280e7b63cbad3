// Writes the vectors files of a build: segments as they come, columns through a temporary file (their size does not
// shrink with the dimension, so they are not held in memory), then directory, footer and header.

import { closeSync, openSync, readSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

import { wrapReadError } from '../errors.ts'
import type { CatalogueZone, CodesPlace, FileRecord } from '../format/catalogue.ts'
import { COLUMN_KINDS, encodeColumns, type Column } from '../format/columns.ts'
import { encodeDirectory, encodeFooter, FOOTER } from '../format/directory.ts'
import { encodeHeader, HEADER } from '../format/header.ts'
import { alignUp, checksum, PAGE_BYTES, pageCount, SHARD_BYTES, dataFileName } from '../format/layout.ts'
import type { Metric } from '../types.ts'
import { FileWriter } from './file-writer.ts'

const COPY_BYTES = 1024 * 1024

/** Facts that all files of a build share. */
export interface BuildFacts {
  readonly folder: string
  readonly indexId: Uint8Array
  readonly generation: number
  readonly dim: number
  readonly metric: Metric
}

/** A zone whose rows are ready to be written. */
export interface ZoneToWrite {
  readonly zone: number
  readonly rowCount: number
  /** The rows in order of id, float32, in runs of any length. */
  readonly rowRuns: Iterable<Float32Array>
  /** u64, rowCount */
  readonly ids: Uint8Array
  /** float32, rowCount; cosine only */
  readonly inverseNorms: Float32Array | undefined
  readonly centroid: Float32Array
  readonly minNorm: number
  readonly maxNorm: number
  readonly radius: number
}

/** A zone without its codes. */
export type VectorsZone = Omit<CatalogueZone, keyof CodesPlace>

type PlacedZone = Omit<VectorsZone, 'columnsOffset'>

export class VectorsWriter {
  readonly files: FileRecord[] = []
  readonly zones: VectorsZone[] = []
  readonly #facts: BuildFacts
  #file: FileWriter | undefined
  #columns: FileWriter | undefined
  /** Zones of the open file; where their columns start is known when it is finished. */
  #open: PlacedZone[] = []

  constructor(facts: BuildFacts) {
    this.#facts = facts
  }

  /** Writes a zone; returns the CRC of each page of its segment. */
  writeZone(zone: ZoneToWrite): Uint32Array {
    const segmentBytes = zone.rowCount * this.#facts.dim * 4
    if (this.#file !== undefined && this.#file.byteLength - PAGE_BYTES + segmentBytes > SHARD_BYTES) this.#finishFile()
    const file = this.#file ?? this.#startFile()
    const segmentOffset = file.byteLength
    const pageCrcs = writePages(file, zone.rowRuns, segmentBytes)
    const columns: Column[] = [{ kind: COLUMN_KINDS.ids, bytes: zone.ids }]
    if (zone.inverseNorms !== undefined)
      columns.push({ kind: COLUMN_KINDS.inverseNorms, bytes: bytesOf(zone.inverseNorms) })
    columns.push({ kind: COLUMN_KINDS.pageCrcs, bytes: bytesOf(pageCrcs) })
    const { bytes, headerCrc } = encodeColumns(zone.zone, zone.rowCount, columns)
    this.#columns?.write(bytes)
    this.#columns?.padTo(PAGE_BYTES)
    const { rowRuns: _rows, ids: _ids, inverseNorms: _norms, ...facts } = zone
    this.#open.push({
      ...facts,
      segment: zone.zone,
      file: this.files.length,
      segmentOffset,
      columnsByteLength: bytes.byteLength,
      columnsCrc: headerCrc
    })
    return pageCrcs
  }

  /** Completes and syncs the last file. */
  finish(): void {
    if (this.#file !== undefined) this.#finishFile()
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

  #finishFile(): void {
    const file = this.#file
    const columns = this.#columns
    if (file === undefined || columns === undefined) return
    const { indexId, dim } = this.#facts
    let columnsOffset = file.byteLength
    const zones = this.#open.map((zone) => {
      const placed = { ...zone, columnsOffset }
      columnsOffset += alignUp(zone.columnsByteLength, PAGE_BYTES)
      return placed
    })
    moveInto(columns, file)
    const directory = encodeDirectory(zones, dim)
    const directoryOffset = file.byteLength
    file.write(directory)
    file.write(
      new Uint8Array(alignUp(file.byteLength + FOOTER.byteLength, PAGE_BYTES) - FOOTER.byteLength - file.byteLength)
    )
    file.write(
      encodeFooter({
        directoryOffset,
        directoryByteLength: directory.byteLength,
        zoneCount: zones.length,
        indexId,
        directoryCrc: checksum(directory)
      })
    )
    const rowCount = zones.reduce((sum, zone) => sum + zone.rowCount, 0)
    const shard = this.files.length
    const header = encodeHeader({
      ...this.#facts,
      kind: 'vectors',
      shard,
      fileByteLength: file.byteLength,
      zoneCount: zones.length,
      rowCount
    })
    file.writeAt(0, header)
    file.sync()
    file.close()
    const headerCrc = HEADER.decode(header, 0, file.path).crc
    this.files.push({
      file: shard,
      kind: 'vectors',
      name: dataFileName('vectors', this.#facts.generation, shard),
      byteLength: file.byteLength,
      headerCrc
    })
    this.zones.push(...zones)
    this.#open = []
    this.#file = undefined
    this.#columns = undefined
  }
}

/** Writes rows and the zeros after them; returns the CRC of each page. */
function writePages(file: FileWriter, rowRuns: Iterable<Float32Array>, segmentBytes: number): Uint32Array {
  const crcs = new Uint32Array(pageCount(segmentBytes))
  const page = new Uint8Array(PAGE_BYTES)
  let inPage = 0
  let pages = 0
  for (const run of rowRuns) {
    const bytes = bytesOf(run)
    for (let done = 0; done < bytes.byteLength;) {
      const taken = Math.min(PAGE_BYTES - inPage, bytes.byteLength - done)
      page.set(bytes.subarray(done, done + taken), inPage)
      done += taken
      inPage += taken
      if (inPage < PAGE_BYTES) continue
      crcs[pages++] = checksum(page)
      file.write(page)
      inPage = 0
    }
  }
  if (inPage > 0) {
    page.fill(0, inPage)
    crcs[pages] = checksum(page)
    file.write(page)
  }
  return crcs
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

function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
