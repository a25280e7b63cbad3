// Reads what was changed since an index was built, or since somebody last looked: rows of the tables of changes, each
// with a sequence above all that came before it (spec, section 7.7).

import { ZgqError } from '../errors.ts'
import { countBits } from '../format/bitmap.ts'
import {
  decodeChangesMeta,
  decodeFreshId,
  decodeMask,
  maskByteLength,
  NO_CHANGES,
  sameChanges,
  type ChangesMeta
} from '../format/changes-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import { MOST_PAYLOAD_BYTES } from '../format/payload.ts'
import { areFinite, isZeroRow } from '../format/row-values.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import { MOST_ID_BYTES } from '../format/string-ids.ts'
import type { Id } from '../types.ts'
import type { Database } from './driver.ts'
import { isCount, readMeta, rowChecksum } from './rows.ts'
import { FRESH_TABLE, MASKS_TABLE, PATCHES_TABLE, selectStatement, type TableDeclaration } from './tables.ts'

/** A row that was added since the last fold. */
export interface FreshRow {
  readonly sequence: number
  readonly id: Id
  readonly vector: Float32Array
  /** MessagePack; undefined: the row has none. */
  readonly payload: Uint8Array | undefined
}

/** Which rows of a segment are deleted: all that ever were. */
export interface MaskRow {
  readonly sequence: number
  readonly segment: number
  /** Of the segment. */
  readonly rowCount: number
  /** A bitmap over its rows; 1: deleted. */
  readonly deleted: Uint32Array
}

/** The payload that a row of a segment has from now on. */
export interface PatchRow {
  readonly sequence: number
  readonly segment: number
  readonly row: number
  readonly payload: Uint8Array
}

/** What is new since some state of an index, which is all of it since NO_CHANGES. */
export interface Changes {
  readonly meta: ChangesMeta
  /** Of the index. */
  readonly commit: number
  /** In ascending order of sequence. */
  readonly fresh: readonly FreshRow[]
  /** Ascending sequences of all fresh rows that are there; undefined: none was removed. */
  readonly kept: Float64Array | undefined
  readonly masks: readonly MaskRow[]
  readonly patches: readonly PatchRow[]
}

/** What changes are read with, and held against. */
export interface ChangesPlace {
  readonly meta: IndexMeta
  readonly segments: SegmentTable
  readonly since: ChangesMeta
  readonly path: string
  /** Bytes of the catalogue and its log: no table has more. */
  readonly catalogueBytes: number
}

export function nothingChanged(commit: number, meta = NO_CHANGES): Changes {
  return { meta, commit, fresh: [], kept: undefined, masks: [], patches: [] }
}

/**
 * Reads what changed since `of.since`, in the transaction that its caller has begun. Throws ZGQ_CORRUPT, before it
 * reads more than the catalogue can hold.
 */
export function readChanges(database: Database, of: ChangesPlace): Changes {
  return readChangesTo(database, decodeChangesMeta(readMeta(database, of.path).get('changes'), of.path), of)
}

/** The same, where the record under `changes` was read before. */
export function readChangesTo(database: Database, changed: ChangesMeta, of: ChangesPlace): Changes {
  const { meta, since, path } = of
  // Of an index that says that it was never changed, the tables are looked at all the same.
  if (since.nextSequence > 1 && sameChanges(changed, since)) return nothingChanged(meta.commit, changed)
  const damage = damageOf(path)
  if (changed.nextSequence < since.nextSequence || changed.freshRemoved < since.freshRemoved)
    throw damage(`sequence ${changed.nextSequence} comes after ${since.nextSequence}`)
  if (changed.deletedCount > meta.count) throw damage(`${changed.deletedCount} of ${meta.count} rows are deleted`)
  const reader = new ChangesReader(database, changed, of)
  const kept = changed.freshRemoved === since.freshRemoved ? undefined : reader.readKept()
  const changes = {
    meta: changed,
    commit: meta.commit,
    fresh: reader.readFresh(),
    kept,
    masks: reader.readMasks(),
    patches: reader.readPatches()
  }
  expectCounts(changes, since, damage)
  return changes
}

type Damage = (what: string) => ZgqError

