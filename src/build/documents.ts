// What rows of the input have besides vectors, by their number: ids of either kind, payloads and fields, as the first
// stage spooled them. The stage that writes shards looks them up here.

import { join } from 'node:path'

import { decodeFieldValues } from '../input/field-values.ts'
import { BlobSpool } from '../input/blob-spool.ts'
import type { IdSource } from '../input/row-source.ts'
import type { FieldValue, IdType } from '../types.ts'
import { openStoredIds } from './input.ts'
import { SPOOLED_FIELDS, SPOOLED_PAYLOADS, SPOOLED_TEXTS, type Site } from './site.ts'

/** Ids of rows; string ids as their bytes of UTF-8. */
export type DocumentIds =
  | { readonly idType: 'integer'; ids(rows: ArrayLike<number>): Float64Array }
  | { readonly idType: 'string'; ids(rows: ArrayLike<number>): Uint8Array[] }

/** The documents of a build. Rows are asked for by their numbers in the input, in any order; ascending is fastest. */
export type Documents = DocumentIds & {
  readonly idType: IdType
  /** Length of the payload of a row; 0: it has none. */
  payloadByteLength(row: number): number
  /** CRC-32 of it. */
  payloadCrc(row: number): number
  /** The payload of a row as MessagePack. */
  payload(row: number): Uint8Array
  /** Payloads of rows in ascending order, neighbours read together. */
  payloads(rows: ArrayLike<number>): Iterable<Uint8Array>
  /** Values of the declared fields, in the order of declaration; undefined: the row does not have the field. */
  fieldValues(row: number): (FieldValue | undefined)[]
  /** The same of rows in ascending order, neighbours read together. */
  fieldValuesOf(rows: ArrayLike<number>): Iterable<(FieldValue | undefined)[]>
  close(): void
}

const NOTHING = new Uint8Array(0)

/**
 * Opens the documents of a site; undefined: its rows have integer ids alone. Throws ZGQ_NOT_FOUND and ZGQ_IO; reading
 * throws ZGQ_CORRUPT, ZGQ_TRUNCATED and ZGQ_IO.
 */
export function openDocuments(site: Site): Documents | undefined {
  const { documents, count } = site.recipe
  if (documents === null) return undefined
  const opened: { close(): void }[] = []
  const close = (): void => {
    for (const one of opened.splice(0)) one.close()
  }
  const open = (name: string): BlobSpool => {
    const spool = new BlobSpool(join(site.spoolPath, name), count)
    opened.push(spool)
    return spool
  }
  try {
    const payloads = documents.hasPayloads ? open(SPOOLED_PAYLOADS) : undefined
    const fields = documents.fields.length > 0 ? open(SPOOLED_FIELDS) : undefined
    const columns = { ...payloadsOf(payloads), ...fieldsOf(fields), close }
    if (documents.idType === 'string') return { idType: 'string', ids: textsOf(open(SPOOLED_TEXTS)), ...columns }
    const ids = openStoredIds(site)
    opened.push(ids)
    return { idType: 'integer', ids: integersOf(ids), ...columns }
  } catch (error) {
    close()
    throw error
  }
}

function payloadsOf(
  spool: BlobSpool | undefined
): Pick<Documents, 'payloadByteLength' | 'payloadCrc' | 'payload' | 'payloads'> {
  if (spool === undefined)
    return {
      payloadByteLength: () => 0,
      payloadCrc: () => 0,
      payload: () => NOTHING,
      payloads: (rows) => Array.from(rows, () => NOTHING)
    }
  return {
    payloadByteLength: (row) => spool.byteLengthOf(row),
    payloadCrc: (row) => spool.crcOf(row),
    payload: (row) => spool.read(row),
    payloads: (rows) => spool.readAscending(rows)
  }
}

function fieldsOf(spool: BlobSpool | undefined): Pick<Documents, 'fieldValues' | 'fieldValuesOf'> {
  if (spool === undefined) return { fieldValues: () => [], fieldValuesOf: (rows) => Array.from(rows, () => []) }
  return {
    fieldValues: (row) => decodeFieldValues(spool.read(row)),
    *fieldValuesOf(rows) {
      for (const bytes of spool.readAscending(rows)) yield decodeFieldValues(bytes)
    }
  }
}

function textsOf(spool: BlobSpool): (rows: ArrayLike<number>) => Uint8Array[] {
  return (rows) => {
    const ids = new Array<Uint8Array>(rows.length)
    const order = ascending(rows)
    let at = 0
    for (const id of spool.readAscending(order.map((position) => rows[position]))) ids[order[at++]] = id
    return ids
  }
}

/** Positions of rows, by ascending row. */
function ascending(rows: ArrayLike<number>): Uint32Array {
  return Uint32Array.from(rows, (_, position) => position).sort((a, b) => rows[a] - rows[b])
}

function integersOf(source: IdSource): (rows: ArrayLike<number>) => Float64Array {
  return (rows) => {
    const ids = new Float64Array(rows.length)
    const order = ascending(rows)
    for (let first = 0; first < order.length;) {
      let end = first + 1
      while (end < order.length && rows[order[end]] === rows[order[end - 1]] + 1) end++
      const run = new Float64Array(end - first)
      source.readIds(rows[order[first]], run)
      for (let i = 0; i < run.length; i++) ids[order[first + i]] = run[i]
      first = end
    }
    return ids
  }
}
