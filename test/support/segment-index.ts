// Indexes made segment by segment, as changes will make them: several segments in a zone or none, in any order of
// zones, files of several generations side by side. No builder.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { writeCatalogue } from '../../src/catalogue/writer.ts'
import { encodeIds } from '../../src/format/columns.ts'
import { fileNameOf, type FileRecord } from '../../src/format/file-record.ts'
import { HEADER } from '../../src/format/header.ts'
import { CATALOGUE_NAME } from '../../src/format/layout.ts'
import type { QuantizerMeta } from '../../src/format/quantizer.ts'
import { NO_EXTENT, type SegmentRecord } from '../../src/format/segment-record.ts'
import { encodeCentroids } from '../../src/quantizer/encode-centroids.ts'
import { drawFlips } from '../../src/quantizer/rotation.ts'
import { ZoneEncoder } from '../../src/quantizer/zone-encoder.ts'
import { encodeCodes } from '../../src/storage/codes-extent.ts'
import { ExtentsWriter } from '../../src/storage/extents-writer.ts'
import { VectorsWriter } from '../../src/storage/vectors-writer.ts'
import type { Metric } from '../../src/types.ts'
import { norms, rowOf, squaredDistance } from './brute-force.ts'
import { compareEntries, encodeIdsFile } from './id-pages.ts'
import { memoryOf } from './kernels.ts'
import { inverseNorms } from './scan-all.ts'
import { entryOf } from './text-ids.ts'

/** Rows of a zone that are to lie together. */
export interface PlannedSegment {
  readonly zone: number
  readonly ids: readonly number[]
  /** float32, ids.length * dim */
  readonly rows: Float32Array
}

export interface SegmentIndexShape {
  readonly dim: number
  readonly metric: Metric
  readonly bits: number
  /** float32, zones * dim */
  readonly centroids: Float32Array
}

interface WrittenSegment {
  readonly planned: PlannedSegment
  readonly record: SegmentRecord
}

/** An index on disk whose segments are put and taken away; `publish` writes its catalogue anew. */
export class SegmentIndex {
  readonly folder: string
  readonly shape: SegmentIndexShape
  readonly #indexId = Uint8Array.from({ length: 16 }, (_, i) => i)
  readonly #quantizer: QuantizerMeta | undefined
  readonly #memory = memoryOf('wasm')
  readonly #encoder: ZoneEncoder | undefined
  #generation = 0
  #nextSegment = 0
  #nextFile = 0
  #files: FileRecord[] = []
  #segments: WrittenSegment[] = []

  /** `folder` is there and empty. */
  constructor(folder: string, shape: SegmentIndexShape, random: () => number) {
    this.folder = folder
    this.shape = shape
    const { dim, metric, bits } = shape
    if (bits === 0) return
    const mean = Float32Array.from({ length: dim }, () => random() - 0.5)
    this.#quantizer = { flips: drawFlips(dim, random), mean }
    this.#encoder = new ZoneEncoder(this.#memory, { dim, metric, bits, flips: this.#quantizer.flips, mean })
  }

  /** Numbers of the segments that there are. */
  get segments(): number[] {
    return this.#segments.map(({ record }) => record.segment)
  }

