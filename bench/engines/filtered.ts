// The seam for filtered searches: rows with three numbers besides their vector, one condition a query.

import type { RowSource } from '../../src/build.ts'
import type { Condition } from '../filter-cases.ts'
import { filteredLancedb } from './filtered-lancedb.ts'
import { filteredSqliteVec } from './filtered-sqlite-vec.ts'
import { filteredZgq } from './filtered-zgq.ts'
import { filteredZvec } from './filtered-zvec.ts'
import type { PeerMetric } from './engine.ts'

export interface LabelColumns {
  readonly r: Float64Array
  readonly fine: Float64Array
  readonly coarse: Float64Array
}

export interface FilteredBuildInput {
  readonly rows: RowSource
  readonly metric: PeerMetric
  readonly columns: LabelColumns
  readonly folder: string
}

export interface FilteredOpenInput {
  readonly folder: string
  readonly metric: PeerMetric
  readonly count: number
  readonly queries: readonly Float32Array[]
  readonly k: number
}

/** As OpenEngine, with conditions. */
export interface OpenFiltered {
  readonly knobs: readonly { readonly label: string; readonly sweep: string }[]
  /** Spells the condition of each query; not timed. False: it cannot be asked. */
  take(conditions: readonly Condition[]): boolean
  select(knob: number): void
  search(query: number): void | Promise<void>
  found(): number[]
  close(): void
}

export interface FilteredEngine {
  readonly name: string
  readonly packageName: string
  readonly settings: string
  /** Undefined: the index is made by `prepareFilterSet`. */
  build?(input: FilteredBuildInput): Promise<void>
  open(input: FilteredOpenInput): Promise<OpenFiltered>
}

export const FILTERED_ENGINES: readonly FilteredEngine[] = [
  filteredZgq,
  filteredLancedb('ivf-flat'),
  filteredLancedb('ivf-rq'),
  filteredLancedb('ivf-hnsw-sq'),
  filteredZvec('hnsw'),
  filteredZvec('ivf'),
  filteredSqliteVec
]

export function findFilteredEngine(name: string): FilteredEngine {
  const engine = FILTERED_ENGINES.find((candidate) => candidate.name === name)
  if (engine === undefined)
    throw new Error(`${name} has no filters; expected one of ${FILTERED_ENGINES.map((known) => known.name).join(', ')}`)
  return engine
}

/** A condition as SQL, which LanceDB and zvec read alike; undefined where no condition is set, or paths are asked. */
export function sqlOf({ below, fine, coarse, prefix, paths }: Condition): string | undefined {
  if (prefix !== undefined || paths !== undefined) return undefined
  const parts = [
    ...(below === undefined ? [] : [`r < ${below}`]),
    ...(fine === undefined ? [] : [fine.length === 1 ? `fine = ${fine[0]}` : `fine IN (${fine.join(', ')})`]),
    ...(coarse === undefined ? [] : [`coarse = ${coarse}`])
  ]
  return parts.join(' AND ')
}
