// Writes a delta: rows that were added later, as one file of small segments that stands alone (spec, section 5.1).
// Nothing points to the file before the catalogue takes it in.

import { join } from 'node:path'

import { encodeColumns } from '../format/columns.ts'
import { DELTA_SEGMENT_ROWS, type WrittenDelta } from '../format/delta.ts'
import type { DeclaredField } from '../format/fields.ts'
import { HEADER } from '../format/header.ts'
import { idColumn, type IdsOfRows } from '../format/id-column.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { dataFileName, ELEMENT_BYTES, PAGE_BYTES } from '../format/layout.ts'
import type { QuantizerMeta } from '../format/quantizer.ts'
import { NO_EXTENT, type FileExtent, type SegmentRecord } from '../format/segment-record.ts'
import { encodeStringId } from '../format/string-ids.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { ZoneEncoder } from '../quantizer/zone-encoder.ts'
import { ZoneStatistics } from '../quantizer/zone-statistics.ts'
import { encodeCodes } from '../storage/codes-extent.ts'
import { completeFile } from '../storage/data-file-writer.ts'
import { encodeFieldsExtent, encodePayloadExtent } from '../storage/documents-extents.ts'
import type { ExtentToWrite } from '../storage/extents-writer.ts'
import { FileWriter, removeTemporary, syncFolder } from '../storage/file-writer.ts'
import { columnsBeside, writeDirectory, writePages, type DirectorySegment } from '../storage/segment-writing.ts'
import { fieldValuesOf } from './field-values.ts'
import type { Rows } from './rows.ts'

/** The index that a delta is for. */
export interface DeltaPlace {
  readonly folder: string
  readonly meta: IndexMeta
  /** Undefined without codes. */
  readonly quantizer: QuantizerMeta | undefined
  readonly fields: readonly DeclaredField[]
}

/**
 * Writes rows, of which there is at least one, to the next file of an index, and syncs file and folder. A file of that
 * name is what a writer left that died: it is removed first. Throws ZGQ_IO, after which the file is gone.
 */
export function writeDelta(of: DeltaPlace, rows: Rows): WrittenDelta {
  const { folder, meta } = of
  if (rows.ids.length !== rows.count || rows.payloads.length !== rows.count)
    throw new TypeError(`${rows.count} rows have ${rows.ids.length} ids and ${rows.payloads.length} payloads`)
  if (rows.vectors.length !== rows.count * meta.dim)
    throw new TypeError(`${rows.count} rows have ${rows.vectors.length} values, expected ${rows.count * meta.dim}`)
  const generation = meta.generation + 1
  const path = join(folder, dataFileName('delta', generation, 0))
  removeTemporary(path)
  const file = new FileWriter(path)
  try {
    file.write(new Uint8Array(HEADER.byteLength)) // its place; the header is written last
    const writer = new SegmentWriter(file, of)
    for (let first = 0; first < rows.count; first += DELTA_SEGMENT_ROWS) writer.write(rows, first)
    const { segments, written } = writer
    const { indexId, dim, metric } = meta
    writeDirectory(file, written, { kind: 'delta', indexId, dim })
    const counts = { segmentCount: segments.length, rowCount: rows.count }
    const record = completeFile(file, { kind: 'delta', indexId, generation, shard: 0, dim, metric, ...counts })
    syncFolder(folder)
    const centroids = new Float32Array(segments.length * dim)
    written.forEach(({ centroid }, i) => {
      centroids.set(centroid, i * dim)
    })
    return { file: { ...record, file: meta.nextFile }, segments, centroids }
  } catch (error) {
    file.close()
    removeTemporary(path)
    throw error
  }
}

/** Writes the extents of segment after segment. */
class SegmentWriter {
  readonly segments: SegmentRecord[] = []
  readonly written: DirectorySegment[] = []
  readonly #file: FileWriter
  readonly #of: DeltaPlace
  readonly #statistics: ZoneStatistics
  readonly #encoder: ZoneEncoder | undefined

