// The pipeline of a search on one page: probe -> scan -> rerank. The stages are pure; only this driver does I/O, so
// that an asynchronous driver can run the same stages. Exact searches, and indexes without codes, scan float32 rows
// instead of codes and have nothing to rerank.

import { nowMicros } from '../clock.ts'
import { ELEMENT_BYTES, pageCount } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import type { CodesCache } from '../cache/codes-cache.ts'
import type { RowCache } from '../cache/row-cache.ts'
import { heapDistances } from '../kernels/addresses.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import type { Explain, Hit } from '../types.ts'
import type { CentroidCodes } from './centroid-codes.ts'
import type { CodeWorkspace } from './code-workspace.ts'
import { hasEstimates } from './estimate-range.ts'
import { probe, type Probed } from './probe.ts'
import { Prefetcher } from './prefetcher.ts'
import type { SearchRequest } from './request.ts'
import { rerank } from './rerank.ts'
import { setTolerance, takeHits } from './scan.ts'
import { areRowsCheaper } from './strategy.ts'
import { isHitUnlike, isZoneUnlike, widen, type Pass } from './unlike.ts'
import type { Workspace } from './workspace.ts'

/** Codes of an open index, and what scans them. */
export interface CodesContext {
  readonly workspace: CodeWorkspace
  readonly cache: CodesCache
  /** Undefined where there are so few zones that it costs less to compute all their distances. */
  centroids: CentroidCodes | undefined
  /** The rows are few enough to be scanned where that costs less. */
  mayScanRows: boolean
}

/**
 * Estimates from sign planes alone that the limit for candidates is taken from at least: the smallest one of very many
 * is far too small, and would rule out the nearest row (1 to 5 of 100 times).
 */
const FEWEST_ESTIMATES = 3

/** Where the segments of an open index come from. */
export interface SearchContext {
  readonly workspace: Workspace
  readonly cache: RowCache
  readonly files: SegmentFiles
  /** Undefined with `bits: 0`. */
  readonly codes: CodesContext | undefined
}

/** Counts of the stages after the probe, for explain. */
interface Scanned {
  readonly rowsReranked: number
  readonly rowsConfirmed: number
  readonly ioRounds: number
  /** When the scan ended and the rerank began. */
  readonly scannedAt: number
}

/** Hits of a search, and how it went. */
export interface SearchResult {
  readonly hits: Hit[]
  /** Undefined unless it was asked for. */
  readonly explain: Explain | undefined
  /** The query is unlike those of the calibration. */
  readonly isUnlike: boolean
}

/** Searches with a checked query and request. A query unlike those of the calibration searches on, in wider passes. */
export function search(context: SearchContext, query: Float32Array, request: SearchRequest): SearchResult {
  context.files.resetCounters()
  const first = searchOnce(context, query, request)
  if (!first.isUnlike) return { hits: first.hits ?? [], explain: first.explain, isUnlike: false }
  const passes = [first]
  for (;;) {
    const wider = 'threshold' in request.probe ? widen(request, request.probe, passes) : undefined
    if (wider === undefined) break
    passes.push(searchOnce(context, query, wider))
  }
  const explains = passes.flatMap(({ explain }) => explain ?? [])
  return {
    hits: (passes[passes.length - 1].hits ?? []).slice(0, request.k),
    explain: request.explain ? { ...sumExplains(explains), unlike: true } : undefined,
    isUnlike: true
  }
}

const NOTHING_PROBED: Probed = { segments: [], list: 0, zoneCount: 0 }

/** Hits of one pass, and how it went. */
interface SearchPass extends Pass {
  readonly hits: Hit[] | undefined
  readonly isUnlike: boolean
  readonly explain: Explain | undefined
}

