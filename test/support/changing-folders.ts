// Indexes that tests change and kill: empty ones, ones that were built, whose rows lie in zones, and ones that grew by
// writes and were folded, step after step.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { buildIndex } from '../../src/build.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'
import {
  applyChange,
  CHANGES_DIM,
  CHANGES_INDEX,
  drawChanges,
  repeated,
  type Change,
  type ChangedRow,
  type Rows
} from './changes.ts'
import { indexIn } from './changes-program.ts'
import type { TempFolder } from './temp-folder.ts'

/** A folder that holds an index, and what each writer finds in it. */
export interface ChangingFolder {
  readonly folder: string
  readonly path: string
  readonly rows: readonly Rows[]
  /** Numbers of a vector. */
  readonly dim?: number
}

/** Memory of folds that have several steps on a folded index: the least that `optimize` takes, half of it for rows. */
export const LITTLE_MEMORY = 2 ** 20
/** Rows of one call that become a delta, larger than what a step of such a fold takes. */
export const LARGE_ROWS = 520
const BODY = 'body '.repeat(160)
/** Of a folded index: zones have some 130 rows. */
export const FOLDED_DIM = 64

/** Rows of a writer that are large for their number, from an id on. */
export function largeRows(
  writer: number,
  first: number,
  { count = LARGE_ROWS, dim = FOLDED_DIM }: { readonly count?: number; readonly dim?: number } = {}
): ChangedRow[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${writer}-${first + i}`,
    vector: repeated([(first + i) / 8, i % 7, writer, (i * 5) % 11], dim),
    payload: { writer, group: i % 4, version: 0, tags: [`tag ${i % 3}`], body: BODY }
  }))
}

/** Makes an index that holds large rows of each writer in zones. */
export async function foldedIndex(temp: TempFolder, writers: number): Promise<ChangingFolder> {
  const folder = temp.fresh('changing')
  mkdirSync(folder)
  const path = indexIn(folder)
  const index = await ZgqIndex.create<string, Record<string, unknown>>(path, {
    ...CHANGES_INDEX,
    dim: FOLDED_DIM,
    autoOptimize: false
  })
  const given = Array.from({ length: writers }, (_, writer) => largeRows(writer, 0))
  for (const rows of given) await index.add(rows)
  await index.optimize({ all: true, memoryBytes: LITTLE_MEMORY })
  index.close()
  // The thread that writes seals the index after that: what copies the folder must not come in between.
  while (existsSync(join(path, 'catalogue.sqlite-wal'))) await setTimeout(5)
  return { folder, path, dim: FOLDED_DIM, rows: given.map((rows) => new Map(rows.map((row) => [row.id, row]))) }
}

const rowsAfter = (changes: readonly Change[]): Rows => changes.reduce<Rows>(applyChange, new Map())

/** Makes an empty index. */
export async function emptyIndex(temp: TempFolder, writers: number): Promise<ChangingFolder> {
  const folder = temp.fresh('changing')
  mkdirSync(folder)
  const path = indexIn(folder)
  const index = await ZgqIndex.create(path, CHANGES_INDEX)
  index.close()
  return { folder, path, rows: Array.from({ length: writers }, () => new Map()) }
}

/** Builds an index with rows of each writer. */
export async function builtIndex(temp: TempFolder, writers: number): Promise<ChangingFolder> {
  const folder = temp.fresh('changing')
  mkdirSync(folder)
  const path = indexIn(folder)
  const rows = Array.from({ length: writers }, (_, writer) =>
    rowsAfter(drawChanges({ seed: 99, writer, count: 40 }).filter(({ call }) => call === 'add'))
  )
  const all = rows.flatMap((some) => Array.from(some.values()))
  const { fields } = CHANGES_INDEX
  await buildIndex({
    input: Float32Array.from(all.flatMap(({ vector }) => vector)),
    dim: CHANGES_DIM,
    ids: all.map(({ id }) => id),
    payloads: all.map(({ payload }) => payload),
    fields,
    zones: 4,
    output: path
  })
  return { folder, path, rows }
}
