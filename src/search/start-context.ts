// Makes what a search works with of a snapshot and readers: kernel memory, caches, filters. No I/O, and nothing of
// Node: it is the same wherever the bytes of an index are.

import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { usesOrdinals, type Snapshot } from '../catalogue/snapshot.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import { bytesOfRow, CandidateRows, type CandidateRowsLimits } from '../cache/candidate-rows.ts'
import { CodesCache } from '../cache/codes-cache.ts'
import { QueryRotation } from '../quantizer/query-codes.ts'
import { fileOf, type DataFiles } from '../storage/reader.ts'
import type { SegmentReaders } from '../storage/readers.ts'
import { RowCache } from '../cache/row-cache.ts'
import type { FreshRowsFacts } from '../live/fresh-rows.ts'
import { LiveRows } from '../live/live-rows.ts'
import { DocumentFiles } from '../storage/document-files.ts'
import { IdLookup } from '../storage/id-lookup.ts'
import { SegmentFiles } from '../storage/segment-files.ts'
import type { Verify } from '../types.ts'
import { CentroidCodes, LARGEST_NORM } from './centroid-codes.ts'
import type { CentroidSource } from './partial-centroids.ts'
import { PackedCentroids } from './packed-centroids.ts'
import { DeltaIds } from './delta-ids.ts'
import { Filters } from './filters.ts'
import { UNKNOWN_ALIGNMENT } from './masked-rule.ts'
import type { CodesContext, DocumentsContext, SearchContext } from './search-context.ts'
import { SearchState } from './search-state.ts'
import { SearchStates } from './search-states.ts'
import { Workspace } from './workspace.ts'

export interface ContextOptions {
  readonly cacheBytes: number
  readonly verify: Verify
  /** Whether heaps hold ordinals: for threads that search for an index that is open. Default: as the index needs it. */
  readonly usesOrdinals?: boolean | undefined
}

/** What reads the files of a context. */
export interface ContextFiles {
  readonly readers: SegmentReaders
  readonly files: SegmentFiles
}

/** Share of the cache that codes may take. */
const CODES_SHARE = 0.75
/** Share of what codes leave that single rows may take which were reranked: if that is room for all; else. */
const CANDIDATES_SHARE = 0.5
const SOME_CANDIDATES_SHARE = 0.125
/** From so many zones on the probe looks at codes of the centroids first (bench/README.md, "Probe"). */
export const CODED_PROBE_ZONES = 256

/** Makes what reads the segments of a snapshot. */
export function openSegmentFiles(
  snapshot: Snapshot,
  of: { readonly readers: SegmentReaders; readonly files: DataFiles; readonly options: ContextOptions }
): SegmentFiles {
  const { readers, files, options } = of
  return new SegmentFiles(snapshot.meta, readers, {
    verify: options.verify,
    files,
    usesOrdinals: options.usesOrdinals ?? usesOrdinals(snapshot)
  })
}

/**
 * Lays out kernel memory for a snapshot whose files are open. `centroids`: where those come from that the snapshot does
 * not have; `goOn`: what is kept of a context before.
 */
export function startContext(
  snapshot: Snapshot,
  of: ContextFiles & { readonly options: ContextOptions; readonly centroids?: CentroidSource | undefined },
  goOn?: (memory: KernelMemory) => KeptDocuments
): SearchContext {
  const { readers, files, options } = of
  const memory = new KernelMemory(loadKernel())
  const workspace = new Workspace(snapshot, memory, of.centroids)
  const codes = openCodes(snapshot, files, { workspace, cacheBytes: options.cacheBytes })
  // What the codes leave: rows are cached for exact searches, and where there are few.
  const cache = new RowCache(snapshot, files, { memory, cacheBytes: cacheBytesOfRows(snapshot, options, codes) })
  const states = new SearchStates(() => new SearchState(snapshot.meta, workspace, codes?.rotation))
  const documents = openDocuments(snapshot, { memory, readers, files, options }, goOn?.(memory))
  return { workspace, states, cache, files, codes, documents }
}

/** Shares of `cacheBytes`, on top of it: for decoded ids, places of payloads and fields, and for masks of filters. */
const DOCUMENTS_SHARE = 1 / 4
const MASKS_SHARE = 1 / 16

/** What goes on where another snapshot is taken. */
export interface KeptDocuments {
  readonly live: LiveRows
  /** Undefined where readers are others. */
  readonly files: DocumentFiles | undefined
  readonly ids: readonly IdLookup[]
}

