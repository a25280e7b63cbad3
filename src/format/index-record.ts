// The facts of an index as a whole: the record under `meta` key `index` (spec, section 7.4). No I/O.

import { ZgqError } from '../errors.ts'
import type { IdType, Metric } from '../types.ts'
import { CODE_BITS } from './codes.ts'
import { ELEMENT_TYPE_FLOAT32 } from './header.ts'
import { ID_TYPES, KNOWN_READER_FEATURES, KNOWN_WRITER_FEATURES, MAX_DIM, METRIC_CODES } from './layout.ts'
import { struct } from './struct.ts'
import { expectVersion } from './version.ts'

export const INDEX_RECORD = struct(168, {
  version: { offset: 0, type: 'u32' },
  metric: { offset: 4, type: 'u32' },
  elementType: { offset: 8, type: 'u32' },
  bits: { offset: 12, type: 'u32' },
  idType: { offset: 16, type: 'u32' },
  reserved: { offset: 20, type: 'u32' },
  readerFeatures: { offset: 24, type: 'flags64' },
  writerFeatures: { offset: 32, type: 'flags64' },
  indexId: { offset: 40, type: 'bytes16' },
  generation: { offset: 56, type: 'u64' },
  commit: { offset: 64, type: 'u64' },
  dim: { offset: 72, type: 'u64' },
  count: { offset: 80, type: 'u64' },
  zoneCount: { offset: 88, type: 'u64' },
  segmentCount: { offset: 96, type: 'u64' },
  fileCount: { offset: 104, type: 'u64' },
  nextSegment: { offset: 112, type: 'u64' },
  nextFile: { offset: 120, type: 'u64' },
  deltaZoneCount: { offset: 128, type: 'u64' },
  digest: { offset: 136, type: 'bytes32' }
})

/** Facts of an index. */
export interface IndexMeta {
  readonly version: number
  readonly indexId: Uint8Array
  /** Of the newest files; others may be older. */
  readonly generation: number
  /** Number of the last change; 0 after a build. */
  readonly commit: number
  readonly dim: number
  readonly metric: Metric
  readonly elementType: 'float32'
  readonly bits: number
  readonly idType: IdType
  readonly count: number
  /** Zones that were built. */
  readonly zoneCount: number
  /** Zones of deltas, numbered after them. */
  readonly deltaZoneCount: number
  readonly segmentCount: number
  readonly fileCount: number
  /** Numbers that the next segment and file get. */
  readonly nextSegment: number
  readonly nextFile: number
  /** Over the checksums of all chunks. */
  readonly digest: Uint8Array
}

export function encodeIndexMeta(meta: IndexMeta): Uint8Array {
  const bytes = new Uint8Array(INDEX_RECORD.byteLength)
  const record = {
    ...meta,
    metric: METRIC_CODES[meta.metric],
    elementType: ELEMENT_TYPE_FLOAT32,
    idType: ID_TYPES[meta.idType],
    readerFeatures: 0,
    writerFeatures: 0,
    reserved: 0
  }
  INDEX_RECORD.encode(record, bytes)
  return bytes
}

/** Throws ZGQ_UNSUPPORTED where a program must know more than this version before it changes the index. */
export function expectChangeable(bytes: Uint8Array | undefined, path: string): void {
  if (bytes?.byteLength !== INDEX_RECORD.byteLength) return // decoding says what is wrong
  const { writerFeatures } = INDEX_RECORD.decode(bytes, 0, path)
  if (writerFeatures === KNOWN_WRITER_FEATURES) return
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `changing this index needs a newer version of zgq: writer features ${writerFeatures}`,
    { path }
  )
}

/** Decodes the record of an index; throws ZGQ_CORRUPT, or ZGQ_UNSUPPORTED for what this version does not know. */
export function decodeIndexMeta(bytes: Uint8Array | undefined, path: string): IndexMeta {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "index": ${what}`, { path })
  if (bytes === undefined) throw damage('it is missing')
  if (bytes.byteLength !== INDEX_RECORD.byteLength)
    throw damage(`${bytes.byteLength} bytes, expected ${INDEX_RECORD.byteLength}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  expectVersion(view.getUint32(INDEX_RECORD.fields.version.offset, true), { path })
  const record = INDEX_RECORD.decode(bytes, 0, path)
  const { readerFeatures, writerFeatures: _, elementType, idType, reserved: _r, ...facts } = record
  const refuse = (what: string): never => {
    throw new ZgqError('ZGQ_UNSUPPORTED', `this index needs another version of zgq: ${what}`, { path })
  }
  if (readerFeatures !== KNOWN_READER_FEATURES) refuse(`reader features ${readerFeatures}`)
  if (elementType !== ELEMENT_TYPE_FLOAT32) refuse(`element type ${elementType}`)
  const ids = idTypeOf(idType) ?? refuse(`ids of type ${idType}`)
  if (!CODE_BITS.includes(facts.bits)) refuse(`codes of ${facts.bits} bits`)
  const metric = metricOf(facts.metric)
  if (metric === undefined) throw damage(`metric is ${facts.metric}, expected 1, 2 or 3`)
  if (facts.dim < 1 || facts.dim > MAX_DIM) throw damage(`dim is ${facts.dim}, expected 1 to ${MAX_DIM}`)
  return { ...facts, metric, elementType: 'float32', idType: ids }
}

function idTypeOf(code: number): IdType | undefined {
  const types = ['integer', 'string'] as const
  return types.find((type) => ID_TYPES[type] === code)
}

function metricOf(code: number): Metric | undefined {
  const metrics = ['l2', 'cosine', 'ip'] as const
  return metrics.find((metric) => METRIC_CODES[metric] === code)
}
