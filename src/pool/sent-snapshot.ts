// A snapshot on its way to a worker thread: zones as columns of numbers. Cloning thousands of objects would hold up the
// caller's thread for tens of milliseconds, and once more for each thread.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'

type Field = Exclude<keyof CatalogueZone, 'centroid'>

const FIELDS: readonly Field[] = [
  'zone',
  'segment',
  'rowCount',
  'segmentOffset',
  'columnsOffset',
  'columnsByteLength',
  'columnsCrc',
  'minNorm',
  'maxNorm',
  'radius',
  'file',
  'codesFile',
  'codesOffset',
  'codesByteLength',
  'codesCrc'
]

/** All of a snapshot that a search needs. */
export interface SentSnapshot extends Omit<Snapshot, 'zones' | 'build'> {
  /** FIELDS of each zone, zone after zone. */
  readonly zones: Float64Array
}

export function packSnapshot(snapshot: Snapshot): SentSnapshot {
  const { zones, build: _, ...rest } = snapshot
  const packed = new Float64Array(zones.length * FIELDS.length)
  zones.forEach((zone, i) => {
    FIELDS.forEach((name, field) => {
      packed[i * FIELDS.length + field] = zone[name]
    })
  })
  return { ...rest, zones: packed }
}

export function unpackSnapshot(sent: SentSnapshot): Snapshot {
  const { zones: packed, centroids, meta } = sent
  const zones = Array.from({ length: meta.zoneCount }, (_, i): CatalogueZone => {
    const value = (name: Field): number => packed[i * FIELDS.length + FIELDS.indexOf(name)]
    return {
      zone: value('zone'),
      segment: value('segment'),
      rowCount: value('rowCount'),
      segmentOffset: value('segmentOffset'),
      columnsOffset: value('columnsOffset'),
      columnsByteLength: value('columnsByteLength'),
      columnsCrc: value('columnsCrc'),
      minNorm: value('minNorm'),
      maxNorm: value('maxNorm'),
      radius: value('radius'),
      file: value('file'),
      codesFile: value('codesFile'),
      codesOffset: value('codesOffset'),
      codesByteLength: value('codesByteLength'),
      codesCrc: value('codesCrc'),
      centroid: centroids.subarray(i * meta.dim, (i + 1) * meta.dim)
    }
  })
  return { ...sent, zones, build: {} }
}
