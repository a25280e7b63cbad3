// An extent as far as it can be trusted: its table as a whole, then each column by its own checksum. Columns are read
// in pieces, so that no length that a file claims decides how much memory is taken.

import { ZgqError } from '../errors.ts'
import {
  columnsTableBytes,
  decodeEntries,
  expectColumn,
  MOST_COLUMNS,
  type ColumnEntry,
  type ExtentExpectation
} from '../format/columns.ts'
import { COLUMN_KINDS, type ExtentKind } from '../format/kinds.ts'
import { checksum } from '../format/layout.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import { forEachPiece } from '../storage/extents.ts'
import type { Losses } from './losses.ts'
import type { RemainingFiles } from './remaining-files.ts'

/** A column that is whole. */
export interface RemainingColumn {
  readonly file: number
  /** In that file. */
  readonly offset: number
  readonly byteLength: number
}

export class RemainingExtent {
  readonly #files: RemainingFiles
  readonly #place: RemainingColumn
  readonly #expected: ExtentExpectation
  readonly #entries: readonly ColumnEntry[]
  readonly #whole = new Set<ColumnEntry>()

  private constructor(
    files: RemainingFiles,
    place: RemainingColumn,
    table: { readonly expected: ExtentExpectation; readonly entries: readonly ColumnEntry[] }
  ) {
    this.#files = files
    this.#place = place
    this.#expected = table.expected
    this.#entries = table.entries
  }

  /**
   * Opens an extent of a segment and verifies all of its columns, those with checksums of their own excepted. What is
   * damaged is noted; undefined: all of it, or the segment has none.
   */
  static open(
    segment: SegmentRecord,
    kind: Exclude<ExtentKind, 'rows'>,
    of: { readonly files: RemainingFiles; readonly losses: Losses }
  ): RemainingExtent | undefined {
    const { files, losses } = of
    const place = segment[kind]
    if (place.byteLength === 0 || !files.has(place.file)) return undefined
    const path = files.pathOf(place.file)
    return losses.attempt(path, () => {
      const bytes = new Uint8Array(Math.min(place.byteLength, columnsTableBytes(MOST_COLUMNS)))
      files.read(place.file, place.offset, bytes)
      const { rowCount } = segment
      const expected = { path, offset: place.offset, segment: segment.segment, rowCount, headerCrc: place.crc }
      const entries = decodeEntries({ bytes, byteLength: place.byteLength, kind }, expected)
      const extent = new RemainingExtent(files, place, { expected, entries })
      for (const entry of entries) if (entry.kind !== COLUMN_KINDS.payloads.code) extent.#verify(entry, losses)
      return extent
    })
  }

  #verify(entry: ColumnEntry, losses: Losses): void {
    const { path, offset, segment } = this.#expected
    losses.attempt(path, () => {
      let computed = 0
      forEachPiece(entry, 1, (piece) => {
        const bytes = new Uint8Array(piece.byteLength)
        this.read(piece.offset, bytes)
        computed = checksum(bytes, computed)
      })
      if (computed !== entry.crc)
        throw new ZgqError(
          'ZGQ_CORRUPT',
          `a column of kind ${entry.kind} of segment ${segment} has CRC ${computed}, expected ${entry.crc}`,
          { path, offset: offset + entry.offset }
        )
      this.#whole.add(entry)
    })
  }

  /** Copies bytes at an offset of the extent. */
  read(offset: number, target: Uint8Array): void {
    this.#files.read(this.#place.file, this.#place.offset + offset, target)
  }

  /** Returns a column of no field that is whole and, where that is given, as long. */
  column(kind: keyof typeof COLUMN_KINDS, byteLength?: number): RemainingColumn | undefined {
    const { file, offset } = this.#place
    try {
      const found = expectColumn({ entries: this.#entries, kind, byteLength }, this.#expected)
      const isWhole = this.#entries.some((entry) => entry.offset === found.offset && this.#whole.has(entry))
      return isWhole ? { file, offset: offset + found.offset, byteLength: found.byteLength } : undefined
    } catch {
      return undefined // other columns of the extent may be as they must be
    }
  }
}
