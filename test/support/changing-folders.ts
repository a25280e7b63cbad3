// Indexes that tests change and kill: empty ones, and ones that were built, whose rows lie in zones.

import { mkdirSync } from 'node:fs'

import { buildIndex } from '../../src/build.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'
import { applyChange, CHANGES_DIM, CHANGES_INDEX, drawChanges, type Change, type Rows } from './changes.ts'
import { indexIn } from './changes-program.ts'
import type { TempFolder } from './temp-folder.ts'

/** A folder that holds an index, and what each writer finds in it. */
export interface ChangingFolder {
  readonly folder: string
  readonly path: string
  readonly rows: readonly Rows[]
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
