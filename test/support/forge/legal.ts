// Changes that make another index of the same vectors: what builds do not write, and the spec allows.

import { BLOCK_FACTOR_BYTES, COLUMN, encodeExtent, type ExtentView } from './extent.ts'
import { Fields } from './fields.ts'
import type { FileKind } from './data-file.ts'
import type { Parts, SegmentFields } from './parts.ts'
import { SEGMENT_RECORD } from './structures.ts'

const BLOCK = 32

/** Some rows of a segment. */
interface Range {
  readonly from: number
  readonly to: number
}

/** The columns of an extent, for some of its rows; `from` is a multiple of 32. */
function cutColumns(extent: ExtentView, { from, to }: Range, dim: number): { kind: number; bytes: Uint8Array }[] {
  const rowCount = extent.header.get('rowCount')
  const blockBytes = Math.ceil(dim / 16) * 64 + BLOCK_FACTOR_BYTES
  return extent.entries.map((entry) => {
    const kind = entry.get('kind')
    const { buffer, byteOffset, byteLength } = extent.column(kind)
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    if (kind === COLUMN.pageCrcs) return { kind, bytes: new Uint8Array(Math.ceil(((to - from) * dim * 4) / 4096) * 4) }
    if (kind === COLUMN.planes)
      return { kind, bytes: bytes.slice((from / BLOCK) * blockBytes, Math.ceil(to / BLOCK) * blockBytes) }
    const width = byteLength / rowCount
    return { kind, bytes: bytes.slice(from * width, to * width) }
  })
}

/** Makes two segments of the one at a position: its first 32 rows, and the others under a new number. */
export function splitSegment(parts: Parts, position: number): void {
  const whole = parts.segments[position]
  const rowCount = whole.get('rowCount')
  if (rowCount <= BLOCK) throw new Error(`segment ${position} has ${rowCount} rows, too few to be split`)
  const other: SegmentFields = new Fields(SEGMENT_RECORD, whole.bytes.slice())
  other.set('segment', parts.index.get('nextSegment'))
  const rows = parts.rows(position).slice()
  const kinds = parts.bits === 0 ? (['vectors'] as const) : (['vectors', 'codes'] as const)
  const pieces = [
    { record: whole, from: 0, to: BLOCK },
    { record: other, from: BLOCK, to: rowCount }
  ].map(({ record, from, to }) => ({
    record,
    rows: rows.slice(from * parts.dim, to * parts.dim),
    extents: kinds.map((kind) => ({
      kind,
      bytes: encodeExtent(
        { segment: record.get('segment'), rowCount: to - from },
        cutColumns(parts.extent(position, kind), { from, to }, parts.dim)
      )
    }))
  }))
  parts.dropIds()
  for (const { record, rows, extents } of pieces) {
    const norms = Array.from({ length: rows.length / parts.dim }, (_, row) =>
      Math.hypot(...rows.subarray(row * parts.dim, (row + 1) * parts.dim))
    )
    record.change({
      rowCount: norms.length,
      minNorm: Math.min(...norms),
      maxNorm: Math.max(...norms),
      rowsOffset: parts.file('vectors').append(new Uint8Array(rows.buffer)),
      rowsByteLength: rows.byteLength
    })
    for (const { kind, bytes } of extents) {
      const name = kind === 'codes' ? 'codes' : 'columns'
      record.change({ [`${name}Offset`]: parts.file(kind).append(bytes), [`${name}ByteLength`]: bytes.byteLength })
    }
    parts.place(record)
  }
  parts.segments.push(other)
  for (const kind of kinds) {
    const { header, record } = parts.file(kind)
    for (const fields of [header, record])
      (fields as Fields<'segmentCount'>).set('segmentCount', record.get('segmentCount') + 1)
  }
  parts.recount()
}

/** Puts the rows of a segment into another order, their ids and codes with them. */
export function turnRows(parts: Parts, position: number): void {
  const turn = (bytes: Uint8Array, width: number): void => {
    const before = bytes.slice()
    const count = bytes.byteLength / width
    for (let i = 0; i < count; i++) bytes.set(before.subarray((count - 1 - i) * width, (count - i) * width), i * width)
  }
  const rows = parts.rows(position)
  const rowCount = parts.segments[position].get('rowCount')
  parts.dropIds()
  turn(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength), parts.dim * 4)
  const extent = parts.extent(position, 'vectors')
  for (const kind of [COLUMN.ids, COLUMN.inverseNorms]) {
    if (!extent.entries.some((entry) => entry.get('kind') === kind)) continue
    const { buffer, byteOffset, byteLength } = extent.column(kind)
    turn(new Uint8Array(buffer, byteOffset, byteLength), byteLength / rowCount)
  }
}

/** Deals all records out into chunks of so many zones, and of so many files and segments. */
export function rechunk(parts: Parts, zones: number, records: number): void {
  const blockBytes = Math.ceil(parts.dim / 16) * 64 + BLOCK_FACTOR_BYTES
  const count = parts.centroids.length
  parts.changeChunks((chunks) => {
    const centroids = Buffer.concat(parts.centroids.map((values) => new Uint8Array(values.buffer)))
    const firsts = Array.from({ length: Math.ceil(count / zones) }, (_, i) => i * zones)
    const upTo = (first: number): number => Math.min(count, first + zones)
    chunks.zones = firsts.map((first) => ({
      first,
      count: upTo(first) - first,
      records: centroids.subarray(first * parts.dim * 4, upTo(first) * parts.dim * 4)
    }))
    if (parts.bits > 0)
      chunks.zone_codes = firsts.map((first) => ({
        first,
        count: upTo(first) - first,
        records: parts.zoneCodes.subarray((first / BLOCK) * blockBytes, Math.ceil(upTo(first) / BLOCK) * blockBytes)
      }))
    chunks.files = inChunks(parts.files, 'file', records)
    chunks.segments = inChunks(parts.segments, 'segment', records)
  })
}

function inChunks<K extends string>(
  all: readonly Fields<K>[],
  number: K,
  count: number
): { first: number; count: number; records: Uint8Array }[] {
  return Array.from({ length: Math.ceil(all.length / count) }, (_, i) => {
    const some = all.slice(i * count, (i + 1) * count)
    return {
      first: some[0].get(number),
      count: some.length,
      records: Buffer.concat(some.map(({ bytes }) => bytes))
    }
  })
}

/** A file that is another one by its name and header, of a later generation. */
export function moveToGeneration(parts: Parts, kind: FileKind, generation: number): void {
  const file = parts.file(kind)
  file.header.set('generation', generation)
  file.record.set('generation', generation)
  file.name = file.name.replace(/-\d{6}-/, `-${String(generation).padStart(6, '0')}-`)
}
