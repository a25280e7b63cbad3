// Opens a catalogue for changing rows: looks first whether that can be, then sets the connection up.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { ZgqError } from '../errors.ts'
import { findWritingRisk } from '../file-systems.ts'
import { decodeIndexMeta, expectChangeable } from '../format/index-record.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { whileBusy } from './busy.ts'
import { expectRegularFile, expectSameFile, expectWritable, identifyFile } from './catalogue-file.ts'
import type { Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { lookBeside, refuseSuperJournal } from './open-catalogue.ts'
import { expectIndex } from './refresh.ts'
import { readMeta } from './rows.ts'
import { expectCatalogue, expectSchema, standGuard } from './schema.ts'
import { SYNCED } from './seal.ts'
import { isBusy, wrapSqliteWriteError } from './sqlite-errors.ts'
import { lockedError } from './writers.ts'

/** Options of `ChangeWriter.open`. */
export interface ChangeWriterOptions {
  /** Of the index that is meant. */
  readonly indexId: Uint8Array
  /** `full`: what is committed is synced. `batch`: not before `sync` or a checkpoint. */
  readonly durability: 'full' | 'batch'
  /** How long to wait for others who write. */
  readonly lockTimeoutMs: number
  /** Write where other machines may have the index open. */
  readonly allowNetworkFileSystem?: boolean | undefined
}

/** Opens the catalogue in `folder` and hands it to `take`, whose result owns it. */
export function openForChanges<T>(folder: string, options: ChangeWriterOptions, take: (database: Database) => T): T {
  const path = join(folder, CATALOGUE_NAME)
  expectRegularFile(path)
  expectChangeableFolder(folder, options)
  lookBeside(path)
  if (existsSync(`${path}-journal`)) refuseSuperJournal(`${path}-journal`)
  const file = identifyFile(path)
  let database: Database | undefined
  try {
    database = loadDriver().open(path, { mode: 'write' })
    // Waiting is done by whileBusy, which gets its turn sooner.
    database.pragma('busy_timeout = 0')
    standGuard(database, 'write')
    setUp(database, options, path)
    const taken = take(database)
    expectSameFile(path, file)
    return taken
  } catch (error) {
    const wrapped =
      isBusy(error) && database !== undefined
        ? lockedError({ database, own: undefined, path, lockTimeoutMs: options.lockTimeoutMs }, error)
        : wrapSqliteWriteError(error, path, 'open the index for writing')
    database?.close()
    throw wrapped
  }
}

/**
 * Throws ZGQ_READ_ONLY where the index in a folder may not be written, and ZGQ_UNSUPPORTED for a disk that other
 * machines may have open: what can be known before anything is opened.
 */
export function expectChangeableFolder(
  folder: string,
  options: Pick<ChangeWriterOptions, 'allowNetworkFileSystem'>
): void {
  expectWritable(join(folder, CATALOGUE_NAME))
  expectOwnDisk(folder, options)
}

/** Throws ZGQ_UNSUPPORTED for a disk that other machines may have open. */
export function expectOwnDisk(
  folder: string,
  { allowNetworkFileSystem = false }: Pick<ChangeWriterOptions, 'allowNetworkFileSystem'>
): void {
  const risk = allowNetworkFileSystem ? undefined : findWritingRisk(folder)
  if (risk === undefined) return
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `${risk}; if no other machine has it open, allow this with allowNetworkFileSystem: true`,
    { path: folder }
  )
}

function setUp(database: Database, { indexId, durability, lockTimeoutMs }: ChangeWriterOptions, path: string): void {
  // Nothing is changed before the catalogue was looked at.
  whileBusy(lockTimeoutMs, () => {
    expectCatalogue(database, path)
    expectSchema(database, path)
    const index = readMeta(database, path).get('index')
    const meta = decodeIndexMeta(index, path)
    expectChangeable(index, path)
    expectIndex(meta, indexId, path)
  })
  const mode = whileBusy(lockTimeoutMs, () => database.pragma('journal_mode = WAL'))
  if (mode !== 'wal')
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `SQLite cannot write a log beside the catalogue here: it stays in journal mode ${String(mode)}`,
      { path }
    )
  for (const pragma of SYNCED) database.pragma(pragma)
  if (durability === 'batch') database.pragma('synchronous = NORMAL')
  database.pragma('wal_autocheckpoint = 0')
  // The first read joins the log: from here on nobody leaves WAL mode.
  whileBusy(lockTimeoutMs, () => database.prepare('SELECT count(*) FROM writers').all())
}
