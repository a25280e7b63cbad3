// Hand-made snapshots of catalogues, for tests that need no index on disk.

import type { FileRecord } from '../../src/format/file-record.ts'
import { FORMAT_VERSION } from '../../src/format/layout.ts'
import { encodeSegmentRecords, NO_EXTENT, type SegmentRecord } from '../../src/format/segment-record.ts'
import { SegmentTable, type Segment } from '../../src/format/segment-table.ts'
import { nothingChanged } from '../../src/catalogue/changes.ts'
import { NO_STAMP, type Snapshot } from '../../src/catalogue/snapshot.ts'
import type { Metric } from '../../src/types.ts'

/** The only segment of a zone, and the centroid of that zone. */
export interface ZoneSegment extends Segment {
  readonly centroid: Float32Array
}

/** The segment of a zone, with one row at the first page of file 0, apart from what `facts` say. */
export function zoneOf(facts: Partial<ZoneSegment> & Pick<ZoneSegment, 'centroid'>): ZoneSegment {
  return {
    zone: 0,
    segment: 0,
    slot: facts.segment ?? 0,
    rowCount: 1,
    rows: { file: 0, offset: 4096, byteLength: facts.centroid.byteLength * (facts.rowCount ?? 1), crc: 0 },
    columns: { file: 0, offset: 8192, byteLength: 4096, crc: 0 },
    codes: NO_EXTENT,
    fields: NO_EXTENT,
    payload: NO_EXTENT,
    minNorm: 0,
    maxNorm: 0,
    radius: 0,
    spread: 0,
    ...facts
  }
}

/** A snapshot whose zones have one segment each, in this order. */
export function snapshotOf(facts: {
  dim: number
  metric: Metric
  zones: readonly ZoneSegment[]
  files?: readonly FileRecord[]
}): Snapshot {
  const { dim, metric, zones, files = [] } = facts
  return {
    folder: 'in-memory',
    cataloguePath: 'in-memory/catalogue.sqlite',
    stamp: NO_STAMP,
    meta: {
      version: FORMAT_VERSION,
      indexId: new Uint8Array(16),
      generation: 1,
      commit: 0,
      dim,
      metric,
      elementType: 'float32',
      bits: 0,
      idType: 'integer',
      count: zones.reduce((sum, zone) => sum + zone.rowCount, 0),
      zoneCount: zones.length,
      deltaZoneCount: 0,
      segmentCount: zones.length,
      fileCount: files.length,
      nextSegment: zones.length,
      nextFile: files.length,
      digest: new Uint8Array(32)
    },
    centroids: Float32Array.from(zones.flatMap((zone) => Array.from(zone.centroid))),
    zoneCodes: new Uint8Array(0),
    quantizer: undefined,
    calibration: null,
    encodedBuildFacts: undefined,
    files,
    segments: tableOf(zones, zones.length),
    catalogueBytes: 0,
    fields: [],
    model: undefined,
    encodedNote: undefined,
    changes: nothingChanged(0)
  }
}

/** A table of segments, whose zones are below `zoneCount`. */
export function tableOf(segments: readonly SegmentRecord[], zoneCount: number, previous?: SegmentTable): SegmentTable {
  return new SegmentTable(encodeSegmentRecords(segments), zoneCount, previous)
}

/** The centroid of each zone. */
export function centroidsOf({ centroids, meta }: Pick<Snapshot, 'centroids' | 'meta'>): Float32Array[] {
  return Array.from({ length: meta.zoneCount }, (_, zone) => centroids.slice(zone * meta.dim, (zone + 1) * meta.dim))
}

/** All segments, in ascending order of number: of an index as it was built, by their zones. */
export function segmentsOf({ segments }: Pick<Snapshot, 'segments'>): Segment[] {
  return [...segments]
}