  /** All rows, in the order of segments. */
  get content(): { readonly ids: number[]; readonly rows: Float32Array } {
    return {
      ids: this.#segments.flatMap(({ planned }) => planned.ids),
      rows: Float32Array.from(this.#segments.flatMap(({ planned }) => Array.from(planned.rows)))
    }
  }

  /**
   * Writes segments into files of a new generation, in this order; `skip` leaves out so many numbers before the first.
   */
  add(segments: readonly PlannedSegment[], skip = 0): void {
    if (segments.length === 0) return
    this.#generation++
    this.#nextSegment += skip
    const { dim, metric } = this.shape
    const facts = { folder: this.folder, indexId: this.#indexId, generation: this.#generation, dim, metric }
    const vectors = new VectorsWriter(facts)
    const codes = new ExtentsWriter(facts, 'codes')
    const first = this.#nextSegment
    for (const planned of segments) this.#write(planned, vectors, codes)
    vectors.finish()
    const coded = codes.finish()
    const base = this.#nextFile
    const codesBase = base + vectors.files.length
    this.#files.push(
      ...vectors.files.map((file) => ({ ...file, file: file.file + base })),
      ...coded.files.map((file) => ({ ...file, file: file.file + codesBase }))
    )
    this.#nextFile = codesBase + coded.files.length
    for (const [i, { centroid: _, ...written }] of vectors.segments.entries()) {
      const extent = coded.extents[i] ?? NO_EXTENT
      const record = {
        ...written,
        rows: { ...written.rows, file: written.rows.file + base },
        columns: { ...written.columns, file: written.columns.file + base },
        codes: extent.byteLength === 0 ? extent : { ...extent, file: extent.file + codesBase },
        fields: NO_EXTENT,
        payload: NO_EXTENT
      }
      this.#segments.push({ planned: segments[written.segment - first], record })
    }
  }

  #write(planned: PlannedSegment, vectors: VectorsWriter, codes: ExtentsWriter): void {
    const { dim, metric, centroids } = this.shape
    const { zone, rows } = planned
    const rowCount = planned.ids.length
    const segment = this.#nextSegment++
    const centroid = centroids.slice(zone * dim, (zone + 1) * dim)
    const lengths = norms(rows, dim)
    const scaled = metric === 'cosine' ? rows.map((value, i) => value / lengths[Math.floor(i / dim)]) : rows
    const radii = Array.from({ length: rowCount }, (_, row) => squaredDistance(rowOf(scaled, dim, row), centroid))
    const ids = encodeIds(Float64Array.from(planned.ids))
    const pageCrcs = vectors.writeSegment({
      segment,
      zone,
      rowCount,
      rowRuns: [rows],
      ids: { kind: 'ids', bytes: ids },
      inverseNorms: metric === 'cosine' ? inverseNorms(rows, dim) : undefined,
      centroid,
      minNorm: Math.min(...lengths),
      maxNorm: Math.max(...lengths),
      radius: Math.sqrt(Math.max(...radii)),
      spread: Math.sqrt(radii.reduce((sum, radius) => sum + radius, 0) / rowCount)
    })
    if (this.#encoder === undefined) return
    const { planes, refinedCodes } = this.#encoder.encode(centroid, rowCount, [scaled])
    codes.write(encodeCodes({ segment, rowCount, ids, pageCrcs, planes, refinedCodes }))
  }

  /** Writes an ids file of these segments. */
  addIds(segments: readonly number[]): void {
    this.#generation++
    const { dim, metric } = this.shape
    const of = { indexId: this.#indexId, dim, metric, generation: this.#generation }
    const written = this.#segments.filter(({ record }) => segments.includes(record.segment))
    const entries = written.flatMap(({ planned, record: { segment } }) =>
      planned.ids.map((id, row) => entryOf({ id, segment, row }))
    )
    const bytes = encodeIdsFile(entries.sort(compareEntries), of)
    const record: FileRecord = {
      file: this.#nextFile++,
      kind: 'ids',
      headerCrc: HEADER.decode(bytes, 0, 'ids').crc,
      generation: this.#generation,
      shard: 0,
      byteLength: bytes.byteLength,
      segmentCount: 0,
      rowCount: entries.length
    }
    writeFileSync(join(this.folder, fileNameOf(record)), bytes)
    this.#files.push(record)
  }

  /** Takes segments away, and files that then have none. */
  drop(segments: readonly number[]): void {
    this.#segments = this.#segments.filter(({ record }) => !segments.includes(record.segment))
    const used = new Set(
      this.#segments.flatMap(({ record }) => [
        record.rows.file,
        ...(record.codes.byteLength === 0 ? [] : [record.codes.file])
      ])
    )
    this.#files = this.#files.filter(({ file, kind }) => kind === 'ids' || used.has(file))
  }

  /** Writes the catalogue of what there is; files that went stay on disk until `removeFiles`. */
  publish(): void {
    const { dim, metric, bits, centroids } = this.shape
    const path = join(this.folder, CATALOGUE_NAME)
    rmSync(path, { force: true })
    const quantizer = this.#quantizer
    writeCatalogue(path, {
      meta: {
        indexId: this.#indexId,
        generation: Math.max(1, this.#generation),
        dim,
        metric,
        bits,
        idType: 'integer',
        count: this.#segments.reduce((sum, { record }) => sum + record.rowCount, 0)
      },
      quantizer,
      build: {},
      files: this.#files,
      segments: this.#segments.map(({ record }) => record),
      centroids,
      documents: { fields: [], model: undefined, encodedNote: undefined },
      zoneCodes:
        quantizer === undefined
          ? new Uint8Array(0)
          : encodeCentroids(this.#memory, centroids, {
              dim,
              metric,
              quantizer
            })
    })
  }

  /** Removes those of these data files that the index does not list. */
  removeFiles(names: readonly string[]): void {
    const listed = new Set(this.#files.map(fileNameOf))
    for (const name of names) {
      if (name.endsWith('.zgq') && !listed.has(name)) rmSync(join(this.folder, name))
    }
  }
}
