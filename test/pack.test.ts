// Packing: what a packed index is made of, and what is left of one that ended early. How packed indexes answer is
// tested in packed-open.test.ts.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { FOLD_LOCK_NAME } from '../src/format/layout.ts'
import { packIndex, type PackOptions } from '../src/pack.ts'
import type { Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { makeVectors } from './support/datasets.ts'
import { buildDocuments, documentId, documentPayload } from './support/document-index.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { answerOf, buildSmall, DIM, errorFrom, rejection, SMALL } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('pack', IN_MEMORY)
const small = join(temp.path, 'small.zgq')
const other = join(temp.path, 'other.zgq')

beforeAll(async () => {
  await buildSmall(small, { bits: 4 })
  await buildSmall(other, { bits: 4, seed: 2 })
})

/** Length and digest of every file in a folder; a lock is none of an index. */
function contentOf(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => name !== FOLD_LOCK_NAME)
  return new Map(
    names.sort().map((name) => {
      const bytes = readFileSync(join(folder, name))
      return [name, `${bytes.byteLength} ${createHash('sha256').update(bytes).digest('hex')}`]
    })
  )
}

/** Packs into a place of its own, in a folder of its own. */
async function pack(index: string, options: Partial<PackOptions> = {}): Promise<{ output: string; digest: string }> {
  const folder = temp.fresh('place')
  mkdirSync(folder)
  const output = join(folder, 'out')
  const { digest } = await packIndex({ index, output, ...options })
  expect(readdirSync(folder)).toEqual(['out'])
  return { output, digest }
}

/** Rows, in no order, and what exact searches find. */
function rowsOf(path: string): { readonly rows: string[]; readonly hits: string } {
  using index = ZgqIndex.open<Id>(path)
  const { dim } = index.info()
  const rows = Array.from(index.documents(), (row) => JSON.stringify(row)).sort()
  const queries = makeVectors('clustered', { count: 5, dim }, 9)
  const hits = Array.from({ length: 5 }, (_, i) =>
    index.search(queries.slice(i * dim, (i + 1) * dim), { exact: true, k: 30, payload: true })
  )
  return { rows, hits: JSON.stringify(hits) }
}

describe('packing the same index', () => {
  it('gives the same bytes, and the same digest for a file and a folder', async () => {
    const [first, second] = [await pack(small), await pack(small)]
    expect(readFileSync(first.output).equals(readFileSync(second.output))).toBe(true)
    const [folder, again] = [await pack(small, { layout: 'folder' }), await pack(small, { layout: 'folder' })]
    expect(contentOf(folder.output)).toEqual(contentOf(again.output))
    expect(new Set([first, second, folder, again].map(({ digest }) => digest)).size).toBe(1)
    const copy = temp.fresh('copy.zgq')
    cpSync(small, copy, { recursive: true })
    expect((await pack(copy)).digest).toBe(first.digest)
    expect((await pack(other)).digest).not.toBe(first.digest)
  })

  it('by the command says so, and leaves the index as it is', () => {
    const before = contentOf(small)
    const output = temp.fresh('command.zgqp')
    expect(jsonOf('pack', small, output)).toMatchObject({ path: output, rows: 500, manifest: null })
    expect(runZgq('pack', small, output)).toMatchObject({ code: 1, stderr: expect.stringMatching(/ZGQ_EXISTS/) })
    expect(runZgq('pack', small, output, '--force').code).toBe(0)
    expect(contentOf(small)).toEqual(before)
    expect(answerOf(output)).toBe(answerOf(small))
  })
})

