// Runs of writers under the shim that logs their calls, and the images that a power failure may make of them: for tests
// of writers and of folds over which the power fails.

import { cpSync, rmSync } from 'node:fs'
import { expect } from 'vitest'

import { applyChange, CHANGES_INDEX, drawChanges, possibleRows, type Change, type Rows } from './changes.ts'
import { indexIn, startChanges } from './changes-program.ts'
import { problemsOf } from './changed-index.ts'
import type { ChangingFolder } from './changing-folders.ts'
import { crashImages, filesBelow, finalFiles, writeImage } from './crash-images.ts'
import { readCallLog, shimEnv, type LoggedCall } from './crash-log.ts'
import type { TempFolder } from './temp-folder.ts'

/** A run, by the log of its calls. */
export interface Run {
  readonly base: string
  readonly calls: readonly LoggedCall[]
  readonly tasks: readonly { readonly writer: number; readonly changes: readonly Change[]; readonly before: Rows }[]
}

export interface RunOptions {
  readonly seed: number
  readonly most?: number
  readonly count?: number
  readonly open?: Readonly<Record<string, unknown>>
  /** The index is made by the writer itself. */
  readonly creates?: boolean
  /** Another Node.js. */
  readonly node?: string
  /** Of every writer, or of each; left out: drawn. */
  readonly changes?: readonly Change[] | ((writer: number, before: Rows, dim?: number) => readonly Change[])
  /** Of the processes, too. */
  readonly env?: Readonly<Record<string, string>>
}

/** Lets writers change an index to the end, under the shim. */
export async function runLogged(temp: TempFolder, of: ChangingFolder, options: RunOptions): Promise<Run> {
  const { seed, most = 12, count = 14, open = {}, creates = false, node = process.execPath } = options
  const [base, log, marks] = ['base', 'log', 'marks'].map((name) => temp.fresh(name))
  cpSync(of.folder, base, { recursive: true })
  const env = { ...options.env, ...shimEnv(temp, { folder: of.folder, log, marks }) }
  const { changes: wanted } = options
  const given = (writer: number, before: Rows): readonly Change[] | undefined =>
    typeof wanted === 'function' ? wanted(writer, before, of.dim) : wanted
  const tasks = of.rows.map((before, writer) => ({
    writer,
    before,
    changes: given(writer, before) ?? drawChanges({ seed, writer, count, most, before })
  }))
  const ends = await Promise.all(
    tasks.map(async ({ writer, changes }) => {
      const create = creates ? { create: { ...CHANGES_INDEX, ...open } } : {}
      const task = { path: of.path, writer, changes, marks, open, node, ...create }
      return await startChanges(task, temp.fresh('task.json'), env).ended
    })
  )
  expect(ends).toEqual(ends.map(() => ({ code: 0, signal: null, stderr: '' })))
  const calls = readCallLog(log)
  const [made, found] = [finalFiles(base, calls), filesBelow(of.folder)]
  expect(Array.from(made.keys()).sort()).toEqual(Array.from(found.keys()).sort())
  for (const [name, bytes] of found) expect(Buffer.from(made.get(name)!).equals(bytes), name).toBe(true)
  return { base, calls, tasks }
}

/** Every state that the rows of a writer went through, the last one last; calls made together end in any order. */
export function history({ changes, before }: { changes: readonly Change[]; before: Rows }): Rows[] {
  const states = [before]
  for (const change of changes) {
    const parts = change.call === 'together' ? change.changes : [change]
    let some = [states.at(-1)!]
    for (const part of parts) some = [...some, ...some.map((rows) => applyChange(rows, part))]
    states.push(...some)
  }
  return states
}

export interface ImagesWish {
  readonly count: number
  readonly seed: number
  /** What was acknowledged is on the disk. Default true. */
  readonly isSynced?: boolean
  /** Ends once so many are wrong. */
  readonly most?: number
  /** Points of the log; left out: drawn. */
  readonly points?: readonly number[]
  /** Fold what is found, some of the time. */
  readonly folds?: boolean
}

/** Opens images of a run; says what is wrong with which. */
export async function problemsOfImages(
  temp: TempFolder,
  { base, calls, tasks }: Run,
  { count, seed, isSynced = true, most = Infinity, points, folds = false }: ImagesWish
): Promise<unknown[]> {
  const wrong: unknown[] = []
  let images = 0
  for (const image of crashImages({ base, calls, count, seed, ...(points === undefined ? {} : { points }) })) {
    const folder = temp.fresh('image')
    writeImage(folder, image)
    images++
    const isThere = image.marks.some((mark) => /^w\d+ opened/.test(mark)) || image.files.has('index/')
    const expected = tasks.map(({ writer, changes, before }) => ({
      writer,
      states: isSynced ? possibleRows(changes, { marks: image.marks, writer, before }) : history({ changes, before })
    }))
    const later = { writes: image.number % 8 === 0, folds: folds && image.number % 3 === 0 }
    const problems = isThere ? await problemsOf(indexIn(folder), expected, later) : []
    const failed = image.marks.filter((mark) => /^w\d+ (failed|unopened|unclosed)/.test(mark))
    if (problems.length + failed.length > 0)
      wrong.push({ image: image.number, mode: image.mode, point: image.point, problems, failed })
    rmSync(folder, { recursive: true, maxRetries: 5 })
    if (wrong.length >= most) return wrong
  }
  console.log(`${images} images of ${calls.length} calls`)
  return wrong
}
