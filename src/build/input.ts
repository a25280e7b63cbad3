// From the `input` and `ids` options to sources that can be read in any order, and the checks that concern all of them.

import { ZgqError } from '../errors.ts'
import type { BuildPlan } from './build-options.ts'
import { spoolBatchFile } from './sources/batch-file.ts'
import { batchFormatOf } from './sources/batch-format.ts'
import { arrayIdSource, float32ArraySource } from './sources/float32-array.ts'
import { openIdFile } from './sources/id-file.ts'
import type { IdSource, RowSource } from './sources/row-source.ts'
import { spoolBatches } from './sources/spool.ts'
import { openVectorFile } from './sources/vector-file.ts'

/** What a build reads. */
export interface BuildInput {
  readonly rows: RowSource
  readonly ids: IdSource
  close(): void
}

/** Opens the input; batches are spooled to `file(name)`. Throws ZGQ_BUILD_INPUT and what the sources throw. */
export async function openInput(plan: BuildPlan, file: (name: string) => string): Promise<BuildInput> {
  const { rows, ids: givenIds } = await openSources(plan, file)
  try {
    const ids = givenIds ?? openIds(plan.ids, rows.count)
    if (ids.count !== rows.count) {
      ids.close()
      throw new ZgqError('ZGQ_BUILD_INPUT', `${ids.label} has ${ids.count} ids for ${rows.count} vectors`)
    }
    const close = (): void => {
      rows.close()
      ids.close()
    }
    return { rows, ids, close }
  } catch (error) {
    rows.close()
    throw error
  }
}

async function openSources(plan: BuildPlan, file: (name: string) => string): Promise<{ rows: RowSource; ids: IdSource | undefined }> {
  const { input, dim = 0 } = plan
  const target = {
    rowsPath: file('input.rows'),
    idsPath: file('input.ids'),
    signal: plan.signal,
    onRows: (rows: number) => { plan.onProgress({ stage: 'read', done: rows, total: 0 }) }
  }
  if (typeof input === 'string') return batchFormatOf(input, plan.query) === undefined ? { rows: openVectorFile(input), ids: undefined } : spoolBatchFile(input, plan, target)
  if (input instanceof Float32Array) return { rows: float32ArraySource(input, dim), ids: undefined }
  return spoolBatches(input, { ...target, dim, label: 'batches' })
}

function openIds(ids: BuildPlan['ids'], count: number): IdSource {
  if (ids === undefined) return rowNumbers(count)
  return typeof ids === 'string' ? openIdFile(ids) : arrayIdSource(ids)
}

function rowNumbers(count: number): IdSource {
  return {
    count,
    label: 'row numbers',
    readIds(firstRow, target) {
      for (let i = 0; i < target.length; i++) target[i] = firstRow + i
    },
    close: () => undefined
  }
}

/** Throws ZGQ_NON_FINITE or, for cosine, ZGQ_ZERO_VECTOR, naming the row. `rows` starts at row `firstRow` of the input. */
export function checkRows(rows: Float32Array, firstRow: number, like: { dim: number; metric: string; label: string }): void {
  const { dim, metric, label } = like
  for (let start = 0; start < rows.length; start += dim) {
    let isZero = true
    for (let i = start; i < start + dim; i++) {
      const value = rows[i]
      // NaN and infinities are the values whose difference with themselves is not zero.
      if (value - value !== 0) throw new ZgqError('ZGQ_NON_FINITE', `row ${firstRow + start / dim} of ${label} holds ${value} at position ${i - start}`)
      if (value !== 0) isZero = false
    }
    if (isZero && metric === 'cosine') {
      throw new ZgqError('ZGQ_ZERO_VECTOR', `row ${firstRow + start / dim} of ${label} has length zero, which has no direction: cosine cannot compare it`)
    }
  }
}
