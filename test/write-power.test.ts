// Writers over which the power fails: whatever of it the disk kept (support/crash-images.ts), the index opens and is
// whole, every acknowledged call is there, and no call is there by half.

import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import {
  applyChange,
  CHANGES_INDEX,
  drawChanges,
  ONE_DELTA,
  PART_OF_DELTA,
  possibleRows,
  type Change,
  type Rows
} from './support/changes.ts'
import { indexIn, startChanges } from './support/changes-program.ts'
import { problemsOf } from './support/changed-index.ts'
import { builtIndex, emptyIndex, type ChangingFolder } from './support/changing-folders.ts'
import { crashImages, filesBelow, finalFiles, writeImage } from './support/crash-images.ts'
import { readCallLog, shimEnv, type LoggedCall } from './support/crash-log.ts'
import { nodeWithSqlite } from './support/node-24.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('write-power', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 15)
const IMAGES = step(16, 1500)

interface Run {
  readonly base: string
  readonly calls: readonly LoggedCall[]
  readonly tasks: readonly { readonly writer: number; readonly changes: readonly Change[]; readonly before: Rows }[]
}

interface RunOptions {
  readonly most?: number
  readonly count?: number
  readonly open?: Readonly<Record<string, unknown>>
  /** The index is made by the writer itself. */
  readonly creates?: boolean
  /** Another Node.js. */
  readonly node?: string
  /** Left out: drawn. */
  readonly changes?: readonly Change[]
}