  constructor(file: FileWriter, of: DeltaPlace) {
    const { meta, quantizer } = of
    this.#file = file
    this.#of = of
    const memory = new KernelMemory(loadKernel())
    this.#statistics = new ZoneStatistics(memory, meta)
    this.#encoder = quantizer && new ZoneEncoder(memory, { ...meta, ...quantizer })
  }

  /** Writes the segment of the rows from `first` on. */
  write(rows: Rows, first: number): void {
    const { meta, fields } = this.#of
    const rowCount = Math.min(DELTA_SEGMENT_ROWS, rows.count - first)
    const segment = meta.nextSegment + this.segments.length
    const zone = meta.zoneCount + meta.deltaZoneCount + this.segments.length
    const positions = Uint32Array.from({ length: rowCount }, (_, i) => first + i)
    const source = sourceOf(rows, meta.dim)
    const { centroid, inverseNorms, ...facts } = this.#statistics.measure(source, positions)
    const byteLength = rowCount * meta.dim * ELEMENT_BYTES
    const rowsExtent = { file: meta.nextFile, offset: this.#file.byteLength, byteLength, crc: 0 }
    const vectors = rows.vectors.subarray(first * meta.dim, (first + rowCount) * meta.dim)
    const pageCrcs = writePages(this.#file, [vectors], byteLength)
    const ids = idColumn(idsOf(rows.ids.slice(first, first + rowCount)))
    const beside = encodeColumns(segment, rowCount, columnsBeside({ ids, inverseNorms, pageCrcs }))
    const columns = this.#writeExtent({ ...beside, pieces: [beside.bytes], byteLength: beside.bytes.byteLength })
    const codes = this.#writeCodes({ segment, positions, source, centroid, pageCrcs, ids })
    const payloads = rows.payloads.slice(first, first + rowCount)
    const record = { segment, zone, rowCount, ...facts, rows: rowsExtent, columns }
    this.segments.push({
      ...record,
      codes,
      fields:
        fields.length === 0
          ? NO_EXTENT
          : this.#writeExtent(encodeFieldsExtent(segment, fields, fieldValuesOf(fields, payloads, this.#file.path))),
      payload: payloads.every((payload) => payload === undefined)
        ? NO_EXTENT
        : this.#writeExtent(encodePayloadExtent(segment, payloads))
    })
    this.written.push({ ...record, centroid })
  }

  #writeCodes(of: {
    readonly segment: number
    readonly positions: Uint32Array
    readonly source: ReturnType<typeof sourceOf>
    readonly centroid: Float32Array
    readonly pageCrcs: Uint32Array
    readonly ids: ReturnType<typeof idColumn>
  }): FileExtent {
    if (this.#encoder === undefined) return NO_EXTENT
    const { segment, positions, source, centroid, pageCrcs, ids } = of
    const rowCount = positions.length
    const scaled = this.#statistics.eachScaledChunk(source, positions)
    const codes = this.#encoder.encode(centroid, rowCount, scaled)
    const repeated = ids.kind === 'ids' ? ids.bytes : undefined
    return this.#writeExtent(encodeCodes({ segment, rowCount, ids: repeated, pageCrcs, ...codes }))
  }

  #writeExtent({ byteLength, headerCrc, pieces }: Omit<ExtentToWrite, 'rowCount'>): FileExtent {
    const offset = this.#file.byteLength
    for (const piece of pieces) this.#file.write(piece)
    this.#file.padTo(PAGE_BYTES)
    return { file: this.#of.meta.nextFile, offset, byteLength, crc: headerCrc }
  }
}

function sourceOf({ vectors }: Rows, dim: number): { readRows(position: number, target: Float32Array): void } {
  return {
    readRows(position, target): void {
      target.set(vectors.subarray(position * dim, position * dim + target.length))
    }
  }
}

function idsOf(ids: Rows['ids']): IdsOfRows {
  const texts = ids.filter((id) => typeof id === 'string')
  return texts.length === ids.length ? texts.map(encodeStringId) : Float64Array.from(ids, Number)
}
