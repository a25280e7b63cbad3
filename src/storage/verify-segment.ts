// Verifies all of a segment, without keeping anything: rows, what stands beside them, codes. For checks, and for
// opening with verify: 'open'.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import type { Segment } from '../format/segment-table.ts'
import { areFactors, blockBytes, findBadFactors, isFilledUp, refinedRowBytes, type Factors } from '../format/codes.ts'
import { bytesEqual, ELEMENT_BYTES } from '../format/layout.ts'
import { FACTOR_ADD_AT, FACTOR_ERROR_AT, FACTOR_MULTIPLY_AT } from '../kernels/layouts.ts'
import { forEachPiece, PIECE_BYTES, type OpenExtent } from './extents.ts'
import type { SegmentFiles } from './segment-files.ts'

/** Norms are computed in another order of summation than by their writer. */
const NORM_TOLERANCE = 1e-6

/** Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function verifySegment(segment: Segment, files: SegmentFiles, snapshot: Snapshot): void {
  const beside = files.openColumns(segment)
  verifyRows(segment, beside, { files, dim: snapshot.meta.dim })
  if (snapshot.meta.bits > 0) verifyCodes(segment, { beside, codes: files.openCodes(segment) }, snapshot.meta)
}

/** Reads all rows, which verifies their pages, and holds their norms against those that are stored. */
function verifyRows(segment: Segment, beside: OpenExtent, of: { files: SegmentFiles; dim: number }): void {
  const { files, dim } = of
  const rowBytes = dim * ELEMENT_BYTES
  const rowsPerPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes))
  const { inverseNorms } = beside.layout
  let least = Infinity
  let most = 0
  for (let first = 0; first < segment.rowCount; first += rowsPerPiece) {
    const rows = Math.min(rowsPerPiece, segment.rowCount - first)
    const values = new Float32Array(rows * dim)
    files.readSegment(segment, first * rowBytes, new Uint8Array(values.buffer))
    const inverses =
      inverseNorms === undefined
        ? undefined
        : new Float32Array(beside.read(inverseNorms.offset + first * ELEMENT_BYTES, rows * ELEMENT_BYTES).buffer)
    for (let row = 0; row < rows; row++) {
      const norm = normOf(values, row * dim, dim)
      least = Math.min(least, norm)
      most = Math.max(most, norm)
      if (inverses === undefined) continue
      if (norm === 0) throw damage(beside, `row ${first + row} of segment ${segment.segment} has length zero`, 0)
      if (!isNear(inverses[row], Math.fround(1 / norm)))
        throw damage(
          beside,
          `row ${first + row} of segment ${segment.segment} has another inverse norm than ${inverses[row]}`,
          inverseNorms?.offset ?? 0
        )
    }
  }
  if (!isNear(segment.minNorm, least) || !isNear(segment.maxNorm, most))
    throw damage(
      beside,
      `the norms of segment ${segment.segment} go from ${least} to ${most}, ` +
        `the catalogue says ${segment.minNorm} to ${segment.maxNorm}`,
      0
    )
}

function normOf(values: Float32Array, start: number, dim: number): number {
  let sum = 0
  for (let i = start; i < start + dim; i++) sum += values[i] * values[i]
  return Math.sqrt(sum)
}

function isNear(stored: number, computed: number): boolean {
  return stored === computed || Math.abs(stored - computed) <= NORM_TOLERANCE * computed + 1e-44
}

/** Columns of both extents must be the same, factors must be numbers, and rows that fill up the last block stay out. */
function verifyCodes(
  segment: Segment,
  of: { beside: OpenExtent; codes: OpenExtent },
  meta: { readonly dim: number; readonly bits: number }
): void {
  const { beside, codes } = of
  const { planes, refinedCodes } = codes.layout
  for (const { name, copy, own } of [
    { name: 'ids', copy: codes.layout.ids, own: beside.layout.ids },
    { name: 'page CRCs', copy: codes.layout.pageCrcs, own: beside.layout.pageCrcs }
  ]) {
    if (copy === undefined || own === undefined) continue
    forEachPiece(copy, 1, ({ offset, byteLength }, at) => {
      if (!bytesEqual(codes.read(offset, byteLength), beside.read(own.offset + at, byteLength)))
        throw damage(codes, `the codes of segment ${segment.segment} have other ${name} than its rows`, offset)
    })
  }
  if (planes !== undefined) {
    const block = blockBytes(meta.dim)
    forEachPiece(planes, block, ({ offset, byteLength }) => {
      const bad = findBadFactors(codes.read(offset, byteLength), meta.dim)
      if (bad !== undefined) throw damage(codes, describeFactors(bad), offset + bad.offset)
    })
    const last = codes.read(planes.offset + planes.byteLength - block, block)
    if (!isFilledUp(last, segment.rowCount, meta.dim))
      throw damage(
        codes,
        `the codes of segment ${segment.segment} have a block whose unused places are wrong`,
        planes.offset
      )
  }
  if (refinedCodes === undefined) return
  const rowBytes = refinedRowBytes(meta.dim, meta.bits)
  forEachPiece(refinedCodes, rowBytes, ({ offset, byteLength }) => {
    const view = new DataView(codes.read(offset, byteLength).buffer)
    for (let at = 0; at < byteLength; at += rowBytes) {
      const [add, multiply, error] = [FACTOR_ADD_AT, FACTOR_MULTIPLY_AT, FACTOR_ERROR_AT].map((of) =>
        view.getFloat32(at + of, true)
      )
      const factors = { add, multiply, spread: error }
      if (!areFactors(factors)) throw damage(codes, describeFactors(factors), offset + at)
    }
  })
}

function describeFactors({ add, multiply, spread }: Factors): string {
  return `a code has the factors ${add}, ${multiply} and ${spread}`
}

function damage({ expected }: OpenExtent, message: string, offset: number): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path: expected.path, offset: expected.offset + offset })
}