describe('an index that was changed', () => {
  async function changed(): Promise<string> {
    const path = temp.fresh('changed.zgq')
    await buildDocuments({ output: path, count: 300, dim: 12, metric: 'l2', bits: 4, ids: 'string', seed: 3 })
    const index = ZgqIndex.open<string>(path, { mode: 'write', model: 'a model', autoOptimize: false })
    const rows = makeVectors('clustered', { count: 1400, dim: 12 }, 4)
    const rowAt = (row: number): { id: string; vector: Float32Array; payload: Record<string, unknown> } => ({
      id: documentId(1000 + row),
      vector: rows.slice(row * 12, (row + 1) * 12),
      payload: documentPayload(1000 + row) ?? {}
    })
    await index.add(Array.from({ length: 1300 }, (_, row) => rowAt(row))) // a delta
    await index.add(Array.from({ length: 100 }, (_, row) => rowAt(1300 + row))) // fresh rows
    await index.delete([documentId(3), documentId(1002), documentId(2350)])
    await index.delete({ filter: { kind: 'c2', draft: true } })
    await index.update([documentId(5), documentId(1010)], { path: 'another.md', draft: false })
    const { changes } = index.info()
    index.close()
    // Its thread closes after it.
    await expect.poll(() => existsSync(join(path, 'catalogue.sqlite-wal')), { timeout: 10_000 }).toBe(false)
    expect(changes).toMatchObject({ deltaRows: 1300 })
    for (const count of [changes.freshRows, changes.deletedRows, changes.patchedRows]) expect(count).toBeGreaterThan(0)
    return path
  }

  it('is packed as it would be folded, with equal answers, and stays as it is', async () => {
    const path = await changed()
    const before = contentOf(path)
    const expected = rowsOf(path)
    for (const layout of ['file', 'folder'] as const) {
      const { output } = await pack(path, { layout })
      expect(rowsOf(output)).toEqual(expected)
      using packed = ZgqIndex.open<string>(output)
      expect(packed.info().changes).toMatchObject({ freshRows: 0, deltaRows: 0, deletedRows: 0, patchedRows: 0 })
      expect(await checkIndex(output)).toMatchObject({ ok: true, count: expected.rows.length, notes: [] })
    }
    expect(contentOf(path)).toEqual(before)
  })

  it('that somebody has open is packed with what was committed', async () => {
    const path = temp.fresh('open.zgq')
    using index = await ZgqIndex.create(path, { dim: 2, metric: 'l2' })
    await index.add([{ id: 1, vector: [0, 1] }])
    const { output } = await pack(path)
    await index.add([{ id: 2, vector: [1, 1] }])
    using packed = ZgqIndex.open(output)
    expect([...packed.ids()]).toEqual([1])
    expect([...index.ids()]).toEqual([1, 2])
  })
})

describe('an empty index', () => {
  it.each(['file', 'folder'] as const)('is packed, as a %s, and finds nothing', async (layout) => {
    const path = temp.fresh('empty.zgq')
    const made = await ZgqIndex.create(path, { dim: 4, metric: 'cosine', ids: 'string', fields: { a: 'number' } })
    made.close()
    const { output } = await pack(path, { layout })
    using index = ZgqIndex.open<string>(output)
    expect(index.search([1, 2, 3, 4], { filter: { a: 1 } })).toEqual([])
    expect([index.count(), index.has('a'), [...index.ids()]]).toEqual([0, false, []])
    expect(await checkIndex(output)).toMatchObject({ ok: true, count: 0 })
  })
})

describe('packing that ends early', () => {
  it.each(['file', 'folder'] as const)('because it was cancelled or failed leaves nothing, as a %s', async (layout) => {
    const names = ['digest', 'pack']
    for (const name of names) {
      const folder = temp.fresh('place')
      mkdirSync(folder)
      const output = join(folder, 'out')
      const controller = new AbortController()
      const reason = new Error('enough')
      const cancelled = packIndex({
        index: small,
        output,
        layout,
        signal: controller.signal,
        onProgress: ({ stage }) => {
          if (stage === name) controller.abort(reason)
        }
      })
      expect(await rejection(cancelled)).toBe(reason)
      const failure = new Error('no')
      const failed = packIndex({
        index: small,
        output,
        layout,
        onProgress: ({ stage }) => {
          if (stage === name) throw failure
        }
      })
      expect(await rejection(failed)).toBe(failure)
      expect(existsSync(output) ? readdirSync(output).filter((found) => found.includes('.tmp')) : []).toEqual([])
      expect(readdirSync(folder).filter((found) => found !== 'out' || layout === 'file')).toEqual([])
    }
  })

  it('because something is there is ZGQ_EXISTS, unless force is said', async () => {
    const { output } = await pack(small)
    expect((await errorFrom(packIndex({ index: other, output }))).code).toBe('ZGQ_EXISTS')
    expect(answerOf(output)).toBe(answerOf(small))
    await packIndex({ index: other, output, force: true })
    expect(answerOf(output)).toBe(answerOf(other))
  })

  it('for an index that is damaged, or none, is typed', async () => {
    const output = temp.fresh('never.zgqp')
    expect((await errorFrom(packIndex({ index: temp.fresh('nothing'), output }))).code).toBe('ZGQ_NOT_FOUND')
    const broken = temp.fresh('broken.zgq')
    cpSync(small, broken, { recursive: true })
    rmSync(join(broken, readdirSync(broken).find((name) => name.startsWith('vectors-')) ?? ''))
    expect((await errorFrom(packIndex({ index: broken, output }))).code).toBe('ZGQ_CORRUPT')
    expect(existsSync(output)).toBe(false)
  })
})

