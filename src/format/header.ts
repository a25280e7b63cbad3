// The header page of a .zgq file (spec, section 2): encode, decode, and what makes one unacceptable. No I/O.

import { ZgqError } from '../errors.ts'
import type { Metric } from '../types.ts'
import {
  checksum,
  bytesEqual,
  ELEMENT_BYTES,
  FORMAT_VERSION,
  KNOWN_READER_FEATURES,
  METRIC_CODES,
  PAGE_BYTES
} from './layout.ts'
import { FILE_KINDS, type FileKind } from './kinds.ts'
import { struct, type RecordOf } from './struct.ts'
import { expectVersion } from './version.ts'

export const HEADER = struct(PAGE_BYTES, {
  magic: { offset: 0, type: 'bytes8' },
  version: { offset: 8, type: 'u32' },
  headerByteLength: { offset: 12, type: 'u32' },
  readerFeatures: { offset: 16, type: 'flags64' },
  writerFeatures: { offset: 24, type: 'flags64' },
  indexId: { offset: 32, type: 'bytes16' },
  generation: { offset: 48, type: 'u64' },
  shard: { offset: 56, type: 'u64' },
  dim: { offset: 64, type: 'u64' },
  elementType: { offset: 72, type: 'u32' },
  metric: { offset: 76, type: 'u32' },
  alignment: { offset: 80, type: 'u64' },
  fileByteLength: { offset: 88, type: 'u64' },
  segmentCount: { offset: 96, type: 'u64' },
  rowCount: { offset: 104, type: 'u64' },
  crc: { offset: 4092, type: 'u32' }
})

export type Header = RecordOf<typeof HEADER.fields>

/** "ZGQ", CR LF, 1A, LF and the letter of a kind: a transfer that changes line ends or stops at 1A breaks it. */
function magicOf(letter: string): Uint8Array {
  return Uint8Array.of(0x5a, 0x47, 0x51, 0x0d, 0x0a, 0x1a, 0x0a, letter.charCodeAt(0))
}

export const MAGICS: Readonly<Record<FileKind, Uint8Array>> = {
  vectors: magicOf(FILE_KINDS.vectors.letter),
  codes: magicOf(FILE_KINDS.codes.letter),
  fields: magicOf(FILE_KINDS.fields.letter),
  payload: magicOf(FILE_KINDS.payload.letter),
  ids: magicOf(FILE_KINDS.ids.letter),
  delta: magicOf(FILE_KINDS.delta.letter)
}

export const ELEMENT_TYPE_FLOAT32 = 1

/** Fields of a header that differ from file to file. */
export interface HeaderFacts {
  readonly kind: FileKind
  readonly indexId: Uint8Array
  readonly generation: number
  readonly shard: number
  readonly dim: number
  readonly metric: Metric
  readonly fileByteLength: number
  readonly segmentCount: number
  readonly rowCount: number
}

/** Encodes the header page of a data file. */
export function encodeHeader(facts: HeaderFacts): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES)
  const { kind, ...fields } = facts
  const record: Header = {
    ...fields,
    magic: MAGICS[kind],
    version: FORMAT_VERSION,
    headerByteLength: PAGE_BYTES,
    readerFeatures: 0,
    writerFeatures: 0,
    elementType: ELEMENT_TYPE_FLOAT32,
    metric: METRIC_CODES[facts.metric],
    alignment: PAGE_BYTES,
    crc: 0
  }
  HEADER.encode(record, page)
  HEADER.encode({ ...record, crc: checksum(page.subarray(0, HEADER.fields.crc.offset)) }, page)
  return page
}

/** Decodes and verifies a header page: ZGQ_CORRUPT for damage, ZGQ_UNSUPPORTED for what this version does not know. */
export function decodeHeader(page: Uint8Array, kind: FileKind, path: string): Header {
  if (!bytesEqual(page.subarray(0, 8), MAGICS[kind])) {
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `not a ${kind} file: found magic ${hex(page.subarray(0, 8))}, expected ${hex(MAGICS[kind])}`,
      { path, offset: 0 }
    )
  }
  const crcOffset = HEADER.fields.crc.offset
  const computed = checksum(page.subarray(0, crcOffset))
  const stored = new DataView(page.buffer, page.byteOffset).getUint32(crcOffset, true)
  if (computed !== stored)
    throw new ZgqError('ZGQ_CORRUPT', `header CRC is ${stored}, its bytes give ${computed}`, {
      path,
      offset: crcOffset
    })
  const refuse = (what: string): never => {
    throw new ZgqError('ZGQ_UNSUPPORTED', `this file needs another version of zgq: ${what}`, { path })
  }
  // Before anything else is decoded: a newer version may give the other fields another meaning.
  const version = new DataView(page.buffer, page.byteOffset).getUint32(HEADER.fields.version.offset, true)
  expectVersion(version, { path })
  const header = HEADER.decode(page, 0, path)
  if (header.readerFeatures !== KNOWN_READER_FEATURES) refuse(`reader features ${header.readerFeatures}`)
  if (header.elementType !== ELEMENT_TYPE_FLOAT32)
    refuse(`element type ${header.elementType}, known is 1 (float32, ${ELEMENT_BYTES} bytes)`)
  if (header.headerByteLength !== PAGE_BYTES)
    refuse(`header of ${header.headerByteLength} bytes, known is ${PAGE_BYTES}`)
  if (header.alignment !== PAGE_BYTES) refuse(`alignment ${header.alignment}, known is ${PAGE_BYTES}`)
  return header
}

/** Prints bytes as hex pairs. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
