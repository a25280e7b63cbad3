// Documents in builds: what is refused, that a build goes on with documents that are the same, and with those alone.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { buildIndex, buildStage, type VectorBatch } from '../src/build.ts'
import { checkBuildOptions, type BuildOptions } from '../src/build/build-options.ts'
import { RECIPE_NAME } from '../src/build/site.ts'
import { decodeMessagePack } from '../src/format/message-pack.ts'
import type { Fields } from '../src/types.ts'
import { openBatchFile } from '../src/input/batch-file.ts'
import { buildInProcess } from './support/build-process.ts'
import { blob } from './support/input-files.ts'
import {
  documentsOf,
  lists,
  payloadOf,
  single,
  writeColumns,
  writeDocumentTable,
  writeJsonl
} from './support/document-files.ts'
import { readDocuments, type ReadDocuments } from './support/read-documents.ts'
import { runZgq } from './support/run-zgq.ts'
import { errorFrom, placeIn, rejection } from './support/small-build.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('document-builds', IN_MEMORY)
const dim = 4
const documents = documentsOf(600, dim)
const vectors = Float32Array.from(documents.flatMap(({ vector }) => [...vector]))
const ids = documents.map(({ id }) => String(id))
const payloads = documents.map(payloadOf)
const two = vectors.subarray(0, 2 * dim)

const read = (options: Partial<BuildOptions>): Promise<ReadDocuments> =>
  readDocuments({
    input: two,
    output: placeIn(temp).output,
    ...(typeof options.input === 'string' ? {} : { dim }),
    ...options
  })

async function* batchesOf(...all: readonly unknown[]): AsyncGenerator<unknown> {
  for (const batch of all) yield await Promise.resolve(batch)
}

/** Batches of any shape. */
function batches(...all: readonly unknown[]): AsyncIterable<VectorBatch>
function batches(...all: readonly unknown[]): AsyncIterable<unknown> {
  return batchesOf(...all)
}

describe('ids are refused', () => {
  it.each<[string, unknown[], RegExp]>([
    ['that are empty', ['a', ''], /the id of row 3 cannot be used: it is empty/],
    ['that are too long', ['a', '\u00e4'.repeat(513)], /row 3 cannot be used: it has 1026 bytes of UTF-8, .* 1024/],
    ['that are integers after strings', ['a', 7], /the id of row 3 cannot be used: it is 7, expected a string/],
    ['that are missing', ['a', undefined], /the id of row 3 cannot be used: it is undefined/],
    ['that are integers in a later batch', [7, 8], /the id of row 2 cannot be used: it is 7, expected a string/]
  ])('%s', async (_, last, message) => {
    const input = batches({ vectors: two, ids: ['x', 'y'] }, { vectors: two, ids: last })
    expect(await errorFrom(read({ input }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(message)
    })
  })

  it('that are strings after integers', async () => {
    const input = batches({ vectors: two, ids: [1, 2] }, { vectors: two, ids: ['x', 'y'] })
    expect(await errorFrom(read({ input }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/the id of row 2 is "x", expected a safe integer/)
    })
    expect(
      await errorFrom(buildIndex({ input: two, dim, output: placeIn(temp).output, ids: mixed([1, 'x']) }))
    ).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/row 1 is "x"/)
    })
  })

  it('with a lone surrogate: TypeError for an argument, ZGQ_BUILD_INPUT for a file', async () => {
    for (const options of [{ ids: ['x', 'a\ud800'] }, { input: batches({ vectors: two, ids: ['x', '\udc00'] }) }]) {
      const reason = await rejection(read(options))
      expect(reason).toBeInstanceOf(TypeError)
      expect(reason).toMatchObject({ message: expect.stringMatching(/the id of row 1 .*lone surrogate/) })
    }
    const input = temp.fresh('x.jsonl')
    writeFileSync(input, '{"id":"a","vector":[1]}\n{"id":"\\ud800","vector":[1]}\n')
    expect(await errorFrom(read({ input }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      path: input,
      message: expect.stringMatching(/the id of line 2 .*lone surrogate/)
    })
  })

  it.each<[string, () => Partial<BuildOptions>, RegExp]>([
    ['of an array', () => ({ input: vectors, ids: twice(ids, 17, 500) }), /in Float32Array \(rows 17 and 500\)/],
    [
      'of two batches',
      () => ({ input: batches({ vectors: two, ids: ['x', 'y'] }, { vectors: two, ids: ['z', 'y'] }) }),
      /duplicate id "y" in batches \(rows 1 and 3\)/
    ],
    [
      'of a file',
      () => ({
        input: writeJsonl(temp.fresh('x.jsonl'), [...documents, { ...documents[9], body: '' }]),
        payload: 'all'
      }),
      /duplicate id "docs\/279\.md#0" in .*x\.jsonl \(rows 9 and 600\)/
    ],
    [
      'that are integers beside payloads',
      () => ({
        input: vectors,
        ids: twice(
          ids.map((_, i) => i),
          3,
          4
        ),
        payloads
      }),
      /duplicate id 3 .*\(rows 3 and 4\)/
    ]
  ])('that stand twice, %s', async (_, options, message) => {
    const given = options()
    const shape = typeof given.input === 'string' ? {} : { dim }
    expect(await errorFrom(buildIndex({ input: two, output: placeIn(temp).output, ...shape, ...given }))).toMatchObject(
      { code: 'ZGQ_ID_EXISTS', message: expect.stringMatching(message) }
    )
  })
})

