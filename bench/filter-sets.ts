// Sets for filters: the labels of rows, exact neighbours under every filter, and an index with declared fields. Made
// once in --work; the index again when the code of zgq has changed.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { runStep } from './child.ts'
import type { DataSet } from './data-sets.ts'
import { packageVersion } from './packages.ts'
import type { FieldsBuildInput, FieldsBuildResult } from './step-fields-build.ts'
import type { FilterSetInput, FilterTruth } from './step-filter-set.ts'

export interface FilterSet {
  readonly name: string
  readonly metric: 'l2' | 'cosine'
  readonly base: string
  readonly labels: string
  readonly truth: string
  readonly index: string
  readonly folder: string
}

export interface QueryRange {
  readonly from: number
  readonly count: number
}

/** use50k has two kinds of queries: those from 1,000 on are like its rows. */
export function queryRange(set: DataSet, count: number): QueryRange {
  return { from: set.splitAt ?? 0, count }
}

export async function prepareFilterSet(set: DataSet, range: QueryRange, work: string): Promise<FilterSet> {
  const folder = join(work, 'filters', set.name)
  mkdirSync(folder, { recursive: true })
  const found: FilterSet = {
    name: set.name,
    metric: set.metric,
    base: set.base,
    folder,
    labels: join(folder, 'fine.u16'),
    truth: join(folder, 'truth.json'),
    index: join(folder, 'index.zgq')
  }
  if (!existsSync(found.truth) || readTruth(found.truth).queries.length !== range.count) {
    const input: FilterSetInput = { base: set.base, queries: set.queries, metric: set.metric, ...range, folder }
    await runStep('step-filter-set.ts', input, {})
  }
  await ensureIndex(found)
  return found
}

export function readTruth(path: string): FilterTruth {
  return JSON.parse(readFileSync(path, 'utf8'))
}

async function ensureIndex({ base, metric, labels, index, folder }: FilterSet): Promise<void> {
  const record = join(folder, 'built.txt')
  const version = packageVersion('zgq')
  if (existsSync(record) && readFileSync(record, 'utf8') === version) return
  const input: FieldsBuildInput = { base, metric, labels, output: index, documents: 'fields', ids: 'integer' }
  await runStep<FieldsBuildResult>('step-fields-build.ts', input)
  writeFileSync(record, version)
}
