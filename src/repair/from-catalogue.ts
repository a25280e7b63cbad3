// What is left of an index whose catalogue can be read: that says what there must be, and its data files are looked
// for.

import { join } from 'node:path'

import type { Snapshot } from '../catalogue/snapshot.ts'
import { checkDirectory } from '../check/check-directory.ts'
import { ChangesCheck } from '../check/check-changes.ts'
import { checkZoneCodes } from '../check/check-zone-codes.ts'
import { decodeBuildFacts } from '../format/build-facts.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { idTree } from '../format/id-tree.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { decodeNote } from '../format/note.ts'
import type { Segment } from '../format/segment-table.ts'
import { expectModel, expectNote } from '../input/index-facts.ts'
import { isPlainObject } from '../plain-object.ts'
import { checkHeaders } from '../storage/data-files.ts'
import type { DataFile } from '../storage/reader.ts'
import { verifyIds } from '../storage/verify-ids.ts'
import type { Losses } from './losses.ts'
import { findRemainingFile, RemainingFiles } from './remaining-files.ts'
import type { Remains } from './remains.ts'

const DEFAULT_SEED = 1

/** Looks at all but the rows themselves; what is damaged goes into `losses`. Its caller closes the files. */
export function remainsByCatalogue(snapshot: Snapshot, losses: Losses): Remains {
  const { folder, meta, segments, fields, changes } = snapshot
  const files = openFiles(snapshot, losses)
  try {
    checkFiles(snapshot, files, losses)
    const path = join(folder, CATALOGUE_NAME)
    losses.attempt(path, () => {
      checkZoneCodes(snapshot, path)
    })
    losses.attempt(path, () => {
      new ChangesCheck(snapshot).check()
    })
    const patches = new Map<number, Map<number, Uint8Array>>()
    for (const { segment, row, payload } of changes.patches) {
      const ofSegment = patches.get(segment) ?? new Map<number, Uint8Array>()
      patches.set(segment, ofSegment.set(row, payload))
    }
    const { hasPayloads } = segments.totals
    return {
      folder,
      meta,
      files,
      segments,
      rowCount: meta.count + changes.fresh.length,
      deleted: new Map(changes.masks.map(({ segment, deleted }) => [segment, deleted])),
      patches,
      fresh: changes.fresh,
      hasPayloads:
        hasPayloads ||
        fields.length > 0 ||
        patches.size > 0 ||
        changes.fresh.some(({ payload }) => payload !== undefined),
      fields,
      hadFields: true,
      model: losses.attempt(path, () => modelOf(snapshot)),
      note: noteOf(snapshot, path, losses),
      seed: seedOf(snapshot, path, losses),
      hasOlderRows: false,
      notes: snapshot.calibration?.source === 'queries' ? [CALIBRATED_ANEW] : []
    }
  } catch (error) {
    files.close()
    throw error
  }
}

const CALIBRATED_ANEW =
  'the index was calibrated with queries of yours; the new one is calibrated with its own rows (zgq calibrate)'

function openFiles(snapshot: Snapshot, losses: Losses): RemainingFiles {
  const found = new Map<number, DataFile>()
  const paths = new Map<number, string>()
  for (const record of snapshot.files) {
    const path = join(snapshot.folder, fileNameOf(record))
    paths.set(record.file, path)
    const file = losses.attempt(path, () => findRemainingFile(snapshot.folder, record))
    if (file === undefined) continue
    found.set(record.file, file)
    if (file.byteLength !== record.byteLength)
      losses.note(path, null, `the file has ${file.byteLength} bytes, the catalogue says ${record.byteLength}`)
  }
  return new RemainingFiles(found, paths)
}

/** Checks headers, directories and ids: none of them is needed, and a report says all that is damaged. */
function checkFiles(snapshot: Snapshot, files: RemainingFiles, losses: Losses): void {
  const { reader } = files
  const segments = new Map<number, Segment[]>()
  for (const segment of snapshot.segments)
    segments.set(segment.rows.file, [...(segments.get(segment.rows.file) ?? []), segment])
  for (const record of snapshot.files) {
    const { file, kind } = record
    if (!files.has(file) || files.byteLengthOf(file) !== record.byteLength) continue
    const path = files.pathOf(file)
    losses.attempt(path, () => {
      checkHeaders({ meta: snapshot.meta, files: [record] }, files.files, reader)
    })
    if (kind === 'vectors' || kind === 'delta')
      losses.attempt(path, () => {
        checkDirectory({ ...record, kind }, snapshot, {
          files: files.files,
          reader,
          segments: segments.get(file) ?? []
        })
      })
    if (kind === 'ids') checkIds(record, { snapshot, files, losses })
  }
}

function checkIds(
  { file, rowCount }: FileRecord,
  of: { readonly snapshot: Snapshot; readonly files: RemainingFiles; readonly losses: Losses }
): void {
  const { files, losses, snapshot } = of
  const path = files.pathOf(file)
  const { indexId } = snapshot.meta
  losses.attempt(path, () => verifyIds({ file, path, indexId, tree: idTree(rowCount), reader: files.reader }))
}

function modelOf({ model }: Snapshot): string | undefined {
  return model === undefined ? undefined : (expectModel('model', model) ?? undefined)
}

function noteOf(
  { encodedNote }: Snapshot,
  path: string,
  losses: Losses
): Readonly<Record<string, unknown>> | undefined {
  const note = losses.attempt(path, () => decodeNote(encodedNote, path))
  if (!isPlainObject(note)) return undefined
  expectNote('note', note, 'repairIndex')
  return note
}

function seedOf({ encodedBuildFacts }: Snapshot, path: string, losses: Losses): number {
  const facts = losses.attempt(path, () => decodeBuildFacts(encodedBuildFacts, path))
  const seed = facts?.['seed']
  return typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0 ? seed : DEFAULT_SEED
}
