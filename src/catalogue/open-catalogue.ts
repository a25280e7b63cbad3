// Opens a catalogue for reading in whatever state it was left, and makes no file beside it. What SQLite would have to
// repair first, or would put files beside, is repaired and read in a private copy.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemCode, wrapReadError, wrapWriteError, ZgqError } from '../errors.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { pause } from './busy.ts'
import type { Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { needsRepair, wrapSqliteError } from './sqlite-errors.ts'

/** Byte 18 of a database: 2 in WAL mode (file format of SQLite, section 1.3.3). */
const WRITE_VERSION_OFFSET = 18
const WAL_VERSION = 2
/** Ends a rollback journal that names a super-journal, which is another file: none of ours does. */
const SUPER_JOURNAL_MAGIC = Buffer.from('d9d505f920a163d7', 'hex')
/** Copies take disk and time: larger catalogues are not read in one. */
const MOST_BYTES = 2 ** 30
/** The original may be for reading alone. */
const OWNER_ONLY = 0o600
/** Time for a connection to make both files of the log. */
const JOINING_MS = 10
/** How often a copy is made anew because the catalogue was changed meanwhile. */
const MOST_COPIES = 5

/** Which files of WAL mode stand beside a catalogue. */
interface Beside {
  readonly wal: boolean
  readonly shm: boolean
}

/** Reads a database; `opened` is where it is: a copy has another path than the catalogue. */
type Read<T> = (database: Database, opened: string) => T

/** Measures a database with its log: what was changed may be there alone. */
export function measureDatabase(path: string): number {
  try {
    return statSync(path).size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
  } catch (error) {
    throw wrapReadError(error, path, 'measure the catalogue')
  }
}

/** Opens the catalogue at `path`, hands it to `read` inside of one read transaction, and closes it. */
export function withCatalogue<T>(path: string, read: Read<T>): T {
  const beside = lookBesideTwice(path)
  const isShared = isJoinable(path, beside)
  // The header is read here only where nobody is in WAL mode: closing the file drops locks that SQLite has in this
  // process.
  if (!isShared && (beside.wal || isInWalMode(path))) return readCopy(path, read)
  try {
    return readInPlace(path, read)
  } catch (error) {
    if (!needsRepair(error)) throw error
    return readCopy(path, read)
  }
}

/** One file without the other: where a connection joins the log at this moment, both are there a moment later. */
function lookBesideTwice(path: string): Beside {
  const beside = lookBeside(path)
  if (beside.wal === beside.shm) return beside
  pause(JOINING_MS)
  return lookBeside(path)
}

/** Tells whether SQLite reads the catalogue with its log in place. */
export function canJoin(path: string): boolean {
  return isJoinable(path, lookBeside(path))
}

/** With both files there, a writer may be at work: SQLite alone knows, and joins it without making a file. */
function isJoinable(path: string, beside: Beside): boolean {
  return beside.wal && beside.shm && isWritable(`${path}-shm`)
}

/** Where its index of the log is for reading alone, SQLite waits long for a writer that may be dead, and gives up. */
function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function readInPlace<T>(path: string, read: Read<T>): T {
  const driver = loadDriver()
  let database: Database | undefined
  try {
    database = driver.open(path, { mode: 'read' })
    database.exec('BEGIN')
    return read(database, path)
  } catch (error) {
    throw wrapSqliteError(error, path)
  } finally {
    database?.close()
  }
}

function readCopy<T>(path: string, read: Read<T>): T {
  for (let copies = 1; ; copies++) {
    const before = stampAll(path)
    try {
      const result = readPrivately(path, read)
      if (stampAll(path) === before || copies === MOST_COPIES) return result
    } catch (error) {
      if (stampAll(path) === before || copies === MOST_COPIES) throw error
    }
  }
}

function readPrivately<T>(path: string, read: Read<T>): T {
  const folder = makeFolder()
  try {
    const copy = join(folder, CATALOGUE_NAME)
    copyCatalogue(path, copy)
    const driver = loadDriver()
    const database = driver.open(copy, { mode: 'write' })
    try {
      database.exec('BEGIN')
      return read(database, copy)
    } finally {
      database.close()
    }
  } catch (error) {
    throw wrapSqliteError(error, path)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'zgq-catalogue-'))
  } catch (error) {
    throw wrapWriteError(error, tmpdir(), 'make a folder to recover a copy of the catalogue in')
  }
}

