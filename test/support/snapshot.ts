// Hand-made snapshots of catalogues, for tests that need no index on disk.

import type { CatalogueZone, FileRecord } from '../../src/format/catalogue.ts'
import { FORMAT_VERSION } from '../../src/format/layout.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import type { Metric } from '../../src/types.ts'

/** A zone with one row at the first page of file 0, apart from what `facts` say. */
export function zoneOf(facts: Partial<CatalogueZone> & Pick<CatalogueZone, 'centroid'>): CatalogueZone {
  return {
    zone: 0,
    segment: 0,
    file: 0,
    rowCount: 1,
    segmentOffset: 4096,
    columnsOffset: 8192,
    columnsByteLength: 4096,
    columnsCrc: 0,
    codesFile: 0,
    codesOffset: 0,
    codesByteLength: 0,
    codesCrc: 0,
    minNorm: 0,
    maxNorm: 0,
    radius: 0,
    ...facts
  }
}

export function snapshotOf(facts: {
  dim: number
  metric: Metric
  zones: readonly CatalogueZone[]
  files?: readonly FileRecord[]
}): Snapshot {
  const { dim, metric, zones, files = [] } = facts
  const meta: Snapshot['meta'] = {
    version: FORMAT_VERSION,
    indexId: new Uint8Array(16),
    generation: 1,
    dim,
    metric,
    elementType: 'float32',
    bits: 0,
    count: zones.reduce((sum, zone) => sum + zone.rowCount, 0),
    zoneCount: zones.length,
    fileCount: files.length,
    readerFeatures: 0,
    writerFeatures: 0,
    digest: new Uint8Array(32)
  }
  const centroids = Float32Array.from(zones.flatMap((zone) => Array.from(zone.centroid)))
  return {
    folder: 'in-memory',
    meta,
    centroids,
    quantizer: undefined,
    calibration: null,
    build: {},
    files,
    zones,
    catalogueBytes: 0
  }
}