function searchOnce(context: SearchContext, query: Float32Array, request: SearchRequest): SearchPass {
  const { workspace, files } = context
  const startedAt = nowMicros()
  // Nobody asked for hits: there is nothing to probe, and a heap holds at least one.
  const wantsHits = request.k > 0
  workspace.setQuery(query)
  const codes = hasEstimates(workspace) ? context.codes : undefined
  if (wantsHits) workspace.startHits(request.k)
  if (wantsHits && request.bound !== undefined) workspace.fillHeap(workspace.scanQuery.heap, request.k, request.bound)
  if (codes?.centroids !== undefined) setQueryCodes({ ...context, codes }, request)
  const probed = wantsHits
    ? probe(workspace, request.probe, codes?.centroids && { centroids: codes.centroids, workspace: codes.workspace })
    : NOTHING_PROBED
  const usual = wantsHits && 'threshold' in request.probe ? request.probe.usual : undefined
  const isFar = usual !== undefined && isZoneUnlike(usual, workspace, nearestZone(workspace))
  const probedAt = nowMicros()
  const byRows =
    codes === undefined ||
    request.isExact ||
    (codes.mayScanRows && request.rerank === 0 && areRowsCheaper(probed.segments, workspace.dim, request.k))
  const scanned = isFar
    ? { rowsReranked: 0, rowsConfirmed: 0, ioRounds: 0, scannedAt: probedAt }
    : byRows
      ? scanRows(context, probed.segments)
      : scanCodes({ ...context, codes }, probed, request)
  const hits = isFar ? undefined : wantsHits ? takeHits(workspace, request.k) : []
  const isUnlike = isFar || (usual !== undefined && isHitUnlike(usual, workspace, hits))
  // Spelled out: a spread costs a tenth of a small search.
  const [zoneCount, of] = [probed.zoneCount, workspace.planned]
  if (!request.explain) return { hits, isUnlike, probed: zoneCount, of, explain: undefined }
  const { scannedAt, ...counts } = scanned
  const micros = {
    probeMicros: probedAt - startedAt,
    scanMicros: scannedAt - probedAt,
    rerankMicros: nowMicros() - scannedAt
  }
  const parts = explainSegments(context, isFar ? [] : probed.segments, byRows ? undefined : counts.rowsReranked)
  const explain = { ...parts, ...counts, ...files.counters, ...micros, unlike: false }
  return { hits, isUnlike, probed: zoneCount, of, explain }
}

/** Distance of the nearest zone of the list, as the kernel computed it. */
function nearestZone({ memory, zoneList }: Workspace): number {
  return memory.doubles[heapDistances(zoneList) / 8]
}

/** Adds up the work of passes; the zones, bytes and pages are those of the last, which had those of all others. */
function sumExplains(passes: readonly Explain[]): Explain {
  const sum = (of: (pass: Explain) => number): number => passes.reduce((total, pass) => total + of(pass), 0)
  return {
    ...passes[passes.length - 1],
    vectorsScanned: sum((pass) => pass.vectorsScanned),
    rowsReranked: sum((pass) => pass.rowsReranked),
    rowsConfirmed: sum((pass) => pass.rowsConfirmed),
    ioRounds: sum((pass) => pass.ioRounds),
    probeMicros: sum((pass) => pass.probeMicros),
    scanMicros: sum((pass) => pass.scanMicros),
    rerankMicros: sum((pass) => pass.rerankMicros)
  }
}

/** Sums up what the segments probed are made of; rowsReranked: undefined where rows were scanned instead of codes. */
function explainSegments(
  context: SearchContext,
  segments: readonly Segment[],
  rowsReranked: number | undefined
): Pick<Explain, 'zones' | 'vectorsScanned' | 'bytes' | 'pages'> {
  const rowBytes = context.workspace.dim * ELEMENT_BYTES
  const parts = segments.flatMap(({ rows, columns, codes }) =>
    rowsReranked === undefined ? [rows.byteLength, columns.byteLength] : [codes.byteLength]
  )
  return {
    zones: [...new Set(segments.map(({ zone }) => zone))],
    vectorsScanned: segments.reduce((sum, { rowCount }) => sum + rowCount, 0),
    bytes: parts.reduce((sum, part) => sum + part, (rowsReranked ?? 0) * rowBytes),
    pages: parts.reduce((sum, part) => sum + pageCount(part), (rowsReranked ?? 0) * pageCount(rowBytes))
  }
}

