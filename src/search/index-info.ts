// What an open index says of itself: `info()` and `zones()`. Reads nothing.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { decodeBuildFacts } from '../format/build-facts.ts'
import { fileNameOf } from '../format/file-record.ts'
import { hex } from '../format/header.ts'
import { decodeNote } from '../format/note.ts'
import type { IndexInfo, SqliteInfo, ThreadsInfo, ZoneInfo } from '../info-types.ts'
import type { OpenMode } from '../types.ts'
import { summarizeZones } from '../zone-sizes.ts'
import { findDoubts } from './doubts.ts'
import type { OpenIndex } from './open-index.ts'
import { describePlan } from './request.ts'
import type { SeenQueries } from './seen-queries.ts'

/** What an open index has besides its files. */
export interface IndexSurroundings {
  readonly options: { readonly mode: OpenMode }
  readonly seen: SeenQueries
  readonly threads: ThreadsInfo
  readonly sqlite: SqliteInfo
}

/** Of a packed index. */
export const NO_SQLITE: SqliteInfo = { driver: 'none', version: '', reason: 'a packed index has no catalogue' }

export function describeIndex(index: OpenIndex, of: IndexSurroundings): IndexInfo {
  const { snapshot, readers, context, options, requested } = index
  const { seen, sqlite, threads } = of
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
    packed: packed === undefined ? null : { digest: hex(packed.head.digest), layout: packed.layout },
    generation: meta.generation,
    mode: of.options.mode,
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
    reader: readers.chosen(),
    sqlite,
    kernel: context.workspace.memory.kernel.kind,
    cacheBytes: options.cacheBytes,
    verify: options.verify,
    threads,
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
