// Folds where the file system fails them, where they are cancelled, and where files cannot be removed: a typed error,
// the index as it was, nothing left behind, and the next fold works. What SQLite writes fails in write-faults.test.ts.

import { cpSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { ZgqError } from '../src/errors.ts'
import type { FoldReport, FoldTell } from '../src/fold/fold-messages.ts'
import { FoldSession } from '../src/fold/fold-session.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { repeated } from './support/changes.ts'
import { FOLDED_DIM, foldedIndex, LITTLE_MEMORY } from './support/changing-folders.ts'
import { leftovers, strays } from './support/leftovers.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

/** The error of removals, where the system refuses them: of the files that were there when that began. */
const refused = vi.hoisted((): { code: string | undefined; open: readonly string[]; names: string[] } => ({
  code: undefined,
  open: [],
  names: []
}))

vi.mock('node:fs', async (importOriginal) => {
  const { failingFs: failing } = await import('./support/failing-fs.ts')
  const replaced = failing(await importOriginal())
  const { unlinkSync } = replaced
  const remove = (path: string): void => {
    const { code } = refused
    if (code !== undefined && refused.open.includes(path)) {
      refused.names.push(path)
      throw Object.assign(new Error(`${code}: made by the test`), { code, syscall: 'unlink' })
    }
    if (typeof unlinkSync === 'function') unlinkSync(path)
  }
  const all = { ...replaced, unlinkSync: remove }
  return { ...all, default: all }
})

afterEach(() => {
  resetFaults()
  refused.code = undefined
  refused.names.length = 0
})

const temp = useTempFolder('fold-faults', IN_MEMORY)
/** An index with rows in zones, deleted and updated ones among them, and new ones: folds of it have several steps. */
let base = ''
let documents: string[] = []
const quiet: FoldTell = { note: () => undefined, check: () => undefined }

function textsOf(path: string): string[] {
  const index = ZgqIndex.open(path)
  try {
    return Array.from(index.documents(), ({ id, vector, payload }) =>
      JSON.stringify([id, Array.from(vector), Object.entries(payload ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))])
    ).sort()
  } finally {
    index.close()
  }
}

beforeAll(async () => {
  base = (await foldedIndex(temp, 2)).path
  const index = ZgqIndex.open<string>(base, { mode: 'write', autoOptimize: false })
  const body = 'later '.repeat(100)
  await index.add(
    Array.from({ length: 300 }, (_, i) => ({
      id: `0-${900 + i}`,
      vector: repeated([i, 2, 0, i % 5], FOLDED_DIM),
      payload: { writer: 0, body }
    }))
  )
  await index.delete(Array.from({ length: 60 }, (_, i) => `1-${i * 8}`))
  await index.update(['0-1', '0-300', '1-1'], { version: 7, tags: ['updated'] })
  await index.add([{ id: '1-900', vector: repeated([1, 2, 3, 4], FOLDED_DIM), payload: { writer: 1 } }])
  index.close()
  documents = textsOf(base)
})

/** A copy of the index that a test may fold. */
function copyOfBase(): string {
  const path = temp.fresh('index')
  cpSync(base, path, { recursive: true })
  return path
}

/** Folds in this thread, as the thread of a fold does. */
async function fold(path: string, tell: FoldTell = quiet, lockTimeoutMs = 0): Promise<FoldReport> {
  const session = new FoldSession(
    {
      folder: path,
      indexId: readCatalogue(base).meta.indexId,
      write: { durability: 'full', lockTimeoutMs, allowNetworkFileSystem: false },
      read: { mapping: 'pread', verify: 'touch', cacheBytes: 2 ** 20 },
      memoryBytes: LITTLE_MEMORY,
      all: true,
      isAutomatic: false,
      onlyCleansUp: false,
      graceMs: 60_000
    },
    tell
  )
  try {
    return await session.run()
  } finally {
    session.close()
  }
}

function refuseRemovals(path: string, code: string): void {
  refused.code = code
  refused.open = readdirSync(path).map((name) => join(path, name))
}

const errorOf = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => undefined,
    (error: unknown) => error
  )

