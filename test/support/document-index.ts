// A small index of documents: ids that are strings, payloads, and a field of every type, with values missing and null.

import { buildIndex } from '../../src/build.ts'
import type { Fields, Metric } from '../../src/types.ts'
import { makeVectors } from './datasets.ts'

export const DOCUMENT_FIELDS: Fields = {
  path: 'string',
  size: 'number',
  draft: 'boolean',
  tags: 'string[]',
  kind: 'string'
}

export interface DocumentShape {
  readonly output: string
  readonly count: number
  readonly dim: number
  readonly metric: Metric
  readonly bits: number
  readonly ids: 'string' | 'integer'
  readonly seed: number
}

/** Characters of one to four bytes. */
const BEGINNINGS = ['', '\u00e9', '\u00e9\u20ac', '\u{1f600}', 'z\u{1f600}\u00e9']

/** The id of a row: of many lengths, ascending in no way. */
export function documentId(row: number): string {
  return `${BEGINNINGS[row % 5]}note ${(row * 7919) % 1009}.md#${row}`
}

/** An own key of this name. */
const HARMLESS: object = Object.fromEntries([['__proto__', { isAdmin: true }]])

/** Undefined: the row has none. */
export function documentPayload(row: number): Record<string, unknown> | undefined {
  if (row % 13 === 7) return undefined
  return {
    ...(row % 5 === 4 ? {} : { path: row % 11 === 3 ? null : `dir ${row % 6}/\u{1f600} ${row % 17}.md` }),
    ...(row % 7 === 6 ? {} : { size: row % 9 === 1 ? null : row * 1.5 - 100 }),
    ...(row % 4 === 3 ? {} : { draft: row % 3 === 0 }),
    ...(row % 6 === 5 ? {} : { tags: row % 10 === 8 ? [] : [`tag ${row % 8}`, `tag ${row % 3}`, 'all'] }),
    kind: `c${row % 3}`,
    constructor: row,
    ...HARMLESS,
    body: 'text '.repeat(row % 40),
    bytes: Uint8Array.of(row & 255, 0, 255),
    deep: { list: [1, [2, { three: 3 }]], none: null }
  }
}

/** Builds it; returns its vectors, row after row. */
export async function buildDocuments(of: DocumentShape): Promise<Float32Array> {
  const { output, count, dim, metric, bits, seed } = of
  const input = makeVectors('clustered', { count, dim }, seed)
  const rows = Array.from({ length: count }, (_, row) => row)
  await buildIndex({
    input,
    dim,
    metric,
    bits,
    output,
    zones: 6,
    fields: DOCUMENT_FIELDS,
    payloads: rows.map((row) => documentPayload(row) ?? {}),
    ids: of.ids === 'string' ? rows.map(documentId) : rows.map((row) => row * 3),
    model: 'a model',
    note: { of: ['the app', 1] },
    queries: input.slice(0, 40 * dim)
  })
  return input
}
