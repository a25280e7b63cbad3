// zgq add, delete and backup, and what inspect and check say of an index that was changed: real commands on real files.

import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { ZgqIndex, type CreateOptions, type Id } from '../src/index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import {
  documentsOf,
  payloadOf,
  writeDocumentParquet,
  writeDocumentTable,
  writeJsonl
} from './support/document-files.ts'
import { writeHdf5 } from './support/input-files.ts'
import { interruptZgq, jsonOf, runZgq, runZgqOn, startZgq } from './support/run-zgq.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs, npy } from './support/vector-files.ts'

const temp = useTempFolder('cli-changes', IN_MEMORY)
const DIM = 8
const COUNT = 300
const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, 61)
const documents = documentsOf(COUNT, DIM)
const FIELDS = { path: 'string', mtime: 'number', draft: 'boolean', tags: 'string[]' } as const
const NOTES: CreateOptions = { dim: DIM, ids: 'string', fields: FIELDS }

async function emptyIndex(options: CreateOptions = { dim: DIM }): Promise<string> {
  const path = temp.fresh('index')
  const index = await ZgqIndex.create<Id>(path, options)
  index.close()
  return path
}

function fileOf(name: string, bytes: Uint8Array | string): string {
  const path = temp.fresh(name)
  writeFileSync(path, bytes)
  return path
}

/** Opens an index, asks it something and closes it. */
function ask<T>(path: string, question: (index: ZgqIndex<Id>) => T): T {
  const index = ZgqIndex.open<Id>(path)
  try {
    return question(index)
  } finally {
    index.close()
  }
}

const countIn = (path: string): number => ask(path, (index) => index.count())

/** An index of the documents, added by the command. */
async function notesIndex(options: Partial<CreateOptions> = {}): Promise<string> {
  const path = await emptyIndex({ ...NOTES, ...options })
  const model = options.model === undefined ? [] : ['--model', options.model]
  jsonOf('add', path, writeJsonl(temp.fresh('notes.jsonl'), documents), '--payload', 'all', ...model)
  return path
}

