// What an open index says of itself: `info()` and `zones()`. Reads nothing.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { decodeBuildFacts } from '../format/build-facts.ts'
import { fileNameOf } from '../format/file-record.ts'
import { hex } from '../format/header.ts'
import { decodeNote } from '../format/note.ts'
import type { IndexInfo, SqliteInfo, ZoneInfo } from '../info-types.ts'
import { summarizeZones } from '../zone-sizes.ts'
import { findDoubts } from './doubts.ts'
import { describePlan, type RequestedIndex } from './request.ts'
import type { SearchContext } from './search-context.ts'
import type { SeenQueries } from './seen-queries.ts'
import type { ContextOptions } from './start-context.ts'

/** An index that is searched, wherever its bytes come from. */
export interface DescribedIndex {
  readonly snapshot: Snapshot
  readonly context: SearchContext
  readonly requested: RequestedIndex
  readonly options: Pick<ContextOptions, 'cacheBytes' | 'verify'>
  /** Rows that are live. */
  readonly count: number
}

/** What only an index on disk has. */
export type DiskInfo = Pick<IndexInfo, 'mode' | 'packed' | 'reader' | 'sqlite' | 'threads'>

/** Of a packed index. */
export const NO_SQLITE: SqliteInfo = { driver: 'none', version: '', reason: 'a packed index has no catalogue' }

export function describePacked({ packed }: Snapshot): DiskInfo['packed'] {
  return packed === undefined ? null : { digest: hex(packed.head.digest), layout: packed.layout }
}

export function describeIndex(index: DescribedIndex, seen: SeenQueries): Omit<IndexInfo, keyof DiskInfo> {
  const { snapshot, context, options, requested } = index
  const { live } = context.documents
  const { meta, files, segments, fields, model, encodedNote, packed } = snapshot
  const plan = describePlan(requested)
  return {
    path: snapshot.folder,
    formatVersion: meta.version,
    indexId: hex(meta.indexId),
    count: index.count,
    dim: meta.dim,
    metric: meta.metric,
    zones: meta.zoneCount,
    bytes: packed?.byteLength ?? files.reduce((sum, file) => sum + file.byteLength, snapshot.catalogueBytes),
    generation: meta.generation,
    changes: {
      commit: live.commit,
      freshRows: live.fresh.count,
      deltaRows: deltaRows(snapshot),
      deletedRows: live.masks.deletedCount,
      patchedRows: live.patches.count
    },
    bits: meta.bits,
    calibration: snapshot.calibration,
    plan,
    queries: seen.counts,
    warnings: findDoubts({ ...snapshot, plan, queries: seen.counts }),
    kernel: context.workspace.memory.kernel.kind,
    cacheBytes: options.cacheBytes,
    verify: options.verify,
    files: files.map((file) => ({ name: fileNameOf(file), kind: file.kind, bytes: file.byteLength })),
    zoneRows: summarizeZones(meta.zoneCount, (zone) => segments.rowsOfZone(zone)),
    build: decodeBuildFacts(snapshot.encodedBuildFacts, snapshot.folder),
    ids: meta.idType,
    fields: Object.fromEntries(fields.map(({ name, type }) => [name, type])),
    model,
    note: decodeNote(encodedNote, snapshot.folder)
  }
}

/** Counts the rows of deltas, deleted ones too. */
function deltaRows({ meta, segments }: Snapshot): number {
  let rows = 0
  for (let zone = meta.zoneCount; zone < segments.zoneCount; zone++) rows += segments.rowsOfZone(zone)
  return rows
}

/** Describes every zone, with a copy of its centroid. */
export function describeZones({ segments, centroids, meta }: Snapshot): ZoneInfo[] {
  return Array.from({ length: meta.zoneCount }, (_, zone) => {
    const info = { zone, rows: 0, radius: 0, minNorm: Infinity, maxNorm: 0 }
    segments.ofZone(zone, ({ rowCount, radius, minNorm, maxNorm }) => {
      info.rows += rowCount
      info.radius = Math.max(info.radius, radius)
      info.minNorm = Math.min(info.minNorm, minNorm)
      info.maxNorm = Math.max(info.maxNorm, maxNorm)
    })
    if (info.rows === 0) info.minNorm = 0
    return { ...info, centroid: centroids.slice(zone * meta.dim, (zone + 1) * meta.dim) }
  })
}
