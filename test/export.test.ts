// zgq export: what it writes is what was stored, and zgq build reads it back.

import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex } from '../src/index.ts'
import { lineOf } from '../tools/export-lines.ts'
import { NewFile } from '../tools/new-file.ts'
import { makeVectors } from './support/datasets.ts'
import { errorOf } from './support/errors.ts'
import { buildNotes, makeNotes, NOTES_DIM } from './support/notes.ts'
import { jsonOf, runZgq, type Ended } from './support/run-zgq.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fvecs } from './support/vector-files.ts'

const temp = useTempFolder('export')
const COUNT = 300
const notes = makeNotes(COUNT, 13)
const index = temp.fresh('index')

beforeAll(() => {
  buildNotes(notes, { input: temp.fresh('notes.jsonl'), output: index })
})

const linesOf = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

/** Runs the command that `zgq export --json` names. */
function rebuild({ build }: { build?: string[] }): string {
  const output = temp.fresh('again')
  const words = (build ?? []).slice(1).map((word) => (word === 'INDEX' ? output : word))
  expect(runZgq(...words)).toMatchObject({ code: 0 })
  return output
}

function exported(...args: string[]): { build?: string[]; rows: number; bytes: number } {
  return JSON.parse(JSON.stringify(jsonOf('export', ...args)))
}

describe('zgq export to .jsonl', () => {
  it('writes every row: id, vector and the keys of its payload', () => {
    const path = temp.fresh('all.jsonl')
    expect(exported(index, path)).toMatchObject({ rows: COUNT, bytes: readFileSync(path).byteLength })
    const byId = (rows: unknown[]): Map<unknown, unknown> =>
      new Map(rows.map((row) => [typeof row === 'object' && row !== null && 'id' in row ? row.id : row, row]))
    const found = byId(linesOf(path))
    expect(found.size).toBe(COUNT)
    for (const note of notes) {
      const vector = note.vector.map((value) => expect.closeTo(value, 7))
      expect(found.get(note.id)).toEqual({ ...note, vector })
    }
  })

  it('gives an index that answers the same, built by the command it names', () => {
    const again = rebuild(exported(index, temp.fresh('all.jsonl')))
    const [before, after] = [ZgqIndex.open<string>(index), ZgqIndex.open<string>(again)]
    for (const { id } of notes) expect(after.document(id)).toEqual(before.document(id))
    const { fields, model, note, ids, metric, count } = before.info()
    expect(after.info()).toMatchObject({ fields, model, note, ids, metric, count })
    for (const filter of [{}, { draft: true }, { size: null }, { size: { $exists: false } }, { tags: 'tag 3' }]) {
      const options = { k: 20, filter, exact: true, payload: true }
      expect(after.search({ id: notes[5].id }, options)).toEqual(before.search({ id: notes[5].id }, options))
    }
    before.close()
    after.close()
  })

  it('writes only the rows that meet --filter, and only keys that --payload lists', () => {
    const path = temp.fresh('drafts.jsonl')
    const command = exported(index, path, '--filter', '{"draft":true}', '--payload', 'size,body')
    expect(command.build?.join(' ')).toMatch(/--fields size:number --payload all/)
    const expected = notes
      .filter(({ draft }) => draft)
      .map(({ id, size, body }) => ({ id, body, ...(size === undefined ? {} : { size }) }))
    const found = linesOf(path).map((row) => ({ ...Object(row), vector: undefined }))
    expect(found).toHaveLength(expected.length)
    expect(found).toEqual(expect.arrayContaining(expected.map((row) => ({ ...row, vector: undefined }))))
    exported(index, path, '--payload', 'none', '--force')
    expect(Object.keys(Object(linesOf(path)[0]))).toEqual(['id', 'vector'])
  })

  it('takes other keys for ids and vectors where a payload has those', async () => {
    const clashing = temp.fresh('clashing')
    const payloads = [{ id: 'inner', vector: [1] }, {}]
    await buildIndex({ input: Float32Array.of(1, 2, 3, 4), dim: 2, ids: ['a', 'b'], payloads, output: clashing })
    const path = temp.fresh('clashing.jsonl')
    expect(runZgq('export', clashing, path)).toMatchObject({ code: 1, stderr: expect.stringMatching(/--id-column/) })
    expect(existsSync(path)).toBe(false)
    const again = rebuild(exported(clashing, path, '--id-column', '_id', '--column', '_vector'))
    expect(linesOf(path)).toContainEqual({ _id: 'a', _vector: [1, 2], id: 'inner', vector: [1] })
    const open = ZgqIndex.open<string>(again)
    expect(open.document('a')).toEqual({ id: 'a', vector: Float32Array.of(1, 2), payload: payloads[0] })
    open.close()
  })

  it('keeps the sign of zero, and every bit of float32', () => {
    const vector = Float32Array.of(-0, 0.1, 1e-45, 3.4028234663852886e38, 1 / 3)
    const line: unknown = JSON.parse(lineOf({ id: 'x', vector, payload: { zero: -0 } }, { id: 'id', vector: 'v' }))
    expect(line).toEqual({ id: 'x', v: expect.anything(), zero: -0 })
    expect(Float32Array.from(Object(line).v)).toEqual(vector)
  })

  it.each([
    ['bytes', { a: { hash: Uint8Array.of(1) } }, 'of x at a.hash has bytes'],
    ['an infinite number', { a: [1, Infinity] }, 'of x at a\\[1\\] has Infinity']
  ])('refuses %s, which JSON cannot hold, and leaves no file', async (_, payload, message) => {
    const output = temp.fresh('odd')
    await buildIndex({ input: Float32Array.of(1, 2), dim: 2, ids: ['x'], payloads: [payload], output })
    const path = temp.fresh('odd.jsonl')
    expect(runZgq('export', output, path)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`ZGQ_UNSUPPORTED: the payload ${message}`))
    })
    expect(existsSync(path)).toBe(false)
    expect(readdirSync(temp.path).filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(exported(output, path, '--payload', 'none').rows).toBe(1)
  })
})

