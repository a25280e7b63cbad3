// Indexes that were copied, file by file, while a process wrote to them: each opens as the index was at some commit, or
// says what is wrong with it; and a repair finds rows in it that the index had.

import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { ZgqError } from '../src/errors.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { textsOf } from './support/changed-index.ts'
import { applyChange, drawChanges, ONE_DELTA, type Change, type Rows } from './support/changes.ts'
import { startChanges } from './support/changes-program.ts'
import { builtIndex } from './support/changing-folders.ts'
import { salvageFrom } from './support/repairs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { IS_TORTURE } from './support/torture.ts'

const temp = useTempFolder('copied', IN_MEMORY)
const SEED = 23
/** Of the marks that say that a call has begun and is done. */
const MARK_BYTES = 20
const CHANGES = IS_TORTURE ? 1500 : 40
const COPIES = IS_TORTURE ? 60 : 3

/** Which files are copied one after the other; all others are data files. */
type Part = 'catalogue' | 'log' | 'shm' | 'data'
const ORDERS: readonly (readonly Part[])[] = [
  ['catalogue', 'log', 'data'],
  ['catalogue', 'log', 'shm', 'data'],
  ['data', 'catalogue', 'log'],
  ['data', 'log', 'catalogue'],
  ['log', 'data', 'catalogue'],
  ['log', 'catalogue', 'data'],
  ['catalogue', 'data'],
  ['data', 'catalogue']
]

function partOf(name: string): Part {
  if (!name.startsWith(CATALOGUE_NAME)) return 'data'
  return name.endsWith('-wal') ? 'log' : name.endsWith('-shm') ? 'shm' : 'catalogue'
}

/** Copies as cp does: what is gone by then is not copied. `pause`: between two parts. */
async function copy(of: Copied, from: string, pause: () => Promise<void>): Promise<void> {
  mkdirSync(of.folder)
  for (const part of of.order) {
    for (const name of readdirSync(from).filter((one) => partOf(one) === part)) {
      if (existsSync(join(from, name))) copyFileSync(join(from, name), join(of.folder, name))
    }
    await pause()
  }
}

/** The rows after each commit that there may have been. */
function statesOf(changes: readonly Change[], before: Rows): Rows[] {
  const states = [before]
  const last = (): Rows => states[states.length - 1]
  for (const change of changes) {
    const parts = change.call === 'together' ? change.changes : [change]
    for (const part of parts) states.push(applyChange(last(), part))
  }
  return states
}

type Row = Parameters<typeof textsOf>[0] extends Iterable<infer Each> ? Each : never
/** States share their rows. */
const rowDigests = new WeakMap<Row, Buffer>()

/** Of rows in any order: the digests of all of them, added up bit by bit. */
function digestOf(rows: Iterable<Row>): string {
  const sum = Buffer.alloc(32)
  let count = 0
  for (const row of rows) {
    const digest =
      rowDigests.get(row) ??
      createHash('sha256')
        .update(textsOf([row])[0])
        .digest()
    rowDigests.set(row, digest)
    for (let i = 0; i < sum.length; i++) sum[i] ^= digest[i]
    count++
  }
  return `${count} ${sum.toString('hex')}`
}

/** What a row can be: its vector in hex, by id. */
function vectorsOf(states: readonly Rows[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const rows of states)
    for (const { id, vector } of rows.values()) {
      const bytes = Buffer.from(Float32Array.from(vector).buffer).toString('hex')
      found.set(id, (found.get(id) ?? new Set()).add(bytes))
    }
  return found
}

interface Copied {
  readonly order: readonly Part[]
  readonly folder: string
}

/**
 * Copies an index in every order while a process writes to it; returns the copies, and the states that it went through.
 */
async function copiesWhileWriting(): Promise<{ copies: Copied[]; states: Rows[] }> {
  const { path, rows } = await builtIndex(temp, 1)
  const changes = drawChanges({ seed: SEED, writer: 0, count: CHANGES, most: ONE_DELTA, before: rows[0] })
  const task = { path, writer: 0, changes, marks: temp.fresh('marks') }
  const running = startChanges(task, temp.fresh('task.json'))
  let isRunning = true
  const ended = running.ended.finally(() => {
    isRunning = false
  })
  const marked = (): number => statSync(task.marks, { throwIfNoEntry: false })?.size ?? 0
  // The writer goes on by a call or two meanwhile.
  const pause = async (): Promise<void> => {
    const before = marked()
    while (isRunning && marked() < before + MARK_BYTES) await setTimeout(1)
  }
  const copies: Copied[] = []
  while (isRunning && copies.length < COPIES * ORDERS.length) {
    const copied = { order: ORDERS[copies.length % ORDERS.length], folder: temp.fresh('copy') }
    copies.push(copied)
    await copy(copied, path, pause)
  }
  expect(await ended).toMatchObject({ code: 0, stderr: '' })
  return { copies, states: statesOf(changes, rows[0]) }
}

describe('an index that was copied while it was being written', () => {
  it(
    'opens as of some commit, or says what is wrong; a repair finds rows that it had',
    { timeout: 3_600_000 },
    async () => {
      const { copies, states } = await copiesWhileWriting()
      const vectors = vectorsOf(states)
      const digests = new Set(states.map((rows) => digestOf(rows.values())))
      const outcomes = new Map<string, number>()
      const problems: unknown[] = []
      for (const { order, folder } of copies) {
        const outcome = await look(folder, digests)
        const key = `${order.join(', ')}: ${outcome.what}`
        outcomes.set(key, (outcomes.get(key) ?? 0) + 1)
        if (outcome.problems.length > 0) problems.push({ order, ...outcome })
        if (outcome.what !== 'opens') problems.push(...(await strangersIn(folder, vectors)))
        rmSync(folder, { recursive: true })
      }
      console.log(
        Array.from(outcomes, ([key, count]) => `${count} x ${key}`)
          .sort()
          .join('\n')
      )
      expect(problems).toEqual([])
      // With data files last nothing that the catalogue names can be missing.
      const safe = ['catalogue, log, data: opens', 'catalogue, data: opens']
      for (const key of safe) expect(outcomes.get(key) ?? 0).toBeGreaterThan(0)
    }
  )
})

async function look(
  folder: string,
  states: ReadonlySet<string>
): Promise<{ what: string; problems: readonly string[] }> {
  let index: ZgqIndex<string, Record<string, unknown>>
  try {
    index = ZgqIndex.open(folder)
  } catch (error) {
    if (!(error instanceof ZgqError)) return { what: 'throws', problems: [String(error)] }
    const isNamed = error.path?.startsWith(folder) === true && error.message.includes(error.path)
    return { what: error.code, problems: isNamed ? [] : [error.message] }
  }
  try {
    const state = digestOf(index.documents())
    await checkIndex(folder)
    return { what: 'opens', problems: states.has(state) ? [] : ['it has rows of no commit'] }
  } catch (error) {
    return { what: 'opens', problems: [String(error)] }
  } finally {
    index.close()
  }
}

/** Rows of a repair that the index never had. */
async function strangersIn(folder: string, vectors: ReadonlyMap<string, ReadonlySet<string>>): Promise<string[]> {
  const { rows } = await salvageFrom(folder, true)
  return Array.from(rows).flatMap(([id, { vector }]) =>
    vectors.get(String(id))?.has(vector) === true ? [] : [`row ${id}`]
  )
}
