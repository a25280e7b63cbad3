// Writers that fold, back up and repair an index, and are killed at any moment of it, with another writer and a reader
// in processes of their own beside them: the index is whole, every acknowledged call is there, none by half; a copy is
// there once it was acknowledged, and whole where it is there. The same index goes through several such deaths, and
// in the end nothing is left that is not part of it.

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { CHANGES_DIM, ONE_DELTA, possibleRows, type Change, type Rows } from './support/changes.ts'
import { hastyCleanUp, readMarks, runChanges, startChanges, type RunningChanges } from './support/changes-program.ts'
import { problemsOf, readRows, type Expected } from './support/changed-index.ts'
import { builtIndex, emptyIndex, foldedIndex, LITTLE_MEMORY, type ChangingFolder } from './support/changing-folders.ts'
import { shimEnv } from './support/crash-log.ts'
import { drawFoldedChanges } from './support/fold-changes.ts'
import { leftovers } from './support/leftovers.ts'
import { history } from './support/power-runs.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'
import { startWatcher } from './support/watching-program.ts'

const temp = useTempFolder('fold-kill', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 150)
const INDEXES = step(1, 56)
/** Deaths that one index goes through. */
const DEATHS = step(6, 10)
const CHANGES = 8
/** Calls that change files of a writer that is not killed, about. */
const CALLS = 500
/** What a writer is killed at: a call that has begun, or a stage of a fold. */
type Aim = Change['call'] | 'plan' | 'write' | 'calibrate' | 'publish' | 'clean-up'

/** Draws one of those that a writer comes to: copies and repairs, which are rare, more often. */
function drawAim(changes: readonly Change[], random: () => number): Aim {
  const calls = changes.map(({ call }) => call)
  const has = (call: Change['call']): boolean => calls.includes(call)
  const stages = ['plan', 'write', 'write', 'calibrate', 'publish', 'publish', 'clean-up'] as const
  const aims: Aim[] = [
    ...(['add', 'delete', 'update', 'backup', 'repair'] as const).filter(has),
    ...(['backup', 'repair'] as const).filter(has),
    ...(has('optimize') ? stages : [])
  ]
  return aims[Math.floor(random() * aims.length)]
}

/** The call or the stage of a fold of which a mark tells. */
function aimOf(line: string, changes: readonly Change[]): string {
  const [, what, which] = line.split(' ')
  if (what === 'at') return which
  return what === 'begun' ? changes[Number(which.split('.')[0])].call : what
}

interface Killing {
  readonly marks: string
  readonly changes: readonly Change[]
  readonly random: () => number
}

/** Kills a process a little after it has come to something, or somewhere where it does not come to that. */
async function killAt(running: RunningChanges, aim: Aim, { marks, changes, random }: Killing): Promise<void> {
  // Not always the first time that it comes to it.
  let times = random() < 0.2 ? 2 : 1
  let seen = 0
  const isRunning = (): boolean => running.process.exitCode === null && running.process.signalCode === null
  while (isRunning() && times > 0) {
    const lines = readMarks(marks).filter((line) => line.startsWith('w0 '))
    for (const line of lines.slice(seen)) if (aimOf(line, changes) === aim) times--
    seen = lines.length
    if (times > 0) await setTimeout(1)
  }
  await setTimeout(random() * (random() < 0.3 ? 30 : 4))
  running.process.kill('SIGKILL')
}

/** What was under way when a writer was killed, by its last marks. */
function underWay(lines: readonly string[], changes: readonly Change[]): string {
  const own = lines.filter((line) => line.startsWith('w0 '))
  const last = own.at(-1) ?? ''
  const what = last === '' ? 'opening' : aimOf(last, changes)
  if (what === 'optimize' || last.startsWith('w0 at ')) return `fold: ${what === 'optimize' ? 'starting' : what}`
  return what === 'done' ? 'between calls' : what
}

/** States that the rows of a writer may have been in when one of its calls was made; the last one for its own copy. */
function statesAt(changes: readonly Change[], call: number, of: { marks: readonly string[]; before: Rows }): Rows[] {
  return possibleRows(changes.slice(0, call), { ...of, writer: 0 })
}

interface Death {
  readonly isKilled: boolean
  readonly at: string
  readonly acknowledged: number
  readonly problems: readonly string[]
  readonly rows: readonly Rows[]
}

