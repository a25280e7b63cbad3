// Bits turned over in any file of an index that was written to: fresh rows, masks and patches in its catalogue and its
// log, deltas and zones. Each question is answered right or with a ZgqError. A log that is damaged ends before the
// damage, as SQLite has it: then the answers are those of an earlier commit.

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import type { OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { drawChanges, type Change, type ChangedRow } from './support/changes.ts'
import { builtIndex } from './support/changing-folders.ts'
import { describeError, isSafe } from './support/index-damage.ts'
import { MAPPINGS } from './support/mappings.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('write-damage', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 17)
const FLIPS = step(100, 5000)
const LOG_NAME = `${CATALOGUE_NAME}-wal`

type Index = ZgqIndex<string, Record<string, unknown>>

const FILTERS = [{ writer: 0, group: 1 }, { tags: 'updated' }, { version: { $gte: 30 } }, { tags: { $in: ['tag 1'] } }]

/** Together they read all of an index. */
const QUESTIONS: Readonly<Record<string, (index: Index) => unknown>> = {
  count: (index) => index.count(),
  documents: (index) => Array.from(index.documents()),
  'exact search': (index) => index.search([4, 2, 0, 4], { exact: true, k: 60, payload: true }),
  'search by codes': (index) => index.search([4, 2, 0, 4], { nprobe: 9, k: 40 }),
  'search with filters': (index) => FILTERS.map((filter) => index.search([9, 9, 0, 4], { k: 9, filter, exact: true })),
  counts: (index) => FILTERS.map((filter) => index.count(filter)),
  ids: (index) => Array.from({ length: 60 }, (_, i) => index.has(`0-${i * 3}`)),
  documents_by_id: (index) => Array.from({ length: 40 }, (_, i) => index.document(`0-${i * 7}`))
}

function answersOf(path: string, options: OpenOptions): Map<string, string> {
  const names = Object.keys(QUESTIONS)
  let index: Index
  try {
    index = ZgqIndex.open(path, options)
  } catch (error) {
    return new Map(names.map((name) => [name, describeError(error)]))
  }
  try {
    return new Map(names.map((name) => [name, answerOf(() => QUESTIONS[name](index))]))
  } finally {
    index.close()
  }
}

function answerOf(ask: () => unknown): string {
  try {
    return JSON.stringify(ask())
  } catch (error) {
    return describeError(error)
  }
}

interface Written {
  readonly path: string
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[]
  /** Answers after each commit, the last one last. */
  readonly answers: readonly ReadonlyMap<string, string>[]
}

const sealed = async (path: string): Promise<void> => {
  for (let i = 0; i < 500 && existsSync(join(path, LOG_NAME)); i++)
    await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Writes to an index that has zones; `isSealed`: closes it, else copies it with its log while it is open. */
async function write(isSealed: boolean): Promise<Written> {
  const { path, rows } = await builtIndex(temp, 1)
  const many: ChangedRow[] = Array.from({ length: 520 }, (_, i) => ({
    id: `0-${1000 + i}`,
    vector: [i / 8, 3, 0, i % 9],
    payload: { writer: 0, group: i % 4, version: i, tags: [`tag ${i % 3}`] }
  }))
  const index = ZgqIndex.open<string>(path, { mode: 'write' })
  const answers: ReadonlyMap<string, string>[] = []
  const place = temp.fresh('written')
  try {
    const deleted = ['0-1003', '0-1500', '0-1', '0-2']
    const updated = { rows: ['0-1007', '0-3', '0-4'], values: { tags: ['updated'], version: 77 } }
    const before = new Map([...rows[0], ...many.map((row) => [row.id, row] as const)])
    for (const id of deleted) before.delete(id)
    const changes: readonly Change[] = [
      { call: 'add', rows: many }, // a delta
      { call: 'delete', rows: deleted },
      { call: 'update', ...updated },
      ...drawChanges({ seed: SEED, writer: 0, count: 14, before })
    ]
    for (const change of changes) {
      answers.push(answersOf(path, {}))
      if (change.call === 'add') await index.add(change.rows)
      else if (change.call === 'upsert') await index.upsert(change.rows)
      else if (change.call === 'update') await index.update(change.rows, change.values)
      else if (change.call === 'delete') await index.delete(change.rows)
    }
    answers.push(answersOf(path, {}))
    if (!isSealed) cpSync(path, place, { recursive: true, filter: (name) => !name.endsWith('-shm') })
  } finally {
    index.close()
  }
  if (isSealed) {
    await sealed(path)
    cpSync(path, place, { recursive: true })
  }
  const files = readdirSync(place).map((name) => ({ name, bytes: readFileSync(join(place, name)) }))
  return { path: place, files, answers }
}

describe.each([true, false])(
  `bits turned over in an index that was written to (sealed: %s, seed ${SEED})`,
  (isSealed) => {
    let written: Written
    beforeAll(async () => {
      written = await write(isSealed)
    })

    it('has all that can be damaged', () => {
      const kinds = written.files.map(({ name }) => name.replace(/-\d+-\d+\.zgq$/, '')).sort()
      const all = ['catalogue.sqlite', 'codes', 'delta', 'fields', 'ids', 'payload', 'vectors']
      expect(kinds).toEqual(isSealed ? all : [...all.slice(0, 1), LOG_NAME, ...all.slice(1)])
      expect(answersOf(written.path, {})).toEqual(written.answers.at(-1))
    })

    it('give the right answer or an error', { timeout: 3_600_000 }, async () => {
      const random = randomFrom(SEED)
      const wrong: unknown[] = []
      const seen = new Map<string, number>()
      const copy = temp.fresh('damaged')
      for (let flip = 0; flip < FLIPS; flip++) {
        const { name, bytes } = written.files[Math.floor(random() * written.files.length)]
        const offset = Math.floor(random() * bytes.byteLength)
        const bit = 1 << Math.floor(random() * 8)
        const mapping = MAPPINGS[Math.floor(random() * MAPPINGS.length)]
        const isChecked = random() < 0.1
        const isWritten = random() < 0.05
        cpSync(written.path, copy, { recursive: true })
        const damaged = Buffer.from(bytes)
        damaged[offset] ^= bit
        writeFileSync(join(copy, name), damaged)
        const allowed = name === LOG_NAME ? written.answers : written.answers.slice(-1)
        const found = answersOf(copy, { mapping })
        const unsafe = allowed
          .map((answers) =>
            Array.from(found).filter(
              ([key, value]) => answers.get(key) !== value && !(isSafe(value) && value !== 'right')
            )
          )
          .sort((some, others) => some.length - others.length)[0]
        const isRight = allowed.some((answers) => Array.from(answers).every(([key, value]) => found.get(key) === value))
        const more = [
          ...(isChecked ? [await checkIndex(copy).then(() => 'right', describeError)] : []),
          ...(isWritten ? [await outcomeOfWriting(copy)] : [])
        ]
        const kind = name.replace(/-\d+-\d+\.zgq$/, '')
        const what = `${kind}: ${isRight ? 'right' : 'refused'}`
        seen.set(what, (seen.get(what) ?? 0) + 1)
        if (unsafe.length > 0 || !more.every(isSafe))
          wrong.push({
            flip,
            name,
            offset,
            bit,
            mapping,
            more,
            unsafe: unsafe.map(([key, value]) => [key, value.slice(0, 200)])
          })
        if (isWritten) await sealed(copy)
        rmSync(copy, { recursive: true, maxRetries: 5 })
      }
      console.log(`${FLIPS} flips, sealed: ${isSealed}`, Object.fromEntries(Array.from(seen).sort()))
      expect(wrong).toEqual([])
    })
  }
)

/** Writes to a damaged index: done, or refused. */
async function outcomeOfWriting(path: string): Promise<string> {
  let index: Index | undefined
  try {
    index = ZgqIndex.open(path, { mode: 'write' })
    await index.upsert([{ id: '9-1', vector: [1, 2, 3, 4], payload: { writer: 9 } }])
    await index.update({ writer: 9 }, { group: 5 })
    await index.delete({ filter: { writer: 0, group: 2 } })
    return 'right'
  } catch (error) {
    return describeError(error)
  } finally {
    index?.close()
  }
}
