// Verifies all of a zone, without keeping anything: rows, what stands beside them, codes. For checks, and for opening
// with verify: 'open'.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import type { CatalogueZone } from '../format/catalogue.ts'
import {
  BLOCK_ROWS,
  blockBytes,
  codeWidth,
  isFilledUp,
  REFINED_FACTOR_BYTES,
  refinedRowBytes
} from '../format/codes.ts'
import { bytesEqual, ELEMENT_BYTES } from '../format/layout.ts'
import { forEachPiece, PIECE_BYTES, type OpenExtent } from './extents.ts'
import type { ZoneFiles } from './zone-files.ts'

/** Norms are computed in another order of summation than by their writer. */
const NORM_TOLERANCE = 1e-6

/** Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function verifyZone(zone: CatalogueZone, files: ZoneFiles, snapshot: Snapshot): void {
  const beside = files.openColumns(zone)
  verifyRows(zone, beside, { files, dim: snapshot.meta.dim })
  if (snapshot.meta.bits > 0) verifyCodes(zone, { beside, codes: files.openCodes(zone) }, snapshot.meta)
}

/** Reads all rows, which verifies their pages, and holds their norms against those that are stored. */
function verifyRows(zone: CatalogueZone, beside: OpenExtent, of: { files: ZoneFiles; dim: number }): void {
  const { files, dim } = of
  const rowBytes = dim * ELEMENT_BYTES
  const rowsPerPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes))
  const { inverseNorms } = beside.layout
  let least = Infinity
  let most = 0
  for (let first = 0; first < zone.rowCount; first += rowsPerPiece) {
    const rows = Math.min(rowsPerPiece, zone.rowCount - first)
    const values = new Float32Array(rows * dim)
    files.readSegment(zone, first * rowBytes, new Uint8Array(values.buffer))
    const inverses =
      inverseNorms === undefined
        ? undefined
        : new Float32Array(beside.read(inverseNorms.offset + first * ELEMENT_BYTES, rows * ELEMENT_BYTES).buffer)
    for (let row = 0; row < rows; row++) {
      const norm = normOf(values, row * dim, dim)
      least = Math.min(least, norm)
      most = Math.max(most, norm)
      if (inverses === undefined) continue
      if (norm === 0) throw damage(beside, `row ${first + row} of zone ${zone.zone} has length zero`, 0)
      if (!isNear(inverses[row], Math.fround(1 / norm)))
        throw damage(
          beside,
          `row ${first + row} of zone ${zone.zone} has another inverse norm than ${inverses[row]}`,
          inverseNorms?.offset ?? 0
        )
    }
  }
  if (!isNear(zone.minNorm, least) || !isNear(zone.maxNorm, most))
    throw damage(
      beside,
      `the norms of zone ${zone.zone} go from ${least} to ${most}, ` +
        `the catalogue says ${zone.minNorm} to ${zone.maxNorm}`,
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

/** What both extents have must be the same, factors must be numbers, and what fills up the last block must stay out. */
function verifyCodes(
  zone: CatalogueZone,
  of: { beside: OpenExtent; codes: OpenExtent },
  meta: { readonly dim: number; readonly bits: number }
): void {
  const { beside, codes } = of
  const { signs, refinedCodes } = codes.layout
  for (const { name, place, own } of [
    { name: 'ids', place: codes.layout.ids, own: beside.layout.ids },
    { name: 'page CRCs', place: codes.layout.pageCrcs, own: beside.layout.pageCrcs }
  ]) {
    forEachPiece(place, 1, ({ offset, byteLength }, at) => {
      if (!bytesEqual(codes.read(offset, byteLength), beside.read(own.offset + at, byteLength)))
        throw damage(codes, `the codes of zone ${zone.zone} have other ${name} than its rows`, offset)
    })
  }
  if (signs !== undefined) {
    const block = blockBytes(meta.dim)
    forEachPiece(signs, block, ({ offset, byteLength }) => {
      expectBlocks(codes, { offset, bytes: codes.read(offset, byteLength) }, meta.dim)
    })
    const last = codes.read(signs.offset + signs.byteLength - block, block)
    if (!isFilledUp(last, zone.rowCount, meta.dim))
      throw damage(
        codes,
        `the codes of zone ${zone.zone} have a block that is not filled up as it must be`,
        signs.offset
      )
  }
  if (refinedCodes === undefined) return
  const rowBytes = refinedRowBytes(meta.dim, meta.bits)
  forEachPiece(refinedCodes, rowBytes, ({ offset, byteLength }) => {
    const view = new DataView(codes.read(offset, byteLength).buffer)
    for (let at = 0; at < byteLength; at += rowBytes) {
      const [add, multiply, error] = [0, 4, REFINED_FACTOR_BYTES - 4].map((of) => view.getFloat32(at + of, true))
      expectFactors(codes, { add, multiply, spread: error }, offset + at)
    }
  })
}

function expectBlocks(codes: OpenExtent, blocks: { offset: number; bytes: Uint8Array }, dim: number): void {
  const { offset, bytes } = blocks
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let at = 0; at < bytes.byteLength; at += blockBytes(dim)) {
    const factors = at + codeWidth(dim) * 4
    const spread = view.getFloat32(factors + BLOCK_ROWS * 8, true)
    for (let row = 0; row < BLOCK_ROWS; row++) {
      const add = view.getFloat32(factors + row * 4, true)
      const multiply = view.getFloat32(factors + (BLOCK_ROWS + row) * 4, true)
      expectFactors(codes, { add, multiply, spread }, offset + factors + row * 4)
    }
  }
}

function expectFactors(
  codes: OpenExtent,
  factors: { add: number; multiply: number; spread: number },
  offset: number
): void {
  const { add, multiply, spread } = factors
  if (!(add > -Infinity && Number.isFinite(multiply) && spread >= 0 && spread < Infinity))
    throw damage(codes, `a code has the factors ${add}, ${multiply} and ${spread}`, offset)
}

function damage({ expected }: OpenExtent, message: string, offset: number): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path: expected.path, offset: expected.offset + offset })
}
