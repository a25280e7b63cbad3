// A catalogue that is changed row by row, without what an index does around it: who changes it keeps its counts here.

import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll } from 'vitest'

import { ChangeWriter } from '../../src/catalogue/change-writer.ts'
import type { FreshRow } from '../../src/catalogue/changes.ts'
import { loadDriver } from '../../src/catalogue/load-driver.ts'
import { readCatalogue } from '../../src/catalogue/reader.ts'
import type { KnownState } from '../../src/catalogue/refresh.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import { writeCatalogue } from '../../src/catalogue/writer.ts'
import type { SqlValue } from '../../src/catalogue/driver.ts'
import { setBit, wordCount } from '../../src/format/bitmap.ts'
import type { ChangesMeta } from '../../src/format/changes-record.ts'
import type { IndexMeta } from '../../src/format/index-record.ts'
import { CATALOGUE_NAME } from '../../src/format/layout.ts'
import type { Id, IdType, Metric } from '../../src/types.ts'
import { buildSmall, placeIn } from './small-build.ts'
import type { TempFolder } from './temp-folder.ts'

export const INDEX_ID = Uint8Array.from({ length: 16 }, (_, i) => i + 1)

/** Makes a folder with the catalogue of an index without rows. */
export function makeEmptyCatalogue(
  folder: string,
  of: { dim?: number; metric?: Metric; idType?: IdType; bits?: number; indexId?: Uint8Array } = {}
): string {
  const { dim = 3, metric = 'l2', idType = 'integer', bits = 0, indexId = INDEX_ID } = of
  mkdirSync(folder)
  writeCatalogue(join(folder, CATALOGUE_NAME), {
    meta: { indexId, generation: 1, dim, metric, bits, idType, count: 0 },
    quantizer: bits === 0 ? undefined : { flips: new Uint8Array(8), mean: new Float32Array(dim) },
    build: {},
    files: [],
    segments: [],
    centroids: new Float32Array(0),
    zoneCodes: new Uint8Array(0),
    documents: { fields: [], model: undefined, encodedNote: undefined }
  })
  return folder
}

/** Runs statements on the catalogue in a folder, as another program would. */
export function editCatalogue(folder: string, ...statements: readonly (readonly [string, ...SqlValue[]])[]): void {
  const database = loadDriver().open(join(folder, CATALOGUE_NAME), { mode: 'write' })
  try {
    for (const [sql, ...values] of statements) database.prepare(sql).run(...values)
  } finally {
    database.close()
  }
}

/** Runs a query on the catalogue in a folder. */
export function askCatalogue(folder: string, sql: string): unknown[][] {
  const database = loadDriver().open(join(folder, CATALOGUE_NAME), { mode: 'write' })
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}

/** A payload without entries. */
export const EMPTY_MAP = Uint8Array.of(0x80)

/** Names of the files beside a catalogue. */
export function logsOf(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(`${CATALOGUE_NAME}-`))
}

/** Closes after each test what is handed to the function that it returns, the last one first. */
export function closedAfterEach(): <T extends { close(): void }>(value: T) => T {
  const opened: { close(): void }[] = []
  afterEach(() => {
    for (const each of opened.splice(0).reverse()) each.close()
  })
  return (value) => {
    opened.push(value)
    return value
  }
}

/** Builds an index of 500 rows in 10 zones once; returns a function that makes a copy of it. */
export function copiesOfBuilt(temp: TempFolder): () => string {
  const { output } = placeIn(temp)
  beforeAll(() => buildSmall(output))
  return () => {
    const folder = temp.fresh('copy')
    mkdirSync(folder)
    for (const name of readdirSync(output)) copyFileSync(join(output, name), join(folder, name))
    return folder
  }
}

/** Changes rows, and counts them. */
export class Changer {
  readonly writer: ChangeWriter
  readonly #folder: string
  snapshot: Snapshot
  meta: IndexMeta
  changes: ChangesMeta
  readonly #masks = new Map<number, { sequence: number; deleted: Uint32Array }>()

