// Folds over which the power fails: whatever of them the disk kept, the index opens as it was before a step or after
// it, every acknowledged call is there, and the next fold works and leaves nothing of the dead one.

import { describe, expect, it } from 'vitest'

import { ONE_DELTA, type Change, type Rows } from './support/changes.ts'
import { hastyCleanUp } from './support/changes-program.ts'
import { builtIndex, emptyIndex, foldedIndex, LITTLE_MEMORY } from './support/changing-folders.ts'
import { drawFoldedChanges } from './support/fold-changes.ts'
import { problemsOfImages, runLogged, type Run, type RunOptions } from './support/power-runs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('fold-power', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 151)
/** Images of each run at `npm test`; of each point of it in torture. */
const IMAGES = 18
const IMAGES_PER_POINT = 4

const all: Change = { call: 'optimize', all: true, memoryBytes: LITTLE_MEMORY }
const some: Change = { call: 'optimize', all: false, memoryBytes: LITTLE_MEMORY }

/** Two folds with changes before, between and after them. */
const twoFolds = (writer: number, before: Rows, dim?: number): Change[] => {
  const drawn = drawFoldedChanges({ seed: SEED, writer, count: 6, before, dim }).filter(
    ({ call }) => call !== 'optimize'
  )
  return [...drawn.slice(0, 4), all, ...drawn.slice(4), all, some]
}

/** Enough rows that folds start by themselves, too. */
const manyDeltas = (writer: number, before: Rows): Change[] => {
  const drawn = drawFoldedChanges({ seed: SEED, writer, count: 9, most: ONE_DELTA, before, large: 0 })
  return [...drawn.filter(({ call }) => call !== 'optimize'), all]
}

/** Points of the log from which on a fold is at work, until it is done. */
function pointsOfFolds({ calls }: Run): number[] {
  const points: number[] = []
  let isFolding = false
  for (const [i, { kind, payload }] of calls.entries()) {
    const mark = kind === 'mark' ? Buffer.from(payload).toString() : ''
    if (/^w\d at /.test(mark)) isFolding = true
    if (isFolding) points.push(i)
    if (/^w\d done /.test(mark)) isFolding = false
  }
  return points
}

/** Points that are tried: all of them in torture, else some of those of folds, in turn. */
function pointsOf(made: Run): { readonly points: readonly number[]; readonly count: number } {
  const found = pointsOfFolds(made)
  const points = found.length > 0 ? found : Array.from(made.calls.keys())
  const every = Math.max(1, step(Math.floor(points.length / IMAGES)))
  const chosen = points.filter((_, i) => i % every === 0)
  return { points: chosen, count: chosen.length * step(1, IMAGES_PER_POINT) }
}

const run = async (
  make: typeof foldedIndex,
  writers: number,
  options: Omit<RunOptions, 'seed' | 'env'>
): Promise<Run> => await runLogged(temp, await make(temp, writers), { seed: SEED, env: hastyCleanUp(), ...options })

const isRemoval = /^index\/(vectors|codes|payload)-/

const MANNERS = [
  ['steps of some zones', 1, foldedIndex, { changes: twoFolds, open: { autoOptimize: false } }],
  ['zones that were built', 1, builtIndex, { changes: twoFolds, open: { autoOptimize: false } }],
  ['another writer beside', 2, foldedIndex, { changes: twoFolds }],
  ['zones that are trained on deltas', 1, emptyIndex, { changes: manyDeltas }]
] as const

describe.runIf(process.platform === 'linux')(`a fold over which the power fails (seed ${SEED})`, () => {
  it.each(MANNERS)('loses nothing: %s', { timeout: 7_200_000 }, async (_, writers, make, options) => {
    const made = await run(make, writers, options)
    const folded = made.calls.filter(({ kind, path, isNew }) => kind === 'open' && isNew && isRemoval.test(path))
    expect(folded.length).toBeGreaterThan(0)
    // Files that went are among what the images may have lost.
    if (make === foldedIndex)
      expect(made.calls.filter(({ kind, path }) => kind === 'remove' && isRemoval.test(path))).not.toEqual([])
    expect(await problemsOfImages(temp, made, { ...pointsOf(made), seed: SEED, folds: true })).toEqual([])
  })

  it('would lose rows without any of the syncs of its files, and the images show it', async () => {
    const made = await run(foldedIndex, 1, { changes: twoFolds, open: { autoOptimize: false } })
    for (const needed of [/\/vectors-/, /\/codes-/, /\/fields-/, /\/payload-/, /\/ids-/, /^index$/]) {
      const calls = made.calls.filter(({ kind, path }) => kind !== 'sync' || !needed.test(path))
      expect(calls.length, String(needed)).toBeLessThan(made.calls.length)
      const wish = { count: 12, seed: SEED, points: [calls.length], most: 1 }
      expect(await problemsOfImages(temp, { ...made, calls }, wish), String(needed)).toHaveLength(1)
    }
  })

  it('is on the disk once it is done', async () => {
    const made = await run(foldedIndex, 1, { changes: twoFolds, open: { autoOptimize: false } })
    const unsynced = new Set<string>()
    const found: string[] = []
    for (const { kind, path, payload, isNew } of made.calls) {
      if (kind === 'write' && /\.zgq$|-wal$/.test(path)) unsynced.add(path)
      if (kind === 'open' && isNew && path.endsWith('.zgq')) unsynced.add('index')
      if (kind === 'sync') unsynced.delete(path)
      const mark = kind === 'mark' ? Buffer.from(payload).toString() : ''
      if (/ done /.test(mark)) for (const name of unsynced) found.push(`${mark.trim()}: ${name}`)
    }
    expect(found).toEqual([])
  })
})
