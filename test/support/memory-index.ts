// An index in memory: one vectors file as bytes, its snapshot, and readers that count and can be told to fail. No disk,
// no builder.

import { ZgqError } from '../../src/errors.ts'
import type { CatalogueZone } from '../../src/format/catalogue.ts'
import { COLUMN_KINDS, encodeColumns, encodeIds, type Column } from '../../src/format/columns.ts'
import { alignUp, checksum, PAGE_BYTES, pageCount } from '../../src/format/layout.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import type { Readers } from '../../src/storage/open-readers.ts'
import type { Reader } from '../../src/storage/reader.ts'
import { ZoneFiles } from '../../src/storage/zone-files.ts'
import type { Metric } from '../../src/types.ts'
import { norms } from './brute-force.ts'
import { randomVectors } from './random.ts'
import { inverseNorms } from './scan-all.ts'
import { snapshotOf, zoneOf } from './snapshot.ts'

export interface MemoryIndex {
  readonly snapshot: Snapshot
  /** The vectors file; a test may damage it. */
  readonly file: Buffer
  readonly files: ZoneFiles
  /** What each zone holds. */
  readonly zones: readonly { readonly rows: Float32Array; readonly ids: readonly number[] }[]
  /** Set to make every read fail. */
  failing: boolean
}

/** Makes an index with as many zones as `rowCounts` has entries; ids run from 2^32 on. */
export function makeMemoryIndex(
  shape: { dim: number; metric: Metric; rowCounts: readonly number[] },
  random: () => number
): MemoryIndex {
  const { dim, metric, rowCounts } = shape
  const firstIds = rowCounts.map((_, zone) => 2 ** 32 + rowCounts.slice(0, zone).reduce((sum, count) => sum + count, 0))
  const zones = rowCounts.map((count, zone) => ({
    rows: randomVectors({ count, dim }, random, () => random() * 2 - 1),
    ids: Array.from({ length: count }, (_, row) => firstIds[zone] + row)
  }))
  let file = Buffer.alloc(PAGE_BYTES)
  const append = (bytes: Uint8Array): number => {
    const offset = file.byteLength
    file = Buffer.concat([file, bytes, Buffer.alloc(alignUp(bytes.byteLength, PAGE_BYTES) - bytes.byteLength)])
    return offset
  }
  const records = zones.map(({ rows, ids }, zone): CatalogueZone => {
    const segmentOffset = append(new Uint8Array(rows.buffer))
    const columns = encodeColumns(zone, ids.length, columnsOf({ metric, dim, rows, ids }, file.subarray(segmentOffset)))
    const columnsOffset = append(columns.bytes)
    const rowNorms = norms(rows, dim)
    return zoneOf({
      zone,
      segment: zone,
      rowCount: ids.length,
      segmentOffset,
      columnsOffset,
      columnsByteLength: columns.bytes.byteLength,
      columnsCrc: columns.headerCrc,
      minNorm: Math.min(...rowNorms),
      maxNorm: Math.max(...rowNorms),
      centroid: rows.slice(0, dim)
    })
  })
  const snapshot = snapshotOf({ dim, metric, zones: records })
  const state = { failing: false }
  const files = new ZoneFiles(snapshot, readersOver(file, state), { verify: 'touch', paths: ['in-memory'] })
  return Object.assign(state, { snapshot, file, files, zones })
}

interface ZoneContent {
  readonly metric: Metric
  readonly dim: number
  readonly rows: Float32Array
  readonly ids: readonly number[]
}

function columnsOf({ metric, dim, rows, ids }: ZoneContent, pages: Buffer): Column[] {
  const pageCrcs = Uint32Array.from({ length: pageCount(rows.byteLength) }, (_, page) =>
    checksum(pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
  )
  const columns = [
    { kind: COLUMN_KINDS.ids, bytes: encodeIds(Float64Array.from(ids)) },
    { kind: COLUMN_KINDS.inverseNorms, bytes: new Uint8Array(inverseNorms(rows, dim).buffer) },
    { kind: COLUMN_KINDS.pageCrcs, bytes: new Uint8Array(pageCrcs.buffer) }
  ]
  return columns.filter(({ kind }) => metric === 'cosine' || kind !== COLUMN_KINDS.inverseNorms)
}

function readersOver(file: Buffer, state: { failing: boolean }): Readers {
  const nothing = (): void => undefined
  const reader: Reader = {
    kind: 'pread',
    read(_file, offset, target) {
      if (state.failing) throw new ZgqError('ZGQ_IO', 'told to fail')
      target.set(file.subarray(offset, offset + target.byteLength))
    },
    prefetch: nothing,
    close: nothing
  }
  return { fresh: reader, settled: reader, reason: 'in memory', largePages: nothing, close: nothing }
}
