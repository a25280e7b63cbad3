// Numbers that a fold has taken before it writes a file: nobody else gives them, and what a dead fold left can be told
// from all other files (spec, section 7.8).

import { ZgqError } from '../errors.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { decodeAbout, encodeAbout, MOST_ABOUT_BYTES, type About } from './about.ts'
import type { Database } from './driver.ts'
import { isCount, rowChecksum } from './rows.ts'
import { insertStatement, RESERVATIONS_TABLE, selectStatement } from './tables.ts'

/** Numbers for one fold: as many segments and files as it asked for, from the first ones on. */
export interface ReservedNumbers {
  /** Of its files. */
  readonly generation: number
  readonly firstSegment: number
  readonly firstFile: number
}

/** A fold that is under way, or died. */
export interface Reservation extends About {
  readonly generation: number
}

/** Takes numbers in the transaction that its caller has begun; returns them, and what the index is by then. */
export function reserveNumbers(
  database: Database,
  meta: IndexMeta,
  counts: { readonly segments: number; readonly files: number }
): { readonly numbers: ReservedNumbers; readonly meta: IndexMeta } {
  const generation = meta.generation + 1
  const about = encodeAbout()
  // A row of that number is forged or damaged: no fold can have taken it.
  removeReservation(database, generation)
  database.prepare(insertStatement(RESERVATIONS_TABLE)).run(generation, about, rowChecksum([generation, about]))
  return {
    numbers: { generation, firstSegment: meta.nextSegment, firstFile: meta.nextFile },
    meta: {
      ...meta,
      generation,
      nextSegment: meta.nextSegment + counts.segments,
      nextFile: meta.nextFile + counts.files
    }
  }
}

/** Removes a row in the transaction that its caller has begun. */
export function removeReservation(database: Database, generation: number): void {
  database.prepare('DELETE FROM reservations WHERE generation = ?').run(generation)
}

/** Throws ZGQ_MISMATCH where the row is gone: somebody has taken the fold for dead, and removed its files. */
export function expectReservation(database: Database, generation: number): void {
  const found = database.prepare('SELECT generation FROM reservations WHERE generation = ?').all(generation)
  if (found.length > 0) return
  throw new ZgqError('ZGQ_MISMATCH', `the numbers of generation ${generation} are not reserved any more: fold again`)
}

/** Lists the rows; throws ZGQ_CORRUPT for the first that no writer can have made. */
export function listReservations(database: Database, meta: Pick<IndexMeta, 'generation'>, path: string): Reservation[] {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `table reservations ${what}`, { path })
  const found: Reservation[] = []
  let last = 0
  for (const row of database.prepare(selectStatement(RESERVATIONS_TABLE, MOST_ABOUT_BYTES)).iterate()) {
    const [generation, about, crc] = row
    if (!isCount(generation) || !(about instanceof Uint8Array) || rowChecksum([generation, about]) !== crc)
      throw damage('has a row that does not fit its CRC')
    if (generation <= last) throw damage(`has generation ${generation} after ${last}`)
    if (generation > meta.generation)
      throw damage(`has generation ${generation}, and the index is of ${meta.generation}`)
    found.push({ generation, ...decodeAbout(about) })
    last = generation
  }
  return found
}
