// Verifies a whole index: what open verifies, then every column and page, the directories, the ids, and what stands
// beside the index.

import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { expectPath } from '../arguments.ts'
import { describe } from '../describe.ts'
import { isDenied, wrapReadError, ZgqError } from '../errors.ts'
import { decodeBuildFacts } from '../format/build-facts.ts'
import { decodeIds } from '../format/columns.ts'
import { fileNameOf, parseFileName } from '../format/file-record.ts'
import { hex } from '../format/header.ts'
import { CATALOGUE_NAME, FOLD_LOCK_NAME } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import type { FoldFiles } from '../catalogue/fold-files.ts'
import { checkDatabase } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { withStoredSnapshot } from '../storage/open-packed.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import type { DataFiles } from '../storage/reader.ts'
import { SegmentFiles } from '../storage/segment-files.ts'
import type { IdsToVerify } from '../storage/verify-ids.ts'
import { eachTextIds } from '../storage/text-ids.ts'
import { idsToVerify } from '../storage/verify-documents.ts'
import { verifySegment } from '../storage/verify-segment.ts'
import { checkOptionNames } from '../options.ts'
import type { IdType } from '../types.ts'
import { checkDirectory } from './check-directory.ts'
import { ChangesCheck } from './check-changes.ts'
import { checkNote, DocumentCheck } from './check-documents.ts'
import { IdEntriesCheck } from './check-id-entries.ts'
import { checkDigests, findPackedLeftovers } from './check-packed.ts'
import { checkZoneCodes } from './check-zone-codes.ts'
import { findRepeatedId, type IdsToCompare } from './repeated-ids.ts'

/** The report of `checkIndex` about a sound index; it rejects for a damaged one. */
export interface CheckReport {
  readonly ok: true
  readonly path: string
  /** Live rows. */
  readonly count: number
  /** Deleted rows that are still in the files. */
  readonly deletedRows: number
  readonly zones: number
  /** Number of data files, without the catalogue; of a packed index, of the parts that they are. */
  readonly files: number
  /** SHA-256 of all that a packed index says, in hex. Null: the index is not packed. */
  readonly digest: string | null
  readonly bytesChecked: number
  readonly pagesChecked: number
  /** Leftovers of builds that died, and other findings that are not damage. */
  readonly notes: readonly string[]
}

/** Options of `checkIndex`. */
export interface CheckOptions {
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Verifies every byte of the index at `path` (a path or a `file:` URL), packed or not, that can change an answer; of a
 * packed one its digests, too. Rejects with the ZgqError of the first damage that it finds, or with the signal's
 * reason.
 */
export async function checkIndex(path: string | URL, options: CheckOptions = {}): Promise<CheckReport> {
  const folder = expectPath('path', path)
  checkOptionNames('checkIndex', options, ['onProgress', 'signal'])
  const { snapshot, foldFiles, files, readers } = withStoredSnapshot(folder, openFiles)
  try {
    const segments = segmentsByFile(snapshot)
    for (const record of snapshot.files) {
      const found = { files, reader: readers.fresh, segments: segments.get(record.file) ?? [] }
      const { kind } = record
      if (kind === 'vectors' || kind === 'delta') checkDirectory({ ...record, kind }, snapshot, found)
    }
    decodeBuildFacts(snapshot.encodedBuildFacts, folder)
    checkZoneCodes(snapshot, folder)
    checkNote(snapshot, folder)
    const segmentFiles = new SegmentFiles(snapshot.meta, readers, { verify: 'touch', files, usesOrdinals: false })
    const ids = idsToVerify(snapshot, readers)
    const documents = new DocumentCheck(snapshot, { files, readers, segmentFiles })
    const changes = new ChangesCheck(snapshot)
    changes.check()
    const idPages = await checkSegments(snapshot, segmentFiles, { options, ids, documents, changes })
    const { meta, packed } = snapshot
    if (packed !== undefined) await checkDigests(packed, () => options.signal?.throwIfAborted())
    const bytesChecked =
      packed?.byteLength ?? snapshot.files.reduce((sum, file) => sum + file.byteLength, snapshot.catalogueBytes)
    return {
      ok: true,
      path: folder,
      count: changes.liveCount,
      deletedRows: snapshot.changes.meta.deletedCount,
      zones: meta.zoneCount,
      files: snapshot.files.length,
      digest: packed === undefined ? null : hex(packed.head.digest),
      bytesChecked,
      pagesChecked: segmentFiles.counters.pagesVerified + idPages,
      notes: findLeftovers(folder, snapshot, foldFiles)
    }
  } finally {
    readers.close()
  }
}

/** Groups segments by the files of their rows. */
function segmentsByFile({ segments }: Snapshot): Map<number, Segment[]> {
  const found = new Map<number, Segment[]>()
  for (const segment of segments) {
    const known = found.get(segment.rows.file)
    if (known === undefined) found.set(segment.rows.file, [segment])
    else known.push(segment)
  }
  return found
}

interface OpenedFiles {
  readonly snapshot: Snapshot
  readonly foldFiles: FoldFiles
  readonly files: DataFiles
  readonly readers: Readers
}

/** A packed index is not folded. */
const NO_FOLD_FILES: FoldFiles = { files: [], superseded: [], reservations: [] }

/** Checks the database, and opens the files whose headers fit it. */
function openFiles(snapshot: Snapshot): OpenedFiles {
  const foldFiles = snapshot.packed === undefined ? checkDatabase(snapshot) : NO_FOLD_FILES
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, 'pread')
  try {
    checkHeaders(snapshot, files, readers.fresh)
    return { snapshot, foldFiles, files, readers }
  } catch (error) {
    readers.close()
    throw error
  }
}

