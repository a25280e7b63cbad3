// Readers and writers in processes of their own, with folds and clean-ups, for hundreds of commits: every answer is of
// exactly one commit, none goes backward, and in the end nobody has stayed behind, a reader that was stopped all the
// while among them.

import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { hastyCleanUp } from './support/changes-program.ts'
import {
  commitsOf,
  GENERATIONS_INDEX,
  startReader,
  startWriter,
  WRITERS,
  type ReaderEnd,
  type RunningProgram,
  type WriterTask
} from './support/generation-programs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { IS_TORTURE, step } from './support/torture.ts'

const temp = useTempFolder('fold-generations', IN_MEMORY)
const READERS = step(2, 8)
const RUNNING_WRITERS = step(1, WRITERS)
/** Commits of all writers. */
const COMMITS = step(25, 500)
/** Readers that differ in how they read, and in what they hold. */
const OPTIONS = [
  { mapping: 'auto' },
  { mapping: 'pread', cacheBytes: 2 ** 20 },
  { mapping: 'mmap', threads: 2 },
  { mapping: 'pread', threads: 2, cacheBytes: 2 ** 16 },
  { mapping: 'pread', verify: 'open' },
  { mapping: 'mmap', threads: 0 },
  { mapping: 'pread', cacheBytes: 0 },
  { mapping: 'auto', threads: 1, verify: 'none' }
]

/** Waits for what another process does. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setTimeout(5)
}

describe.runIf(process.platform === 'linux')('readers of an index that is written to and folded', () => {
  it(
    `find one commit in every answer: ${READERS} readers, ${RUNNING_WRITERS} writers, ${COMMITS} commits`,
    { timeout: 7_200_000 },
    async () => {
      const [path, done, end] = [temp.fresh('index'), temp.fresh('done'), temp.fresh('end')]
      const created = await ZgqIndex.create(path, GENERATIONS_INDEX)
      created.close()
      const each = Math.ceil(COMMITS / RUNNING_WRITERS)
      // Rows of some 600 bytes: a fold with the least memory has two steps and more.
      const shared = { path, done, bodyWords: 100, commits: each, foldsEvery: 7, memoryBytes: 2 ** 20 }
      const start = (task: Pick<WriterTask, 'writer' | 'creates'>): ReturnType<typeof startWriter> =>
        startWriter({ ...shared, ...task }, temp.fresh('writer.json'), hastyCleanUp())
      await start({ writer: 0, creates: true }).ended
      const readers = Array.from({ length: READERS }, (_, i): { ready: string; of: RunningProgram<ReaderEnd> } => {
        const ready = temp.fresh('ready')
        const options = OPTIONS[i % OPTIONS.length]
        return { ready, of: startReader({ path, options, ready, end }, temp.fresh('reader.json')) }
      })
      await until(() => readers.every(({ ready, of }) => existsSync(ready) || of.process.exitCode !== null))
      const writers = Array.from({ length: RUNNING_WRITERS }, (_, writer) => start({ writer }))
      const isOver = (): boolean => writers.some(({ process }) => process.exitCode !== null)
      // The last reader sleeps from a fifth of the commits to four fifths of them.
      const sleeper = readers.at(-1)!.of.process
      await until(() => isOver() || commitsOf(done) >= COMMITS / 5)
      sleeper.kill('SIGSTOP')
      await until(() => isOver() || commitsOf(done) >= (COMMITS * 4) / 5)
      sleeper.kill('SIGCONT')
      const ends = await Promise.all(writers.map(({ ended }) => ended))
      writeFileSync(end, '')
      const found = await Promise.all(readers.map(({ of }) => of.ended))
      const index = ZgqIndex.open<string>(path)
      const { generation, changes } = index.info()
      const rows = Array.from(index.documents())
      index.close()
      const registers = {
        token: rows.find(({ id }) => id === 'a-1')?.payload?.['token'],
        patch: rows.find(({ id }) => id === 'a-1')?.payload?.['patch'],
        rows: rows.find(({ id }) => id.startsWith('r-'))?.payload?.['token']
      }
      const answers = found.reduce((sum, one) => sum + one.answers, 0)
      const folds = ends.reduce((sum, one) => sum + one.folds, 0)
      console.log(
        `${changes.commit} commits, generation ${generation}, ${folds} steps that were told, ${answers} answers`
      )
      expect(found.flatMap(({ problems }) => problems)).toEqual([])
      expect(found.map((one) => one.registers)).toEqual(found.map(() => registers))
      expect(found.map((one) => [one.generation, one.commit])).toEqual(found.map(() => [generation, changes.commit]))
      expect(folds).toBeGreaterThan(0)
      expect(changes.commit).toBeGreaterThanOrEqual(COMMITS)
      await checkIndex(path)
      if (IS_TORTURE) expect(answers).toBeGreaterThan(1000)
    }
  )
})
