// A query that never gives a row can be ended, like every other: by a signal, by Ctrl-C, and by the death of the build.
// What preloaded modules print does not get in between.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { betterSqlite3 } from './support/drivers.ts'
import { entryUrl, printedBy } from './support/run-node.ts'
import { rejection } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('endless-query')
const database = join(temp.path, 'app.db')
const DIM = 4
const COUNT = 50
const ENDLESS =
  'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, zeroblob(16) FROM n WHERE i < 0'
/** Longer than the process may live on after its build, on a busy machine. */
const PATIENCE = { timeout: 10_000, interval: 20 }

beforeAll(() => {
  const made = betterSqlite3().open(database, { mode: 'create' })
  made.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB)')
  const insert = made.prepare('INSERT INTO rows VALUES (?, ?)')
  for (let id = 0; id < COUNT; id++)
    insert.run(id, new Uint8Array(Float32Array.from({ length: DIM }, (_, i) => Math.sin(id * DIM + i)).buffer))
  made.close()
})

/** Processes that a test has found, to be ended whatever it said of them. */
const found = new Set<number>()
afterEach(() => {
  for (const pid of found) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  found.clear()
})

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Waits until a process has started another one for a query, and SQLite is at work in that; returns its number. */
async function queryOf(parent: number): Promise<number> {
  return vi.waitFor(() => {
    for (const thread of readdirSync(`/proc/${parent}/task`)) {
      for (const child of readFileSync(`/proc/${parent}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean)) {
        if (!readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('query-process')) continue
        found.add(Number(child))
        // User time in hundredths of a second: what starting takes is less.
        if (Number(readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1].split(' ')[11]) > 50) return Number(child)
      }
    }
    throw new Error('no query is at work')
  }, PATIENCE)
}

async function expectGone(pid: number): Promise<void> {
  await vi.waitFor(() => {
    expect(isRunning(pid)).toBe(false)
  }, PATIENCE)
}

function place(): { folder: string; output: string } {
  const folder = temp.fresh('place')
  mkdirSync(folder)
  return { folder, output: join(folder, 'index') }
}

describe('a query that gives no row', () => {
  it('ends at once with the signal of its build, whose reason is said', async () => {
    const { folder, output } = place()
    const controller = new AbortController()
    const reason = new Error('the user went away')
    const stopped = rejection(buildIndex({ input: database, query: ENDLESS, output, signal: controller.signal }))
    const query = await queryOf(process.pid)
    controller.abort(reason)
    expect(await stopped).toBe(reason)
    await expectGone(query)
    expect(readdirSync(folder)).toEqual([])
  })

  it('is not started where the signal was aborted before', async () => {
    const reason = new Error('never mind')
    const options = { input: database, query: ENDLESS, output: place().output, signal: AbortSignal.abort(reason) }
    expect(await rejection(buildIndex(options))).toBe(reason)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends with zgq build by %s, which says that nothing is left',
    async (signal) => {
      const { folder, output } = place()
      const child = start([join(ROOT, 'dist/zgq.js'), 'build', database, output, '--query', ENDLESS])
      const query = await queryOf(Number(child.pid))
      child.kill(signal)
      const { code, stderr } = await endOf(child)
      expect({ code, last: stderr.trimEnd().split('\n').at(-1) }).toEqual({
        code: signal === 'SIGINT' ? 130 : 143,
        last: 'zgq: interrupted; nothing was left behind'
      })
      await expectGone(query)
      expect(readdirSync(folder)).toEqual([])
    }
  )

  it('ends with its build, however that ends', async () => {
    const options = JSON.stringify({ input: database, query: ENDLESS, output: place().output })
    const script = `import { buildIndex } from '${entryUrl('build')}'; await buildIndex(${options})`
    const child = start(['--input-type=module', '--eval', script])
    const query = await queryOf(Number(child.pid))
    child.kill('SIGKILL')
    await once(child, 'close')
    await expectGone(query)
  })
})

describe('a query of a process with a preloaded module', () => {
  it('gives its rows, although the module prints to standard output', () => {
    const preloaded = join(temp.path, 'preloaded.cjs')
    writeFileSync(
      preloaded,
      `require('node:worker_threads').isMainThread && process.argv[1]?.includes('query-process')
      && console.log('3 variables were loaded')`
    )
    const options = JSON.stringify({ input: database, query: 'SELECT * FROM rows', output: place().output })
    expect(
      printedBy(`const { count } = await buildIndex(${options}); print(count)`, {
        NODE_OPTIONS: `--require ${preloaded}`
      })
    ).toBe(COUNT)
  })
})

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

async function endOf(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  await once(child, 'close')
  return { code: child.exitCode, stderr }
}