/** Verifies all segments, and that no id is there twice; returns how many pages of ids files were verified. */
async function checkSegments(snapshot: Snapshot, files: SegmentFiles, of: ToCheck): Promise<number> {
  const { segments, meta } = snapshot
  const { options, ids, documents, changes } = of
  const entries = ids.length === 0 ? undefined : new IdEntriesCheck()
  let isFirst = true
  const repeated = await findRepeatedId(meta.count + snapshot.changes.fresh.length, async (take) => {
    let rows = 0
    for (const segment of segments) {
      if (isFirst) verifySegment(segment, files, snapshot)
      if (isFirst) documents.check(segment)
      eachIds(segment, { files, idType: meta.idType }, (found, firstRow) => {
        take(changes.liveOf(segment, found, firstRow))
        // The ids files do not know the rows of deltas.
        if (isFirst && segment.zone < meta.zoneCount) entries?.takeRows({ segment: segment.segment, firstRow }, found)
      })
      rows += segment.rowCount
      if (isFirst) options.onProgress?.({ done: rows, total: meta.count })
      await setImmediate()
      options.signal?.throwIfAborted()
    }
    take(changes.freshIds())
    isFirst = false
  })
  if (repeated !== undefined)
    throw new ZgqError('ZGQ_CORRUPT', `duplicate id ${describe(repeated)}: two rows have it`, { path: snapshot.folder })
  if (entries === undefined) return 0
  const known = new Set(Array.from(segments, ({ segment }) => segment))
  return entries.expectEntries(ids, { segments: known, nextSegment: meta.nextSegment })
}

/** Reads the ids of a segment in pieces. */
function eachIds(
  segment: Segment,
  of: { readonly files: SegmentFiles; readonly idType: IdType },
  take: (ids: IdsToCompare, firstRow: number) => void
): void {
  if (of.idType === 'string') eachTextIds(of.files.openColumns(segment), take)
  else
    of.files.eachIds(segment, (words, firstRow) => {
      take(decodeIds(words), firstRow)
    })
}

interface ToCheck {
  readonly options: CheckOptions
  readonly ids: readonly IdsToVerify[]
  readonly documents: DocumentCheck
  readonly changes: ChangesCheck
}

function findLeftovers(path: string, snapshot: Snapshot, foldFiles: FoldFiles): string[] {
  if (snapshot.packed !== undefined) return findPackedLeftovers(snapshot.packed)
  const catalogue = ['', '-wal', '-shm'].map((ending) => CATALOGUE_NAME + ending)
  const known = new Set([...catalogue, FOLD_LOCK_NAME, ...snapshot.files.map(fileNameOf)])
  const notes = listFolder(snapshot.folder)
    .filter((name) => !known.has(name))
    .map((name) => `${name} ${describeStranger(name, foldFiles)}`)
  return [...notes, ...findBuildsBeside(resolve(path))]
}

/** Says what a file is that is not part of the index. */
function describeStranger(name: string, { files, superseded, reservations }: FoldFiles): string {
  if (superseded.some(({ record }) => fileNameOf(record) === name))
    return 'was part of the index before a fold: the next fold removes it'
  if (files.some((record) => fileNameOf(record) === name)) return 'was added to the index while it was checked'
  const generation = parseFileName(name.replace(/\.columns$/, ''))?.generation
  return reservations.some((reserved) => reserved.generation === generation)
    ? 'is of a fold that is under way, or died: the next fold removes it'
    : 'is in the folder and not part of the index'
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    throw wrapReadError(error, folder, 'list the folder of the index')
  }
}

function findBuildsBeside(path: string): string[] {
  const notes: string[] = []
  try {
    if (existsSync(`${path}.building`)) notes.push(`${path}.building is there: a build is running, or was stopped`)
    if (existsSync(`${path}.replaced`))
      notes.push(`${path}.replaced is there: perhaps an old index whose replacement was interrupted`)
  } catch (error) {
    if (!isDenied(error)) throw error
    notes.push(`cannot look for leftovers of builds: node --permission does not allow reading ${path}.building`)
  }
  return notes
}
