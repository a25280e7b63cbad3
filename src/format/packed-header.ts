// The header page of a packed index (spec, section 12.1). No I/O.

import { ZgqError } from '../errors.ts'
import { bytesEqual, checksum, KNOWN_READER_FEATURES, PAGE_BYTES } from './layout.ts'
import { struct, type RecordOf } from './struct.ts'
import { expectVersion } from './version.ts'

export const PACKED_HEADER = struct(PAGE_BYTES, {
  magic: { offset: 0, type: 'bytes8' },
  version: { offset: 8, type: 'u32' },
  headerByteLength: { offset: 12, type: 'u32' },
  readerFeatures: { offset: 16, type: 'flags64' },
  indexId: { offset: 24, type: 'bytes16' },
  generation: { offset: 40, type: 'u64' },
  commit: { offset: 48, type: 'u64' },
  /** Of the file; 0: parts are files of their own. */
  fileByteLength: { offset: 56, type: 'u64' },
  /** Of the opening part, which follows the page, and of what it inflates to. */
  openingByteLength: { offset: 64, type: 'u64' },
  openedByteLength: { offset: 72, type: 'u64' },
  openingCrc: { offset: 80, type: 'u32' },
  /** Pages of the first part, which follows: who opens a file may read them with the opening part. */
  centroidPageCount: { offset: 84, type: 'u32' },
  /** SHA-256 of what the opening part inflates to. */
  digest: { offset: 88, type: 'bytes32' },
  crc: { offset: 4092, type: 'u32' }
})

export type PackedHeader = RecordOf<typeof PACKED_HEADER.fields>

/** "ZGQ", CR LF, 1A, LF, "K". */
export const PACKED_MAGIC = Uint8Array.of(0x5a, 0x47, 0x51, 0x0d, 0x0a, 0x1a, 0x0a, 0x4b)

/** An opening part is not larger: some 10 million zones. */
const MOST_OPENED_BYTES = 2 ** 30
/** What was packed inflates to so many times its length at most, and these bytes. */
const MOST_RATIO = 64
const FREE_BYTES = 2 ** 16

const CRC_OFFSET = PACKED_HEADER.fields.crc.offset

export function encodePackedHeader(
  facts: Omit<PackedHeader, 'magic' | 'headerByteLength' | 'readerFeatures' | 'crc'>
): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES)
  const record = {
    ...facts,
    magic: PACKED_MAGIC,
    headerByteLength: PAGE_BYTES,
    readerFeatures: KNOWN_READER_FEATURES,
    crc: 0
  }
  PACKED_HEADER.encode(record, page)
  PACKED_HEADER.encode({ ...record, crc: checksum(page.subarray(0, CRC_OFFSET)) }, page)
  return page
}

/** Tells whether bytes begin as a packed index does. */
export function isPacked(bytes: Uint8Array): boolean {
  return bytesEqual(bytes.subarray(0, PACKED_MAGIC.byteLength), PACKED_MAGIC)
}

/**
 * Decodes and verifies the header page: ZGQ_NOT_AN_INDEX for another file, ZGQ_TRUNCATED for less than a page,
 * ZGQ_CORRUPT for damage, ZGQ_UNSUPPORTED for what this version does not know.
 */
export function decodePackedHeader(page: Uint8Array, path: string): PackedHeader {
  if (!isPacked(page))
    throw new ZgqError('ZGQ_NOT_AN_INDEX', 'this is not a packed index, which zgq pack makes of an index', { path })
  if (page.byteLength < PAGE_BYTES)
    throw new ZgqError('ZGQ_TRUNCATED', `it ends after ${page.byteLength} bytes, in the middle of its header`, { path })
  const damage = (what: string, offset: number): ZgqError => new ZgqError('ZGQ_CORRUPT', what, { path, offset })
  const view = new DataView(page.buffer, page.byteOffset)
  const [stored, computed] = [view.getUint32(CRC_OFFSET, true), checksum(page.subarray(0, CRC_OFFSET))]
  if (computed !== stored) throw damage(`header CRC is ${stored}, its bytes give ${computed}`, CRC_OFFSET)
  // Before anything else is decoded: a newer version may give the other fields another meaning.
  expectVersion(view.getUint32(PACKED_HEADER.fields.version.offset, true), { path })
  const header = PACKED_HEADER.decode(page, 0, path)
  const refuse = (what: string): never => {
    throw new ZgqError('ZGQ_UNSUPPORTED', `this file needs another version of zgq: ${what}`, { path })
  }
  if (header.readerFeatures !== KNOWN_READER_FEATURES) refuse(`reader features ${header.readerFeatures}`)
  if (header.headerByteLength !== PAGE_BYTES)
    refuse(`header of ${header.headerByteLength} bytes, known is ${PAGE_BYTES}`)
  const { openingByteLength, openedByteLength } = header
  if (openedByteLength > MOST_OPENED_BYTES)
    refuse(`an opening part of ${openedByteLength} bytes, at most ${MOST_OPENED_BYTES}`)
  if (openedByteLength > openingByteLength * MOST_RATIO + FREE_BYTES || openingByteLength > 2 * openedByteLength)
    throw damage(
      `its opening part of ${openingByteLength} bytes cannot inflate to ${openedByteLength}`,
      PACKED_HEADER.fields.openingByteLength.offset
    )
  return header
}