function setQueryCodes(context: SearchContext & { codes: CodesContext }, request: SearchRequest): void {
  const { workspace, codes } = context
  codes.workspace.queryCodes.set(workspace.codesQuery, workspace.scanQuery.queryNorm2, {
    confidence: request.confidence,
    bits: codes.workspace.scan.bits
  })
}

/** Scans the float32 rows of the segments: exact in each of them. */
function scanRows(context: SearchContext, segments: readonly Segment[]): Scanned {
  const { workspace, cache, files } = context
  const { kernel } = workspace.memory
  const ahead = new Prefetcher(
    segments.filter((segment) => !cache.holds(segment)),
    files.rowsSource
  )
  let rowsConfirmed = 0
  for (const segment of segments) {
    ahead.reach(segment)
    setTolerance(workspace, segment)
    for (let part = 0; part < cache.partCount(segment); part++) {
      rowsConfirmed += kernel.scan(workspace.scanQuery, cache.load(segment, part))
    }
  }
  return { rowsReranked: 0, rowsConfirmed, ioRounds: ahead.rounds, scannedAt: nowMicros() }
}

/**
 * Leaves in the workspace what a scan of codes would rerank; returns the segments that it probed, or undefined where
 * rows are scanned instead. For calibration.
 */
export function findCandidates(
  context: SearchContext & { codes: CodesContext },
  query: Float32Array,
  request: SearchRequest
): readonly Segment[] | undefined {
  const { workspace, codes } = context
  workspace.setQuery(query)
  if (!hasEstimates(workspace)) return undefined
  if (codes.centroids !== undefined) setQueryCodes(context, request)
  const coded = codes.centroids && { centroids: codes.centroids, workspace: codes.workspace }
  const probed = probe(workspace, request.probe, coded)
  scanCodeBlocks(context, probed, request)
  return probed.segments
}

/** Scans the codes of the segments and reranks the rows that they leave. */
function scanCodes(context: SearchContext & { codes: CodesContext }, probed: Probed, request: SearchRequest): Scanned {
  const { workspace, files, codes } = context
  const rounds = scanCodeBlocks(context, probed, request)
  const scannedAt = nowMicros()
  const { rows, ioRounds } = rerank({ workspace, files, codes: codes.workspace, cache: codes.cache }, request.rerank)
  return { rowsReranked: rows, rowsConfirmed: rows, ioRounds: rounds + ioRounds, scannedAt }
}

/** Scans the codes of the segments; returns in how many rounds they had to be asked for. */
function scanCodeBlocks(
  context: SearchContext & { codes: CodesContext },
  probed: Probed,
  request: SearchRequest
): number {
  const { workspace, files, codes } = context
  const { memory } = workspace
  const { cache } = codes
  const { scan } = codes.workspace
  const { segments } = probed
  const wanted = Math.max(request.k, request.rerank, scan.bits === 1 ? FEWEST_ESTIMATES : 1)
  const rowCount = segments.reduce((sum, segment) => sum + segment.rowCount, 0)
  codes.workspace.start(wanted, rowCount)
  if (request.bound !== undefined) workspace.fillHeap(scan.heap, codes.workspace.size, request.bound)
  if (codes.centroids === undefined) setQueryCodes(context, request)
  const ahead = new Prefetcher(
    segments.filter((segment) => !cache.holds(segment)),
    files.codesSource
  )
  for (const segment of segments) cache.touch(segment)
  scan.segments = cache.table
  scan.list = probed.list
  for (let reached = 0; ;) {
    reached = memory.kernel.scanCodes(scan, reached, segments.length)
    if (reached === segments.length) return ahead.rounds
    ahead.reach(segments[reached])
    cache.load(segments[reached])
  }
}
