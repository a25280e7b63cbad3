// Writers over which the power fails: whatever of it the disk kept (support/crash-images.ts), the index opens and is
// whole, every acknowledged call is there, and no call is there by half.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { applyChange, drawChanges, ONE_DELTA, PART_OF_DELTA, type Change } from './support/changes.ts'
import { indexIn } from './support/changes-program.ts'
import { problemsOf } from './support/changed-index.ts'
import { builtIndex, emptyIndex, type ChangingFolder } from './support/changing-folders.ts'
import { crashImages, writeImage } from './support/crash-images.ts'
import { nodeWithSqlite } from './support/node-24.ts'
import {
  history,
  problemsOfImages,
  runLogged,
  type ImagesWish,
  type Run,
  type RunOptions
} from './support/power-runs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('write-power', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 15)
const IMAGES = step(16, 1500)

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

/** A run that draws with the seed of this file. */
const run = async (of: ChangingFolder, options: Omit<RunOptions, 'seed'>): Promise<Run> =>
  await runLogged(temp, of, { seed: SEED, ...options })

const imagesOf = async (made: Run, wish: Partial<ImagesWish> = {}): Promise<unknown[]> =>
  await problemsOfImages(temp, made, { count: IMAGES, seed: SEED, ...wish })

const MANNERS = [
  ['calls of all kinds on an empty index', 1, emptyIndex, {}],
  ['calls of all kinds on an index with zones', 1, builtIndex, {}],
  ['calls that become deltas', 1, builtIndex, { most: ONE_DELTA, count: 7 }],
  ['calls that become deltas together', 1, emptyIndex, { most: PART_OF_DELTA, count: 10 }],
  ['two writers', 2, builtIndex, { count: 8 }]
] as const

describe.runIf(process.platform === 'linux')(`an index over which the power fails (seed ${SEED})`, () => {
  it.each(MANNERS)('keeps what was acknowledged: %s', { timeout: 3_600_000 }, async (_, writers, make, options) => {
    expect(await imagesOf(await run(await make(temp, writers), options))).toEqual([])
  })

  it('keeps what was acknowledged: the SQLite of Node.js', { timeout: 3_600_000 }, async () => {
    const made = await run(await builtIndex(temp, 1), { node: nodeWithSqlite() })
    expect(await imagesOf(made)).toEqual([])
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
    expect(await imagesOf(made)).toEqual([])
  })

  it(
    'keeps what was synced, with durability batch, and calls whole in their order',
    { timeout: 3_600_000 },
    async () => {
      const made = await run(await builtIndex(temp, 1), { open: { durability: 'batch' } })
      expect(await imagesOf(made, { isSynced: false })).toEqual([])
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
      expect(await imagesOf({ ...made, calls }, { most: 1 }), String(needed)).toHaveLength(1)
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