/** Ids of both kinds, which types do not allow. */
function mixed(all: readonly unknown[]): string[]
function mixed(all: readonly unknown[]): readonly unknown[] {
  return all
}

function twice<T>(all: readonly T[], row: number, again: number): T[] {
  return all.map((id, i) => (i === again ? all[row] : id))
}

describe('payloads are refused', () => {
  it('that are none, with row and path', async () => {
    const cyclic: Record<string, unknown> = {}
    cyclic['me'] = [cyclic]
    const table: [unknown, RegExp][] = [
      [{ tags: [1, new Date(0)] }, /^row 3: payload\.tags\[1\] is a Date, expected a plain object/],
      [[1], /^row 3: payload is an array/],
      [null, /^row 3: payload is null/],
      [cyclic, /^row 3: payload\.me\[0\] is an object that contains itself/],
      [{ a: 'x'.repeat(2 ** 24) }, /^row 3: payload is too large: expected at most 16 MB/]
    ]
    for (const [bad, message] of table) {
      const input = batches({ vectors: two, payloads: [{}, {}] }, { vectors: two, payloads: [{}, bad] })
      const reason = await rejection(read({ input }))
      expect(reason).toBeInstanceOf(TypeError)
      expect(reason).toMatchObject({ message: expect.stringMatching(message) })
    }
  })

  it('of a file, as ZGQ_BUILD_INPUT with the line', async () => {
    const input = temp.fresh('x.jsonl')
    writeFileSync(input, `{"vector":[1],"a":1}\n{"vector":[1],"a":${'['.repeat(40)}${']'.repeat(40)}}\n`)
    expect(await errorFrom(read({ input, payload: 'all' }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      path: input,
      message: expect.stringMatching(/^line 2: payload\.a.* is an array of 1 value, .* at most 32 deep/)
    })
  })

  it('of 16 MB are taken', async () => {
    const body = 'x'.repeat(2 ** 24 - 100)
    const found = await read({ payloads: [{ body }, {}], fields: { body: 'string' } })
    expect(found.payloads[0]['body']).toBe(body)
    expect(found.fields[0][0]).toBe(body)
  })

  it.each<[string, unknown[], string, RegExp]>([
    ['not one each', [{ vectors: two, payloads: [{}] }], 'ZGQ_BUILD_INPUT', /2 vectors and another number of payloads/],
    ['no array', [{ vectors: two, payloads: {} }], 'ZGQ_BUILD_INPUT', /another number of payloads/],
    [
      'in some batches alone',
      [{ vectors: two, payloads: [{}, {}] }, { vectors: two }],
      'ZGQ_BUILD_INPUT',
      /batch at row 2 has no payloads, unlike/
    ]
  ])('that are %s', async (_, all, code, message) => {
    expect(await errorFrom(read({ input: batches(...all) }))).toMatchObject({
      code,
      message: expect.stringMatching(message)
    })
  })

  it('that lack where fields are declared', async () => {
    expect(await errorFrom(read({ input: batches({ vectors: two }), fields: { a: 'number' } }))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT',
      message: expect.stringMatching(/row 0 has no payloads, which the fields need/)
    })
  })
})