/** Lets writers change an index, kills the first one, and looks at what is left. */
async function die(of: ChangingFolder, manner: Manner, seed: number): Promise<Death> {
  const random = randomFrom(seed)
  const [marks, copies] = [temp.fresh('marks'), temp.fresh('copies')]
  let copied = 0
  const copy = (kind: string): string => `${copies}-${kind}-${copied++}`
  // In some of them rows become deltas, so that folds start by themselves.
  const most = random() < 0.2 ? ONE_DELTA : 12
  const [own, others] = of.rows.map((before, writer) =>
    drawFoldedChanges({
      ...{ seed, writer, count: CHANGES, most: writer === 0 ? most : 12, before, dim: of.dim },
      ...(writer === 0 ? { copy } : {})
    })
  )
  const start = (changes: readonly Change[], writer: number, env: Record<string, string>): RunningChanges =>
    startChanges({ path: of.path, writer, changes, marks, open: { lockTimeoutMs: 60_000 } }, temp.fresh('task.json'), {
      ...hastyCleanUp(),
      ...env
    })
  const kill = `${['before', 'after', 'half'][Math.floor(random() * 3)]}:${1 + Math.floor(random() * CALLS)}`
  const running = start(own, 0, manner === 'at a call' ? shimEnv(temp, { folder: of.folder, marks, kill }) : {})
  const beside = start(others, 1, {})
  if (manner === 'at a moment') await killAt(running, drawAim(own, random), { marks, changes: own, random })
  const [end, other] = await Promise.all([running.ended, beside.ended])
  const lines = readMarks(marks)
  const expected = [own, others].map((changes, writer) => ({
    writer,
    states: possibleRows(changes, { marks: lines, writer, before: of.rows[writer] })
  }))
  const failed = lines.filter((line) => /^w\d+ (failed|unopened|unclosed)/.test(line))
  const ended = [end, other].filter(({ signal, code }) => signal !== 'SIGKILL' && code !== 0)
  const problems = [
    ...failed,
    ...ended.map(({ stderr }) => stderr),
    ...(await problemsOf(of.path, expected, { writes: random() < 0.2 })),
    ...(await problemsOfCopies(own, {
      marks: lines,
      before: of.rows[0],
      others: history({ changes: others, before: of.rows[1] })
    }))
  ]
  removeCopies(copies)
  const rows = problems.length > 0 ? of.rows : readRows(of.path, 2)
  const acknowledged = lines.filter((line) => line.includes(' done ')).length
  return { isKilled: end.signal === 'SIGKILL', at: underWay(lines, own), acknowledged, problems, rows }
}

/** A copy that was acknowledged is there; one that is there is whole, and as the index was when it was made. */
async function problemsOfCopies(
  changes: readonly Change[],
  of: { readonly marks: readonly string[]; readonly before: Rows; readonly others: readonly Rows[] }
): Promise<string[]> {
  const problems: string[] = []
  for (const [call, change] of changes.entries()) {
    if (change.call !== 'backup' && change.call !== 'repair') continue
    const isThere = existsSync(change.path)
    if (!isThere && of.marks.includes(`w0 done ${call}`)) problems.push(`the ${change.call} is not there`)
    if (!isThere) continue
    const expected: Expected[] = [
      { writer: 0, states: statesAt(changes, call, of) },
      { writer: 1, states: of.others }
    ]
    const found = await problemsOf(change.path, expected, { writes: true })
    problems.push(...found.map((problem) => `the ${change.call}: ${problem}`))
  }
  return problems
}

function removeCopies(path: string): void {
  for (const name of readdirSync(dirname(path)))
    if (name.startsWith(`${basename(path)}-`)) rmSync(join(dirname(path), name), { recursive: true, force: true })
}

/** Folds all, and once more when what that has superseded may go. */
async function tidy(path: string): Promise<string[]> {
  const changes: Change[] = [{ call: 'optimize', all: true, memoryBytes: 2 * LITTLE_MEMORY }]
  const problems: string[] = []
  for (const round of [1, 2]) {
    const marks = temp.fresh('marks')
    if (round === 2) await setTimeout(150)
    const task = { path, writer: 0, changes, marks, open: { autoOptimize: false } }
    const { stderr } = await runChanges(task, temp.fresh('task.json'), hastyCleanUp())
    problems.push(stderr, ...readMarks(marks).filter((line) => /(failed|unopened|unclosed)/.test(line)))
  }
  return [...problems.filter((text) => text !== ''), ...leftovers(path).map((name) => `${name} is left`)]
}

const MANNERS = ['at a moment', 'at a call'] as const
type Manner = (typeof MANNERS)[number]

describe.runIf(process.platform === 'linux').each(MANNERS)(
  `a writer that folds, and is killed %s (seed ${SEED})`,
  (manner) => {
    it('leaves what was acknowledged, whole, and nothing else', { timeout: 7_200_000 }, async () => {
      const kills = new Map<string, number>()
      let [acknowledged, answers] = [0, 0]
      const wrong: unknown[] = []
      for (let i = 0; i < INDEXES; i++) {
        let of = await [foldedIndex, emptyIndex, builtIndex][i % 3](temp, 2)
        const watcher = startWatcher({ path: of.path, dim: of.dim ?? CHANGES_DIM }, temp.fresh('watch.json'))
        for (let death = 0; death < DEATHS; death++) {
          const seed = SEED * 10_000 + i * 100 + death * 2 + (manner === 'at a call' ? 1 : 0)
          const left = await die(of, manner, seed)
          if (left.isKilled) kills.set(left.at, (kills.get(left.at) ?? 0) + 1)
          acknowledged += left.acknowledged
          if (left.problems.length > 0) wrong.push({ i, death, seed, at: left.at, problems: left.problems })
          if (left.problems.length > 0) break
          of = { ...of, rows: left.rows }
        }
        const watched = await watcher.stop()
        answers += watched.answers
        const problems = [...watched.problems]
        if (wrong.length === 0) {
          problems.push(...(await tidy(of.path)))
          problems.push(
            ...(await problemsOf(
              of.path,
              of.rows.map((rows, writer) => ({ writer, states: [rows] }))
            ))
          )
        }
        if (problems.length > 0) wrong.push({ i, problems })
        rmSync(of.folder, { recursive: true })
      }
      const all = Array.from(kills.values()).reduce((sum, count) => sum + count, 0)
      console.log(
        `${manner}: ${all} killed, ${acknowledged} calls acknowledged, ${answers} answers of readers; ` +
          JSON.stringify(Object.fromEntries([...kills].sort()))
      )
      expect(wrong).toEqual([])
      expect(all).toBeGreaterThan(0)
    })
  }
)
