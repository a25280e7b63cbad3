// The golden files of format version 2 (test/data/golden-2): every version reads them and answers as the one that wrote
// them did; the second reader does so too, and they can be written to, folded and repaired.

import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { checkIndex, repairIndex } from '../src/check.ts'
import type { Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { answersOf } from './support/golden-answers.mjs'
import { alsoUnderNode24 } from './support/node-24.ts'
import { expectReaderAgrees, runReader } from './support/second-reader.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('golden', IN_MEMORY)
const FOLDER = join(ROOT, 'test/data/golden-2')
const NAMES = ['built', 'documents', 'written', 'folded', 'empty', 'interrupted'] as const

interface Answers {
  readonly queries: readonly (readonly number[])[]
  readonly facts: { readonly count: number; readonly dim: number }
  readonly rows: readonly (readonly [Id, string])[]
  readonly exact: readonly (readonly (readonly [Id, number])[])[]
}

const answersIn = (file: string): Record<string, Answers> => JSON.parse(readFileSync(join(FOLDER, file), 'utf8'))
const ANSWERS = { ...answersIn('answers.json'), ...answersIn('interrupted.json') }

function copyOf(name: string): string {
  const path = temp.fresh(name)
  cpSync(join(FOLDER, name), path, { recursive: true })
  return path
}

/** The answers without what a fold or a repair changes. */
function lasting(index: ZgqIndex<Id>, { queries }: Answers): unknown {
  const { rows, exact, counts, filtered } = answersOf(index, queries)
  return { rows, exact, counts, filtered }
}

describe.each(NAMES)('the golden index "%s"', (name) => {
  const { queries, ...wanted } = ANSWERS[name]

  it('gives the answers that stand beside it, and no file is made for that', () => {
    const before = readdirSync(join(FOLDER, name))
    const index = ZgqIndex.open<Id>(join(FOLDER, name))
    expect(answersOf(index, queries)).toEqual(wanted)
    index.close()
    expect(readdirSync(join(FOLDER, name))).toEqual(before)
  })

  it('passes the check', async () => {
    expect(await checkIndex(join(FOLDER, name))).toMatchObject({ ok: true })
  })

  it('is read by the second reader', () => {
    const folder = join(FOLDER, name)
    const { count, dim } = wanted.facts
    expect(runReader(folder, '--check')).toMatchObject({ ok: true, count })
    using index = ZgqIndex.open<Id>(folder)
    const of = { temp, folder, queries: Float32Array.from(queries.flat()), dim, k: 10 }
    expectReaderAgrees(index, of)
    expectReaderAgrees(index, { ...of, nprobe: 2 })
  })

  it('can be written to and folded, and answers the same', async () => {
    const path = copyOf(name)
    const { model } = ZgqIndex.open(path).info()
    const index = ZgqIndex.open<Id>(path, { mode: 'write', autoOptimize: false, model })
    const { dim, ids } = index.info()
    const id = ids === 'string' ? 'one more' : 999_999
    await index.add([{ id, vector: new Float32Array(dim).fill(1) }])
    expect(index.has(id)).toBe(true)
    await index.delete([id])
    await index.optimize({ all: true })
    expect(lasting(index, ANSWERS[name])).toEqual(lasting(ZgqIndex.open<Id>(join(FOLDER, name)), ANSWERS[name]))
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('is repaired to the same rows', async () => {
    const output = temp.fresh('repaired')
    const report = await repairIndex({ input: join(FOLDER, name), output })
    expect(report).toMatchObject({ rows: wanted.facts.count, lost: { rows: 0 } })
    const index = ZgqIndex.open<Id>(output)
    expect(answersOf(index, queries).rows).toEqual(wanted.rows)
    index.close()
  })
})

alsoUnderNode24(['test/golden.test.ts'], { temp, least: NAMES.length * 5 })
