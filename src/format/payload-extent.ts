// The payload extent of a segment (spec, section 4): where the payload of each row is, a checksum of each, and the
// payloads, which are read row by row. No I/O.

import { ZgqError } from '../errors.ts'
import {
  columnsTableBytes,
  decodeEntries,
  encodeTable,
  expectColumn,
  type ColumnExtent,
  type ExtentExpectation
} from './columns.ts'
import { checksum } from './layout.ts'
import { u64At } from './u64.ts'

/** What is known of the payloads of a segment before they are written. */
export interface PayloadsToDescribe {
  readonly segment: number
  /** Of each row; 0: it has none. */
  readonly byteLengths: readonly number[]
  /** CRC of each row's bytes. */
  readonly crcs: readonly number[]
}

/** All of an extent that stands before the payloads themselves, and the length of both together. */
export interface PayloadHead {
  readonly bytes: Uint8Array
  readonly headerCrc: number
  readonly byteLength: number
}

/** Encodes what stands before the payloads. */
export function encodePayloadHead({ segment, byteLengths, crcs }: PayloadsToDescribe): PayloadHead {
  const rowCount = byteLengths.length
  const offsets = new BigUint64Array(rowCount + 1)
  let end = 0
  for (let row = 0; row < rowCount; row++) {
    end += byteLengths[row]
    offsets[row + 1] = BigInt(end)
  }
  const offsetBytes = new Uint8Array(offsets.buffer)
  const crcBytes = new Uint8Array(Uint32Array.from(crcs).buffer)
  const table = encodeTable({ segment, rowCount }, [
    { kind: 'payloadOffsets', field: 0, byteLength: offsetBytes.byteLength, crc: checksum(offsetBytes) },
    { kind: 'rowCrcs', field: 0, byteLength: crcBytes.byteLength, crc: checksum(crcBytes) },
    { kind: 'payloads', field: 0, byteLength: end, crc: 0 } // rows have their own
  ])
  const bytes = new Uint8Array(table.offsets[2])
  bytes.set(table.bytes)
  bytes.set(offsetBytes, table.offsets[0])
  bytes.set(crcBytes, table.offsets[1])
  return { bytes, headerCrc: table.headerCrc, byteLength: table.byteLength }
}

/** Where the payloads of a segment are. */
export interface PayloadTable {
  /** u64, rows + 1: from the start of the payloads. */
  readonly offsets: Uint32Array
  readonly crcs: Uint32Array
  /** Where the payloads start in the extent. */
  readonly start: number
}

/** Bytes of the start of a payload extent that `decodePayloadHead` looks at, unless other columns are there too. */
export function payloadHeadBytes(rowCount: number): number {
  return columnsTableBytes(3) + 128 + (rowCount + 1) * 8 + rowCount * 4
}

/**
 * Decodes and verifies what stands before the payloads. `read` returns bytes of the extent, which has `byteLength`.
 * Throws ZGQ_CORRUPT, and ZGQ_UNSUPPORTED for an unknown required column.
 */
export function decodePayloadHead(
  of: { readonly byteLength: number; readonly read: (offset: number, byteLength: number) => Uint8Array },
  expected: ExtentExpectation & { readonly verifiesColumns: boolean; readonly tableBytes: number }
): PayloadTable {
  const { rowCount } = expected
  const { byteLength, read } = of
  const bytes = read(0, Math.min(byteLength, expected.tableBytes))
  const entries = decodeEntries({ bytes, byteLength, kind: 'payload' }, expected)
  const offsets = expectColumn({ entries, kind: 'payloadOffsets', byteLength: (rowCount + 1) * 8 }, expected)
  const crcs = expectColumn({ entries, kind: 'rowCrcs', byteLength: rowCount * 4 }, expected)
  const payloads = expectColumn({ entries, kind: 'payloads' }, expected)
  const words = wordsOf(offsets, read)
  const table = { offsets: words, crcs: wordsOf(crcs, read), start: payloads.offset }
  if (expected.verifiesColumns) {
    expectChecksum(words, offsets, expected)
    expectChecksum(table.crcs, crcs, expected)
  }
  for (let row = 0, last = 0; row <= rowCount; row++) {
    const offset = u64At(words, row)
    if (offset < last || offset > payloads.byteLength || (row === 0 && offset !== 0))
      throw damage(expected, `payload ${row} of segment ${expected.segment} at byte ${offset}, after ${last}`)
    last = offset
  }
  return table
}

function wordsOf(column: ColumnExtent, read: (offset: number, byteLength: number) => Uint8Array): Uint32Array {
  return new Uint32Array(read(column.offset, column.byteLength).slice().buffer)
}

function expectChecksum(words: Uint32Array, column: ColumnExtent, expected: ExtentExpectation): void {
  const computed = checksum(new Uint8Array(words.buffer))
  if (computed !== column.crc)
    throw damage(expected, `a column of segment ${expected.segment} has CRC ${computed}, expected ${column.crc}`)
}

function damage(expected: ExtentExpectation, message: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path: expected.path, offset: expected.offset })
}
