// Sample records of every structure of the format, and ways to damage or forge their bytes.

import { crc32 } from 'node:zlib'

import type { DirectoryRecord } from '../../src/format/directory.ts'
import type { FileRecord } from '../../src/format/file-record.ts'
import type { HeaderFacts } from '../../src/format/header.ts'
import type { IndexMeta } from '../../src/format/index-record.ts'
import { FORMAT_VERSION } from '../../src/format/layout.ts'
import type { QuantizerMeta } from '../../src/format/quantizer.ts'
import { NO_EXTENT, type SegmentRecord } from '../../src/format/segment-record.ts'
import type { Field } from '../../src/format/struct.ts'
import type { Calibration } from '../../src/types.ts'

const LARGEST = Number.MAX_SAFE_INTEGER

export const INDEX_ID = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)

export const HEADER_FACTS: HeaderFacts = {
  kind: 'vectors',
  indexId: INDEX_ID,
  generation: 3,
  shard: 2,
  dim: 3,
  metric: 'cosine',
  fileByteLength: LARGEST,
  segmentCount: 5,
  rowCount: 2 ** 33
}

/** Segments as a directory holds them, with values at the ends of their ranges. */
export const DIRECTORY_RECORDS: readonly DirectoryRecord[] = [
  {
    segment: 7,
    zone: 0,
    rowCount: 2,
    rowsOffset: 4096,
    columnsOffset: 12288,
    columnsByteLength: 200,
    columnsCrc: 0xfedc_ba98,
    minNorm: 0.1,
    maxNorm: 1e300,
    radius: 5e-324,
    centroid: Float32Array.of(1.5, -0, 3e38)
  },
  {
    segment: LARGEST,
    zone: 0xffff_ffff,
    rowCount: 2 ** 40,
    rowsOffset: 8192,
    columnsOffset: LARGEST - 4095,
    columnsByteLength: 2 ** 33,
    columnsCrc: 0,
    minNorm: 0,
    maxNorm: 0,
    radius: 0,
    centroid: Float32Array.of(0, 1e-45, -1)
  }
]

/** Segments of the catalogue, with values at the ends of their ranges, in ascending order. */
export const SEGMENTS: readonly SegmentRecord[] = [
  {
    segment: 3,
    zone: 1,
    rowCount: 1,
    minNorm: 0,
    maxNorm: 0,
    radius: 0,
    spread: 0,
    rows: { offset: 4096, byteLength: 12, file: 0xffff_ffff, crc: 0 },
    columns: { offset: 8192, byteLength: 200, file: 0xffff_ffff, crc: 0xfedc_ba98 },
    codes: NO_EXTENT,
    fields: NO_EXTENT,
    payload: NO_EXTENT
  },
  {
    segment: LARGEST,
    zone: 0,
    rowCount: 2 ** 31 - 1,
    minNorm: 5e-324,
    maxNorm: 1e300,
    radius: 0.1,
    spread: 5e-324,
    rows: { offset: LARGEST, byteLength: 2 ** 40, file: 0, crc: 0 },
    columns: { offset: LARGEST - 4095, byteLength: 2 ** 33, file: 1, crc: 0 },
    codes: { offset: 2 ** 32, byteLength: LARGEST, file: 2, crc: 0xffff_ffff },
    fields: { offset: LARGEST, byteLength: 2 ** 33, file: 0xffff_ffff, crc: 1 },
    payload: { offset: 4096, byteLength: LARGEST, file: 3, crc: 0xffff_fffe }
  }
]

export const FILE: FileRecord = {
  file: 0,
  kind: 'vectors',
  headerCrc: 0xffff_ffff,
  generation: 1,
  shard: 0,
  byteLength: 2 ** 34,
  segmentCount: 2,
  rowCount: LARGEST
}

export const INDEX_META: IndexMeta = {
  version: FORMAT_VERSION,
  indexId: INDEX_ID,
  generation: 1,
  commit: LARGEST,
  dim: 3,
  metric: 'ip',
  elementType: 'float32',
  bits: 0,
  idType: 'integer',
  count: 2 ** 40,
  zoneCount: 2,
  deltaZoneCount: 5,
  segmentCount: 3,
  fileCount: 1,
  nextSegment: LARGEST,
  nextFile: 9,
  digest: Uint8Array.from({ length: 32 }, (_, i) => i)
}

/** Of 3 dimensions: three rounds of 16 bits. */
export const QUANTIZER: QuantizerMeta = {
  flips: Uint8Array.from({ length: 6 }, (_, i) => i * 41),
  mean: Float32Array.of(0.5, -0, 3e38)
}

/** Of an index of 50 zones. */
export const CALIBRATION: Calibration = {
  source: 'queries',
  queries: 200,
  confidence: 0.95,
  highestRecall: 0.99,
  scale: 1.5,
  copies: 0.25,
  alignment: 0.125,
  gain: 0.5,
  usual: { nearestZone: 0.5, farthestZone: 7, farthestHit: 3 },
  curves: [
    {
      k: 1,
      points: [
        { recall: 0.5, threshold: 0, mean: 0, zones: 1 },
        { recall: 0.99, threshold: 0, mean: 1, zones: 50, trust: 3.5 }
      ]
    },
    { k: LARGEST, points: [{ recall: 0.99, threshold: Number.MAX_VALUE, mean: 0.9, zones: 12.5, trust: 0 }] }
  ]
}

/** Returns a copy with one bit turned over. */
export function flipped(bytes: Uint8Array, byte: number, bit: number): Uint8Array {
  const copy = bytes.slice()
  copy[byte] ^= 1 << bit
  return copy
}

/**
 * Returns a copy with a field overwritten, and where `crcOffset` is given with a CRC over all before it that fits
 * again.
 */
export function forged(bytes: Uint8Array, field: Field, value: bigint, crcOffset?: number): Uint8Array {
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  if (field.type === 'u32') view.setUint32(field.offset, Number(value), true)
  else view.setBigUint64(field.offset, value, true)
  if (crcOffset !== undefined) view.setUint32(crcOffset, crc32(copy.subarray(0, crcOffset)), true)
  return copy
}

/** Returns a copy with a float64 field overwritten. */
export function forgedDouble(bytes: Uint8Array, field: Field, value: number): Uint8Array {
  const copy = bytes.slice()
  new DataView(copy.buffer).setFloat64(field.offset, value, true)
  return copy
}

/** Names the u64 fields of a layout. */
export function u64Fields(fields: Record<string, Field>): string[] {
  return Object.keys(fields).filter((name) => fields[name].type === 'u64')
}
