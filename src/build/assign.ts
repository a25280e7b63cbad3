// Assignment: one pass over the whole input. Every row is checked, hashed, given its zone and dealt out to its run.

import { createHash } from 'node:crypto'

import { encodeIds } from '../format/columns.ts'
import type { Metric } from '../types.ts'
import type { Assigner } from './assigner.ts'
import { checkRows, type BuildInput } from './input.ts'
import type { RunWriter } from './runs.ts'

/** How to assign. */
export interface AssignPlan {
  readonly metric: Metric
  readonly runs: RunWriter
  /** Called as rows are done; may throw to stop. */
  readonly onRows: (rows: number) => Promise<void>
}

/** Assigns all rows to the assigner's centroids; returns the input digest (spec, section 7). Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR with the row. */
export async function assignRows(input: BuildInput, assigner: Assigner, plan: AssignPlan): Promise<Uint8Array> {
  const { rows: source, ids: idSource } = input
  const { dim, count } = source
  const vectorHash = createHash('sha256')
  const idHash = createHash('sha256')
  const { rowsPerCall } = assigner.shape
  const rows = new Float32Array(rowsPerCall * dim)
  const ids = new Float64Array(rowsPerCall)
  for (let first = 0; first < count; first += rowsPerCall) {
    const some = Math.min(rowsPerCall, count - first)
    const chunk = rows.subarray(0, some * dim)
    source.readRows(first, chunk)
    idSource.readIds(first, ids.subarray(0, some))
    checkRows(chunk, first, { dim, metric: plan.metric, label: source.label })
    vectorHash.update(new Uint8Array(chunk.buffer, 0, chunk.byteLength))
    idHash.update(encodeIds(ids.subarray(0, some)))
    assigner.rowsView(some).set(chunk)
    assigner.scale(some)
    assigner.centre(some)
    plan.runs.write(chunk, assigner.nearest(some), ids.subarray(0, some))
    await plan.onRows(first + some)
  }
  const dimBytes = new Uint8Array(8)
  new DataView(dimBytes.buffer).setUint32(0, dim, true)
  return createHash('sha256').update(dimBytes).update(vectorHash.digest()).update(idHash.digest()).digest()
}