export function openDocuments(
  snapshot: Snapshot,
  of: ContextFiles & { readonly memory: KernelMemory; readonly options: ContextOptions },
  kept: KeptDocuments | undefined
): DocumentsContext {
  const { memory, readers, files, options } = of
  const { meta, segments, fields } = snapshot
  const { verify, cacheBytes } = options
  const documents =
    kept?.files ?? new DocumentFiles(snapshot, { files, readers }, { verify, cacheBytes: cacheBytes * DOCUMENTS_SHARE })
  const { zoneCount } = meta
  const live = kept?.live ?? openLive(snapshot, memory)
  return {
    segments,
    usesOrdinals: files.usesOrdinals,
    files: documents,
    ids: openLookups(snapshot, { readers, verify, kept: kept?.ids ?? [] }),
    filters: new Filters({ memory, segments, zoneCount, documents, fields, live }, cacheBytes * MASKS_SHARE),
    idType: meta.idType,
    cataloguePath: snapshot.cataloguePath,
    live,
    deltaIds: new DeltaIds({ segments, builtZones: zoneCount, files: documents }),
    builtZones: zoneCount,
    ...factsOf(snapshot)
  }
}

function openLive(snapshot: Snapshot, memory: KernelMemory): LiveRows {
  const live = new LiveRows(memory, freshFacts(snapshot))
  live.take(snapshot.changes, snapshot.segments)
  return live
}

export function freshFacts(snapshot: Snapshot): FreshRowsFacts {
  const { dim, metric } = snapshot.meta
  return { dim, metric, fields: snapshot.fields, path: snapshot.cataloguePath }
}

/** Of each ids file, the newest first: what is looked up is mostly new. */
function openLookups(
  { files, meta }: Snapshot,
  of: { readonly readers: SegmentReaders; readonly verify: Verify; readonly kept: readonly IdLookup[] }
): IdLookup[] {
  const { readers, verify, kept } = of
  const { indexId } = meta
  const found = files.filter(({ kind }) => kind === 'ids').reverse()
  return found.map((record) => {
    const { path } = fileOf(readers.files, record.file)
    const known = kept.find(({ file }) => file === record.file)
    return known ?? new IdLookup(record, { readers, path, indexId, verify })
  })
}

export function factsOf({ meta, calibration }: Snapshot): Pick<DocumentsContext, 'nextSegment' | 'alignment' | 'gain'> {
  return {
    nextSegment: meta.nextSegment,
    alignment: calibration?.alignment ?? UNKNOWN_ALIGNMENT,
    gain: calibration?.gain ?? 1
  }
}

export function cacheBytesOfRows(
  snapshot: Snapshot,
  { cacheBytes }: ContextOptions,
  codes: CodesContext | undefined
): number {
  if (codes === undefined) return cacheBytes
  return leftBy(codes.cache, cacheBytes) - limitsOfCandidates(snapshot, codes.cache, cacheBytes).cacheBytes
}

export function limitsOfCandidates(snapshot: Snapshot, cache: CodesCache, cacheBytes: number): CandidateRowsLimits {
  const rowCount = snapshot.segments.totals.rows
  const left = leftBy(cache, cacheBytes)
  const all = rowCount * bytesOfRow(snapshot.meta.dim * ELEMENT_BYTES)
  return { cacheBytes: all <= left * CANDIDATES_SHARE ? all : left * SOME_CANDIDATES_SHARE, rowCount }
}

function leftBy({ capacity }: CodesCache, cacheBytes: number): number {
  return Math.max(0, cacheBytes - capacity)
}

function openCodes(
  snapshot: Snapshot,
  files: SegmentFiles,
  of: { workspace: Workspace; cacheBytes: number }
): CodesContext | undefined {
  if (snapshot.quantizer === undefined || !usesCodes(snapshot, of.cacheBytes)) return undefined
  const { memory } = of.workspace
  const cache = new CodesCache(snapshot, files, { memory, cacheBytes: of.cacheBytes * CODES_SHARE })
  const rotation = new QueryRotation(memory, { dim: snapshot.meta.dim, ...snapshot.quantizer })
  const limits = limitsOfCandidates(snapshot, cache, of.cacheBytes)
  return {
    cache,
    candidates: new CandidateRows(snapshot.meta.dim, files, { memory, ...limits }),
    rotation,
    centroids: openCentroids(snapshot, of.workspace),
    packed: packCentroids(of.workspace, rotation)
  }
}

export function openCentroids(snapshot: Snapshot, { memory, maxNorm }: Workspace): CentroidCodes | undefined {
  return snapshot.meta.zoneCount >= CODED_PROBE_ZONES ? CentroidCodes.create(memory, snapshot, maxNorm) : undefined
}

/** Undefined where centroids are too large for float32 arithmetic, too. */
export function packCentroids(workspace: Workspace, rotation: QueryRotation): PackedCentroids | undefined {
  return workspace.maxNorm < LARGEST_NORM ? PackedCentroids.create(workspace, rotation) : undefined
}

/**
 * The codes of a segment lie in memory whole. Where one claims more than this, rows are scanned in the place of codes.
 */
const MOST_CODES_BYTES = 256 * 2 ** 20

/** Tells whether codes are used: there are some, and each segment's fit into memory. */
export function usesCodes({ segments, quantizer }: Snapshot, cacheBytes: number): boolean {
  return quantizer !== undefined && segments.totals.mostCodesBytes <= Math.max(cacheBytes, MOST_CODES_BYTES)
}