/** Copies a catalogue with what it is to be recovered from. */
function copyCatalogue(path: string, copy: string): void {
  for (const ending of ['', '-wal', '-journal']) {
    try {
      const { size } = statSync(path + ending)
      if (size > MOST_BYTES)
        throw new ZgqError(
          'ZGQ_READ_ONLY',
          `the catalogue was left in the middle of a change, and its ${size} bytes are too many to recover it in ` +
            `a copy (at most ${MOST_BYTES}): run "PRAGMA journal_mode = DELETE" on it with sqlite3`,
          { path: path + ending }
        )
      if (ending === '-journal') refuseSuperJournal(path + ending)
      copyFileSync(path + ending, copy + ending, constants.COPYFILE_FICLONE)
      chmodSync(copy + ending, OWNER_ONLY)
    } catch (error) {
      if (ending === '' || systemCode(error) !== 'ENOENT')
        throw wrapReadError(error, path + ending, 'copy the catalogue')
    }
  }
}

/** Rolling such a journal back would read and remove a file of any name. */
export function refuseSuperJournal(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    const end = Buffer.alloc(SUPER_JOURNAL_MAGIC.length)
    const position = Math.max(0, fstatSync(descriptor).size - end.length)
    readSync(descriptor, end, { position })
    if (end.equals(SUPER_JOURNAL_MAGIC))
      throw new ZgqError('ZGQ_CORRUPT', 'the journal of the catalogue names another file, expected none', {
        path
      })
  } finally {
    closeSync(descriptor)
  }
}

/** Says what stands beside a catalogue; throws ZGQ_CORRUPT for what is no regular file. */
export function lookBeside(path: string): Beside {
  const isThere = (ending: string): boolean => {
    // A link would have a file copied, and read, from wherever it leads.
    const stats = lstatSync(path + ending, { throwIfNoEntry: false })
    if (stats !== undefined && !stats.isFile())
      throw new ZgqError('ZGQ_CORRUPT', 'this file of the catalogue is not a regular file', { path: path + ending })
    return stats !== undefined
  }
  try {
    isThere('-journal')
    return { wal: isThere('-wal'), shm: isThere('-shm') }
  } catch (error) {
    throw wrapReadError(error, path, 'look beside the catalogue')
  }
}

/** Tells whether SQLite would make files beside the catalogue by reading it. */
function isInWalMode(path: string): boolean {
  const listLogs = (): string => ['-wal', '-journal'].filter((ending) => existsSync(path + ending)).join()
  const before = listLogs()
  try {
    const descriptor = openSync(path, 'r')
    try {
      const header = new Uint8Array(WRITE_VERSION_OFFSET + 2)
      readSync(descriptor, header, { position: 0 })
      return header[WRITE_VERSION_OFFSET] === WAL_VERSION || header[WRITE_VERSION_OFFSET + 1] === WAL_VERSION
    } finally {
      // Where somebody went into WAL mode meanwhile, that may be another thread of this process, whose locks stay if
      // this file stays open. It happens hardly ever.
      if (listLogs() === before) closeSync(descriptor)
    }
  } catch (error) {
    throw wrapReadError(error, path, 'open the catalogue')
  }
}

/** Tells one state of the catalogue and what stands beside it from another. */
function stampAll(path: string): string {
  return ['', '-wal', '-journal']
    .map((ending) => statSync(path + ending, { throwIfNoEntry: false, bigint: true }))
    .map((stats) => (stats === undefined ? '-' : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`))
    .join()
}
