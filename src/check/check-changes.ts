// What was changed since segments were written: which of their rows are live, and whether changed payloads are what
// filters take them for. That the rows of the tables are whole was checked when the catalogue was read.

import { join } from 'node:path'

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { countBits, hasBit } from '../format/bitmap.ts'
import { encodeStringId } from '../format/string-ids.ts'
import { faultOfValue, type DeclaredField } from '../format/fields.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { decodePayload } from '../format/payload.ts'
import type { Segment } from '../format/segment-table.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { IdsToCompare } from './repeated-ids.ts'

export class ChangesCheck {
  readonly #snapshot: Snapshot
  readonly #path: string
  /** By number of the segment. */
  readonly #deleted: ReadonlyMap<number, Uint32Array>

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
    this.#path = join(snapshot.folder, CATALOGUE_NAME)
    this.#deleted = new Map(snapshot.changes.masks.map(({ segment, deleted }) => [segment, deleted]))
  }

  /** Counts the rows that are live, fresh ones too. */
  get liveCount(): number {
    const { meta, changes } = this.#snapshot
    return meta.count - changes.meta.deletedCount + changes.fresh.length
  }

  /** Throws ZGQ_CORRUPT where counts do not fit, or a payload is none. */
  check(): void {
    const { changes } = this.#snapshot
    const { fresh, masks, patches, meta } = changes
    const deletedCount = masks.reduce((sum, { deleted }) => sum + countBits(deleted), 0)
    this.#expect('fresh rows', fresh.length, meta.freshCount)
    this.#expect('deleted rows', deletedCount, meta.deletedCount)
    this.#expect('patches', patches.length, meta.patchCount)
    for (const { id, payload } of fresh) this.#checkPayload(payload, `the fresh row ${describe(id)}`)
    const seen = new Set<string>()
    for (const { segment, row, payload } of patches) {
      const name = `row ${row} of segment ${segment}`
      if (seen.has(name)) throw this.#damage(`two patches are for ${name}`)
      seen.add(name)
      const deleted = this.#deleted.get(segment)
      if (deleted !== undefined && hasBit(deleted, row)) throw this.#damage(`a patch is for ${name}, which is deleted`)
      this.#checkPayload(payload, `the patch of ${name}`)
    }
  }

  #checkPayload(payload: Uint8Array | undefined, name: string): void {
    if (payload === undefined) return
    const decoded = decodePayload(payload, { path: this.#path })
    for (const field of this.#snapshot.fields) this.#checkField(decoded, field, name)
  }

  #checkField(payload: Record<string, unknown>, field: DeclaredField, name: string): void {
    const value = Object.hasOwn(payload, field.name) ? payload[field.name] : undefined
    const fault = faultOfValue(field.type, value)
    if (fault !== undefined) throw this.#damage(`${name}: the field ${field.name} ${fault}`)
  }

  #expect(what: string, found: number, expected: number): void {
    if (found !== expected) throw this.#damage(`there are ${found} ${what}, expected ${expected}`)
  }

  #damage(what: string): ZgqError {
    return new ZgqError('ZGQ_CORRUPT', what, { path: this.#path })
  }

  /** Leaves of some ids of a segment, from `firstRow` on, those of live rows. */
  liveOf({ segment }: Segment, ids: IdsToCompare, firstRow: number): IdsToCompare {
    const deleted = this.#deleted.get(segment)
    if (deleted === undefined) return ids
    const isLive = (_: unknown, i: number): boolean => !hasBit(deleted, firstRow + i)
    return ids instanceof Float64Array ? ids.filter(isLive) : ids.filter(isLive)
  }

  /** Ids of fresh rows. */
  freshIds(): IdsToCompare {
    const ids = this.#snapshot.changes.fresh.map(({ id }) => id)
    return this.#snapshot.meta.idType === 'integer'
      ? Float64Array.from(ids, Number)
      : ids.map((id) => encodeStringId(String(id)))
  }
}
