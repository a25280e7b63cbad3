// What a repair finds damaged, and what is lost by it: collected while the index is read, told in its report.

import { basename } from 'node:path'

import { systemCode, ZgqError } from '../errors.ts'
import type { Id } from '../types.ts'

/** Entries of a list in a report; what goes beyond them is counted. */
const MOST_LISTED = 1000

/** A place that was found damaged. */
export interface RepairDamage {
  /** Name of the file in the folder of the index. */
  readonly file: string
  /** Byte offset; null: of no one place. */
  readonly offset: number | null
  readonly what: string
}

/** Rows that were lost of one segment. */
export interface LostSegment {
  readonly segment: number
  /** Name of the file that they were in. */
  readonly file: string
  readonly rows: number
}

/** What could not be restored. */
export interface RepairLosses {
  /** Rows of segments that were live, as far as that is known. */
  readonly rows: number
  /** Ids of the first 1,000 of them, where they are known. */
  readonly ids: readonly Id[]
  /** The segments that they were in, 1,000 at most. */
  readonly segments: readonly LostSegment[]
  /** Rows that are restored without the payload that they had, or may have had. */
  readonly payloads: number
  /** Rows, deletions and updates that only the catalogue has: 0, or null where it is lost. */
  readonly freshRows: number | null
  readonly deletions: number | null
  readonly patches: number | null
}

/** Tells damage from what a repair must not go on with: a permission, a lock, another version. */
export function isDamage(error: unknown): error is ZgqError {
  if (!(error instanceof ZgqError)) return false
  // A sector that cannot be read is damage of the disk.
  if (error.code === 'ZGQ_IO') return systemCode(error.cause) === 'EIO'
  return ['ZGQ_CORRUPT', 'ZGQ_TRUNCATED', 'ZGQ_MISMATCH', 'ZGQ_NOT_AN_INDEX'].includes(error.code)
}

export class Losses {
  readonly #damage: RepairDamage[] = []
  #damageCount = 0
  readonly #ids: Id[] = []
  readonly #segments = new Map<number, LostSegment>()
  #rows = 0
  #payloads = 0
  /** Rows, deletions and updates that only the catalogue knew are lost with it. */
  hasCatalogue = true

  get isDamaged(): boolean {
    return this.#damageCount > 0
  }

  note(path: string, offset: number | null, what: string): void {
    this.#damageCount++
    if (this.#damage.length < MOST_LISTED) this.#damage.push({ file: basename(path), offset, what })
  }

  /** Notes an error that is damage; throws any other. */
  noteError(error: unknown, folder: string): void {
    if (!isDamage(error)) throw error
    const { path = folder, offset } = error
    this.note(path, offset ?? null, messageOf(error))
  }

  /** Runs work; undefined where it meets damage, which is noted. */
  attempt<Result>(folder: string, work: () => Result): Result | undefined {
    try {
      return work()
    } catch (error) {
      this.noteError(error, folder)
      return undefined
    }
  }

  loseRow(id: Id | undefined, of: { readonly segment: number; readonly path: string }): void {
    if (id !== undefined && this.#ids.length < MOST_LISTED) this.#ids.push(id)
    this.loseRows(1, of)
  }

  loseRows(rows: number, { segment, path }: { readonly segment: number; readonly path: string }): void {
    if (rows === 0) return
    this.#rows += rows
    const before = this.#segments.get(segment)
    if (before === undefined && this.#segments.size === MOST_LISTED) return
    this.#segments.set(segment, { segment, file: basename(path), rows: (before?.rows ?? 0) + rows })
  }

  losePayload(): void {
    this.#payloads++
  }

  get damage(): readonly RepairDamage[] {
    const more = this.#damageCount - this.#damage.length
    if (more === 0) return this.#damage
    return [...this.#damage, { file: '', offset: null, what: `${more} more places are damaged` }]
  }

  get lost(): RepairLosses {
    const changes = this.hasCatalogue ? 0 : null
    return {
      rows: this.#rows,
      ids: this.#ids,
      segments: Array.from(this.#segments.values()),
      payloads: this.#payloads,
      freshRows: changes,
      deletions: changes,
      patches: changes
    }
  }
}

/** The message of an error without the place behind it, which stands beside it. */
export function messageOf({ message, path, offset }: ZgqError): string {
  const end = path === undefined ? '' : ` (${path}${offset === undefined ? '' : ` at byte ${offset}`})`
  return end !== '' && message.endsWith(end) ? message.slice(0, -end.length) : message
}
