// An index in memory: one vectors file as bytes, its snapshot, and readers that count and can be told to fail. No disk,
// no builder.

import { ZgqError } from '../../src/errors.ts'
import { encodeColumns, encodeIds, type Column } from '../../src/format/columns.ts'
import { alignUp, checksum, PAGE_BYTES, pageCount } from '../../src/format/layout.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import type { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import { DeltaIds } from '../../src/search/delta-ids.ts'
import { LiveRows } from '../../src/live/live-rows.ts'
import { Filters } from '../../src/search/filters.ts'
import type { DocumentsContext } from '../../src/search/search-context.ts'
import { DocumentFiles } from '../../src/storage/document-files.ts'
import { Readers } from '../../src/storage/open-readers.ts'
import type { PreadReader } from '../../src/storage/pread-reader.ts'
import { SegmentFiles } from '../../src/storage/segment-files.ts'
import type { Metric } from '../../src/types.ts'
import { norms } from './brute-force.ts'
import { randomVectors } from './random.ts'
import { inverseNorms } from './scan-all.ts'
import { snapshotOf, zoneOf, type ZoneSegment } from './snapshot.ts'

export interface MemoryIndex {
  readonly snapshot: Snapshot
  /** The vectors file; a test may damage it. */
  readonly file: Buffer
  readonly readers: Readers
  readonly files: SegmentFiles
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
  const records = zones.map(({ rows, ids }, zone): ZoneSegment => {
    const segmentOffset = append(new Uint8Array(rows.buffer))
    const columns = encodeColumns(zone, ids.length, columnsOf({ metric, dim, rows, ids }, file.subarray(segmentOffset)))
    const columnsOffset = append(columns.bytes)
    const rowNorms = norms(rows, dim)
    return zoneOf({
      zone,
      segment: zone,
      rowCount: ids.length,
      rows: { file: 0, offset: segmentOffset, byteLength: rows.byteLength, crc: 0 },
      columns: { file: 0, offset: columnsOffset, byteLength: columns.bytes.byteLength, crc: columns.headerCrc },
      minNorm: Math.min(...rowNorms),
      maxNorm: Math.max(...rowNorms),
      centroid: rows.slice(0, dim)
    })
  })
  const snapshot = snapshotOf({ dim, metric, zones: records })
  const state = { failing: false }
  const readers = new MemoryReaders(file, state)
  const files = new SegmentFiles(snapshot.meta, readers, {
    verify: 'touch',
    files: new Map([[0, { path: 'in-memory', byteLength: file.byteLength }]]),
    usesOrdinals: false
  })
  return Object.assign(state, { snapshot, file, readers, files, zones })
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
  const columns: Column[] = [
    { kind: 'ids', bytes: encodeIds(Float64Array.from(ids)) },
    { kind: 'inverseNorms', bytes: new Uint8Array(inverseNorms(rows, dim).buffer) },
    { kind: 'pageCrcs', bytes: new Uint8Array(pageCrcs.buffer) }
  ]
  return columns.filter(({ kind }) => metric === 'cosine' || kind !== 'inverseNorms')
}

/** What a search works with besides vectors: nothing. */
export function documentsOf({ snapshot, readers, files }: MemoryIndex, memory: KernelMemory): DocumentsContext {
  const { segments, fields } = snapshot
  const { dim, metric } = snapshot.meta
  const live = new LiveRows(memory, { dim, metric, fields, path: '' })
  const documents = new DocumentFiles(snapshot, { files, readers }, { verify: 'touch', cacheBytes: 0 })
  return {
    segments,
    usesOrdinals: false,
    files: documents,
    ids: [],
    filters: new Filters({ memory, segments, zoneCount: segments.zoneCount, documents, fields, live }, 0),
    idType: 'integer',
    cataloguePath: '',
    live,
    deltaIds: new DeltaIds({ segments, builtZones: segments.zoneCount, files: documents }),
    builtZones: segments.zoneCount,
    nextSegment: snapshot.meta.nextSegment,
    alignment: 0,
    gain: 1
  }
}

/** Readers of one file that is in memory. */
class MemoryReaders extends Readers {
  override readonly fresh: PreadReader

  constructor(file: Buffer, state: { failing: boolean }) {
    super('in-memory', new Map(), 'pread')
    const nothing = (): void => undefined
    this.fresh = {
      kind: 'pread',
      read(_file, offset, target) {
        if (state.failing) throw new ZgqError('ZGQ_IO', 'told to fail')
        target.set(file.subarray(offset, offset + target.byteLength))
      },
      retain: () => ({ descriptor: -1, release: nothing }),
      prefetch: nothing,
      adviseRandom: nothing,
      replaceFiles: nothing,
      close: nothing
    }
  }

  override readSettled(file: number, offset: number, target: Uint8Array): void {
    this.fresh.read(file, offset, target)
  }

  override prefetch(): void {
    // Nothing is far away.
  }

  override largePages(): boolean {
    return true
  }
}