describe('options', () => {
  const table: [string, Record<string, unknown>, RegExp][] = [
    ['payloads for batches', { input: batches(), payloads: [] }, /payloads is not for batches/],
    ['payloads for columns', { input: 'x.jsonl', dim: undefined, payloads: [] }, /payloads is not for "x\.jsonl"/],
    ['payload for an array', { payload: 'all' }, /payload is for columns of .*the input is an array/],
    ['payload for a vector file', { input: 'x.fbin', dim: undefined, payload: ['a'] }, /payload is for columns/],
    ['fields without payloads', { fields: { a: 'number' } }, /fields are parts of payloads: give payloads too/],
    ['payloads that are no array', { payloads: {} }, /payloads must be an array of objects, found an object/],
    ['payload that is a number', { input: 'x.jsonl', dim: undefined, payload: 1 }, /payload must be 'all' or an array/],
    ['payload with no name', { input: 'x.jsonl', dim: undefined, payload: [''] }, /payload must have non-empty names/],
    ['a field of unknown type', { payloads: [], fields: { a: 'date' } }, /field "a" must be one of string, number/],
    ['fields that are a list', { payloads: [], fields: ['a'] }, /fields must be an object/],
    ['a model without a name', { model: '' }, /model must be a non-empty string/],
    ['a note that is text', { note: 'x' }, /note must be a plain object, found "x"/],
    ['a note with a date', { note: { a: [new Date(0)] } }, /buildIndex: note\.a\[0\] is a Date/]
  ]
  it.each(table)('%s is a TypeError', async (_, options, message) => {
    const reason = await rejection(buildIndex({ input: two, dim, output: placeIn(temp).output, ...options }))
    expect(reason).toBeInstanceOf(TypeError)
    expect(reason).toMatchObject({ message: expect.stringMatching(message) })
  })

  it('counts of ids and payloads are those of the vectors', async () => {
    const table: [Partial<BuildOptions>, RegExp][] = [
      [{ ids: ['x'] }, /there are 1 ids for 2 vectors/],
      [{ payloads: [{}, {}, {}] }, /there are 3 payloads for 2 vectors/]
    ]
    for (const [options, message] of table)
      expect(await errorFrom(read(options))).toMatchObject({
        code: 'ZGQ_BUILD_INPUT',
        message: expect.stringMatching(message)
      })
  })

  it('model and note come into the recipe', async () => {
    const note = { version: 3, nested: { list: [1, null] } }
    const { recipe } = (await read({ model: 'embedder@1.5', note })).site
    expect(recipe.model).toBe('embedder@1.5')
    expect(decodeMessagePack(Uint8Array.from(Buffer.from(recipe.note ?? '', 'base64')), 'x')).toEqual({ note })
    expect(checkBuildOptions({ input: two, dim, output: 'x' })).toMatchObject({ model: null, note: null, fields: [] })
  })
})

