// The values of the table `meta` of the catalogue (spec, section 7): what was decoded of MessagePack <-> objects.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import type { Metric } from '../types.ts'
import { CODE_BITS, codeWidth } from './codes.ts'
import { ELEMENT_BYTES, KNOWN_READER_FEATURES, MAX_DIM, METRIC_CODES } from './layout.ts'
import { expectVersion } from './version.ts'

/** The value under `meta` key `index`. */
export interface IndexMeta {
  readonly version: number
  readonly indexId: Uint8Array
  readonly generation: number
  readonly dim: number
  readonly metric: Metric
  readonly elementType: 'float32'
  readonly bits: number
  readonly count: number
  readonly zoneCount: number
  readonly fileCount: number
  readonly readerFeatures: number
  readonly writerFeatures: number
  readonly digest: Uint8Array
}

/** Names of the keys of `meta` value `index`, as the spec lists them. */
export const INDEX_META_KEYS = [
  'version',
  'indexId',
  'generation',
  'dim',
  'metric',
  'elementType',
  'bits',
  'count',
  'zoneCount',
  'fileCount',
  'readerFeatures',
  'writerFeatures',
  'digest'
] as const satisfies readonly (keyof IndexMeta)[]

/** The value under `meta` key `quantizer` (spec, section 8). */
export interface QuantizerMeta {
  /** Signs of the rotation: a bit a coordinate and round, lowest bit first. */
  readonly signs: Uint8Array
  /** Origin of rotated vectors: float32, dim. */
  readonly mean: Float32Array
}

export function encodeQuantizer(quantizer: QuantizerMeta): Record<string, Uint8Array> {
  const { signs, mean } = quantizer
  return { signs, mean: new Uint8Array(mean.buffer, mean.byteOffset, mean.byteLength) }
}

/** Rounds of a rotation; a writer needs 4. */
const MOST_ROUNDS = 16

/** Checks the decoded value under `meta` key `quantizer`; throws ZGQ_CORRUPT. */
export function decodeQuantizer(value: unknown, dim: number, path: string): QuantizerMeta {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "quantizer": ${what}`, { path })
  if (typeof value !== 'object' || value === null || !('signs' in value) || !('mean' in value))
    throw damage('not a map with signs and mean')
  const { signs, mean } = value
  const roundBytes = codeWidth(dim) / 8
  if (!(signs instanceof Uint8Array) || signs.byteLength === 0 || signs.byteLength % roundBytes !== 0)
    throw damage(`signs are not a multiple of ${roundBytes} bytes`)
  if (signs.byteLength > MOST_ROUNDS * roundBytes)
    throw damage(`signs are of ${signs.byteLength / roundBytes} rounds, expected ${MOST_ROUNDS} at most`)
  if (!(mean instanceof Uint8Array) || mean.byteLength !== dim * ELEMENT_BYTES)
    throw damage(`mean is not ${dim * ELEMENT_BYTES} bytes`)
  const values = new Float32Array(Uint8Array.from(mean).buffer)
  if (!values.every(Number.isFinite)) throw damage('mean is not finite')
  return { signs: Uint8Array.from(signs), mean: values }
}

/** Checks the decoded value under `meta` key `build`, facts for people; throws ZGQ_CORRUPT where it is no map. */
export function decodeBuild(value: unknown, path: string): Record<string, unknown> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ZgqError('ZGQ_CORRUPT', 'meta value "build": not a map', { path })
  return Object.fromEntries(Object.entries(value))
}

/** Checks the decoded value under `meta` key `index`; throws ZGQ_CORRUPT, or ZGQ_UNSUPPORTED for a newer format. */
export function decodeIndexMeta(value: unknown, path: string): IndexMeta {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "index": ${what}`, { path })
  if (typeof value !== 'object' || value === null) throw damage('not a map')
  const map = new Map<string, unknown>(Object.entries(value))
  const count = (key: string): number => {
    const found = map.get(key)
    if (!isCount(found)) throw damage(`${key} is ${describe(found)}, expected a count`)
    return found
  }
  const bytes = (key: string, length: number): Uint8Array => {
    const found = map.get(key)
    if (!(found instanceof Uint8Array) || found.byteLength !== length) throw damage(`${key} is not ${length} bytes`)
    return Uint8Array.from(found)
  }
  const metric = map.get('metric')
  if (!isMetric(metric)) throw damage(`metric is ${describe(metric)}, expected l2, cosine or ip`)
  const refuse = (what: string): never => {
    throw new ZgqError('ZGQ_UNSUPPORTED', `this index needs another version of zgq: ${what}`, { path })
  }
  const version = count('version')
  expectVersion(version, { path })
  if (count('readerFeatures') !== KNOWN_READER_FEATURES) refuse(`reader features ${count('readerFeatures')}`)
  if (map.get('elementType') !== 'float32') refuse(`element type ${describe(map.get('elementType'))}`)
  const bits = count('bits')
  if (!CODE_BITS.includes(bits)) refuse(`codes of ${bits} bits`)
  const dim = count('dim')
  if (dim < 1 || dim > MAX_DIM) throw damage(`dim is ${dim}, expected 1 to ${MAX_DIM}`)
  return {
    version,
    metric,
    dim,
    indexId: bytes('indexId', 16),
    generation: count('generation'),
    elementType: 'float32',
    bits,
    count: count('count'),
    zoneCount: count('zoneCount'),
    fileCount: count('fileCount'),
    readerFeatures: 0,
    writerFeatures: count('writerFeatures'),
    digest: bytes('digest', 32)
  }
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export function isMetric(value: unknown): value is Metric {
  return typeof value === 'string' && Object.hasOwn(METRIC_CODES, value)
}