describe('a folder that is packed into again', () => {
  it('gets the parts that are new, and a manifest of the next number', async () => {
    const changing = temp.fresh('changing.zgq')
    cpSync(small, changing, { recursive: true })
    const { output } = await pack(changing, { layout: 'folder' })
    const first = contentOf(output)
    const say = { index: changing, output, layout: 'folder' } as const
    expect(await packIndex(say)).toMatchObject({ manifest: 1, bytesWritten: 0 })
    expect(contentOf(output)).toEqual(first)
    const index = ZgqIndex.open(changing, { mode: 'write', autoOptimize: false })
    await index.add([{ id: 9000, vector: SMALL.slice(0, DIM) }])
    index.close()
    const report = await packIndex(say)
    expect(report.manifest).toBe(2)
    const second = contentOf(output)
    for (const [name, bytes] of first) if (name !== 'latest') expect(second.get(name)).toBe(bytes)
    const added = [...second].filter(([name]) => !first.has(name))
    expect(report.bytesWritten).toBe(added.reduce((sum, [, bytes]) => sum + Number.parseInt(bytes), 0))
    expect(report.bytesWritten).toBeLessThan(report.bytes)
    expect(readFileSync(join(output, 'latest'), 'utf8')).toBe('2')
    using packed = ZgqIndex.open(output)
    expect([packed.count(), packed.has(9000)]).toEqual([501, true])
  })

  it('has its hint at the newest manifest mended where somebody died before that', async () => {
    const { output } = await pack(small, { layout: 'folder' })
    writeFileSync(join(output, 'latest'), '7')
    await packIndex({ index: small, output, layout: 'folder' })
    expect(readFileSync(join(output, 'latest'), 'utf8')).toBe('1')
    rmSync(join(output, 'latest'))
    await packIndex({ index: small, output, layout: 'folder' })
    expect(readFileSync(join(output, 'latest'), 'utf8')).toBe('1')
  })
})

/** Packs in a process that kills itself when it has told of its progress so often; tells whether it did. */
function packAndDie(index: string, output: string, layout: string, after: number): boolean {
  const script = `
    import { packIndex } from ${JSON.stringify(pathToFileURL(join(ROOT, 'dist/pack.js')).href)}
    let left = ${after}
    const onProgress = () => { if (--left === 0) process.kill(process.pid, 'SIGKILL') }
    await packIndex({ index: ${JSON.stringify(index)}, output: ${JSON.stringify(output)}, layout: '${layout}', force: true, onProgress })`
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8'
  })
  if (signal !== 'SIGKILL' && status !== 0) throw new Error(`it ended with ${String(status ?? signal)}`)
  return signal === 'SIGKILL'
}

describe('packing that is killed', () => {
  it.each(['file', 'folder'] as const)('leaves what was there, at any moment, as a %s', async (layout) => {
    const { output } = await pack(small, { layout })
    const before = answerOf(output)
    let deaths = 0
    while (packAndDie(other, output, layout, deaths + 1)) {
      deaths++
      expect(answerOf(output)).toBe(before)
      expect(await checkIndex(output)).toMatchObject({ ok: true })
    }
    expect(deaths).toBeGreaterThan(5)
    expect(answerOf(output)).toBe(answerOf(other))
    const { notes } = await checkIndex(output)
    expect(notes.some((note) => note.includes('is of a pack that is under way, or died'))).toBe(true)
  })
})
