// Sample records of every structure of the format, and ways to damage or forge their bytes.

import { crc32 } from 'node:zlib'

import type { CatalogueZone, FileRecord } from '../../src/format/catalogue.ts'
import type { IndexMeta } from '../../src/format/catalogue-values.ts'
import type { ZoneRecord } from '../../src/format/directory.ts'
import type { HeaderFacts } from '../../src/format/header.ts'
import { FORMAT_VERSION } from '../../src/format/layout.ts'
import type { Field } from '../../src/format/struct.ts'

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
  zoneCount: 5,
  rowCount: 2 ** 33
}

/** Zones as a directory holds them, with values at the ends of their ranges. */
export const ZONE_RECORDS: readonly ZoneRecord[] = [
  {
    zone: 0,
    segment: 7,
    rowCount: 2,
    segmentOffset: 4096,
    columnsOffset: 12288,
    columnsByteLength: 200,
    columnsCrc: 0xfedc_ba98,
    minNorm: 0.1,
    maxNorm: 1e300,
    radius: 5e-324,
    centroid: Float32Array.of(1.5, -0, 3e38)
  },
  {
    zone: 1,
    segment: LARGEST,
    rowCount: 2 ** 40,
    segmentOffset: 8192,
    columnsOffset: LARGEST - 4095,
    columnsByteLength: 2 ** 33,
    columnsCrc: 0,
    minNorm: 0,
    maxNorm: 0,
    radius: 0,
    centroid: Float32Array.of(0, 1e-45, -1)
  }
]

export const ZONES: readonly CatalogueZone[] = ZONE_RECORDS.map((record, i) => ({
  ...record,
  file: 0,
  codesFile: i,
  codesOffset: LARGEST - 4095 * i,
  codesByteLength: 2 ** 33 * i,
  codesCrc: 0xffff_ffff
}))

export const FILE: FileRecord = {
  file: 0,
  kind: 'vectors',
  name: 'vectors-000001-00000.zgq',
  byteLength: 2 ** 34,
  headerCrc: 0xffff_ffff
}

export const INDEX_META: IndexMeta = {
  version: FORMAT_VERSION,
  indexId: INDEX_ID,
  generation: 1,
  dim: 3,
  metric: 'ip',
  elementType: 'float32',
  bits: 0,
  count: 2 ** 40,
  zoneCount: 2,
  fileCount: 1,
  readerFeatures: 0,
  writerFeatures: 0,
  digest: Uint8Array.from({ length: 32 }, (_, i) => i)
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

/** Names the u64 fields of a layout. */
export function u64Fields(fields: Record<string, Field>): string[] {
  return Object.keys(fields).filter((name) => fields[name].type === 'u64')
}