describe('zgq export of vectors', () => {
  const vectors = makeVectors('uniform', { count: 2000, dim: NOTES_DIM }, 17)
  const file = fvecs(vectors, NOTES_DIM)
  const input = temp.fresh('input.fvecs')
  const numbered = temp.fresh('numbered')
  beforeAll(() => {
    writeFileSync(input, file)
    jsonOf('build', input, numbered)
  })

  it('gives back the .fvecs file that an index was built from', () => {
    const path = temp.fresh('again.fvecs')
    exported(numbered, path)
    expect(readFileSync(path).equals(file)).toBe(true)
  })

  it('writes .npy, rows in the order of their ids, which --ids writes beside', () => {
    const own = temp.fresh('own-ids')
    const idsPath = temp.fresh('own-ids.txt')
    const ids = Array.from({ length: 2000 }, (_, row) => ((row * 7919) % 2000) * 3 + 5)
    writeFileSync(idsPath, ids.join('\n'))
    jsonOf('build', input, own, '--ids', idsPath)
    const path = temp.fresh('own.npy')
    const command = exported(own, path, '--ids', `${path}.ids.txt`)
    expect(readFileSync(`${path}.ids.txt`, 'utf8')).toBe([...ids].sort((a, b) => a - b).join('\n') + '\n')
    const [before, after] = [ZgqIndex.open(own), ZgqIndex.open(rebuild(command))]
    for (const id of ids) expect(after.get(id)).toEqual(before.get(id))
    before.close()
    after.close()
  })

  it('writes string ids beside rows, and only rows that meet --filter', () => {
    const path = temp.fresh('texts.fvecs')
    const command = exported(index, path, '--ids', `${path}.txt`, '--filter', '{"draft":true}')
    expect(command.build).toBeUndefined()
    const open = ZgqIndex.open<string>(index)
    const ids = readFileSync(`${path}.txt`, 'utf8').trimEnd().split('\n')
    expect(ids).toEqual([...open.ids({ draft: true })])
    const bytes = readFileSync(path)
    expect(bytes.byteLength).toBe(ids.length * (4 + NOTES_DIM * 4))
    ids.forEach((id, row) => {
      const start = row * (4 + NOTES_DIM * 4) + 4
      const vector = Float32Array.from({ length: NOTES_DIM }, (_, i) => bytes.readFloatLE(start + i * 4))
      expect(open.get(id)).toEqual(vector)
    })
    open.close()
  })

  it('writes no rows where none meet the filter', () => {
    const path = temp.fresh('none.npy')
    expect(exported(index, path, '--filter', '{"size":-1}').rows).toBe(0)
    expect(readFileSync(path, 'latin1')).toContain(`'shape': (0, ${NOTES_DIM})`)
  })
})

describe('zgq export', () => {
  const refused = (code: number, message: RegExp, ended: Ended): void => {
    expect(ended).toMatchObject({ code, stderr: expect.stringMatching(message) })
  }

  it('replaces a file only with --force', () => {
    const path = temp.fresh('there.jsonl')
    writeFileSync(path, 'mine')
    refused(1, /ZGQ_EXISTS: .*--force/, runZgq('export', index, path))
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(exported(index, path, '--force').rows).toBe(COUNT)
    expect(linesOf(path)).toHaveLength(COUNT)
  })

  it('does not write to what has its temporary name', () => {
    const path = join(realpathSync(temp.path), 'new.jsonl')
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
    writeFileSync(temporary, 'mine')
    const error = errorOf(() => NewFile.create(path, { force: true, index }))
    expect([error.code, error.path, readFileSync(temporary, 'utf8')]).toEqual(['ZGQ_EXISTS', temporary, 'mine'])
    rmSync(temporary)
  })

  it.each([
    ['another ending', () => [index, temp.fresh('x.csv')], 2, /must end with \.jsonl, \.npy, \.fvecs, found \.csv/],
    ['--ids for .jsonl', () => [index, temp.fresh('x.jsonl'), '--ids', 'i'], 2, /--ids is not for \.jsonl/],
    ['--payload for .npy', () => [index, temp.fresh('x.npy'), '--payload', 'a'], 2, /--payload is not for \.npy/],
    ['one file for ids and vectors', () => [index, 'x.npy', '--ids', 'x.npy'], 2, /--ids must name another file/],
    ['a file inside the index', () => [index, `${index}/x.npy`], 2, /is in the folder of the index/],
    ['a folder that is missing', () => [index, temp.fresh('no') + '/x.npy'], 1, /ZGQ_NOT_FOUND/],
    ['a folder in its place', () => [index, `${temp.fresh('x')}.npy`], 1, /ZGQ_EXISTS/],
    ['an unknown field', () => [index, temp.fresh('x.npy'), '--filter', '{"b":1}'], 1, /ZGQ_FILTER: --filter at b/],
    ['no index', () => [temp.fresh('none'), temp.fresh('x.npy')], 1, /ZGQ_NOT_FOUND/]
  ])('refuses %s', (name, args, code, message) => {
    const words = args()
    const path = words[1]
    if (name === 'a folder in its place') buildNotes(notes.slice(0, 3), { input: temp.fresh('n.jsonl'), output: path })
    refused(code, message, runZgq('export', ...words))
    expect(readdirSync(temp.path).filter((other) => other.endsWith('.tmp'))).toEqual([])
  })
})