describe('a build that goes on', () => {
  const input = writeJsonl(temp.fresh('docs.jsonl'), documents)
  const options = { input, fields: { path: 'string', mtime: 'number' }, payload: 'all' } as const
  const spools = (output: string): Record<string, string> => {
    const folder = `${output}.building`
    const names = readdirSync(folder).filter((name) => name.startsWith('input.'))
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]))
  }

  it('keeps the spools of the same documents', async () => {
    const { output } = placeIn(temp)
    expect(await read({ ...options, output })).toMatchObject({ isBegun: false })
    const before = spools(output)
    expect(Object.keys(before).sort()).toEqual([
      'input.fields',
      'input.fields.index',
      'input.payloads',
      'input.payloads.index',
      'input.rows',
      'input.texts',
      'input.texts.index'
    ])
    expect(await read({ ...options, output })).toMatchObject({ isBegun: true, ids })
    expect(spools(output)).toEqual(before)
  })

  it.each<[string, () => Partial<BuildOptions>]>([
    ['arrays', () => ({ input: vectors, ids, payloads })],
    ['batches', () => ({ input: batches({ vectors, ids, payloads }) })]
  ])('spools %s again, and keeps the work where they are the same', async (_, source) => {
    const { output } = placeIn(temp)
    expect(await read({ ...source(), output })).toMatchObject({ isBegun: false })
    const before = spools(output)
    expect(await read({ ...source(), output })).toMatchObject({ isBegun: true, ids, payloads })
    expect(spools(output)).toEqual(before)
  })

  it.each<[string, Partial<BuildOptions>]>([
    ['a payload', { payloads: payloads.map((payload, i) => (i === 599 ? { ...payload, body: 'x' } : payload)) }],
    ['an id', { ids: twice(ids, 0, 1) }],
    ['the fields', { fields: { path: 'string' } }],
    ['no payloads', { payloads: undefined }],
    ['no ids', { ids: undefined }],
    ['the model', { model: 'other' }],
    ['the note', { note: { a: 1 } }]
  ])('begins anew with %s changed', async (_, changed) => {
    const { output } = placeIn(temp)
    await read({ input: vectors, ids, payloads, output })
    expect(await read({ input: vectors, ids, payloads, output, ...changed })).toMatchObject({ isBegun: false })
  })

  it.each([
    { stage: 'read', note: 0 },
    { stage: 'assign', note: 0 }
  ])('was killed in stage $stage, and makes the same files', async (kill) => {
    const whole = placeIn(temp).output
    expect((await buildInProcess({ options: { ...options, output: whole } })).code).toBe(0)
    const { output } = placeIn(temp)
    expect(await buildInProcess({ options: { ...options, output }, kill })).toMatchObject({ signal: 'SIGKILL' })
    expect((await buildInProcess({ options: { ...options, output } })).code).toBe(0)
    expect(dataFileDigests(output)).toEqual(dataFileDigests(whole))
    expect(readdirSync(join(output, '..'))).toEqual(['index'])
  })

  it('in stages has to be called with the same documents', async () => {
    const { output } = placeIn(temp)
    await buildStage({ ...options, output, stage: 'read' })
    const other = buildStage({ ...options, output, stage: 'train', fields: { path: 'string' } })
    expect(await errorFrom(other)).toMatchObject({ code: 'ZGQ_MISMATCH' })
    const model = buildStage({ ...options, output, stage: 'train', model: 'm' })
    expect(await errorFrom(model)).toMatchObject({ code: 'ZGQ_MISMATCH', message: expect.stringMatching(/model/) })
    const note = buildStage({ ...options, output, stage: 'train', note: { secret: 1 } })
    expect((await errorFrom(note)).message).toMatch(/started with note \(default\), .* with another one/)
    for (const stage of ['train', 'assign', 'write', 'publish'] as const)
      expect(await buildStage({ ...options, output, stage })).toMatchObject({ stage })
  })

  it('keeps its work beside the largest note and very many fields', async () => {
    const note = { text: 'x'.repeat(2 ** 20 - 20) }
    const fields: Fields = Object.fromEntries(
      Array.from({ length: 256 }, (_, i) => [String(i).padEnd(255, '\u0001'), 'string' as const])
    )
    const { output } = placeIn(temp)
    expect(await read({ ...options, output, note, fields })).toMatchObject({ isBegun: false })
    expect(await read({ ...options, output, note, fields })).toMatchObject({ isBegun: true })
    const larger = { text: `${note.text}${'x'.repeat(20)}` }
    expect(await rejection(read({ ...options, output, note: larger }))).toMatchObject({
      message: expect.stringMatching(/^buildIndex: note is too large: expected at most 1 MB/)
    })
  })

  it('in stages has to be called with the same arrays', async () => {
    const { output } = placeIn(temp)
    const file = temp.fresh('docs.fbin')
    writeFileSync(file, Buffer.concat([Buffer.from(Uint32Array.of(600, dim).buffer), blob(vectors)]))
    const call = { input: file, ids, payloads, output }
    await buildStage({ ...call, stage: 'read' })
    const changed = payloads.map((payload, i) => (i === 7 ? {} : payload))
    expect(await errorFrom(buildStage({ ...call, payloads: changed, stage: 'train' }))).toMatchObject({
      code: 'ZGQ_MISMATCH'
    })
    expect(await buildStage({ ...call, stage: 'train' })).toMatchObject({ stage: 'train' })
  })

  it('names the index by its documents, too', async () => {
    const build = async (more: Partial<BuildOptions>): Promise<string> =>
      (await buildIndex({ input: vectors, dim, output: placeIn(temp).output, ...more })).indexId
    const names = [await build({}), await build({ payloads }), await build({ ids }), await build({ ids, payloads })]
    expect(new Set(names).size).toBe(4)
    expect(await build({ ids, payloads })).toBe(names[3])
  })
})

