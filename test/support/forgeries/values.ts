// Forged values: rows, norms, factors of codes, centroids.

import { BLOCK_FACTOR_BYTES, COLUMN } from '../forge/extent.ts'
import type { Parts } from '../forge/parts.ts'
import { of, parts, type Forgery } from './forgery.ts'

const ALL = [0, 1, 2, 3, 4, 5]
/** Bytes of the planes of a block of 8 dimensions, and of a refined row of 2 bits. */
const PLANES = 16 * 4
const REFINED = 12 + 4

const setRow =
  (value: number, segments: readonly number[]): ((found: Parts) => void) =>
  (found) => {
    for (const segment of segments) found.rows(segment)[3] = value
  }

/** Sets float32 values of factors of blocks. */
function setBlocks(found: Parts, at: readonly number[], value: number): void {
  for (const segment of ALL) {
    const planes = found.extent(segment, 'codes').column(COLUMN.planes)
    setInBlocks(planes, at, value)
  }
}

function setInBlocks(planes: DataView, at: readonly number[], value: number): void {
  for (let block = PLANES; block < planes.byteLength; block += PLANES + BLOCK_FACTOR_BYTES)
    for (const offset of at) planes.setFloat32(block + offset, value, true)
}

const CENTROIDS: readonly Forgery[] = [
  ...[NaN, Infinity, -Infinity].map((value) =>
    parts('open', `centroids: a value of ${value}`, (found) => {
      found.centroids[1][1] = value
    })
  ),
  of(
    'plain',
    parts('nobody', 'centroids of 3e38 under ip', (found) => {
      for (const values of found.centroids) values.forEach((_, i) => (values[i] = i % 2 === 0 ? 3e38 : -3e38))
    })
  ),
  ...[NaN, -Infinity].map((value) =>
    parts('check', `codes of centroids: factors of ${value}`, (found) => {
      const { buffer, byteOffset, byteLength } = found.zoneCodes
      setInBlocks(new DataView(buffer, byteOffset, byteLength), [0, 4, 8, 12], value)
    })
  ),
  parts('check', 'codes of centroids: rows that fill up a block and count', (found) => {
    const { buffer, byteOffset, byteLength } = found.zoneCodes
    setInBlocks(new DataView(buffer, byteOffset, byteLength), [31 * 4], 0)
  })
]

export const VALUES: readonly Forgery[] = [
  ...CENTROIDS,
  ...[NaN, Infinity, -Infinity].flatMap((value) => [
    parts('rows', `rows: a value of ${value}`, setRow(value, [1])),
    of('cosine', parts('rows', `rows under cosine: a value of ${value}`, setRow(value, ALL))),
    of('plain', parts('rows', `rows without codes: a value of ${value}`, setRow(value, ALL)))
  ]),
  parts('rows', 'rows: nothing but NaN', (found) => {
    for (const segment of ALL) found.rows(segment).fill(NaN)
  }),
  parts('check', 'rows: values of 3e38', (found) => {
    for (const segment of ALL) found.rows(segment).fill(3e38)
  }),
  of(
    'cosine',
    parts('rows', 'rows under cosine: one of length zero', (found) => {
      for (const segment of ALL) found.rows(segment).fill(0, 0, 8)
    })
  ),
  ...[NaN, 0, Infinity, -1].map((value) =>
    of(
      'cosine',
      parts('check', `inverse norms of ${value}`, (found) => {
        for (const segment of ALL) {
          const norms = found.extent(segment, 'vectors').column(COLUMN.inverseNorms)
          for (let at = 0; at < norms.byteLength; at += 4) norms.setFloat32(at, value, true)
        }
      })
    )
  ),
  parts('check', 'norms in the catalogue that are not those of the rows', ({ segments }) => {
    for (const record of segments) record.change({ minNorm: 0.001, maxNorm: 1e6 })
  }),
  ...[NaN, -Infinity].flatMap((value) => [
    parts('check', `planes: factors of ${value}`, (found) => {
      setBlocks(found, [0, 4, 8, 12], value)
    }),
    parts('check', `refined codes: factors of ${value}`, (found) => {
      for (const segment of ALL) {
        const codes = found.extent(segment, 'codes').column(COLUMN.refinedCodes)
        for (let at = 0; at + 12 <= codes.byteLength; at += REFINED)
          for (let i = 0; i < 3; i++) codes.setFloat32(at + i * 4, value, true)
      }
    })
  ]),
  parts('check', 'planes: spreads of NaN', (found) => {
    setBlocks(found, [256], NaN)
  }),
  parts('check', 'planes: rows that fill up a block and count', (found) => {
    setBlocks(found, [31 * 4], -1e30)
  })
]
