// Opens what a search works with: readers over the data files, kernel memory, caches.

import { join } from 'node:path'

import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { usesOrdinals, type Snapshot } from '../catalogue/snapshot.ts'
import { CATALOGUE_NAME, ELEMENT_BYTES } from '../format/layout.ts'
import { bytesOfRow, CandidateRows, type CandidateRowsLimits } from '../cache/candidate-rows.ts'
import { CodesCache } from '../cache/codes-cache.ts'
import { QueryRotation } from '../quantizer/query-codes.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import { fileOf, type DataFiles } from '../storage/reader.ts'
import { RowCache } from '../cache/row-cache.ts'
import type { FreshRowsFacts } from '../live/fresh-rows.ts'
import { LiveRows } from '../live/live-rows.ts'
import { DocumentFiles } from '../storage/document-files.ts'
import { IdLookup } from '../storage/id-lookup.ts'
import { SegmentFiles } from '../storage/segment-files.ts'
import { verifyDocuments } from '../storage/verify-documents.ts'
import { verifySegment } from '../storage/verify-segment.ts'
import type { Mapping, Verify } from '../types.ts'
import { CentroidCodes, LARGEST_NORM } from './centroid-codes.ts'
import { PackedCentroids } from './packed-centroids.ts'
import { DeltaIds } from './delta-ids.ts'
import { Filters } from './filters.ts'
import { UNKNOWN_ALIGNMENT } from './masked-rule.ts'
import type { CodesContext, DocumentsContext, SearchContext } from './search-context.ts'
import { SearchState } from './search-state.ts'
import { SearchStates } from './search-states.ts'
import { Workspace } from './workspace.ts'

/** Options of `ZgqIndex.open` with defaults filled in. */
export interface CheckedOpenOptions {
  readonly mapping: Mapping
  readonly cacheBytes: number
  readonly verify: Verify
  /** Whether heaps hold ordinals: for threads that search for an index that is open. Default: as the index needs it. */
  readonly usesOrdinals?: boolean | undefined
}

export interface OpenedContext {
  readonly snapshot: Snapshot
  readonly readers: Readers
  readonly context: SearchContext
  readonly options: CheckedOpenOptions
}

/** Share of the cache that codes may take. */
const CODES_SHARE = 0.75
/** Share of what codes leave that single rows may take which were reranked: if that is room for all; else. */
const CANDIDATES_SHARE = 0.5
const SOME_CANDIDATES_SHARE = 0.125
/** From so many zones on the probe looks at codes of the centroids first (bench/README.md, "Probe"). */
export const CODED_PROBE_ZONES = 256

/** Opens the files of a snapshot; throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_MISMATCH, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function openContext(snapshot: Snapshot, options: CheckedOpenOptions): OpenedContext {
  return withReaders(snapshot, options, (of) => {
    if (options.verify === 'open') {
      for (const segment of snapshot.segments) verifySegment(segment, of.files, snapshot)
      verifyDocuments(snapshot, of)
    }
    return startContext(snapshot, { ...of, options })
  })
}

/** What reads the files of a context. */
interface OpenFiles {
  readonly readers: Readers
  readonly files: SegmentFiles
}

/** Opens readers for what `start` makes, and closes them where it throws. */
export function withReaders(
  snapshot: Snapshot,
  options: CheckedOpenOptions,
  start: (of: OpenFiles) => OpenedContext
): OpenedContext {
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, options.mapping)
  try {
    checkHeaders(snapshot, files, readers.fresh)
    return start({ readers, files: openSegmentFiles(snapshot, { readers, files, options }) })
  } catch (error) {
    readers.close()
    throw error
  }
}

function openSegmentFiles(
  snapshot: Snapshot,
  of: { readonly readers: Readers; readonly files: DataFiles; readonly options: CheckedOpenOptions }
): SegmentFiles {
  const { readers, files, options } = of
  return new SegmentFiles(snapshot.meta, readers, {
    verify: options.verify,
    files,
    usesOrdinals: options.usesOrdinals ?? usesOrdinals(snapshot)
  })
}

/** Lays out kernel memory for a snapshot whose files are open; `goOn`: what is kept of a context before. */
export function startContext(
  snapshot: Snapshot,
  of: OpenFiles & { readonly options: CheckedOpenOptions },
  goOn?: (memory: KernelMemory) => KeptDocuments
): OpenedContext {
  const { readers, files, options } = of
  const memory = new KernelMemory(loadKernel())
  const workspace = new Workspace(snapshot, memory)
  const codes = openCodes(snapshot, files, { workspace, cacheBytes: options.cacheBytes })
  // What the codes leave: rows are cached for exact searches, and where there are few.
  const cache = new RowCache(snapshot, files, { memory, cacheBytes: cacheBytesOfRows(snapshot, options, codes) })
  const states = new SearchStates(() => new SearchState(snapshot.meta, workspace, codes?.rotation))
  const documents = openDocuments(snapshot, { memory, readers, files, options }, goOn?.(memory))
  return { snapshot, readers, context: { workspace, states, cache, files, codes, documents }, options }
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
  of: OpenFiles & { readonly memory: KernelMemory; readonly options: CheckedOpenOptions },
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
    cataloguePath: cataloguePathOf(snapshot),
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
  return { dim, metric, fields: snapshot.fields, path: cataloguePathOf(snapshot) }
}

function cataloguePathOf({ folder }: Snapshot): string {
  return join(folder, CATALOGUE_NAME)
}

/** Of each ids file, the newest first: what is looked up is mostly new. */
function openLookups(
  { files, meta }: Snapshot,
  of: { readonly readers: Readers; readonly verify: Verify; readonly kept: readonly IdLookup[] }
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
  { cacheBytes }: CheckedOpenOptions,
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
