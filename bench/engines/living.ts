// The seam between the benchmarks of a living index and the engines under them: write, search meanwhile, open again.

import { bareSqlite } from './living-bare.ts'
import { livingLancedb } from './living-lancedb.ts'
import { livingSqliteVec } from './living-sqlite-vec.ts'
import { livingUsearch } from './living-usearch.ts'
import { livingZgq } from './living-zgq.ts'
import { livingZvec } from './living-zvec.ts'

/** Rows as columns. */
export interface LivingRows {
  readonly ids: readonly number[]
  /** float32, ids.length * dim, row-major. */
  readonly vectors: Float32Array
  /** A number each, by which rows can be deleted; undefined: rows are an id and a vector. */
  readonly tags?: readonly number[] | undefined
}

export interface LivingInput {
  /** Is there, and empty unless it is opened again. */
  readonly folder: string
  readonly dim: number
  readonly metric: 'l2' | 'cosine'
  readonly hasTags: boolean
  /** How far searches go, one of the engine's efforts; undefined: as they go by themselves. */
  readonly effort?: number | undefined
  /** False: only calls of `compact` fold. Default: as the engine does by itself. */
  readonly autoOptimize?: boolean | undefined
}

type Done = void | Promise<void>

/** A call is done when it has returned, or its promise has resolved. */
export interface OpenLiving {
  add(rows: LivingRows): Done
  /** What an engine cannot do is not there. */
  upsert?(rows: LivingRows): Done
  /** Sets the tag of rows. */
  update?(ids: readonly number[], tag: number): Done
  delete?(ids: readonly number[]): Done
  deleteTag?(tag: number): Done
  /** Takes new rows into the index, and gives back the room of those that went: all that the engine offers for it. */
  compact?(): Done
  /** Ids, nearest first; the settings that the engine takes by itself. */
  search(query: Float32Array, k: number): number[] | Promise<number[]>
  searchExact?(query: Float32Array, k: number): number[]
  close(): Done
}

export interface LivingEngine {
  readonly name: string
  readonly packageName: string
  /** What is on the disk once a call is done, and how it searches. */
  readonly settings: string
  /** Rising; searches with an effort find more, and take longer. */
  readonly efforts?: readonly number[]
  create(input: LivingInput): OpenLiving | Promise<OpenLiving>
  /** Makes an index of many rows, with what makes it fast. */
  build(input: LivingInput, rows: LivingRows): Promise<void>
  /** Opens what was built or created, for searching and writing. */
  open(input: LivingInput): OpenLiving | Promise<OpenLiving>
}

const ENGINES = [livingZgq, bareSqlite, livingLancedb, livingSqliteVec, livingZvec, livingUsearch]

export function findLiving(name: string): LivingEngine {
  const found = ENGINES.find((engine) => engine.name === name)
  if (found === undefined) throw new Error(`${name} is no engine; expected ${ENGINES.map((e) => e.name).join(', ')}`)
  return found
}

/** Row i of some rows. */
export function vectorOf({ ids, vectors }: LivingRows, i: number): Float32Array {
  const dim = vectors.length / ids.length
  return vectors.subarray(i * dim, (i + 1) * dim)
}