describe('zgq add', () => {
  it.each([
    ['.fbin', fbin(vectors, DIM)],
    ['.fvecs', fvecs(vectors, DIM)],
    ['.npy', npy(vectors, DIM)]
  ])('adds the rows of %s under ids that are counted, or read from a file', async (ending, bytes) => {
    const index = await emptyIndex()
    const input = fileOf(`vectors${ending}`, bytes)
    expect(jsonOf('add', index, input, '--first-id', '1000')).toEqual({
      path: index,
      rows: COUNT,
      removed: 0,
      count: COUNT,
      elapsedMs: expect.any(Number)
    })
    const ids = fileOf('ids.txt', Array.from({ length: COUNT }, (_, i) => `${i * 2}\n`).join(''))
    jsonOf('add', index, input, '--ids', ids)
    ask(index, (open) => {
      expect(open.count()).toBe(2 * COUNT)
      expect(open.get(1007)).toEqual(rowOf(vectors, DIM, 7))
      expect(open.get(14)).toEqual(rowOf(vectors, DIM, 7))
    })
  })

  it.each([
    ['JSON lines', (path: string) => writeJsonl(`${path}.jsonl`, documents), []],
    ['Parquet', (path: string) => writeDocumentParquet(`${path}.parquet`, documents), ['--column', 'vector']],
    [
      'a query of a SQLite database',
      (path: string) => writeDocumentTable(`${path}.db`, documents),
      ['--query', 'SELECT id, embedding, path, mtime, draft, tags, body FROM docs']
    ]
  ])('adds ids, vectors, fields and payloads of %s', async (_, write, options) => {
    const index = await emptyIndex(NOTES)
    jsonOf('add', index, write(temp.fresh('notes')), '--payload', 'body', '--id-column', 'id', ...options)
    ask(index, (open) => {
      for (const document of documents.slice(0, 20)) {
        const row = open.document(document.id)
        expect({ ...row?.payload }).toEqual(payloadOf(document))
        expect(row?.vector).toEqual(Float32Array.from(document.vector))
      }
      expect(open.count({ draft: true })).toBe(documents.filter(({ draft }) => draft).length)
    })
  })

  it('adds the vectors of .hdf5, with string ids from a file', async () => {
    const index = await emptyIndex({ dim: DIM, ids: 'string' })
    const input = temp.fresh('vectors.hdf5')
    await writeHdf5(input, [{ name: 'train', data: vectors, shape: [COUNT, DIM] }])
    const ids = fileOf(
      'ids.txt',
      Array.from({ length: COUNT }, (_, i) => (i === 3 ? '"a, \\u00e4"\n' : `r${i}\n`)).join('')
    )
    expect(jsonOf('add', index, input, '--ids', ids)).toMatchObject({ rows: COUNT })
    expect(ask(index, (open) => [open.get('a, \u00e4'), open.get('r9')])).toEqual([
      rowOf(vectors, DIM, 3),
      rowOf(vectors, DIM, 9)
    ])
  })

  it('reads standard input, and says for people what it wrote', async () => {
    const index = await emptyIndex()
    expect(runZgqOn('{"id":5,"vector":[1,2,3,4,5,6,7,8]}\n', 'add', index, '-')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^wrote 1 row in .*; .* has 1 row\n$/)
    })
  })

  it('goes into an index that a build made, and is found with it', () => {
    const index = temp.fresh('built')
    jsonOf('build', fileOf('vectors.fbin', fbin(vectors, DIM)), index)
    const other = makeVectors('clustered', { count: 2, dim: DIM }, 7)
    jsonOf('add', index, fileOf('more.fbin', fbin(other, DIM)), '--first-id', '900')
    expect(ask(index, (open) => open.search(rowOf(other, DIM, 1), { k: 1 })[0].id)).toBe(901)
    expect(ask(index, (open) => open.search(rowOf(vectors, DIM, 1), { k: 1 })[0].id)).toBe(1)
  })

  it('replaces with --upsert what has the same ids, and with --replace what matches', async () => {
    const index = await notesIndex()
    const changed = documents.slice(0, 3).map((document) => ({ ...document, body: 'changed' }))
    const input = writeJsonl(temp.fresh('changed.jsonl'), changed)
    expect(jsonOf('add', index, input, '--upsert', '--payload', 'all')).toMatchObject({ rows: 3, removed: 3 })
    const { path } = documents[0]
    const old = documents.filter((document) => document.path === path).length
    const fresh = writeJsonl(temp.fresh('fresh.jsonl'), [{ id: 'new', vector: documents[0].vector, path }])
    expect(jsonOf('add', index, fresh, '--upsert', '--replace', JSON.stringify({ path }))).toMatchObject({
      rows: 1,
      removed: old,
      count: COUNT - old + 1
    })
    expect(ask(index, (open) => [...open.ids({ path })])).toEqual(['new'])
    expect(ask(index, (open) => open.document(documents[1].id)?.payload?.['body'])).toBe('changed')
  })

  it('refuses ids that exist, names the row of the file, and says what stays', async () => {
    const index = await emptyIndex()
    jsonOf('add', index, fileOf('one.jsonl', '{"id":9000,"vector":[1,2,3,4,5,6,7,8]}'))
    const many = makeVectors('clustered', { count: 10_000, dim: DIM }, 8)
    const input = fileOf('many.fbin', fbin(many, DIM))
    expect(runZgq('add', index, input, '--first-id', '0')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^zgq: ZGQ_ID_EXISTS: row 9000: id 9000 is in the index already; --upsert replaces its row; 8,192 rows were added before and stay .*many\.fbin\)$/m
      )
    })
    expect(countIn(index)).toBe(8193)
    expect(jsonOf('add', index, input, '--first-id', '0', '--upsert')).toMatchObject({ count: 10_000 })
  })

  it.each([
    ['a value that is no number of the field', { mtime: 'late' }, 'ZGQ_BUILD_INPUT: row 1: the field mtime'],
    ['another dimension', { vector: [1, 2] }, 'ZGQ_DIMENSION: line 2 has 2 dimensions'],
    ['a zero vector under cosine', { vector: new Array(DIM).fill(0) }, 'ZGQ_ZERO_VECTOR: row 1: '],
    ['an infinity', { vector: [1e200, 1, 1, 1, 1, 1, 1, 1] }, 'ZGQ_NON_FINITE: row 1: '],
    ['an id twice', { id: documents[0].id }, 'ZGQ_ID_EXISTS: id .* is given twice, in rows 0 and 1; nothing was added']
  ])('refuses %s, and nothing of the batch is added', async (_, wrong, message) => {
    const index = await emptyIndex({ ...NOTES, metric: 'cosine' })
    const input = writeJsonl(temp.fresh('wrong.jsonl'), [documents[0], { ...documents[1], ...wrong }])
    expect(runZgq('add', index, input)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`^zgq: ${message}`, 'm'))
    })
    expect(countIn(index)).toBe(0)
  })

  it('refuses vectors of another dimension than the index has', async () => {
    const index = await emptyIndex({ dim: 3 })
    expect(runZgq('add', index, fileOf('v.fbin', fbin(vectors, DIM)), '--first-id', '0')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_DIMENSION: the vectors have 8 dimensions, the index has 3/)
    })
  })

  it('needs --model where the index names one', async () => {
    const index = await emptyIndex({ ...NOTES, model: 'm@1' })
    const input = writeJsonl(temp.fresh('notes.jsonl'), documents.slice(0, 1))
    expect(runZgq('add', index, input)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_MISMATCH: .*"m@1".*--model/)
    })
    expect(jsonOf('add', index, input, '--model', 'm@1')).toMatchObject({ rows: 1 })
  })

  it.each([
    [['--replace', '{"draft": true}'], '--replace needs --upsert'],
    [['--upsert', '--replace', 'draft'], '--replace must be a JSON object'],
    [['--upsert', '--replace', '{}'], '--replace is empty'],
    [['--first-id', 'x'], '--first-id must be a whole number'],
    [['--first-id', '1', '--ids', 'x.txt'], '--ids and --first-id cannot be given together'],
    [['--payload', 'body'], '--payload is for columns'],
    [['--format', 'npy'], '--format is for standard input']
  ])('with wrong usage %j ends with 2', async (options, message) => {
    const index = await emptyIndex()
    const ended = runZgq('add', index, fileOf('v.fbin', fbin(vectors, DIM)), ...options)
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(`zgq: ${message}`) })
    expect(countIn(index)).toBe(0)
  })

  it('of a file without ids says how to give them', async () => {
    const index = await emptyIndex()
    expect(runZgq('add', index, fileOf('v.fbin', fbin(vectors, DIM)))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_BUILD_INPUT: the file has no ids: .*--ids.*--id-column.*--first-id/)
    })
  })

  it('of more ids than rows adds nothing', async () => {
    const index = await emptyIndex()
    const ids = fileOf('ids.txt', Array.from({ length: COUNT + 1 }, (_, i) => `${i}\n`).join(''))
    expect(runZgq('add', index, fileOf('v.fbin', fbin(vectors, DIM)), '--ids', ids)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_BUILD_INPUT: .* has 301 ids for 300 rows/)
    })
    expect(countIn(index)).toBe(0)
  })
})