function damageOf(path: string): Damage {
  return (what) => new ZgqError('ZGQ_CORRUPT', `the catalogue contradicts itself: ${what}`, { path })
}

/** Holds the rows that were read against the counts of the record: all of them, or what is new. */
function expectCounts(found: Changes, since: ChangesMeta, damage: Damage): void {
  const { meta, fresh, kept, masks, patches } = found
  const freshCount = kept === undefined ? since.freshCount + fresh.length : kept.length
  if (freshCount !== meta.freshCount) throw damage(`${freshCount} fresh rows, expected ${meta.freshCount}`)
  if (patches.length > meta.patchCount) throw damage(`${patches.length} patches, expected ${meta.patchCount}`)
  const deleted = masks.reduce((sum, mask) => sum + countBits(mask.deleted), 0)
  if (deleted > meta.deletedCount) throw damage(`${deleted} deleted rows, expected ${meta.deletedCount}`)
  if (since.nextSequence > 1) return
  if (patches.length < meta.patchCount) throw damage(`${patches.length} patches, expected ${meta.patchCount}`)
  if (deleted < meta.deletedCount) throw damage(`${deleted} deleted rows, expected ${meta.deletedCount}`)
  const bytes = fresh.reduce((sum, { vector, payload }) => sum + vector.byteLength + (payload?.byteLength ?? 0), 0)
  if (bytes !== meta.freshBytes) throw damage(`${bytes} bytes of fresh rows, expected ${meta.freshBytes}`)
}

/** Reads rows of the tables of changes, in the order of their sequence, and no more of them than there may be. */
class ChangesReader {
  readonly #database: Database
  readonly #changed: ChangesMeta
  readonly #of: ChangesPlace
  /** Bytes that the tables may have yet: rows of a forged tree may share theirs. */
  #bytesLeft: number

  constructor(database: Database, changed: ChangesMeta, of: ChangesPlace) {
    this.#database = database
    this.#changed = changed
    this.#of = of
    this.#bytesLeft = of.catalogueBytes
  }

