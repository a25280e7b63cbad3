// Writers that are killed, at random moments and at any call that changes a file, one or two at a time: afterwards the
// index is whole, every acknowledged call is there, no call is there by half, and readers answer, among them one that
// was open all the while. The same index goes through several such deaths.

import { cpSync, rmSync, statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { ZgqIndex } from '../src/zgq-index.ts'
import {
  drawChanges,
  ONE_DELTA,
  PART_OF_DELTA,
  possibleRows,
  type Change,
  type ChangedRow,
  type Rows
} from './support/changes.ts'
import { indexIn, readMarks, startChanges, type RunningChanges } from './support/changes-program.ts'
import { problemsOf, problemsOfAnswers } from './support/changed-index.ts'
import { builtIndex, emptyIndex, type ChangingFolder } from './support/changing-folders.ts'
import { shimEnv } from './support/crash-log.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('write-kill', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 14)
/** Deaths that one index goes through. */
const DEATHS = step(3, 10)
const INDEXES = step(4, 60)
const CHANGES = 12
/** Bytes of marks of a writer that is not killed, about: where to kill is drawn below it. */
const MARK_BYTES = 450
/** Calls that change files of a writer that is not killed, about. */
const CALLS = 260

type Manner = 'at a random moment' | 'at a call'

/** Kills a process once it has made some marks, after a moment. */
async function killLater(running: RunningChanges, marks: string, random: () => number): Promise<void> {
  const bytes = random() * MARK_BYTES
  const start = sizeOf(marks)
  while (sizeOf(marks) - start < bytes && running.process.exitCode === null && running.process.signalCode === null)
    await new Promise((resolve) => setTimeout(resolve, 1))
  await new Promise((resolve) => setTimeout(resolve, random() * 3))
  running.process.kill('SIGKILL')
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

interface Death {
  readonly killed: number
  readonly acknowledged: number
  readonly problems: readonly string[]
  readonly rows: readonly Rows[]
}

/** Lets writers change an index, kills them, and looks at what is left. */
async function die(of: ChangingFolder, manner: Manner, seed: number): Promise<Death> {
  const random = randomFrom(seed)
  const marks = temp.fresh('marks')
  // In some of them rows become a delta.
  const most = random() < 0.3 ? (random() < 0.5 ? ONE_DELTA : PART_OF_DELTA) : 12
  const tasks = of.rows.map((before, writer) => {
    const changes = drawChanges({ seed, writer, count: CHANGES, most, before })
    return { path: of.path, writer, changes, marks, before }
  })
  const reader = ZgqIndex.open<string>(of.path)
  try {
    const ends = await Promise.all(
      tasks.map(async ({ before: _, ...task }) => {
        const kill = `${['before', 'after', 'half'][Math.floor(random() * 3)]}:${1 + Math.floor(random() * CALLS)}`
        const env = manner === 'at a call' ? shimEnv(temp, { folder: of.folder, marks, kill }) : {}
        const running = startChanges(task, temp.fresh('task.json'), env)
        if (manner === 'at a random moment') await killLater(running, marks, random)
        return await running.ended
      })
    )
    const lines = readMarks(marks)
    const expected = tasks.map(({ writer, changes, before }) => ({
      writer,
      states: possibleRows(changes, { marks: lines, writer, before })
    }))
    const gone = expected.flatMap(({ states }) => states.flatMap((rows) => Array.from(rows.keys()))).slice(0, 40)
    const failed = lines.filter((line) => /^w\d+ (failed|unopened|unclosed)/.test(line))
    const ended = ends.filter(({ signal, code }) => signal !== 'SIGKILL' && code !== 0).map(({ stderr }) => stderr)
    const problems = [...failed, ...ended, ...(await problemsOf(of.path, expected, { gone, writes: random() < 0.2 }))]
    reader.refresh()
    const documents = Array.from(reader.documents())
    problems.push(...problemsOfAnswers(reader, documents, gone).map((problem) => `an open reader: ${problem}`))
    const rows = of.rows.map(
      (_, writer) =>
        new Map(
          documents
            .filter(({ id }) => id.startsWith(`${writer}-`))
            .map(({ id, vector, payload }) => [id, { id, vector: Array.from(vector), payload: { ...payload } }])
        )
    )
    const killed = ends.filter(({ signal }) => signal === 'SIGKILL').length
    return { killed, acknowledged: lines.filter((line) => line.includes(' done ')).length, problems, rows }
  } finally {
    reader.close()
  }
}

describe.runIf(process.platform === 'linux').each(['at a random moment', 'at a call'] as const)(
  `a writer that is killed %s (seed ${SEED})`,
  (manner) => {
    it.each([1, 2])('leaves what was acknowledged, whole (%d at a time)', { timeout: 3_600_000 }, async (writers) => {
      let killed = 0
      let acknowledged = 0
      const wrong: unknown[] = []
      for (let i = 0; i < INDEXES / 4; i++) {
        let folder = await ((i + writers) % 2 === 0 ? emptyIndex : builtIndex)(temp, writers)
        for (let death = 0; death < DEATHS; death++) {
          const seed = SEED * 1000 + i * 100 + death * 4 + writers * 2 + (manner === 'at a call' ? 1 : 0)
          const left = await die(folder, manner, seed)
          killed += left.killed
          acknowledged += left.acknowledged
          if (left.problems.length > 0) wrong.push({ i, death, seed, problems: left.problems })
          folder = { ...folder, rows: left.rows }
        }
        rmSync(folder.folder, { recursive: true })
      }
      console.log(`${manner}, ${writers} at a time: ${killed} writers killed, ${acknowledged} calls acknowledged`)
      expect(wrong).toEqual([])
      expect(killed).toBeGreaterThan(0)
    })
  }
)

/** One call of each kind, on rows of zones and on fresh ones; the writer's end seals the index. */
function oneOfEach(before: Rows): Change[] {
  const [first, second, third] = Array.from(before.keys())
  const row = (id: string, group: number): ChangedRow => ({
    id,
    vector: [group, 1, 2, 3],
    payload: { writer: 0, group, version: 9, tags: ['each'] }
  })
  return [
    { call: 'add', rows: [row('0-900', 8), row('0-901', 8)] },
    { call: 'upsert', rows: [row(first, 9), row('0-900', 9), row('0-902', 9)] },
    { call: 'update', rows: [second, '0-901'], values: { version: 10, tags: ['updated'] } },
    { call: 'upsert', rows: [row('0-903', 7)], replace: { writer: 0, group: 9 } },
    { call: 'delete', rows: [third, '0-901'] },
    { call: 'delete', rows: { filter: { writer: 0, group: 7 } } }
  ]
}

describe.runIf(process.platform === 'linux')('a writer that is killed at every call', () => {
  it.each(['before', 'half', 'after'])(
    '%s it, leaves what was acknowledged, whole',
    { timeout: 3_600_000 },
    async (when) => {
      const of = await builtIndex(temp, 1)
      const [before] = of.rows
      const changes = oneOfEach(before)
      const problems: unknown[] = []
      let killed = 0
      const dieAt = async (call: number | undefined): Promise<boolean> => {
        const [folder, marks] = [temp.fresh('changing'), temp.fresh('marks')]
        cpSync(of.folder, folder, { recursive: true })
        const env = shimEnv(temp, { folder, marks, ...(call === undefined ? {} : { kill: `${when}:${call}` }) })
        const task = { path: indexIn(folder), writer: 0, changes, marks }
        const { signal, stderr } = await startChanges(task, temp.fresh('task.json'), env).ended
        const states = possibleRows(changes, { marks: readMarks(marks), writer: 0, before })
        const found = await problemsOf(indexIn(folder), [{ writer: 0, states }], { writes: true, gone: before.keys() })
        if (found.length > 0 || stderr !== '') problems.push({ call, found, stderr })
        rmSync(folder, { recursive: true, maxRetries: 5 })
        return signal === 'SIGKILL'
      }
      expect(await dieAt(undefined)).toBe(false)
      // Until it ends before it is killed.
      for (let call = step(11); await dieAt(call); call += step(37)) killed++
      console.log(`killed at ${killed} calls`)
      expect(problems).toEqual([])
      expect(killed).toBeGreaterThan(1)
    }
  )
})
