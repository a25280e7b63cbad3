// Rotation and origin, which all codes of an index share: the value under `meta` key `quantizer` (spec, section 8.1).
// No I/O.

import { ZgqError } from '../errors.ts'
import { codeWidth } from './codes.ts'
import { ELEMENT_BYTES } from './layout.ts'
import { areFinite } from './row-values.ts'
import { struct } from './struct.ts'

export const QUANTIZER_HEADER = struct(8, {
  rounds: { offset: 0, type: 'u32' },
  reserved: { offset: 4, type: 'u32' }
})

/** Rotation and origin of the codes of an index. */
export interface QuantizerMeta {
  /** Which coordinates the rotation flips: a bit a coordinate and round, lowest bit first. */
  readonly flips: Uint8Array
  /** Origin of rotated vectors: float32, dim. */
  readonly mean: Float32Array
}

/** Rounds of a rotation; a writer needs 4. */
const MOST_ROUNDS = 16

export function encodeQuantizer({ flips, mean }: QuantizerMeta): Uint8Array {
  const bytes = new Uint8Array(QUANTIZER_HEADER.byteLength + mean.byteLength + flips.byteLength)
  QUANTIZER_HEADER.encode({ rounds: (flips.byteLength * 8) / codeWidth(mean.length), reserved: 0 }, bytes)
  bytes.set(new Uint8Array(mean.buffer, mean.byteOffset, mean.byteLength), QUANTIZER_HEADER.byteLength)
  bytes.set(flips, QUANTIZER_HEADER.byteLength + mean.byteLength)
  return bytes
}

/** Decodes the quantizer of an index of `dim` dimensions; throws ZGQ_CORRUPT. */
export function decodeQuantizer(bytes: Uint8Array | undefined, dim: number, path: string): QuantizerMeta {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "quantizer": ${what}`, { path })
  if (bytes === undefined) throw damage('it is missing')
  if (bytes.byteLength < QUANTIZER_HEADER.byteLength) throw damage(`${bytes.byteLength} bytes`)
  const { rounds } = QUANTIZER_HEADER.decode(bytes, 0, path)
  if (rounds < 1 || rounds > MOST_ROUNDS) throw damage(`${rounds} rounds, expected 1 to ${MOST_ROUNDS}`)
  const meanEnd = QUANTIZER_HEADER.byteLength + dim * ELEMENT_BYTES
  const expected = meanEnd + (rounds * codeWidth(dim)) / 8
  if (bytes.byteLength !== expected) throw damage(`${bytes.byteLength} bytes, expected ${expected}`)
  const mean = bytes.slice(QUANTIZER_HEADER.byteLength, meanEnd)
  if (!areFinite(mean)) throw damage('its mean is not finite')
  return { flips: bytes.slice(meanEnd), mean: new Float32Array(mean.buffer) }
}
