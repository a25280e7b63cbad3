// Opens what a search works with: readers over the data files, kernel memory, caches.

import { join } from 'node:path'

import type { Changes } from '../catalogue/changes.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { usesOrdinals, type Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import { bytesEqual, CATALOGUE_NAME, ELEMENT_BYTES } from '../format/layout.ts'
import { encodeQuantizer } from '../format/quantizer.ts'
import { SEGMENT_WORDS } from '../format/segment-record.ts'
import { SegmentTable } from '../format/segment-table.ts'
import { bytesOfRow, CandidateRows, type CandidateRowsLimits } from '../cache/candidate-rows.ts'
import { CodesCache } from '../cache/codes-cache.ts'
import { QueryRotation } from '../quantizer/query-codes.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import { openPreadReader } from '../storage/pread-reader.ts'
import { fileOf, type DataFiles } from '../storage/reader.ts'
import { RowCache } from '../cache/row-cache.ts'
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
import { SearchStates, SearchState } from './search-state.ts'
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
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, options.mapping)
  try {
    checkHeaders(snapshot, files, readers.fresh)
    const segmentFiles = openSegmentFiles(snapshot, { readers, files, options })
    if (options.verify === 'open') {
      for (const segment of snapshot.segments) verifySegment(segment, segmentFiles, snapshot)
      verifyDocuments(snapshot, { readers, files: segmentFiles })
    }
    return startContext(snapshot, { readers, files: segmentFiles, options })
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

/** Lays out kernel memory for a snapshot whose files are open. */
function startContext(
  snapshot: Snapshot,
  of: { readers: Readers; files: SegmentFiles; options: CheckedOpenOptions }
): OpenedContext {
  const { readers, files, options } = of
  const memory = new KernelMemory(loadKernel())
  const workspace = new Workspace(snapshot, memory)
  const codes = openCodes(snapshot, files, { workspace, cacheBytes: options.cacheBytes })
  // What the codes leave: rows are cached for exact searches, and where there are few.
  const cache = new RowCache(snapshot, files, { memory, cacheBytes: cacheBytesOfRows(snapshot, options, codes) })
  const states = new SearchStates(() => new SearchState(snapshot.meta, workspace, codes?.rotation))
  const documents = openDocuments(snapshot, { memory, readers, files, options })
  return { snapshot, readers, context: { workspace, states, cache, files, codes, documents }, options }
}

/** Shares of `cacheBytes`, on top of it: for decoded ids, places of payloads and fields, and for masks of filters. */
const DOCUMENTS_SHARE = 1 / 4
const MASKS_SHARE = 1 / 16

function openDocuments(
  snapshot: Snapshot,
  of: { memory: KernelMemory; readers: Readers; files: SegmentFiles; options: CheckedOpenOptions }
): DocumentsContext {
  const { memory, readers, files, options } = of
  const { meta, segments, fields } = snapshot
  const { verify, cacheBytes } = options
  const documents = new DocumentFiles(
    snapshot,
    { files, readers },
    { verify, cacheBytes: cacheBytes * DOCUMENTS_SHARE }
  )
  const idsFile = snapshot.files.find(({ kind }) => kind === 'ids')
  const cataloguePath = join(snapshot.folder, CATALOGUE_NAME)
  const { dim, metric, zoneCount } = meta
  const live = new LiveRows(memory, { dim, metric, fields, path: cataloguePath })
  live.take(snapshot.changes, segments)
  return {
    segments,
    usesOrdinals: files.usesOrdinals,
    files: documents,
    ids:
      idsFile &&
      new IdLookup(idsFile, {
        readers,
        path: fileOf(readers.files, idsFile.file).path,
        indexId: meta.indexId,
        verify
      }),
    filters: new Filters({ memory, segments, zoneCount, documents, fields, live }, cacheBytes * MASKS_SHARE),
    idType: meta.idType,
    cataloguePath,
    live,
    deltaIds: new DeltaIds({ segments, builtZones: zoneCount, files: documents }),
    builtZones: zoneCount,
    ...calibratedFacts(snapshot)
  }
}

/** Takes changes of rows whose segments are adopted; returns once searches that begin will see them. */
export function takeChanges({ documents }: SearchContext, changes: Changes): void {
  const slots = documents.live.take(changes, documents.segments)
  documents.filters.expire(slots, documents.segments)
}

/** The same documents, of a snapshot that has further segments. */
function withSegments(before: DocumentsContext, snapshot: Snapshot): DocumentsContext {
  const { builtZones, files } = before
  const { segments } = snapshot
  const deltaIds = new DeltaIds({ segments, builtZones, files }, before.deltaIds)
  return { ...before, segments, deltaIds, ...calibratedFacts(snapshot) }
}

function calibratedFacts({ calibration }: Snapshot): Pick<DocumentsContext, 'alignment' | 'gain'> {
  return { alignment: calibration?.alignment ?? UNKNOWN_ALIGNMENT, gain: calibration?.gain ?? 1 }
}

function cacheBytesOfRows(
  snapshot: Snapshot,
  { cacheBytes }: CheckedOpenOptions,
  codes: CodesContext | undefined
): number {
  if (codes === undefined) return cacheBytes
  return leftBy(codes.cache, cacheBytes) - limitsOfCandidates(snapshot, codes.cache, cacheBytes).cacheBytes
}

function limitsOfCandidates(snapshot: Snapshot, cache: CodesCache, cacheBytes: number): CandidateRowsLimits {
  const rowCount = snapshot.segments.totals.rows
  const left = leftBy(cache, cacheBytes)
  const all = rowCount * bytesOfRow(snapshot.meta.dim * ELEMENT_BYTES)
  return { cacheBytes: all <= left * CANDIDATES_SHARE ? all : left * SOME_CANDIDATES_SHARE, rowCount }
}

function leftBy({ capacity }: CodesCache, cacheBytes: number): number {
  return Math.max(0, cacheBytes - capacity)
}

/**
 * Goes on with another snapshot of the same index: what was read and verified of segments that both have is kept, what
 * was kept of the others is given back. Returns the same context, or where the codes are made in another way, or heaps
 * hold something else, a new one over the same readers. Searches may be under way where the snapshot only adds deltas;
 * they look at none of these. Throws as `openContext` does, ZGQ_MISMATCH for another index, and TypeError while
 * searches are under way whose segments would be others' when they go on, before anything is changed; RangeError where
 * kernel memory ends, after which the context is of no use.
 */
export function adoptSnapshot(opened: OpenedContext, snapshot: Snapshot): OpenedContext {
  const { context } = opened
  expectSameIndex(opened.snapshot, snapshot)
  const { workspace } = context
  const segments = new SegmentTable(snapshot.segments.records, snapshot.segments.zoneCount, workspace.segments)
  const adopted = { ...snapshot, segments }
  const isSameCoding =
    isSameQuantizer(opened.snapshot, adopted) &&
    usesCodes(adopted, opened.options.cacheBytes) === (context.codes !== undefined)
  if (isSameCoding && onlyAdds(adopted, opened)) return extendContext(opened, adopted)
  if (context.states.inUse > 0) throw new TypeError(`${context.states.inUse} searches are under way`)
  return replaceSnapshot(opened, adopted, isSameCoding)
}

/** Tells whether a snapshot has all that is open, in the same places, and what it has besides is of deltas. */
function onlyAdds({ meta, files, segments, centroids }: Snapshot, { readers, context }: OpenedContext): boolean {
  const { workspace } = context
  const before = workspace.segments
  if (workspace.zoneCount !== meta.zoneCount || before.count > segments.count) return false
  for (let position = before.count; position < segments.count; position++)
    if (segments.word(position, SEGMENT_WORDS.zone) < meta.zoneCount) return false
  const names = new Set(files.map(({ file }) => file))
  return (
    [...readers.files.keys()].every((file) => names.has(file)) &&
    bytesEqual(before.records, segments.records.subarray(0, before.records.byteLength)) &&
    workspace.hasCentroids(centroids)
  )
}

/** Takes a snapshot that only adds deltas: regions and caches stay, and so do places of segments. */
function extendContext(opened: OpenedContext, adopted: Snapshot): OpenedContext {
  const { readers, context, options } = opened
  const added = adopted.files.filter(({ file }) => !readers.files.has(file))
  takeFiles(opened, adopted, new Map([...readers.files, ...findDataFiles({ ...adopted, files: added })]))
  const { workspace, cache, codes, documents } = context
  const { segments } = adopted
  workspace.extend(adopted)
  if (codes !== undefined) {
    codes.cache.adopt(adopted, [])
    codes.candidates.limit(limitsOfCandidates(adopted, codes.cache, options.cacheBytes))
  }
  const cacheBytes = cacheBytesOfRows(adopted, options, codes)
  cache.adopt(segments, { dropped: [], cacheBytes, keepsParts: context.states.inUse > 0 })
  context.documents = withSegments(documents, adopted)
  return { ...opened, snapshot: adopted }
}

/** Takes any other snapshot. */
function replaceSnapshot(opened: OpenedContext, adopted: Snapshot, isSameCoding: boolean): OpenedContext {
  const { readers, context, options } = opened
  const { segments } = adopted
  const dataFiles = findDataFiles(adopted)
  const dropped = droppedSlots(context.workspace.segments, segments)
  takeFiles(opened, adopted, dataFiles)
  for (const slot of dropped) context.files.drop(slot)
  if (!isSameCoding) {
    context.documents.live.close()
    return startContext(adopted, { readers, files: context.files, options })
  }
  const { workspace, cache, codes } = context
  workspace.adopt(adopted)
  if (codes !== undefined) {
    codes.cache.adopt(adopted, dropped)
    codes.candidates.drop(dropped)
    codes.candidates.limit(limitsOfCandidates(adopted, codes.cache, options.cacheBytes))
    codes.centroids?.close()
    codes.centroids = openCentroids(adopted, workspace)
    codes.packed?.close()
    codes.packed = packCentroids(workspace, codes.rotation)
  }
  cache.adopt(segments, { dropped, cacheBytes: cacheBytesOfRows(adopted, options, codes), keepsParts: false })
  context.documents.filters.clear()
  context.documents.live.close()
  context.documents = openDocuments(adopted, { memory: workspace.memory, readers, files: context.files, options })
  return { ...opened, snapshot: adopted }
}

/** Checks the headers of files that the readers do not have, and has all of them read. */
function takeFiles({ readers, context }: OpenedContext, snapshot: Snapshot, files: DataFiles): void {
  checkNewFiles(snapshot, files, readers)
  readers.replaceFiles(files)
  context.files.replaceFiles(files)
}

function expectSameIndex({ meta: before, folder }: Snapshot, { meta }: Snapshot): void {
  const isSame =
    bytesEqual(before.indexId, meta.indexId) &&
    before.dim === meta.dim &&
    before.metric === meta.metric &&
    before.bits === meta.bits
  if (!isSame)
    throw new ZgqError('ZGQ_MISMATCH', 'the index was replaced by another one: open it again', { path: folder })
}

function isSameQuantizer({ quantizer: a }: Snapshot, { quantizer: b }: Snapshot): boolean {
  if (a === undefined || b === undefined) return a === b
  return bytesEqual(encodeQuantizer(a), encodeQuantizer(b))
}

/** Checks the headers of files that the readers do not have. */
function checkNewFiles(snapshot: Snapshot, dataFiles: DataFiles, readers: Readers): void {
  const files = snapshot.files.filter(({ file }) => !readers.files.has(file))
  const reader = openPreadReader(new Map(files.map(({ file }) => [file, fileOf(dataFiles, file)])))
  try {
    checkHeaders({ meta: snapshot.meta, files }, dataFiles, reader)
  } finally {
    reader.close()
  }
}

/** Slots whose segment went: they are empty, or another's. */
function droppedSlots(before: SegmentTable, after: SegmentTable): number[] {
  const kept = new Set<object>(after)
  return [...before].flatMap((segment) => (kept.has(segment) ? [] : [segment.slot]))
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

function openCentroids(snapshot: Snapshot, { memory, maxNorm }: Workspace): CentroidCodes | undefined {
  return snapshot.meta.zoneCount >= CODED_PROBE_ZONES ? CentroidCodes.create(memory, snapshot, maxNorm) : undefined
}

/** Undefined where centroids are too large for float32 arithmetic, too. */
function packCentroids(workspace: Workspace, rotation: QueryRotation): PackedCentroids | undefined {
  return workspace.maxNorm < LARGEST_NORM ? PackedCentroids.create(workspace, rotation) : undefined
}

/**
 * The codes of a segment lie in memory whole. Where one claims more than this, rows are scanned in the place of codes.
 */
const MOST_CODES_BYTES = 256 * 2 ** 20

/** Tells whether codes are used: there are some, and each segment's fit into memory. */
function usesCodes({ segments, quantizer }: Snapshot, cacheBytes: number): boolean {
  return quantizer !== undefined && segments.totals.mostCodesBytes <= Math.max(cacheBytes, MOST_CODES_BYTES)
}
