// What is given beside the vectors, as arrays: string ids and payloads. They are spooled like those that come in
// batches; stages in other processes take their digest alone, to see whether they were called with the same.

import { createHash } from 'node:crypto'

import { ZgqError } from '../errors.ts'
import { IdSpool, PayloadSpool, rowName, type DocumentPaths, type SpooledColumn } from '../input/document-spool.ts'
import type { IdSource } from '../input/row-source.ts'
import { letOthersRun } from '../input/spool.ts'
import type { IdType } from '../types.ts'
import type { BuildPlan } from './build-options.ts'
import { areTexts } from './option-checks.ts'
import type { DocumentFacts } from './site.ts'

/** Rows that are spooled before others may run. */
const ROWS_AT_ONCE = 4096
const CHUNK_IDS = 65_536

export interface SpooledColumns {
  /** String ids. */
  readonly texts: SpooledColumn | undefined
  readonly payloads: SpooledColumn | undefined
  readonly fields: SpooledColumn | undefined
}

/** Spools the arrays of a plan, or takes their digests where there are no paths. Throws as the spools do. */
export async function spoolGiven(plan: BuildPlan, paths: DocumentPaths | undefined): Promise<SpooledColumns> {
  const texts = areTexts(plan.ids) ? await spoolTexts(plan, plan.ids, paths) : undefined
  const spooled = plan.payloads === undefined ? undefined : await spoolPayloads(plan, plan.payloads, paths)
  return { texts, payloads: spooled?.payloads, fields: spooled?.fields }
}

async function spoolTexts(
  plan: BuildPlan,
  ids: readonly string[],
  paths: DocumentPaths | undefined
): Promise<SpooledColumn> {
  const spool = new IdSpool(paths, { path: undefined, nameOfRow: rowName })
  try {
    for (let row = 0; row < ids.length; row += ROWS_AT_ONCE) {
      spool.append(ids.slice(row, row + ROWS_AT_ONCE))
      await letOthersRun(plan.signal)
    }
    return spool.finish()
  } finally {
    spool.close()
  }
}

async function spoolPayloads(
  plan: BuildPlan,
  payloads: readonly object[],
  paths: DocumentPaths | undefined
): Promise<ReturnType<PayloadSpool['finish']>> {
  const spool = new PayloadSpool(paths, { path: undefined, nameOfRow: rowName }, plan.fields)
  try {
    for (let row = 0; row < payloads.length; row++) {
      if (row % ROWS_AT_ONCE === 0) await letOthersRun(plan.signal)
      spool.append(payloads[row])
    }
    return spool.finish()
  } finally {
    spool.close()
  }
}

/** Throws ZGQ_BUILD_INPUT where there is not one string id or payload for each of `count` vectors. */
export function expectGivenCounts({ ids, payloads }: BuildPlan, count: number): void {
  for (const [name, array] of Object.entries({ ids: areTexts(ids) ? ids : undefined, payloads })) {
    if (array === undefined || array.length === count) continue
    throw new ZgqError('ZGQ_BUILD_INPUT', `there are ${array.length} ${name} for ${count} vectors, expected one each`)
  }
}

/** Names all that rows have besides vectors; the digest is the same however they were given. */
export function describeDocuments(
  columns: SpooledColumns,
  { fields }: BuildPlan,
  integerIds: () => IdSource
): DocumentFacts | null {
  const { texts, payloads } = columns
  if (texts === undefined && payloads === undefined) return null
  const idType: IdType = texts === undefined ? 'integer' : 'string'
  const facts = { idType, fields, hasPayloads: payloads !== undefined }
  const ids = texts?.digest ?? digestOf(integerIds())
  const parts = [ids, payloads?.digest ?? '', columns.fields?.digest ?? '', JSON.stringify(facts)]
  return { ...facts, digest: createHash('sha256').update(parts.join('\n')).digest('hex') }
}

function digestOf(ids: IdSource): string {
  const hash = createHash('sha256')
  const chunk = new Float64Array(Math.min(CHUNK_IDS, ids.count))
  try {
    for (let row = 0; row < ids.count; row += chunk.length) {
      const some = chunk.subarray(0, ids.count - row)
      ids.readIds(row, some)
      hash.update(new Uint8Array(some.buffer, 0, some.byteLength))
    }
  } finally {
    ids.close()
  }
  return hash.digest('hex')
}
