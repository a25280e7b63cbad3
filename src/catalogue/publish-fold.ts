// Makes a fold part of the index, in a transaction that somebody else begins and ends: its segments, files and zones in
// the place of those that it found, and what the index record says of all of them (spec, section 7.8).

import { ZgqError } from '../errors.ts'
import { decodeCalibration, encodeCalibration } from '../format/calibration-record.ts'
import { encodeFileRecords, type FileRecord } from '../format/file-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { encodeQuantizer, type QuantizerMeta } from '../format/quantizer.ts'
import { encodeSegmentRecords, type SegmentRecord } from '../format/segment-record.ts'
import type { Calibration } from '../types.ts'
import { zoneChunks } from './content-chunks.ts'
import type { Database } from './driver.ts'
import { readFiles, type CatalogueState } from './fold-files.ts'
import { expectReservation, removeReservation } from './reservations.ts'
import { dealAsBefore, digestOf, rewriteChunks } from './rewrite-chunks.ts'
import { metaChecksum, prepareValue, readValue } from './rows.ts'
import { noteSuperseded } from './superseded.ts'

/** An index as a fold leaves it; files and folder are synced before it is published. */
export interface FoldToPublish {
  /** That it reserved. */
  readonly generation: number
  /** All that the index has afterwards, ascending by number, as are files. */
  readonly segments: readonly SegmentRecord[]
  readonly files: readonly FileRecord[]
  /** Of the built zones, then of those of deltas that are left: float32, zones * dim. */
  readonly centroids: Float32Array
  /** Built zones. */
  readonly zoneCount: number
  /** One-bit codes of the centroids of built zones in blocks of 32; empty without codes. */
  readonly zoneCodes: Uint8Array
  /** Undefined: as it is. */
  readonly quantizer: QuantizerMeta | undefined
  /** Undefined: as it is; null: none. */
  readonly calibration: Calibration | null | undefined
  /** Milliseconds since 1970, from which on the files that go have to stay for readers. */
  readonly nowMs: number
}

/** What was done. */
export interface PublishedFold {
  /** What the index is by then. */
  readonly meta: IndexMeta
  /** Of chunks that were written. */
  readonly byteLength: number
}

/**
 * Publishes a fold; `of.meta` is what the index was before it in this transaction. Throws ZGQ_MISMATCH where its
 * numbers are not reserved any more, or its parts contradict each other.
 */
export function publishFold(database: Database, fold: FoldToPublish, of: CatalogueState): PublishedFold {
  const { meta } = of
  expectReservation(database, fold.generation)
  expectWhole(fold, meta)
  const left = new Set(fold.files.map(({ file }) => file))
  noteSuperseded(
    database,
    readFiles(database, of).filter(({ file }) => !left.has(file)),
    fold.nowMs
  )
  const { segments, files } = fold
  const numbered = {
    files: { records: files, numberOf: fileNumber, encode: encodeFileRecords },
    segments: { records: segments, numberOf: segmentNumber, encode: encodeSegmentRecords }
  }
  const chunks = {
    files: dealAsBefore(database, 'files', numbered.files),
    segments: dealAsBefore(database, 'segments', numbered.segments),
    ...zoneChunks({ ...fold, dim: meta.dim })
  }
  const byteLength =
    rewriteChunks(database, 'files', chunks.files) +
    rewriteChunks(database, 'segments', chunks.segments) +
    rewriteChunks(database, 'zones', chunks.zones) +
    rewriteChunks(database, 'zone_codes', chunks.zone_codes) +
    rewriteChunks(database, 'delta_zones', chunks.delta_zones)
  if (fold.quantizer !== undefined) putValue(database, 'quantizer', encodeQuantizer(fold.quantizer))
  putCalibration(database, fold, of.path)
  removeReservation(database, fold.generation)
  return {
    byteLength,
    meta: {
      ...meta,
      count: segments.reduce((rows, { rowCount }) => rows + rowCount, 0),
      zoneCount: fold.zoneCount,
      deltaZoneCount: fold.centroids.length / meta.dim - fold.zoneCount,
      segmentCount: segments.length,
      fileCount: files.length,
      nextSegment: segments.reduce((next, { segment }) => Math.max(next, segment + 1), meta.nextSegment),
      nextFile: files.reduce((next, { file }) => Math.max(next, file + 1), meta.nextFile),
      digest: digestOf(database)
    }
  }
}

const fileNumber = ({ file }: FileRecord): number => file
const segmentNumber = ({ segment }: SegmentRecord): number => segment

/** Throws where a reader would refuse the index: a fold that goes wrong must not make it unreadable. */
function expectWhole(fold: FoldToPublish, meta: IndexMeta): void {
  const { dim, bits } = meta
  const { segments, files, centroids, zoneCount, zoneCodes, quantizer } = fold
  const known = new Set(files.map(fileNumber))
  const zones = centroids.length / dim
  const names = (segment: SegmentRecord): number[] =>
    [segment.rows, segment.columns, segment.codes, segment.fields, segment.payload].flatMap(({ byteLength, file }) =>
      byteLength === 0 ? [] : file
    )
  const isWhole =
    Number.isSafeInteger(zones) &&
    zones >= zoneCount &&
    centroids.every(Number.isFinite) &&
    (quantizer === undefined || quantizer.mean.every(Number.isFinite)) &&
    zoneCodes.byteLength > 0 === (bits > 0 && zoneCount > 0) &&
    segments.every(({ segment }, i) => i === 0 || segment > segments[i - 1].segment) &&
    files.every(({ file }, i) => i === 0 || file > files[i - 1].file) &&
    files.every(({ generation }) => generation <= meta.generation) &&
    segments.every((segment) => segment.zone < zones && names(segment).every((file) => known.has(file)))
  if (!isWhole) throw new ZgqError('ZGQ_MISMATCH', 'the parts of the fold contradict each other')
}

/** What a calibration says of zones must be true of those that are there now. */
function putCalibration(database: Database, { calibration, zoneCount }: FoldToPublish, path: string): void {
  const bytes = readValue(prepareValue(database), 'calibration', path)
  const kept = bytes === undefined ? null : decodeCalibration(bytes, Number.MAX_SAFE_INTEGER, path)
  const next = calibration === undefined ? kept : calibration
  if (next === null || zoneCount === 0) {
    database.prepare('DELETE FROM meta WHERE key = ?').run('calibration')
    return
  }
  const isFitting = next.curves.every(({ points }) => points.every(({ zones }) => zones <= zoneCount))
  if (calibration === undefined && isFitting) return
  putValue(database, 'calibration', encodeCalibration(isFitting ? next : clampZones(next, zoneCount)))
}

function clampZones(calibration: Calibration, zoneCount: number): Calibration {
  const curves = calibration.curves.map(({ k, points }) => ({
    k,
    points: points.map((point) => ({ ...point, zones: Math.min(point.zones, zoneCount) }))
  }))
  return { ...calibration, curves }
}

function putValue(database: Database, key: string, value: Uint8Array): void {
  const put = database.prepare('REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)')
  put.run(key, value, metaChecksum(key, value))
}
