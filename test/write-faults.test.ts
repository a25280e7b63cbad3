// Writers whose system calls fail: a full disk, a device that fails, no descriptor left, at any call that changes or
// opens a file, once or from then on. A call says so with a typed error; what was acknowledged is there; nothing of a
// call that failed is there, unless the sync of its commit failed: then it may be there, whole. The index goes on, in
// the same process where the fault has passed.

import { cpSync, readFileSync, rmSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { drawChanges, PART_OF_DELTA, possibleRows, type Change, type ChangedRow, type Rows } from './support/changes.ts'
import { indexIn, readMarks, runChanges } from './support/changes-program.ts'
import { problemsOf } from './support/changed-index.ts'
import { builtIndex, emptyIndex, FOLDED_DIM, foldedIndex, type ChangingFolder } from './support/changing-folders.ts'
import { shimEnv } from './support/crash-log.ts'
import { drawFoldedChanges } from './support/fold-changes.ts'
import { IN_MEMORY, useTempFolder, type TempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('write-faults', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 16)
/** Calls that fail, of each form and scenario; they are some 250, of the log some thousands. */
const POINTS = step(1, 60)
/** What an operating system's error may become. */
const TYPED = /^w0 (failed|unopened|unclosed|unread) \S+ (ZGQ_IO|ZGQ_READ_ONLY|ZGQ_LOCKED) /

interface Scenario {
  readonly name: string
  readonly make: (temp: TempFolder, writers: number) => Promise<ChangingFolder>
  readonly changes: (before: Rows) => Change[]
  /** Another writer, whose calls do not fail, changes the index meanwhile. */
  readonly hasOther?: boolean
  /** Afterwards a fold leaves nothing of those that failed. */
  readonly folds?: boolean
}

/** Calls by which the log grows beyond 8 MB, so that it is moved into the catalogue. */
function longLog(): Change[] {
  const rows = (version: number): ChangedRow[] =>
    Array.from({ length: 30 }, (_, i) => ({
      id: `0-${500 + i}`,
      vector: [i, version, 0, 7],
      payload: { writer: 0, group: 1, version, tags: ['long'], body: `${version}`.repeat(60_000) }
    }))
  return [1, 2, 3, 4, 5, 6, 7].map((version) => ({ call: 'upsert', rows: rows(version) }))
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'built',
    make: builtIndex,
    changes: (before) => drawChanges({ seed: SEED, writer: 0, count: 12, before })
  },
  {
    name: 'deltas',
    make: emptyIndex,
    changes: (before) => drawChanges({ seed: SEED, writer: 0, count: 12, most: PART_OF_DELTA, before })
  },
  { name: 'a long log', make: emptyIndex, changes: longLog },
  {
    name: 'with another writer',
    make: builtIndex,
    changes: (before) => drawChanges({ seed: SEED + 1, writer: 0, count: 20, before }),
    hasOther: true
  },
  {
    name: 'folds',
    make: foldedIndex,
    changes: (before) => drawFoldedChanges({ seed: SEED, writer: 0, count: 6, before, dim: FOLDED_DIM }),
    folds: true
  }
]

interface Faulty {
  readonly problems: readonly string[]
  /** Marks of what failed. */
  readonly failures: readonly string[]
  readonly counts: readonly number[]
}

interface Drawn extends ChangingFolder {
  readonly folds: boolean
  /** Of each writer. */
  readonly changes: readonly (readonly Change[])[]
}

/** Lets the first writer run into a fault. */
async function runWith(fail: string | undefined, of: Drawn): Promise<Faulty> {
  const [folder, marks, counts] = ['faulty', 'marks', 'counts'].map((name) => temp.fresh(name))
  cpSync(of.folder, folder, { recursive: true })
  const path = indexIn(folder)
  const faulty = shimEnv(temp, { folder, marks, counts, ...(fail === undefined ? {} : { fail }) })
  const ends = await Promise.all(
    of.changes.map(async (changes, writer) => {
      const task = { path, writer, changes, marks, reads: true }
      return await runChanges(task, temp.fresh('task.json'), writer === 0 ? faulty : {})
    })
  )
  const lines = readMarks(marks)
  const failures = lines.filter((line) => /^w\d (failed|unopened|unclosed|unread)/.test(line))
  const expected = of.changes.map((changes, writer) => ({
    writer,
    states: possibleRows(changes, { marks: lines, writer, before: of.rows[writer], failsAtSync: true })
  }))
  const problems = [
    ...ends.flatMap(({ code, signal, stderr }) =>
      code === 0 && stderr === '' ? [] : [`ended with ${String(code ?? signal)}: ${stderr.slice(0, 600)}`]
    ),
    ...failures.filter((line) => !TYPED.test(line)),
    ...lines.filter((line) => line.includes(' misread ')),
    ...(fail === undefined || /\d$/.test(fail) ? afterOneFault(lines).map((line) => `failed later: ${line}`) : []),
    ...(await problemsOf(path, expected, { writes: true, folds: of.folds }))
  ]
  rmSync(folder, { recursive: true, maxRetries: 5 })
  return { problems, failures, counts: readFileSync(counts, 'utf8').split(' ').map(Number) }
}

/** Where a call of the system failed once, one call fails, or some that were made together, and the rest is done. */
function afterOneFault(lines: readonly string[]): string[] {
  const failed = lines.filter((line) => /^w0 (failed|unopened|unread)/.test(line))
  const callOf = (line: string): string => line.split(' ')[2].split('.')[0]
  return failed.filter((line) => callOf(line) !== callOf(failed[0]))
}

const FAULTS = ['ENOSPC', 'EIO', 'EMFILE'].flatMap((error) =>
  (error === 'ENOSPC' ? ['', '+', '~'] : ['', '+']).map((form) => [error, form] as const)
)

interface Ready extends Drawn {
  readonly name: string
  /** Calls that change files, and calls that open them, of the first writer. */
  readonly counts: readonly number[]
}

async function makeReady({ name, make, changes, hasOther = false, folds = false }: Scenario): Promise<Ready> {
  const made = await make(temp, hasOther ? 2 : 1)
  const others = made.rows.slice(1).map((before) => drawChanges({ seed: SEED, writer: 1, count: 12, before }))
  const drawn = { ...made, folds, changes: [changes(made.rows[0]), ...others] }
  const { counts, problems } = await runWith(undefined, drawn)
  expect(problems).toEqual([])
  return { ...drawn, name, counts }
}

describe.runIf(process.platform === 'linux')(`a writer whose calls fail (seed ${SEED})`, () => {
  const ready: Ready[] = []
  beforeAll(async () => {
    for (const scenario of SCENARIOS) ready.push(await makeReady(scenario))
  })

  it.each(FAULTS.map((fault, number) => [...fault, number] as const))(
    'with %s%s says so and loses nothing',
    { timeout: 3_600_000 },
    async (error, form, number) => {
      const wrong: unknown[] = []
      let failed = 0
      let runs = 0
      for (const [i, index] of ready.entries()) {
        if ((i + number) % step(2) !== 0) continue
        const last = index.counts[error === 'EMFILE' ? 1 : 0]
        const points = Math.min(last, POINTS)
        for (let point = 0; point < points; point++) {
          // Spread evenly; other ones for each fault, where not all are taken.
          const shift = points < last ? ((i * 5 + number * 3) % 10) / 10 : 0
          const fail = `${error}:${1 + Math.floor(((point + shift) * last) / points)}${form}`
          const result = await runWith(fail, index)
          runs++
          failed += result.failures.length
          if (result.problems.length > 0) wrong.push({ fail, name: index.name, ...result })
        }
      }
      console.log(`${error}${form}: ${runs} runs, ${failed} calls failed`)
      expect(wrong).toEqual([])
    }
  )
})
