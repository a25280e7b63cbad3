// What tells clean-up which files are whose: those of the index, those that folds took out of it, and the generations
// of folds that have not published.

import { decodeFileRecords, FILE_RECORD, type FileRecord } from '../format/file-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import type { Database } from './driver.ts'
import { listReservations, removeReservation, type Reservation } from './reservations.ts'
import { readChunks } from './rows.ts'
import { listSuperseded, removeSuperseded, type SupersededFile } from './superseded.ts'

export interface FoldFiles {
  /** Of the index. */
  readonly files: readonly FileRecord[]
  readonly superseded: readonly SupersededFile[]
  readonly reservations: readonly Reservation[]
}

/** Rows that clean-up is done with. */
export interface FoldFilesDone {
  /** Numbers of superseded files. */
  readonly superseded: readonly number[]
  /** Generations. */
  readonly reservations: readonly number[]
}

/** A catalogue, in a transaction that its caller has begun. */
export interface CatalogueState {
  readonly meta: IndexMeta
  readonly path: string
}

/** Reads the files of the index by their chunks; throws ZGQ_CORRUPT. */
export function readFiles(database: Database, { meta, path }: CatalogueState): FileRecord[] {
  const catalogueBytes = Number(database.pragma('page_count')) * Number(database.pragma('page_size'))
  const bytesOf = (count: number): number => count * FILE_RECORD.byteLength
  const expected = { count: meta.fileCount, bytesOf, isDense: false, isStepped: false }
  return decodeFileRecords(readChunks(database, { table: 'files', catalogueBytes, path }, expected).records, path)
}

/** Reads all of it; throws ZGQ_CORRUPT. */
export function readFoldFiles(database: Database, state: CatalogueState): FoldFiles {
  const { meta, path } = state
  const files = readFiles(database, state)
  return {
    files,
    superseded: listSuperseded(database, { meta, live: files }, path),
    reservations: listReservations(database, meta, path)
  }
}

export function removeFoldFiles(database: Database, { superseded, reservations }: FoldFilesDone): void {
  removeSuperseded(database, superseded)
  for (const generation of reservations) removeReservation(database, generation)
}