/** Lets writers change an index to the end, under the shim. */
async function run(of: ChangingFolder, options: RunOptions): Promise<Run> {
  const { most = 12, count = 14, open = {}, creates = false, node = process.execPath } = options
  const [base, log, marks] = ['base', 'log', 'marks'].map((name) => temp.fresh(name))
  cpSync(of.folder, base, { recursive: true })
  const env = shimEnv(temp, { folder: of.folder, log, marks })
  const tasks = of.rows.map((before, writer) => ({
    writer,
    before,
    changes: options.changes ?? drawChanges({ seed: SEED, writer, count, most, before })
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

/** Files with writes that were not synced when a call resolved, by its mark. */
function unsyncedAtMarks({ calls }: Run): string[] {
  const unsynced = new Set<string>()
  const found: string[] = []
  let done = 0
  for (const { kind, path, payload } of calls) {
    if (kind === 'write' && /-wal$|delta-/.test(path)) unsynced.add(path)
    if (kind === 'sync') unsynced.delete(path)
    const mark = kind === 'mark' ? Buffer.from(payload).toString() : ''
    // Those that are made together may end one before the other.
    if (!/ done \d+\n/.test(mark)) continue
    done++
    for (const name of unsynced) found.push(`${mark.trim()}: ${name}`)
  }
  expect(done).toBeGreaterThan(5)
  return found
}

/** Every state that the rows of a writer went through, the last one last; calls made together end in any order. */
function history({ changes, before }: { changes: readonly Change[]; before: Rows }): Rows[] {
  const states = [before]
  for (const change of changes) {
    const parts = change.call === 'together' ? change.changes : [change]
    let some = [states.at(-1)!]
    for (const part of parts) some = [...some, ...some.map((rows) => applyChange(rows, part))]
    states.push(...some)
  }
  return states
}

/** Opens images of a run, until so many are wrong; `isSynced`: what was acknowledged is on the disk. */
async function problemsOfImages(
  { base, calls, tasks }: Run,
  { isSynced = true, most = Infinity }: { readonly isSynced?: boolean; readonly most?: number } = {}
): Promise<unknown[]> {
  const wrong: unknown[] = []
  let images = 0
  for (const image of crashImages({ base, calls, count: IMAGES, seed: SEED })) {
    const folder = temp.fresh('image')
    writeImage(folder, image)
    images++
    const isThere = image.marks.some((mark) => /^w\d+ opened/.test(mark)) || image.files.has('index/')
    const expected = tasks.map(({ writer, changes, before }) => ({
      writer,
      states: isSynced ? possibleRows(changes, { marks: image.marks, writer, before }) : history({ changes, before })
    }))
    const problems = isThere ? await problemsOf(indexIn(folder), expected, { writes: image.number % 8 === 0 }) : []
    const failed = image.marks.filter((mark) => /^w\d+ (failed|unopened|unclosed)/.test(mark))
    if (problems.length + failed.length > 0)
      wrong.push({ image: image.number, mode: image.mode, point: image.point, problems, failed })
    rmSync(folder, { recursive: true, maxRetries: 5 })
    if (wrong.length >= most) return wrong
  }
  console.log(`${images} images of ${calls.length} calls`)
  return wrong
}

const MANNERS = [
  ['calls of all kinds on an empty index', 1, emptyIndex, {}],
  ['calls of all kinds on an index with zones', 1, builtIndex, {}],
  ['calls that become deltas', 1, builtIndex, { most: ONE_DELTA, count: 7 }],
  ['calls that become deltas together', 1, emptyIndex, { most: PART_OF_DELTA, count: 10 }],
  ['two writers', 2, builtIndex, { count: 8 }]
] as const

describe.runIf(process.platform === 'linux')(`an index over which the power fails (seed ${SEED})`, () => {
  it.each(MANNERS)('keeps what was acknowledged: %s', { timeout: 3_600_000 }, async (_, writers, make, options) => {
    expect(await problemsOfImages(await run(await make(temp, writers), options))).toEqual([])
  })

  it('keeps what was acknowledged: the SQLite of Node.js', { timeout: 3_600_000 }, async () => {
    const made = await run(await builtIndex(temp, 1), { node: nodeWithSqlite() })
    expect(await problemsOfImages(made)).toEqual([])
    expect(unsyncedAtMarks(made)).toEqual([])
  })

  it('was synced when a call resolves', async () => {
    const made = await run(await builtIndex(temp, 1), { most: ONE_DELTA })
    expect(unsyncedAtMarks(made)).toEqual([])
    const batch = await run(await builtIndex(temp, 1), { open: { durability: 'batch' } })
    expect(unsyncedAtMarks(batch)).not.toEqual([])
  })

  it('is there once it was made', { timeout: 3_600_000 }, async () => {
    const folder = temp.fresh('changing')
    mkdirSync(folder)
    const made = await run({ folder, path: indexIn(folder), rows: [new Map()] }, { creates: true, count: 3 })
    expect(await problemsOfImages(made)).toEqual([])
  })

  it(
    'keeps what was synced, with durability batch, and calls whole in their order',
    { timeout: 3_600_000 },
    async () => {
      const made = await run(await builtIndex(temp, 1), { open: { durability: 'batch' } })
      expect(await problemsOfImages(made, { isSynced: false })).toEqual([])
      // Once the index is closed, all is on the disk.
      const end = made.calls.length
      const closed = Array.from(crashImages({ ...made, count: IMAGES, seed: SEED })).filter(
        ({ point }) => point === end
      )
      expect(closed.length).toBeGreaterThan(0)
      for (const image of closed) {
        const folder = temp.fresh('image')
        writeImage(folder, image)
        const last = history(made.tasks[0]).slice(-1)
        expect(await problemsOf(indexIn(folder), [{ writer: 0, states: last }])).toEqual([])
      }
    }
  )

  it('loses acknowledged calls without one of its syncs, and the images show it', async () => {
    const made = await run(await emptyIndex(temp, 1), { most: ONE_DELTA, count: 5 })
    for (const needed of [/-wal$/, /\/delta-/, /^index$/]) {
      const calls = made.calls.filter(({ kind, path }) => kind !== 'sync' || !needed.test(path))
      expect(calls.length, String(needed)).toBeLessThan(made.calls.length)
      expect(await problemsOfImages({ ...made, calls }, { most: 1 }), String(needed)).toHaveLength(1)
    }
  })
})

describe.runIf(process.platform === 'linux')('a backup over which the power fails', () => {
  it('is there, whole, once it was acknowledged, and not by half before', { timeout: 3_600_000 }, async () => {
    const of = await builtIndex(temp, 1)
    const before = drawChanges({ seed: SEED, writer: 0, count: 5, before: of.rows[0] })
    const rows = before.reduce(applyChange, of.rows[0])
    const after = drawChanges({ seed: SEED + 1, writer: 0, count: 2, before: rows })
    const copy: Change = { call: 'backup', path: join(of.folder, 'copy') }
    const made = await run(of, { changes: [...before, copy, ...after] })
    const wrong: unknown[] = []
    for (const image of crashImages({ ...made, count: IMAGES, seed: SEED })) {
      const isDone = image.marks.includes(`w0 done ${before.length}`)
      if (!isDone && !image.files.has('copy/')) continue
      const folder = temp.fresh('image')
      writeImage(folder, image)
      const problems = await problemsOf(join(folder, 'copy'), [{ writer: 0, states: [rows] }])
      if (problems.length > 0) wrong.push({ image: image.number, mode: image.mode, point: image.point, problems })
      rmSync(folder, { recursive: true, maxRetries: 5 })
    }
    expect(wrong).toEqual([])
  })
})
