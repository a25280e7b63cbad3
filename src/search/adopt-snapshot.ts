// How an open context goes on with what is committed: changes of rows, more segments of deltas, or another generation
// altogether.

import type { Changes } from '../catalogue/changes.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import { bytesEqual } from '../format/layout.ts'
import { encodeQuantizer } from '../format/quantizer.ts'
import { SEGMENT_WORDS } from '../format/segment-record.ts'
import { SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { LiveRows } from '../live/live-rows.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import type { Readers } from '../storage/open-readers.ts'
import { openPreadReader } from '../storage/pread-reader.ts'
import { fileOf, type DataFiles } from '../storage/reader.ts'
import { DeltaIds } from './delta-ids.ts'
import { withReaders, type OpenedContext } from './open-context.ts'
import type { DocumentsContext, SearchContext } from './search-context.ts'
import {
  cacheBytesOfRows,
  factsOf,
  freshFacts,
  limitsOfCandidates,
  openCentroids,
  openDocuments,
  packCentroids,
  startContext,
  usesCodes,
  type KeptDocuments
} from './start-context.ts'

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
  return { ...before, segments, deltaIds, ...factsOf(snapshot) }
}

/**
 * Goes on with another snapshot of the same index: what was read and verified of segments that both have is kept, what
 * was kept of the others is given back. Changes are not taken yet: those since the one before come next, by
 * `takeChanges`. Returns the same context, or where the codes are made in another way a new one over the same readers.
 * Searches may be under way where the snapshot only adds deltas; they look at none of these. Where it does not, and
 * somebody still works with the context, returns another one over readers of its own: who works with the one before
 * goes on, and its readers are the caller's to close when it is unused. Throws as `openContext` does and ZGQ_MISMATCH
 * for another index, before anything is changed; RangeError where kernel memory ends, after which the context is of no
 * use.
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
  return context.states.areUsed ? openBeside(opened, snapshot) : replaceSnapshot(opened, adopted, isSameCoding)
}

/** Opens a snapshot anew; what is known of changed rows goes on. */
function openBeside({ context, options }: OpenedContext, snapshot: Snapshot): OpenedContext {
  const { segments } = snapshot
  return withReaders(snapshot, options, (of) => {
    const beside = startContext(snapshot, { ...of, options }, (memory) => {
      const live = liveAfter(context, snapshot, { memory, segments })
      return { live, files: undefined, ids: [] }
    })
    return { snapshot, readers: of.readers, context: beside, options }
  })
}

function liveAfter(
  { workspace, documents }: SearchContext,
  snapshot: Snapshot,
  of: { readonly memory: KernelMemory; readonly segments: SegmentTable }
): LiveRows {
  const { memory, segments } = of
  return LiveRows.after(documents.live, memory, { ...freshFacts(snapshot), before: workspace.segments, segments })
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

/** Takes any other snapshot, while nobody works with the context. */
function replaceSnapshot(opened: OpenedContext, adopted: Snapshot, isSameCoding: boolean): OpenedContext {
  const { readers, context, options } = opened
  const { segments } = adopted
  const dataFiles = findDataFiles(adopted)
  const dropped = droppedSlots(context.workspace.segments, segments)
  takeFiles(opened, adopted, dataFiles)
  for (const slot of dropped) context.files.drop(slot)
  context.documents.files.drop(dropped)
  const { files, ids } = context.documents
  const goOn = (memory: KernelMemory): KeptDocuments => {
    return { live: liveAfter(context, adopted, { memory, segments }), files, ids }
  }
  const of = { readers, files: context.files, options }
  if (!isSameCoding) return { ...opened, snapshot: adopted, context: startContext(adopted, of, goOn) }
  const { workspace, cache, codes } = context
  const kept = goOn(workspace.memory)
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
  context.documents = openDocuments(adopted, { memory: workspace.memory, ...of }, kept)
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
  if (!isSame) throw new ZgqError('ZGQ_MISMATCH', 'another index came into this place; open it anew', { path: folder })
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
