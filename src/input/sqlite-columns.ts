// Which column of a SQLite query is the vector, which the id, and how the others become payloads.

import { ZgqError } from '../errors.ts'
import type { FieldType } from '../types.ts'
import type { BatchReadOptions } from './batch-format.ts'
import { shorten } from './batch-source.ts'
import { chooseColumns, emptyPayload } from './payload-columns.ts'

/** Names of a column of vectors where several hold BLOBs. */
const VECTOR_NAMES = ['vector', 'embedding']

/** Positions of columns. */
export interface QueryColumns {
  readonly vector: number
  readonly id: number | undefined
  /** Makes the payload of a row; undefined: rows have none. */
  readonly payloadOf: ((values: readonly unknown[], row: number) => object) | undefined
}

interface Place {
  readonly path: string
  /** Values of the first row, by which BLOBs are told; undefined: there are no rows. */
  readonly first: readonly unknown[] | undefined
}

/**
 * Chooses columns. Vector: `column`, else the last of one or two, else the only BLOB, or the one that is called vector
 * or embedding. Id: `idColumn`, else the first column, unless that is the vector. Throws ZGQ_BUILD_INPUT where that
 * does not say it.
 */
export function chooseQueryColumns(names: readonly string[], options: BatchReadOptions, place: Place): QueryColumns {
  const { column, idColumn, payloadColumns } = options
  const { path } = place
  const isSaid = payloadColumns !== undefined || (column !== undefined && idColumn !== undefined)
  if (names.length > 2 && !isSaid)
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the query gives ${names.length} columns (${shorten(names.join(', '))}), expected an id and a vector, or ` +
        'a vector; the options fields and payload say which others go into the payloads',
      { path }
    )
  const idPosition = idColumn === undefined ? undefined : positionOf(names, idColumn, path)
  const vector = column === undefined ? findVector(names, idPosition, place) : positionOf(names, column, path)
  if (vector === idPosition)
    throw new ZgqError('ZGQ_BUILD_INPUT', `the column ${names[vector]} cannot be both vector and id`, { path })
  const id = idPosition ?? firstBesides(names, vector)
  const payloadOf =
    payloadColumns === undefined
      ? undefined
      : payloadMaker(
          chooseColumns(payloadColumns, names, {
            left: [names[vector], id === undefined ? undefined : names[id]],
            path
          }),
          names,
          { types: new Map(payloadColumns.fields.map(({ name, type }) => [name, type])), path }
        )
  return { vector, id, payloadOf }
}

/** Of two columns either may be the id; of more the first. */
function firstBesides(names: readonly string[], vector: number): number | undefined {
  if (vector > 0) return 0
  return names.length === 2 ? 1 : undefined
}

function findVector(names: readonly string[], id: number | undefined, { first, path }: Place): number {
  if (names.length <= 2) return id === 1 ? 0 : names.length - 1
  const blobs = [...names.keys()].filter((at) => at !== id && first?.[at] instanceof Uint8Array)
  const named = blobs.filter((at) => VECTOR_NAMES.includes(names[at].toLowerCase()))
  if (blobs.length === 1) return blobs[0]
  if (named.length === 1) return named[0]
  if (first === undefined) throw new ZgqError('ZGQ_BUILD_INPUT', 'the query gives no rows', { path })
  const found = blobs.length === 0 ? 'no column of BLOBs' : `several: ${blobs.map((at) => names[at]).join(', ')}`
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    `the query gives ${found} (columns ${shorten(names.join(', '))}); name that of the vectors with the option column`,
    { path }
  )
}

function positionOf(names: readonly string[], name: string, path: string): number {
  const [position, ...others] = [...names.keys()].filter((at) => names[at] === name)
  if (position !== undefined && others.length === 0) return position
  const found = position === undefined ? 'no column' : 'several columns'
  throw new ZgqError('ZGQ_BUILD_INPUT', `the query gives ${found} ${name}: its columns are ${names.join(', ')}`, {
    path
  })
}

function payloadMaker(
  wanted: readonly string[],
  names: readonly string[],
  of: { types: ReadonlyMap<string, FieldType>; path: string }
): (values: readonly unknown[], row: number) => object {
  const columns = wanted.map((name) => ({ name, at: names.indexOf(name), type: of.types.get(name) }))
  return (values, row) => {
    const payload = emptyPayload()
    for (const { name, at, type } of columns) {
      const value = safeNumber(values[at])
      if (typeof value === 'bigint')
        throw new ZgqError(
          'ZGQ_BUILD_INPUT',
          `row ${row} has ${String(value)} in the column ${name}, expected integers from -(2^53 - 1) to 2^53 - 1`,
          { path: of.path }
        )
      payload[name] = asField(value, type)
    }
    return payload
  }
}

/** SQLite has no booleans and no lists: 0 and 1, and JSON text, stand for them. Anything else is checked later. */
function asField(value: unknown, type: FieldType | undefined): unknown {
  if (type === 'boolean' && (value === 0 || value === 1)) return value === 1
  if (type !== 'string[]' || typeof value !== 'string') return value
  try {
    const list: unknown = JSON.parse(value)
    return list
  } catch {
    return value
  }
}

/** Integers come as bigint; beyond the safe range they stay so. */
export function safeNumber(value: unknown): unknown {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
}
