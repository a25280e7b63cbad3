// Changes rows of an index that others read and write meanwhile: one connection, which its owner keeps open, and one
// transaction at a time. What is live and which ids are there is for its owner to know.

import { join } from 'node:path'

import { systemCode } from '../errors.ts'
import { decodeChangesMeta, sameChanges, type ChangesMeta } from '../format/changes-record.ts'
import type { WrittenDelta } from '../format/delta.ts'
import { decodeIndexMeta, expectChangeable, type IndexMeta } from '../format/index-record.ts'
import { bytesEqual, CATALOGUE_NAME } from '../format/layout.ts'
import { addDelta } from './add-delta.ts'
import { whileBusy } from './busy.ts'
import { expectSameFile, identifyFile, sameFile, type FileIdentity } from './catalogue-file.ts'
import { ChangeRows } from './change-rows.ts'
import { nothingChanged, type FreshRow, type MaskRow, type PatchRow } from './changes.ts'
import { Checkpoints } from './checkpoints.ts'
import { inTransaction, type Database, type Statement } from './driver.ts'
import { readFoldFiles, removeFoldFiles, type FoldFiles, type FoldFilesDone } from './fold-files.ts'
import { openForChanges, type ChangeWriterOptions } from './open-for-changes.ts'
import { publishFold, type FoldToPublish } from './publish-fold.ts'
import { expectIndex, readNewState, SchemaWatch, type KnownState, type NewState } from './refresh.ts'
import { reserveNumbers, type ReservedNumbers } from './reservations.ts'
import { prepareValue, readValue } from './rows.ts'
import { seal } from './seal.ts'
import { isBusy, wrapSqliteWriteError } from './sqlite-errors.ts'
import { lockedError, noteWriter, removeWriter } from './writers.ts'

/** How long closing waits for others, and how often it tries to seal while they are in the way. */
const CLOSE_MS = 200
const SEAL_ATTEMPTS = 3

export class ChangeWriter {
  readonly #path: string
  readonly #database: Database
  readonly #options: ChangeWriterOptions
  readonly #file: FileIdentity | undefined
  readonly #rows: ChangeRows
  readonly #schema: SchemaWatch
  readonly #checkpoints: Checkpoints
  readonly #valueOf: Statement
  /** `failed`: SQLite may have rolled back by itself, so that nothing more may be written. */
  #transaction: 'none' | 'open' | 'failed' = 'none'
  /** As the transaction found it. */
  #meta: IndexMeta | undefined
  /** Row in table writers, once it is committed. */
  #writer: number | undefined
  #isUnsynced = false
  #isClosed = false

  private constructor(path: string, database: Database, options: ChangeWriterOptions) {
    this.#path = path
    this.#database = database
    this.#options = options
    this.#file = identifyFile(path)
    this.#rows = new ChangeRows(database)
    this.#schema = new SchemaWatch(database)
    this.#checkpoints = new Checkpoints(database, path)
    this.#valueOf = prepareValue(database)
  }

  /**
   * Opens the catalogue of the index in `folder` for writing, in WAL mode. Throws ZGQ_READ_ONLY where the folder or the
   * catalogue may not be written, ZGQ_MISMATCH for another index, ZGQ_UNSUPPORTED where only a newer version may change
   * it, and on network disks, ZGQ_LOCKED where others keep it locked, ZGQ_CORRUPT and ZGQ_IO.
   */
  static open(folder: string, options: ChangeWriterOptions): ChangeWriter {
    const path = join(folder, CATALOGUE_NAME)
    return openForChanges(folder, options, (database) => new ChangeWriter(path, database, options))
  }

