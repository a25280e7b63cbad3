// Writes rows of the tables of changes, and the values of `meta` that go with them, in a transaction that somebody else
// begins and ends.

import type { ChangesMeta } from '../format/changes-record.ts'
import { encodeChangesMeta, encodeFreshId, encodeMask } from '../format/changes-record.ts'
import { encodeIndexMeta, type IndexMeta } from '../format/index-record.ts'
import type { FreshRow, MaskRow, PatchRow } from './changes.ts'
import type { Database, Statement } from './driver.ts'
import { metaChecksum, rowChecksum } from './rows.ts'
import { FRESH_TABLE, insertStatement, MASKS_TABLE, PATCHES_TABLE, type TableDeclaration } from './tables.ts'

const NO_BYTES = new Uint8Array(0)

/** The statements of a connection that writes, prepared once. */
export class ChangeRows {
  readonly #insertFresh: Statement
  readonly #removeFresh: Statement
  readonly #insertMask: Statement
  readonly #removeMask: Statement
  readonly #insertPatch: Statement
  readonly #removePatch: Statement
  readonly #putMeta: Statement

  constructor(database: Database) {
    const remove = ({ name }: TableDeclaration): Statement => database.prepare(`DELETE FROM ${name} WHERE sequence = ?`)
    this.#insertFresh = database.prepare(insertStatement(FRESH_TABLE))
    this.#removeFresh = remove(FRESH_TABLE)
    this.#insertMask = database.prepare(insertStatement(MASKS_TABLE))
    this.#removeMask = remove(MASKS_TABLE)
    this.#insertPatch = database.prepare(insertStatement(PATCHES_TABLE))
    this.#removePatch = remove(PATCHES_TABLE)
    this.#putMeta = database.prepare('REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)')
  }

  /** Returns how many bytes the rows have. */
  insertFresh(rows: Iterable<FreshRow>): number {
    let byteLength = 0
    for (const { sequence, id, vector, payload = NO_BYTES } of rows) {
      const idBytes = encodeFreshId(id)
      const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
      const crc = rowChecksum([sequence, idBytes, bytes, payload])
      this.#insertFresh.run(sequence, idBytes, bytes, payload, crc)
      byteLength += idBytes.byteLength + bytes.byteLength + payload.byteLength
    }
    return byteLength
  }

  removeFresh(sequences: Iterable<number>): void {
    for (const sequence of sequences) this.#removeFresh.run(sequence)
  }

  /** Returns how many bytes the row has. */
  putMask({ sequence, segment, rowCount, deleted }: MaskRow, previousSequence: number | undefined): number {
    if (previousSequence !== undefined) this.#removeMask.run(previousSequence)
    const bytes = encodeMask(deleted, rowCount)
    this.#insertMask.run(sequence, segment, bytes, rowChecksum([sequence, segment, bytes]))
    return bytes.byteLength
  }

  /** Returns how many bytes the row has. */
  putPatch({ sequence, segment, row, payload }: PatchRow, previousSequence: number | undefined): number {
    if (previousSequence !== undefined) this.#removePatch.run(previousSequence)
    this.#insertPatch.run(sequence, segment, row, payload, rowChecksum([sequence, segment, row, payload]))
    return payload.byteLength
  }

  removeMasks(sequences: Iterable<number>): void {
    for (const sequence of sequences) this.#removeMask.run(sequence)
  }

  removePatches(sequences: Iterable<number>): void {
    for (const sequence of sequences) this.#removePatch.run(sequence)
  }

  putIndex(meta: IndexMeta): void {
    this.#put('index', encodeIndexMeta(meta))
  }

  putChanges(meta: ChangesMeta): void {
    this.#put('changes', encodeChangesMeta(meta))
  }

  #put(key: string, value: Uint8Array): void {
    this.#putMeta.run(key, value, metaChecksum(key, value))
  }
}