/** What is wrong with an index after a fold that failed. */
async function problemsOf(path: string, isTidy: boolean): Promise<string[]> {
  const problems: string[] = []
  const expectSame = (when: string): void => {
    if (textsOf(path).join('\n') !== documents.join('\n')) problems.push(`other rows ${when}`)
    const left = strays(path)
    if (left.length > 0 && (isTidy || when !== 'before')) problems.push(`${left.join()} left ${when}`)
  }
  try {
    await checkIndex(path)
    expectSame('before')
    await fold(path)
    expectSame('after the next fold')
    const { deltaRows, freshRows, deletedRows } = readChanges(path)
    if (deltaRows + freshRows + deletedRows > 0) problems.push('the next fold left something')
    await checkIndex(path)
  } catch (error) {
    problems.push(String(error instanceof Error ? error.stack : error))
  }
  rmSync(path, { recursive: true })
  return problems
}

function readChanges(path: string): { deltaRows: number; freshRows: number; deletedRows: number } {
  const index = ZgqIndex.open(path)
  const { changes } = index.info()
  index.close()
  return changes
}

const WRITES = ['openSync', 'writeSync', 'fsyncSync', 'mkdirSync', 'renameSync', 'rmSync', 'unlinkSync', 'readdirSync']

describe('a fold where the file system fails it', () => {
  it('has several steps and no problem where nothing fails', async () => {
    const path = copyOfBase()
    const report = await fold(path)
    expect(report.steps).toBeGreaterThan(1)
    expect(await problemsOf(path, true)).toEqual([])
  })

  it('rejects with ZGQ_IO whichever write, sync or opening fails, loses nothing, and may be repeated', async () => {
    const probe = copyOfBase()
    resetFaults()
    await fold(probe)
    const calls = faults.calls.filter((name) => WRITES.includes(name))
    resetFaults()
    const seen = new Map<string, number>()
    const all = calls.map((name) => {
      seen.set(name, (seen.get(name) ?? 0) + 1)
      return `${name} ${String(seen.get(name))}`
    })
    const chosen = all.filter((_, i) => i % step(Math.ceil(all.length / 14)) === 0)
    const wrong: unknown[] = []
    for (const failing of chosen) {
      const path = copyOfBase()
      resetFaults()
      faults.failingOne = failing
      const error = await errorOf(fold(path))
      resetFaults()
      // Where a removal failed, it is for the next fold.
      const isTidy = !/^(rmSync|unlinkSync|readdirSync)/.test(failing)
      const isTyped = error === undefined || (error instanceof ZgqError && error.code === 'ZGQ_IO')
      const problems = await problemsOf(path, isTidy)
      if (!isTyped || problems.length > 0) wrong.push({ failing, error: String(error), problems })
    }
    console.log(`${chosen.length} of ${all.length} writes of a fold failed`)
    expect(wrong).toEqual([])
    expect(chosen.length).toBeGreaterThan(10)
  })

  it('rejects with ZGQ_IO on a full disk, loses nothing, and may be repeated where there is room', async () => {
    const probe = copyOfBase()
    resetFaults()
    await fold(probe)
    const bytes = faults.bytesWritten
    const wrong: unknown[] = []
    const points = step(4, 100)
    for (let point = 0; point < points; point++) {
      const path = copyOfBase()
      resetFaults()
      faults.bytesLeft = Math.floor(((bytes - 1) * point) / (points - 1))
      const error = await errorOf(fold(path))
      resetFaults()
      const isTyped = error instanceof ZgqError && error.code === 'ZGQ_IO'
      const problems = await problemsOf(path, true)
      if (!isTyped || problems.length > 0) wrong.push({ point, error: String(error), problems })
    }
    expect(wrong).toEqual([])
  })
})

class Cancelled extends Error {}