  /**
   * Begins a transaction: from here to its end nobody else writes. Throws ZGQ_LOCKED where others keep the index locked
   * for longer than `lockTimeoutMs`, and names them; ZGQ_MISMATCH where it was moved or replaced; ZGQ_UNSUPPORTED where
   * a newer version has made it its own meanwhile.
   */
  begin(): void {
    if (this.#transaction !== 'none') throw new Error('a transaction is under way')
    expectSameFile(this.#path, this.#file)
    try {
      whileBusy(this.#options.lockTimeoutMs, () => {
        this.#database.exec('BEGIN IMMEDIATE')
      })
    } catch (error) {
      if (!isBusy(error)) throw wrapSqliteWriteError(error, this.#path, 'begin to write')
      const { lockTimeoutMs } = this.#options
      throw lockedError({ database: this.#database, own: this.#writer, path: this.#path, lockTimeoutMs }, error)
    }
    this.#transaction = 'open'
    try {
      this.#guarded('begin to write', () => {
        this.#schema.expectOurs(this.#path)
        const index = this.#value('index')
        const meta = decodeIndexMeta(index, this.#path)
        expectChangeable(index, this.#path)
        expectIndex(meta, this.#options.indexId, this.#path)
        this.#meta = meta
      })
    } catch (error) {
      this.rollback()
      throw error
    }
  }

  /** The index record as the transaction found it: numbers may be reserved without a change of anything else. */
  get meta(): IndexMeta {
    if (this.#transaction === 'none' || this.#meta === undefined) throw new Error('no transaction is under way')
    return this.#meta
  }

  /** Reads within the transaction what others have changed. */
  read(before: KnownState): NewState {
    return this.#guarded('read what changed', () => {
      const { since, snapshot } = before
      const meta = decodeIndexMeta(this.#value('index'), this.#path)
      const changed = decodeChangesMeta(this.#value('changes'), this.#path)
      if (bytesEqual(meta.digest, snapshot.meta.digest) && sameChanges(changed, since))
        return { snapshot: undefined, changes: nothingChanged(meta.commit, changed) }
      return readNewState(this.#database, before, { path: this.#path })
    })
  }

  /** Marks where one call of several in a transaction begins; `release` or `rollbackTo` ends it. */
  savepoint(): void {
    this.#write(() => {
      this.#database.exec('SAVEPOINT call')
    })
  }

  /** Keeps what was done since the savepoint. */
  release(): void {
    this.#write(() => {
      this.#database.exec('RELEASE call')
    })
  }

  /** Undoes what was done since the savepoint, and no more. */
  rollbackTo(): void {
    this.#write(() => {
      this.#database.exec('ROLLBACK TO call')
      this.#database.exec('RELEASE call')
    })
  }

  insertFresh(rows: Iterable<FreshRow>): void {
    this.#write(() => {
      this.#checkpoints.written(this.#rows.insertFresh(rows))
    })
  }

  removeFresh(sequences: Iterable<number>): void {
    this.#write(() => {
      this.#rows.removeFresh(sequences)
    })
  }

  /** Stores the mask of a segment in the place of the one that it has. */
  putMask(mask: MaskRow, previousSequence: number | undefined): void {
    this.#write(() => {
      this.#checkpoints.written(this.#rows.putMask(mask, previousSequence))
    })
  }

  /** Stores the patch of a row in the place of the one that it has. */
  putPatch(patch: PatchRow, previousSequence: number | undefined): void {
    this.#write(() => {
      this.#checkpoints.written(this.#rows.putPatch(patch, previousSequence))
    })
  }

  removeMasks(sequences: Iterable<number>): void {
    this.#write(() => {
      this.#rows.removeMasks(sequences)
    })
  }

  removePatches(sequences: Iterable<number>): void {
    this.#write(() => {
      this.#rows.removePatches(sequences)
    })
  }

  /** Adds a delta whose file is whole and synced, as its folder is; returns what the index is by then. */
  addDelta(delta: WrittenDelta, meta: IndexMeta): IndexMeta {
    return this.#write(() => addDelta(this.#database, delta, meta))
  }

  /**
   * Puts what a fold made in the place of what it found; returns what the index is by then. Removing and storing rows
   * of changes is for its caller. Throws ZGQ_MISMATCH where its reservation is gone: its files may be, too.
   */
  publishFold(fold: FoldToPublish, meta: IndexMeta): IndexMeta {
    return this.#write(() => {
      const state = { meta: notBelow(meta, this.meta), path: this.#path }
      const published = publishFold(this.#database, fold, state)
      this.#checkpoints.written(published.byteLength)
      return published.meta
    })
  }

  /**
   * Takes numbers for the segments and files of a fold, in a transaction of its own, which is synced; throws as `begin`
   * does.
   */
  reserve(counts: { readonly segments: number; readonly files: number }): ReservedNumbers {
    return this.#alone(() => {
      const { numbers, meta } = reserveNumbers(this.#database, this.meta, counts)
      this.#rows.putIndex(meta)
      return numbers
    })
  }

  /** Reads which files are whose, in a transaction of its own; throws ZGQ_CORRUPT. */
  readFoldFiles(): FoldFiles {
    return this.#alone(() => readFoldFiles(this.#database, { meta: this.meta, path: this.#path }))
  }

  /** Removes rows whose files are gone, in a transaction of its own. */
  removeFoldFiles(done: FoldFilesDone): void {
    this.#alone(() => {
      removeFoldFiles(this.#database, done)
    })
  }

  /** Does something in a transaction of its own, which is synced whatever the durability. */
  #alone<T>(work: () => T): T {
    const isBatch = this.#options.durability === 'batch'
    if (isBatch) this.#database.pragma('synchronous = FULL')
    try {
      this.begin()
      try {
        const result = this.#write(work)
        this.#write(() => {
          this.#database.exec('COMMIT')
        })
        this.#transaction = 'none'
        return result
      } catch (error) {
        this.rollback()
        throw error
      }
    } finally {
      if (isBatch) this.#database.pragma('synchronous = NORMAL')
    }
  }

  /**
   * Ends the transaction; when this returns, everything is stored, and with durability `full` synced. Returns the meta
   * of the index, whose `commit` is one more than it was. After an error nothing is stored.
   */
  commit(state: { readonly meta: IndexMeta; readonly changes: ChangesMeta }): IndexMeta {
    const meta = { ...notBelow(state.meta, this.meta), commit: this.meta.commit + 1 }
    const noted = this.#write(() => {
      this.#rows.putChanges(state.changes)
      this.#rows.putIndex(meta)
      const writer = this.#writer ?? noteWriter(this.#database)
      this.#database.exec('COMMIT')
      return writer
    })
    this.#transaction = 'none'
    this.#writer = noted
    this.#isUnsynced = this.#options.durability === 'batch'
    return meta
  }

  /** Undoes the transaction; does nothing without one, or where SQLite has undone it already. */
  rollback(): void {
    if (this.#transaction === 'none') return
    try {
      this.#database.exec('ROLLBACK')
    } catch {
      // The failure that was thrown before has ended it.
    }
    this.#transaction = 'none'
  }

  /** Moves what was committed from the log to the catalogue where the log has grown; call it between transactions. */
  checkpoint(): void {
    this.#outside('move the log into the catalogue', () => {
      this.#checkpoints.run()
    })
  }

  /** Syncs what was committed with durability `batch`. */
  sync(): void {
    if (!this.#isUnsynced) return
    this.#outside('sync the index', () => {
      this.#commitSynced(this.#options.lockTimeoutMs, () => {
        // The row comes anew: without a page that is written there is no sync.
        if (this.#writer !== undefined) removeWriter(this.#database, this.#writer)
        this.#writer = noteWriter(this.#database)
      })
    })
    this.#isUnsynced = false
  }

  /**
   * Closes, and seals the catalogue where nobody else has it open. Undoes a transaction that is under way; what was
   * committed is never lost. A second call does nothing.
   */
  close(): void {
    if (this.#isClosed) return
    this.rollback()
    this.#isClosed = true
    try {
      this.#leave()
    } finally {
      this.#database.close()
    }
  }

  #leave(): void {
    // In the place of what was moved there may be another index, whose log is none of ours.
    const isInPlace = sameFile(this.#file, identifyFile(this.#path))
    const writer = this.#writer
    try {
      if (isInPlace && writer !== undefined) {
        this.#commitSynced(CLOSE_MS, () => {
          removeWriter(this.#database, writer)
        })
      } else if (this.#isUnsynced) this.sync()
      if (isInPlace) seal(this.#database, SEAL_ATTEMPTS)
    } catch (error) {
      // It stays unsealed, and readers take it so. But what was promised to be synced within a second must be.
      if (this.#options.durability === 'batch' && !isBusy(error))
        throw wrapSqliteWriteError(error, this.#path, 'sync the index')
    }
  }

  /** Commits something small, and by the sync of the log all that was committed before it. */
  #commitSynced(timeoutMs: number, work: () => void): void {
    this.#database.pragma('synchronous = FULL')
    try {
      whileBusy(timeoutMs, () => {
        inTransaction(this.#database, work)
      })
    } finally {
      if (this.#options.durability === 'batch') this.#database.pragma('synchronous = NORMAL')
    }
  }

  #value(key: string): Uint8Array | undefined {
    return readValue(this.#valueOf, key, this.#path)
  }

  /** Does something in the transaction. */
  #write<T>(work: () => T): T {
    return this.#guarded('write to the index', work)
  }

  #guarded<T>(doing: string, work: () => T): T {
    if (this.#transaction !== 'open')
      throw new Error(this.#transaction === 'none' ? 'no transaction is under way' : 'the transaction has failed')
    try {
      return work()
    } catch (error) {
      // What is no error of SQLite, as of rows that their iterator does not give, leaves the transaction as it is.
      if (systemCode(error) === undefined) throw error
      this.#transaction = 'failed'
      throw wrapSqliteWriteError(error, this.#path, doing)
    }
  }

  /** Does something between transactions. */
  #outside(doing: string, work: () => void): void {
    if (this.#transaction !== 'none') throw new Error('a transaction is under way')
    try {
      work()
    } catch (error) {
      throw wrapSqliteWriteError(error, this.#path, doing)
    }
  }
}

/** Numbers that were given are never given again, whatever somebody takes the index for. */
function notBelow(meta: IndexMeta, { generation, nextSegment, nextFile }: IndexMeta): IndexMeta {
  return {
    ...meta,
    generation: Math.max(meta.generation, generation),
    nextSegment: Math.max(meta.nextSegment, nextSegment),
    nextFile: Math.max(meta.nextFile, nextFile)
  }
}
