// A query on its way to the probe and to the scan of codes in the scalar kernel: twins of assembly/query.ts, whose
// comments say what is computed and why.

import type { QueryRun } from './kernel.ts'
import {
  METRIC_COSINE,
  METRIC_IP,
  SCALAR_MEAN_DISTANCE2_AT,
  SCALAR_MEAN_PRODUCT_AT,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_REFINED_CONFIDENCE_AT,
  SCALAR_SLACK_AT
} from './layouts.ts'
import { buildTables } from './scalar-codes.ts'
import { productDouble } from './scalar-distances.ts'
import { rotateRows } from './scalar-encode.ts'
import type { ScalarViews } from './scalar-views.ts'

/** Writes the query as the probe sees it; returns <q, q>. */
export function scaleQuery(
  { floats }: ScalarViews,
  of: { readonly metric: number; readonly dim: number; readonly query: number; readonly probeQuery: number }
): number {
  const { metric, dim } = of
  const [query, probeQuery] = [of.query / 4, of.probeQuery / 4]
  const norm2 = productDouble(floats, query, query, dim)
  const scale = metric === METRIC_COSINE ? 1 / Math.sqrt(norm2) : metric === METRIC_IP ? -1 : 1
  for (let i = 0; i < dim; i++) floats[probeQuery + i] = floats[query + i] * scale
  return norm2
}

/** Rotates a query around the mean and builds its tables. */
export function encodeQuery(views: ScalarViews, run: QueryRun): void {
  const { floats } = views
  const { dim, width, scalars } = run
  const [query, mean, rotated] = [run.query / 4, run.mean / 4, run.rotated / 4]
  for (let i = 0; i < dim; i++) floats[rotated + i] = floats[query + i] - floats[mean + i]
  floats.fill(0, rotated + dim, rotated + width)
  floats[(scalars + SCALAR_MEAN_DISTANCE2_AT) / 4] = productDouble(floats, rotated, rotated, width)
  floats[(scalars + SCALAR_MEAN_PRODUCT_AT) / 4] = productDouble(floats, query, mean, dim)
  rotateRows(views, run.rotated, 1, run)
  buildTables(views, { ...run, query: run.rotated })
  floats[(scalars + SCALAR_PLANES_CONFIDENCE_AT) / 4] = run.planes
  floats[(scalars + SCALAR_REFINED_CONFIDENCE_AT) / 4] = run.refined
  floats[(scalars + SCALAR_QUERY_NORM2_AT) / 4] = run.norm2
  floats[(scalars + SCALAR_SLACK_AT) / 4] = run.slack
}