describe('a fold that is cancelled', () => {
  it.each(['note', 'check'] as const)('at any %s leaves the index as it was, and nothing behind', async (kind) => {
    let total = 0
    const probe = copyOfBase()
    await fold(probe, { ...quiet, [kind]: () => void total++ })
    expect(total).toBeGreaterThan(5)
    const wrong: unknown[] = []
    const every = step(Math.ceil(total / 5))
    for (let at = 1; at <= total; at += every) {
      const path = copyOfBase()
      let seen = 0
      const tell = {
        ...quiet,
        [kind]: () => {
          if (++seen >= at) throw new Cancelled() // once it is cancelled it stays so
        }
      }
      const error = await errorOf(fold(path, tell))
      const problems = await problemsOf(path, true)
      if (!(error instanceof Cancelled) || problems.length > 0) wrong.push({ at, error: String(error), problems })
    }
    expect(wrong).toEqual([])
  })

  it('has published whole steps, which stay', async () => {
    const path = copyOfBase()
    const before = readCatalogue(path).meta
    let [published, isCancelled] = [0, false]
    const tell: FoldTell = {
      note({ stage, done, total }) {
        if (stage === 'publish' && done === total) published++
        if (published === 1 && stage === 'plan') isCancelled = true
        tell.check()
      },
      check() {
        if (isCancelled) throw new Cancelled()
      }
    }
    expect(await errorOf(fold(path, tell))).toBeInstanceOf(Cancelled)
    expect(published).toBe(1)
    expect(readCatalogue(path).meta.generation).toBeGreaterThan(before.generation)
    expect(await problemsOf(path, true)).toEqual([])
  })
})

describe('a fold that is told twice', () => {
  it('is ZGQ_LOCKED the second time, at every stage of the first', async () => {
    const path = copyOfBase()
    const stages = new Set<string>()
    const tries: Promise<unknown>[] = []
    await fold(path, {
      ...quiet,
      note({ stage }) {
        if (stages.has(stage)) return
        stages.add(stage)
        tries.push(errorOf(fold(path)))
      }
    })
    const errors = await Promise.all(tries)
    expect(stages.size).toBeGreaterThan(3)
    expect(errors).toEqual(errors.map(() => expect.objectContaining({ code: 'ZGQ_LOCKED' })))
    expect(await problemsOf(path, true)).toEqual([])
  })
})

describe('a fold where files that are open cannot be removed', () => {
  it.each(['EBUSY', 'EPERM', 'EACCES'])('(%s) works, and a later one removes them', async (code) => {
    const path = copyOfBase()
    await fold(path)
    const waiting = leftovers(path)
    expect(waiting.length).toBeGreaterThan(0)
    expect(strays(path)).toEqual([])
    // More than the minute for which readers may need them.
    vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000)
    try {
      refuseRemovals(path, code)
      expect(await fold(path)).toMatchObject({ removedFiles: 0 })
      expect(refused.names.length).toBeGreaterThan(0)
      expect(leftovers(path)).toEqual(waiting)
      expect(strays(path)).toEqual([])
      refused.code = undefined
      expect(await fold(path)).toMatchObject({ removedFiles: waiting.length })
    } finally {
      vi.restoreAllMocks()
    }
    expect(leftovers(path)).toEqual([])
    expect(await problemsOf(path, true)).toEqual([])
  })

  it('leaves what a dead fold has written to a later one', async () => {
    const path = copyOfBase()
    // It dies: nothing that it does afterwards comes to the disk.
    resetFaults()
    const error = await errorOf(
      fold(path, {
        ...quiet,
        note({ stage, done, total }) {
          if (stage === 'write' && done === total) faults.dyingCall = faults.calls.length
        }
      })
    )
    expect(error).toBeDefined()
    resetFaults()
    expect(strays(path).length).toBeGreaterThan(0)
    refuseRemovals(path, 'EBUSY')
    await fold(path)
    expect(refused.names.length).toBeGreaterThan(0)
    expect(strays(path).length).toBeGreaterThan(0)
    refused.code = undefined
    expect(textsOf(path)).toEqual(documents)
    expect(await problemsOf(path, false)).toEqual([])
  })
})

it('keeps no file open in its folder', async () => {
  const path = copyOfBase()
  await fold(path)
  if (process.platform !== 'linux') return
  const open = readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return [readlinkSync(join('/proc/self/fd', name))]
    } catch {
      return []
    }
  })
  expect(open.filter((name) => name.startsWith(path))).toEqual([])
})