const LARGE = 100_000
let largeFile = ''
/** Made once: large enough that a command can be stopped in its middle. */
function largeInput(): string {
  if (largeFile === '')
    largeFile = fileOf('large.fbin', fbin(makeVectors('clustered', { count: LARGE, dim: DIM }, 5), DIM))
  return largeFile
}

describe('zgq add that is stopped', () => {
  it('keeps what it acknowledged when it is killed, and --upsert adds the rest', async () => {
    const index = await emptyIndex()
    const child = startZgq(['add', index, largeInput(), '--first-id', '0'])
    const ended = once(child, 'close')
    const watched = ZgqIndex.open(index)
    const deadline = Date.now() + 60_000
    while (watched.count() === 0 && Date.now() < deadline) await setTimeout(2)
    const seen = watched.count()
    child.kill('SIGKILL')
    await ended
    watched.close()
    expect(seen).toBeGreaterThan(0)
    const { count } = await checkIndex(index)
    expect(count).toBeGreaterThanOrEqual(seen)
    expect(count % 8192 === 0 || count === LARGE).toBe(true)
    expect(jsonOf('add', index, largeInput(), '--first-id', '0', '--upsert')).toMatchObject({ count: LARGE })
  }, 120_000)

  it.runIf(process.platform !== 'win32')(
    'by Ctrl-C says how much was added',
    async () => {
      const index = await emptyIndex()
      const { code, stderr } = await interruptZgq('SIGINT', 'add\n', ['add', index, largeInput(), '--first-id', '0'])
      expect(code).toBe(130)
      const count = countIn(index)
      const words = count === 0 ? 'nothing was added' : `${count.toLocaleString('en-US')} rows were added and stay`
      expect(stderr).toContain(`zgq: interrupted; ${words}`)
    },
    120_000
  )
})

