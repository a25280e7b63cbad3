// The pipeline of a search on one page: probe -> scan -> rerank. The stages are pure; only this driver does I/O, so that an asynchronous
// driver can run the same stages. Exact searches, and indexes without codes, scan float32 rows instead of codes and have nothing to rerank.

import { nowMicros } from '../clock.ts'
import type { CatalogueZone } from '../format/catalogue.ts'
import { ELEMENT_BYTES, pageCount } from '../format/layout.ts'
import type { CodesCache } from '../storage/codes-cache.ts'
import type { ZoneCache } from '../storage/zone-cache.ts'
import type { ZoneFiles } from '../storage/zone-files.ts'
import type { ExplainedHits } from '../types.ts'
import type { CentroidCodes } from './centroid-codes.ts'
import type { CodeWorkspace } from './code-workspace.ts'
import { CONFIDENCE } from './confidence.ts'
import { probe } from './probe.ts'
import { Prefetcher } from './prefetcher.ts'
import type { SearchRequest } from './request.ts'
import { rerank } from './rerank.ts'
import { setTolerance, takeHits } from './scan.ts'
import { areRowsCheaper, isEstimableFrom } from './strategy.ts'
import type { Workspace } from './workspace.ts'

/** Codes of an open index, and what scans them. */
export interface CodesContext {
  readonly workspace: CodeWorkspace
  readonly cache: CodesCache
  /** Undefined where there are so few zones that it costs less to compute all their distances. */
  readonly centroids: CentroidCodes | undefined
  /** The rows are few enough to be scanned where that costs less. */
  readonly mayScanRows: boolean
}

/** Where the zones of an open index come from. */
export interface SearchContext {
  readonly workspace: Workspace
  readonly cache: ZoneCache
  readonly files: ZoneFiles
  /** Undefined with `bits: 0`. */
  readonly codes: CodesContext | undefined
}

/** What the stages after the probe did. */
interface Scanned {
  readonly bytes: number
  readonly pages: number
  readonly rowsReranked: number
  readonly rowsConfirmed: number
  readonly ioRounds: number
  /** When the scan ended and the rerank began. */
  readonly scannedAt: number
}

/** Searches with a checked query and request. */
export function search(context: SearchContext, query: Float32Array, request: SearchRequest): ExplainedHits {
  const { workspace, files } = context
  const startedAt = nowMicros()
  files.resetCounters()
  // Nobody asked for hits: there is nothing to probe, and a heap holds at least one.
  const wantsHits = request.k > 0
  workspace.setQuery(query)
  const codes = isEstimableFrom(workspace.metric, workspace.scanQuery.queryNorm2) ? context.codes : undefined
  if (wantsHits) workspace.startHits(request.k)
  if (codes?.centroids !== undefined) setQueryCodes({ ...context, codes }, request)
  const zones = wantsHits ? probe(workspace, request.probe, codes?.centroids && { centroids: codes.centroids, workspace: codes.workspace }) : []
  const probedAt = nowMicros()
  const scanned = codes === undefined || request.isExact || (codes.mayScanRows && request.rerank === 0 && areRowsCheaper(zones, workspace.dim, request.k))
    ? scanRows(context, zones)
    : scanCodes({ ...context, codes }, zones, request)
  const hits = wantsHits ? takeHits(workspace, request.k) : []
  return {
    hits,
    explain: {
      zones: zones.map((zone) => zone.zone),
      vectorsScanned: zones.reduce((sum, zone) => sum + zone.rowCount, 0),
      rowsReranked: scanned.rowsReranked,
      rowsConfirmed: scanned.rowsConfirmed,
      bytes: scanned.bytes,
      pages: scanned.pages,
      ...files.counters,
      ioRounds: scanned.ioRounds,
      probeMicros: probedAt - startedAt,
      scanMicros: scanned.scannedAt - probedAt,
      rerankMicros: nowMicros() - scanned.scannedAt
    }
  }
}

function setQueryCodes(context: SearchContext & { codes: CodesContext }, request: SearchRequest): void {
  const { workspace, codes } = context
  const query = workspace.memory.float32At(workspace.codesQuery, workspace.dim)
  codes.workspace.queryCodes.set(query, workspace.scanQuery.queryNorm2, request.confidence ?? CONFIDENCE)
}

/** Scans the float32 rows of the zones: exact in each of them. */
function scanRows(context: SearchContext, zones: readonly CatalogueZone[]): Scanned {
  const { workspace, cache, files } = context
  const { kernel } = workspace.memory
  const ahead = new Prefetcher(zones.filter((zone) => !cache.holds(zone)), files.segmentSource)
  let bytes = 0
  let pages = 0
  let rowsConfirmed = 0
  for (const zone of zones) {
    ahead.reach(zone)
    setTolerance(workspace, zone)
    for (let part = 0; part < cache.partCount(zone); part++) {
      rowsConfirmed += kernel.scan(workspace.scanQuery, cache.load(zone, part))
    }
    const segmentBytes = files.segmentBytes(zone)
    bytes += segmentBytes + zone.columnsByteLength
    pages += pageCount(segmentBytes) + pageCount(zone.columnsByteLength)
  }
  return { bytes, pages, rowsReranked: 0, rowsConfirmed, ioRounds: ahead.rounds, scannedAt: nowMicros() }
}

/** Scans the codes of the zones and reranks the rows that they leave. */
function scanCodes(context: SearchContext & { codes: CodesContext }, zones: readonly CatalogueZone[], request: SearchRequest): Scanned {
  const { workspace, files, codes } = context
  const { memory, dim } = workspace
  const { cache } = codes
  codes.workspace.start(Math.max(request.k, request.rerank, 1))
  if (codes.centroids === undefined) setQueryCodes(context, request)
  const ahead = new Prefetcher(zones.filter((zone) => !cache.holds(zone)), files.codesSource)
  for (const zone of zones) cache.touch(zone)
  for (let reached = 0; ; ) {
    reached = memory.kernel.scanCodes(codes.workspace.scan, reached, zones.length)
    if (reached === zones.length) break
    ahead.reach(zones[reached])
    cache.load(zones[reached])
  }
  const scannedAt = nowMicros()
  const { rows, ioRounds } = rerank({ workspace, files, codes: codes.workspace, cache }, request.rerank)
  const rowBytes = rows * dim * ELEMENT_BYTES
  return {
    bytes: zones.reduce((sum, zone) => sum + zone.codesByteLength, rowBytes),
    pages: zones.reduce((sum, zone) => sum + pageCount(zone.codesByteLength), rows * pageCount(dim * ELEMENT_BYTES)),
    rowsReranked: rows,
    rowsConfirmed: rows,
    ioRounds: ahead.rounds + ioRounds,
    scannedAt
  }
}