  readFresh(): FreshRow[] {
    const { meta } = this.#of
    const vectorBytes = meta.dim * ELEMENT_BYTES
    const most = Math.max(vectorBytes, MOST_PAYLOAD_BYTES, MOST_ID_BYTES)
    const found: FreshRow[] = []
    for (const [sequence, idBytes, vectorAsBytes, payload, crc] of this.#rows(FRESH_TABLE, most)) {
      const damage = this.#damageAt(FRESH_TABLE, sequence)
      if (!isBytes(idBytes) || !isBytes(vectorAsBytes) || !isBytes(payload))
        throw damage('has values of wrong types or lengths')
      if (rowChecksum([sequence, idBytes, vectorAsBytes, payload]) !== crc) throw damage('does not fit its CRC')
      if (vectorAsBytes.byteLength !== vectorBytes)
        throw damage(`has a vector of ${vectorAsBytes.byteLength} bytes, expected ${vectorBytes}`)
      this.#take(vectorAsBytes.byteLength + payload.byteLength + idBytes.byteLength, damage)
      const id = decodeFreshId(idBytes, meta.idType)
      if (id === undefined) throw damage(`has an id that is no ${meta.idType}`)
      const bytes = Uint8Array.from(vectorAsBytes) // aligned, and ours
      if (!areFinite(bytes)) throw damage('has a vector that is not finite')
      if (meta.metric === 'cosine' && isZeroRow(bytes, 0, vectorBytes)) throw damage('has a vector of length zero')
      if (found.length === this.#changed.freshCount) throw damage(`is one of more than ${found.length}`)
      found.push({
        sequence,
        id,
        vector: new Float32Array(bytes.buffer),
        payload: payload.byteLength === 0 ? undefined : Uint8Array.from(payload)
      })
    }
    return found
  }

  /** Reads the sequences of all fresh rows. */
  readKept(): Float64Array {
    const { freshCount, nextSequence } = this.#changed
    const damage = damageOf(this.#of.path)
    if (freshCount > this.#bytesLeft) throw damage(`${freshCount} fresh rows in ${this.#bytesLeft} bytes`)
    const found = new Float64Array(freshCount)
    let count = 0
    let last = 0
    const select = `SELECT sequence FROM ${FRESH_TABLE.name} ORDER BY sequence`
    for (const [sequence] of this.#database.prepare(select).iterate()) {
      if (!isCount(sequence) || sequence <= last || sequence >= nextSequence)
        throw damage(`fresh row ${String(sequence)} after ${last} and before ${nextSequence}`)
      if (count === freshCount) throw damage(`more than ${freshCount} fresh rows`)
      found[count++] = sequence
      last = sequence
    }
    return found.slice(0, count)
  }

  readMasks(): MaskRow[] {
    const { segments } = this.#of
    const found: MaskRow[] = []
    const known = new Set<number>()
    for (const [sequence, segment, bytes, crc] of this.#rows(MASKS_TABLE, maskByteLength(segments.totals.mostRows))) {
      const damage = this.#damageAt(MASKS_TABLE, sequence)
      if (!isCount(segment) || !isBytes(bytes)) throw damage('has values of wrong types or lengths')
      if (rowChecksum([sequence, segment, bytes]) !== crc) throw damage('does not fit its CRC')
      this.#take(bytes.byteLength, damage)
      const rowCount = this.#rowCountOf(segment, damage)
      if (known.has(segment)) throw damage(`is the second of segment ${segment}`)
      known.add(segment)
      if (bytes.byteLength !== maskByteLength(rowCount))
        throw damage(`has ${bytes.byteLength} bytes for ${rowCount} rows`)
      const deleted = decodeMask(bytes, rowCount)
      if (deleted === undefined) throw damage(`deletes rows past the last of segment ${segment}`)
      found.push({ sequence, segment, rowCount, deleted })
    }
    return found
  }

  readPatches(): PatchRow[] {
    const found: PatchRow[] = []
    const known = new Set<string>()
    for (const [sequence, segment, row, payload, crc] of this.#rows(PATCHES_TABLE, MOST_PAYLOAD_BYTES)) {
      const damage = this.#damageAt(PATCHES_TABLE, sequence)
      if (!isCount(segment) || !isCount(row) || !isBytes(payload)) throw damage('has values of wrong types or lengths')
      if (rowChecksum([sequence, segment, row, payload]) !== crc) throw damage('does not fit its CRC')
      this.#take(payload.byteLength, damage)
      const rowCount = this.#rowCountOf(segment, damage)
      if (row >= rowCount) throw damage(`is of row ${row} of ${rowCount}`)
      if (payload.byteLength === 0) throw damage('has no payload')
      const place = `${segment}:${row}`
      if (known.has(place)) throw damage(`is the second of row ${row} of segment ${segment}`)
      known.add(place)
      found.push({ sequence, segment, row, payload: Uint8Array.from(payload) })
    }
    return found
  }

  /** Gives the rows from `since` on, whose sequences ascend: no tree can give one of them without end. */
  *#rows(table: TableDeclaration, mostBytes: number): Iterable<[number, ...unknown[]]> {
    const { nextSequence } = this.#changed
    let last = this.#of.since.nextSequence - 1
    const select = this.#database.prepare(selectStatement(table, mostBytes, 'from'))
    for (const [sequence, ...values] of select.iterate(last + 1)) {
      if (!isCount(sequence) || sequence <= last || sequence >= nextSequence)
        throw this.#damageAt(table, sequence)(`comes after ${last}, where the next to come is ${nextSequence}`)
      last = sequence
      yield [sequence, ...values]
    }
  }

  #take(byteLength: number, damage: Damage): void {
    this.#bytesLeft -= byteLength
    if (this.#bytesLeft < 0) throw damage(`has more bytes than the catalogue, which has ${this.#of.catalogueBytes}`)
  }

  #rowCountOf(segment: number, damage: Damage): number {
    const { segments } = this.#of
    const position = segments.find(segment)
    if (position === -1) throw damage(`is of segment ${segment}, which is not there`)
    return segments.at(position).rowCount
  }

  #damageAt(table: TableDeclaration, sequence: unknown): Damage {
    const { path } = this.#of
    return (what) => new ZgqError('ZGQ_CORRUPT', `row ${String(sequence)} of table ${table.name} ${what}`, { path })
  }
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array
}
