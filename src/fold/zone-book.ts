// What a fold knows of the built zones before it reads any rows: how large they are, and how much of them is gone.

import { SEGMENT_WORDS } from '../format/segment-record.ts'
import type { Segment } from '../format/segment-table.ts'
import { defaultZones } from '../build/default-zones.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { ROW_OVERHEAD } from './fold-rows.ts'

/** A built zone. */
export interface BookedZone {
  readonly zone: number
  readonly segments: readonly Segment[]
  readonly rowCount: number
  readonly deletedCount: number
  readonly patchedRows: number
  /** Bytes that its rows take in memory. */
  readonly byteLength: number
  /** Some of it lies in a file of which little is left. */
  readonly isInPoorFile: boolean
}

export interface ZoneBook {
  readonly zones: readonly BookedZone[]
  /** Segments of deltas, in the order in which they came. */
  readonly deltas: readonly Segment[]
  readonly deltaRows: number
  /** Rows of segments that are not deleted. */
  readonly liveRows: number
  /** Bytes that the rows of all segments take in memory. */
  readonly byteLength: number
  /** Rows that a zone should have. */
  readonly rowsPerZone: number
}

/** A file is poor when fewer of its rows than this part are in segments that are there, */
const POOR_FILE = 2 / 3
/** and files are looked at where those of zones have so many times the rows of the zones. */
const POOR_INDEX = 1.3

export function readBook(index: OpenIndex): ZoneBook {
  const { snapshot, context } = index
  const { meta, segments } = snapshot
  const { masks, patches } = context.documents.live
  const poor = poorFiles(index)
  const zones = Array.from({ length: meta.zoneCount }, (_, zone): BookedZone => {
    const own: Segment[] = []
    segments.ofZone(zone, (segment) => own.push(segment))
    const sum = (of: (segment: Segment) => number): number => own.reduce((total, segment) => total + of(segment), 0)
    return {
      zone,
      segments: own,
      rowCount: sum(({ rowCount }) => rowCount),
      deletedCount: sum(({ slot }) => masks.of(slot)?.count ?? 0),
      patchedRows: sum(({ slot }) => patches.of(slot)?.rows.length ?? 0),
      byteLength: sum(bytesOf),
      isInPoorFile: own.some(({ rows }) => poor.has(rows.file))
    }
  })
  const deltas = [...segments].filter(({ zone }) => zone >= meta.zoneCount)
  const liveRows = meta.count - masks.deletedCount
  const expected = liveRows + context.documents.live.fresh.count
  return {
    zones,
    deltas,
    deltaRows: deltas.reduce((rows, { rowCount }) => rows + rowCount, 0),
    liveRows,
    byteLength: [...segments].reduce((bytes, segment) => bytes + bytesOf(segment), 0),
    rowsPerZone: expected / defaultZones(Math.max(1, expected), meta.dim)
  }
}

/** Bytes that the rows of a segment take in the memory of a fold: the columns have their ids. */
export function bytesOf({ rows, columns, payload, rowCount }: Segment): number {
  return rows.byteLength + columns.byteLength + payload.byteLength + rowCount * ROW_OVERHEAD
}

function poorFiles({ snapshot }: OpenIndex): ReadonlySet<number> {
  const { files, segments } = snapshot
  const left = new Map<number, number>()
  for (let position = 0; position < segments.count; position++) {
    const { file } = segments.extent(position, 'rows')
    left.set(file, (left.get(file) ?? 0) + segments.long(position, SEGMENT_WORDS.rowCount))
  }
  const vectors = files.filter(({ kind }) => kind === 'vectors')
  const leftIn = (file: number): number => left.get(file) ?? 0
  const written = vectors.reduce((rows, { rowCount }) => rows + rowCount, 0)
  if (written < vectors.reduce((rows, { file }) => rows + leftIn(file), 0) * POOR_INDEX) return new Set()
  return new Set(vectors.filter(({ file, rowCount }) => leftIn(file) < rowCount * POOR_FILE).map(({ file }) => file))
}