describe('batches of large payloads are small', () => {
  const large = documentsOf(100, 2).map((document) => ({ ...document, tags: null, body: 'x'.repeat(100_000) }))
  const parquet = (): string =>
    writeColumns(temp.fresh('x.parquet'), [
      lists('v', { type: 'FLOAT' }, { data: large.map(({ vector }) => vector) }),
      single('body', { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, { data: large.map(({ body }, i) => body + i) })
    ])
  it.each<[string, () => [string, object]]>([
    ['JSON lines', () => [writeJsonl(temp.fresh('x.jsonl'), large), {}]],
    ['Parquet', () => [parquet(), { column: 'v' }]],
    ['a query', () => [writeDocumentTable(temp.fresh('x.db'), large), { query: 'SELECT * FROM docs' }]]
  ])('of %s', async (_, file) => {
    const [path, options] = file()
    const source = await openBatchFile(path, { ...options, payloadColumns: { fields: [], others: 'all' } })
    const rows: number[] = []
    for await (const batch of source.batches) {
      expect(batch.payloads).toHaveLength(batch.vectors.length / 2)
      rows.push(batch.payloads?.length ?? 0)
    }
    source.close()
    expect(Math.max(...rows)).toBeLessThan(30)
    expect(rows.reduce((sum, count) => sum + count, 0)).toBe(100)
  })
})

describe('zgq build', () => {
  const input = writeJsonl(temp.fresh('notes.jsonl'), documents)

  it('takes fields, payload, model and note', () => {
    const { output } = placeIn(temp)
    const note = '{"by":"me"}'
    const options = ['--fields', 'path:string,mtime:number,tags:string[]', '--payload', 'body', '--model', 'm@1']
    expect(runZgq('build', input, output, ...options, '--note', note, '--stage', 'read')).toMatchObject({ code: 0 })
    const recipe: unknown = JSON.parse(readFileSync(join(`${output}.building`, RECIPE_NAME), 'utf8'))
    expect(recipe).toMatchObject({
      model: 'm@1',
      documents: {
        idType: 'string',
        hasPayloads: true,
        fields: [
          { number: 1, name: 'path', type: 'string' },
          { number: 2, name: 'mtime', type: 'number' },
          { number: 3, name: 'tags', type: 'string[]' }
        ]
      }
    })
    expect(runZgq('build', input, placeIn(temp).output, '--payload', 'all')).toMatchObject({ code: 0 })
  })

  it.each([
    ['--fields', 'path', /--fields must be NAME:TYPE/],
    ['--fields', 'path:text', /--fields must be NAME:TYPE.*found path:text/],
    ['--fields', 'a:string,a:number', /--fields declares a twice/],
    ['--payload', 'a,,b', /--payload must be names separated by commas/],
    ['--note', '[1]', /--note must be a JSON object, found \[1\]/],
    ['--note', '{', /--note must be a JSON object/]
  ])('refuses %s %s', (name, value, message) => {
    const { code, stderr } = runZgq('build', input, placeIn(temp).output, name, value)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) })
  })
})