describe('zgq delete', () => {
  it('deletes rows by ids, and counts those that were there', async () => {
    const index = await notesIndex()
    const [a, b, c] = documents.map(({ id }) => String(id))
    expect(jsonOf('delete', index, '--id', a, '--id', 'nobody')).toEqual({
      path: index,
      deleted: 1,
      ids: 2,
      count: COUNT - 1
    })
    const file = fileOf('ids.txt', `${b}\n${JSON.stringify(c)}\n`)
    expect(runZgq('delete', index, '--ids', file)).toMatchObject({
      code: 0,
      stdout: `deleted 2 rows for 2 ids; ${index} has 297 rows\n`
    })
    expect(ask(index, (open) => [a, b, c].filter((id) => open.has(id)))).toEqual([])
  })

  it('deletes rows with integer ids, from standard input too', async () => {
    const index = await emptyIndex()
    jsonOf('add', index, fileOf('v.fbin', fbin(vectors, DIM)), '--first-id', '0')
    expect(runZgqOn('3\n4\n', 'delete', index, '--ids', '-').code).toBe(0)
    expect(jsonOf('delete', index, '--id', '5')).toMatchObject({ deleted: 1, count: COUNT - 3 })
    expect(runZgq('delete', index, '--id', 'five')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--id must be a whole number')
    })
    expect(runZgqOn('7\nx\n', 'delete', index, '--ids', '-')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_BUILD_INPUT: line 2 is "x", expected a whole number/)
    })
    expect(countIn(index)).toBe(COUNT - 3)
  })

  it('deletes by a filter, in an index that names a model too', async () => {
    const index = await notesIndex({ model: 'm@1' })
    const drafts = documents.filter(({ draft }) => draft).length
    expect(jsonOf('delete', index, '--filter', '{"draft": true}')).toEqual({
      path: index,
      deleted: drafts,
      count: COUNT - drafts
    })
  })

  it.each([
    [[], 2, 'expected --id, --ids or --filter'],
    [['--id', 'a', '--filter', '{"draft": true}'], 2, 'give one of --id, --ids and --filter'],
    [['--filter', '{}'], 2, '--filter is empty'],
    [['--filter', '{"drafts": true}'], 1, 'ZGQ_FILTER: .*drafts'],
    [['--ids', 'not-there.txt'], 1, 'ZGQ_NOT_FOUND: the file of ids does not exist']
  ])('refuses %j', async (options, code, message) => {
    const index = await notesIndex()
    expect(runZgq('delete', index, ...options)).toMatchObject({
      code,
      stderr: expect.stringMatching(new RegExp(`^zgq: ${message}`))
    })
    expect(countIn(index)).toBe(COUNT)
  })
})

describe('an index that was changed', () => {
  it('is copied whole by zgq backup, which replaces nothing', async () => {
    const index = await notesIndex()
    jsonOf('delete', index, '--filter', '{"draft": true}')
    const [count, copy] = [countIn(index), temp.fresh('copy')]
    expect(jsonOf('backup', index, copy)).toEqual({ path: index, to: copy, count, bytes: expect.any(Number) })
    expect(await checkIndex(copy)).toMatchObject({ count })
    expect(runZgq('backup', index, copy)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_EXISTS: .*exists/)
    })
  })

  it('is described by zgq inspect, its page and zgq check', async () => {
    const index = await emptyIndex(NOTES)
    const input = writeJsonl(temp.fresh('notes.jsonl'), documents.slice(0, 40))
    jsonOf('add', index, input)
    jsonOf('delete', index, '--id', String(documents[0].id))
    expect(runZgq('inspect', index).stdout).toMatch(/^ {2}changes +2 commits; 39 rows fresh in the catalogue$/m)
    jsonOf('add', index, writeJsonl(temp.fresh('all.jsonl'), documents), '--upsert')
    jsonOf('add', index, writeJsonl(temp.fresh('more.jsonl'), large(600)), '--upsert')
    jsonOf('delete', index, '--id', 'more 7')
    expect(jsonOf('inspect', index)).toMatchObject({
      count: COUNT + 599,
      changes: { commit: 5, freshRows: COUNT, deltaRows: 600, deletedRows: 1, patchedRows: 0 }
    })
    const page = temp.fresh('page.html')
    runZgq('inspect', index, '--html', page)
    expect(readFileSync(page, 'utf8')).toMatch(/<h3>Changes<\/h3>[^]*rows in delta files<\/th><td>600</)
    expect(runZgq('check', index).stdout).toContain('is sound: 899 live rows (1 more are deleted), 0 zones')
    expect(jsonOf('check', index)).toMatchObject({ count: COUNT + 599, deletedRows: 1 })
  })

  function large(count: number): object[] {
    return Array.from({ length: count }, (_, i) => ({ id: `more ${i}`, vector: documents[i % COUNT].vector }))
  }

  it.runIf(process.platform !== 'win32')(
    'in a read-only folder refuses changes in one line, and is searched',
    async () => {
      const index = await notesIndex()
      const before = readdirSync(index)
      const input = writeJsonl(temp.fresh('more.jsonl'), large(2))
      chmodSync(temp.path, 0o755)
      chmodSync(index, 0o555)
      for (const name of before) chmodSync(`${index}/${name}`, 0o444)
      const isRoot = process.geteuid?.() === 0
      if (isRoot) process.seteuid?.(65_534) // root writes anywhere
      try {
        for (const words of [
          ['add', index, input],
          ['delete', index, '--id', String(documents[0].id)]
        ])
          expect(runZgq(...words)).toMatchObject({
            code: 1,
            stderr: expect.stringMatching(/zgq: ZGQ_READ_ONLY: .*\n$/)
          })
        expect(runZgq('search', index, '--id', String(documents[0].id), '--k', '1').code).toBe(0)
      } finally {
        if (isRoot) process.seteuid?.(0)
        chmodSync(index, 0o755)
      }
      expect(readdirSync(index)).toEqual(before)
    }
  )
})
