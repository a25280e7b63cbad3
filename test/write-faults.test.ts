// Writers whose system calls fail: a full disk, a device that fails, no descriptor left, at any call that changes or
// opens a file, once or from then on. A call says so with a typed error; what was acknowledged is there, a call that
// failed is there whole or not at all, and the index goes on, in the same process where the fault has passed.

import { cpSync, rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { drawChanges, possibleRows } from './support/changes.ts'
import { indexIn, readMarks, runChanges } from './support/changes-program.ts'
import { problemsOf } from './support/changed-index.ts'
import { builtIndex, emptyIndex, type ChangingFolder } from './support/changing-folders.ts'
import { shimEnv } from './support/crash-log.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('write-faults', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 16)
/** What an operating system's error may become. */
const TYPED = /^w0 (failed|unopened|unclosed) \S+ (ZGQ_IO|ZGQ_READ_ONLY|ZGQ_LOCKED) /

interface Faulty {
  readonly problems: readonly string[]
  /** Calls that failed. */
  readonly failed: number
  /** Calls that failed and are there all the same. */
  readonly told: readonly string[]
  readonly isPast: boolean
}

async function runWith(fail: string, of: ChangingFolder, most: number): Promise<Faulty> {
  const [folder, marks] = [temp.fresh('faulty'), temp.fresh('marks')]
  cpSync(of.folder, folder, { recursive: true })
  const path = indexIn(folder)
  const [before] = of.rows
  const changes = drawChanges({ seed: SEED, writer: 0, count: 12, most, before })
  const env = shimEnv(temp, { folder, marks, fail })
  const { code, signal, stderr } = await runChanges({ path, writer: 0, changes, marks }, temp.fresh('task.json'), env)
  const lines = readMarks(marks)
  const failures = lines.filter((line) => /^w0 (failed|unopened|unclosed)/.test(line))
  const states = possibleRows(changes, { marks: lines, writer: 0, before })
  const isOnce = /\d$/.test(fail)
  // Where the fault came once, all calls after those that it made fail are done.
  const firstFailure = lines.findIndex((line) => line.includes(' failed '))
  const later =
    isOnce && firstFailure >= 0 ? lines.slice(firstFailure + 8).filter((line) => line.includes('failed')) : []
  const problems = [
    ...(code === 0 && stderr === '' ? [] : [`ended with ${String(code ?? signal)}: ${stderr.slice(0, 600)}`]),
    ...failures.filter((line) => !TYPED.test(line)),
    ...later.map((line) => `failed later: ${line}`),
    ...(await problemsOf(path, [{ writer: 0, states }], { writes: true }))
  ]
  rmSync(folder, { recursive: true, maxRetries: 5 })
  return {
    problems,
    failed: failures.length,
    told: failures,
    isPast: lines.at(-1) === 'w0 closed' && failures.length === 0
  }
}

const FAULTS = ['ENOSPC', 'EIO', 'EMFILE'].flatMap((error) =>
  (error === 'ENOSPC' ? ['', '+', '~'] : ['', '+']).map((form) => [error, form] as const)
)

describe.runIf(process.platform === 'linux')(`a writer whose calls fail (seed ${SEED})`, () => {
  it.each(FAULTS)('with %s%s says so and loses nothing', { timeout: 3_600_000 }, async (error, form) => {
    const indexes = [await builtIndex(temp, 1), await emptyIndex(temp, 1)]
    const wrong: unknown[] = []
    let failed = 0
    let runs = 0
    for (const [i, index] of indexes.entries()) {
      // Until the fault comes after all calls.
      for (let call = 1 + i, past = 0; past < 3; call += step(error === 'EMFILE' ? 5 : 67, 1)) {
        const fail = `${error}:${call}${form}`
        const result = await runWith(fail, index, i === 0 ? 12 : 1500)
        runs++
        failed += result.failed
        past = result.isPast ? past + 1 : 0
        if (result.problems.length > 0) wrong.push({ fail, i, problems: result.problems, told: result.told })
      }
    }
    console.log(`${error}${form}: ${runs} runs, ${failed} calls failed`)
    expect(wrong).toEqual([])
    expect(failed).toBeGreaterThan(0)
  })
})