  constructor(folder: string, options: { durability?: 'full' | 'batch'; lockTimeoutMs?: number } = {}) {
    const { durability = 'full', lockTimeoutMs = 2000 } = options
    this.#folder = folder
    this.snapshot = readCatalogue(folder)
    this.meta = this.snapshot.meta
    this.changes = this.snapshot.changes.meta
    const { indexId } = this.meta
    this.writer = ChangeWriter.open(folder, { indexId, durability, lockTimeoutMs })
  }

  /** What it knows by now. */
  get known(): KnownState {
    return { snapshot: this.snapshot, since: this.changes }
  }

  /** Begins, takes what others committed, does something and commits it. */
  change(work: () => void): void {
    this.writer.begin()
    try {
      this.refresh()
      work()
      this.meta = this.writer.commit({ meta: this.meta, changes: this.changes })
    } catch (error) {
      this.writer.rollback()
      throw error
    }
  }

  refresh(): void {
    const { snapshot, changes } = this.writer.read(this.known)
    if (snapshot !== undefined) this.snapshot = snapshot
    this.meta = this.writer.meta
    this.changes = changes.meta
  }

  next(): number {
    const { nextSequence } = this.changes
    this.changes = { ...this.changes, nextSequence: nextSequence + 1 }
    return nextSequence
  }

  count(by: Partial<Omit<ChangesMeta, 'nextSequence'>>): void {
    const { changes } = this
    this.changes = {
      nextSequence: changes.nextSequence,
      freshCount: changes.freshCount + (by.freshCount ?? 0),
      freshBytes: changes.freshBytes + (by.freshBytes ?? 0),
      freshRemoved: changes.freshRemoved + (by.freshRemoved ?? 0),
      deletedCount: changes.deletedCount + (by.deletedCount ?? 0),
      patchCount: changes.patchCount + (by.patchCount ?? 0),
      rowsSinceCalibration: changes.rowsSinceCalibration + (by.rowsSinceCalibration ?? 0)
    }
  }

  /** Adds fresh rows in a transaction that is under way; returns their sequences. */
  insert(
    ...rows: readonly (readonly [id: Id, vector: readonly number[], payload?: Uint8Array | undefined])[]
  ): number[] {
    const fresh = rows.map(([id, vector, payload]): FreshRow => ({
      sequence: this.next(),
      id,
      vector: Float32Array.from(vector),
      payload
    }))
    this.writer.insertFresh(fresh)
    const freshBytes = fresh.reduce((sum, row) => sum + row.vector.byteLength + (row.payload?.byteLength ?? 0), 0)
    this.count({ freshCount: fresh.length, freshBytes })
    return fresh.map(({ sequence }) => sequence)
  }

  remove(sequence: number, byteLength: number): void {
    this.writer.removeFresh([sequence])
    this.count({ freshCount: -1, freshBytes: -byteLength, freshRemoved: 1 })
  }

  deleteRow(segment: number, row: number): void {
    const { rowCount } = this.snapshot.segments.at(this.snapshot.segments.find(segment))
    const before = this.#masks.get(segment)
    const deleted = before?.deleted.slice() ?? new Uint32Array(wordCount(rowCount))
    setBit(deleted, row)
    const mask = { sequence: this.next(), segment, rowCount, deleted }
    this.writer.putMask(mask, before?.sequence)
    this.#masks.set(segment, mask)
    this.count({ deletedCount: 1 })
  }

  patch(place: { segment: number; row: number }, payload: Uint8Array, previous?: number): number {
    const sequence = this.next()
    this.writer.putPatch({ sequence, ...place, payload }, previous)
    if (previous === undefined) this.count({ patchCount: 1 })
    return sequence
  }

  /** As another process finds the index now. */
  reread(): Snapshot {
    return readCatalogue(this.#folder)
  }

  close(): void {
    this.writer.close()
  }
}
