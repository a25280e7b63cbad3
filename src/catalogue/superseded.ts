// Files that folds took out of the index: they stay for a while, for readers that opened the index before (spec,
// section 7.8).

import { ZgqError } from '../errors.ts'
import {
  decodeFileRecords,
  encodeFileRecords,
  FILE_RECORD,
  fileNameOf,
  type FileRecord
} from '../format/file-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import type { Database } from './driver.ts'
import { isCount, rowChecksum } from './rows.ts'
import { selectStatement, SUPERSEDED_TABLE } from './tables.ts'

/** A file that no segment names any more. */
export interface SupersededFile {
  readonly record: FileRecord
  /** When it was taken out of the index: milliseconds since 1970. */
  readonly since: number
}

/** Notes files in the transaction that its caller has begun. */
export function noteSuperseded(database: Database, files: readonly FileRecord[], sinceMs: number): void {
  const { name, columns } = SUPERSEDED_TABLE
  // Numbers are never given again: a row of such a number is forged.
  const put = database.prepare(`REPLACE INTO ${name} VALUES (${columns.map(() => '?').join(', ')})`)
  const since = Math.max(0, Math.round(sinceMs))
  for (const record of files) {
    const bytes = encodeFileRecords([record])
    put.run(record.file, bytes, since, rowChecksum([record.file, bytes, since]))
  }
}

/** Removes rows in the transaction that its caller has begun. */
export function removeSuperseded(database: Database, files: Iterable<number>): void {
  const remove = database.prepare('DELETE FROM superseded WHERE file = ?')
  for (const file of files) remove.run(file)
}

/**
 * Lists the rows; throws ZGQ_CORRUPT for the first that no writer can have made, such as one of a file of the index,
 * whose files are `live`.
 */
export function listSuperseded(
  database: Database,
  of: { readonly meta: Pick<IndexMeta, 'generation' | 'nextFile'>; readonly live: readonly FileRecord[] },
  path: string
): SupersededFile[] {
  const { meta, live } = of
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `table superseded ${what}`, { path })
  const numbers = new Set(live.map(({ file }) => file))
  const names = new Set(live.map(fileNameOf))
  const found: SupersededFile[] = []
  let last = -1
  for (const row of database.prepare(selectStatement(SUPERSEDED_TABLE, FILE_RECORD.byteLength)).iterate()) {
    const [file, bytes, since, crc] = row
    if (
      !isCount(file) ||
      !(bytes instanceof Uint8Array) ||
      !isCount(since) ||
      rowChecksum([file, bytes, since]) !== crc
    )
      throw damage('has a row that does not fit its CRC')
    if (file <= last) throw damage(`has file ${file} after ${last}`)
    if (bytes.byteLength !== FILE_RECORD.byteLength) throw damage(`has a record of ${bytes.byteLength} bytes`)
    const [record] = decodeFileRecords(bytes, path)
    const name = fileNameOf(record)
    if (record.file !== file || file >= meta.nextFile || record.generation > meta.generation)
      throw damage(`has file ${file} of generation ${record.generation}, which the index cannot have had`)
    if (numbers.has(file) || names.has(name)) throw damage(`has ${name}, which is a file of the index or there twice`)
    names.add(name)
    found.push({ record, since })
    last = file
  }
  return found
}
