// Who has an index open for writing: rows that say so to whoever waits for them in vain (spec, section 7.7). Nothing
// but messages depends on them.

import { isHeld } from '../build-lock.ts'
import { ZgqError } from '../errors.ts'
import { decodeAbout, describeAbout, encodeAbout, MOST_ABOUT_BYTES, type About } from './about.ts'
import type { Database } from './driver.ts'
import { isCount, rowChecksum } from './rows.ts'
import { insertStatement, selectStatement, WRITERS_TABLE } from './tables.ts'

/** More rows are not looked at, and those of other machines that are older are removed. */
const MOST_WRITERS = 256

/** A row of the table. */
interface Writer extends About {
  readonly writer: number
}

/** Notes this process in the transaction that its caller has begun, and removes who is dead; returns its number. */
export function noteWriter(database: Database): number {
  const writers = listWriters(database)
  const remove = database.prepare('DELETE FROM writers WHERE writer = ?')
  for (const { writer, process } of writers) if (process === undefined || !isHeld(process)) remove.run(writer)
  if (writers.length === MOST_WRITERS) database.exec('DELETE FROM writers')
  const writer = writers.reduce((most, { writer: other }) => Math.max(most, other), 0) + 1
  const about = encodeAbout()
  // A row of that number that was not listed is damaged, and says nothing.
  remove.run(writer)
  database.prepare(insertStatement(WRITERS_TABLE)).run(writer, about, rowChecksum([writer, about]))
  return writer
}

/** Removes a row in the transaction that its caller has begun. */
export function removeWriter(database: Database, writer: number): void {
  database.prepare('DELETE FROM writers WHERE writer = ?').run(writer)
}

/** What is known where a lock was not had in time. */
interface Lock {
  readonly database: Database
  /** Row of who waits. */
  readonly own: number | undefined
  readonly path: string
  readonly lockTimeoutMs: number
}

/** Makes the error ZGQ_LOCKED, which lists who else has the index open for writing. */
export function lockedError({ database, own, path, lockTimeoutMs }: Lock, cause: unknown): ZgqError {
  const others = describeWriters(database, own)
  return new ZgqError(
    'ZGQ_LOCKED',
    `cannot write to the index: another writer kept it locked for ${lockTimeoutMs} ms (lockTimeoutMs); ` +
      (others.length === 0 ? 'zgq does not know which process that is' : `open for writing: ${others.join('; ')}`),
    { path, cause }
  )
}

/** Lists who else has the index open for writing, for people. */
export function describeWriters(database: Database, own: number | undefined): string[] {
  return tryListing(database).flatMap((found) => (found.writer === own ? [] : (describeAbout(found) ?? [])))
}

/** Whoever holds the lock may keep readers out, too. */
function tryListing(database: Database): Writer[] {
  try {
    return listWriters(database)
  } catch {
    return []
  }
}

/** Verifies the table; throws ZGQ_CORRUPT. */
export function checkWriters(database: Database, path: string): void {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `table writers ${what}`, { path })
  let last = 0
  for (const row of rowsOf(database)) {
    const writer = decodeWriter(row)
    if (writer === undefined) throw damage('has a row that does not fit its CRC')
    if (writer.writer <= last) throw damage(`has row ${writer.writer} after row ${last}`)
    last = writer.writer
  }
}

/** Lists the rows that can be read. */
function listWriters(database: Database): Writer[] {
  return [...rowsOf(database)].flatMap((row) => decodeWriter(row) ?? [])
}

function rowsOf(database: Database): Iterable<unknown[]> {
  return database.prepare(`${selectStatement(WRITERS_TABLE, MOST_ABOUT_BYTES)} LIMIT ?`).iterate(MOST_WRITERS)
}

function decodeWriter([writer, about, crc]: readonly unknown[]): Writer | undefined {
  if (!isCount(writer) || !(about instanceof Uint8Array) || rowChecksum([writer, about]) !== crc) return undefined
  return { writer, ...decodeAbout(about) }
}
