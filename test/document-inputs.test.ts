// Documents as builds read them: ids of either kind, payloads and declared fields, from every kind of input. What the
// first stage leaves for the stages after it, and what it refuses.

import { describe, expect, it } from 'vitest'

import type { VectorBatch } from '../src/build.ts'
import type { BuildOptions } from '../src/build/build-options.ts'
import { errorFrom, placeIn, rejection } from './support/small-build.ts'
import { readDocuments, type ReadDocuments } from './support/read-documents.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('documents', IN_MEMORY)
const dim = 2
const vectorsOf = (count: number): Float32Array => Float32Array.from({ length: count * dim }, (_, i) => i + 1)
const read = (options: Partial<BuildOptions>): Promise<ReadDocuments> =>
  readDocuments({ input: vectorsOf(3), dim, output: placeIn(temp).output, ...options })

async function* batches(...all: VectorBatch[]): AsyncGenerator<VectorBatch> {
  for (const batch of all) yield await Promise.resolve(batch)
}

describe('batches', () => {
  it('bring string ids, payloads and fields', async () => {
    const found = await read({
      input: batches(
        { vectors: vectorsOf(2), ids: ['b', 'a'], payloads: [{ n: 1, tags: ['x'] }, { n: null }] },
        { vectors: vectorsOf(1), ids: ['\u00e4'], payloads: [{ more: new Uint8Array([1, 2]) }] }
      ),
      fields: { n: 'number', tags: 'string[]' }
    })
    expect(found.ids).toEqual(['b', 'a', '\u00e4'])
    expect(found.payloads).toEqual([{ n: 1, tags: ['x'] }, { n: null }, { more: new Uint8Array([1, 2]) }])
    expect(found.fields).toEqual([
      [1, ['x']],
      [null, undefined],
      [undefined, undefined]
    ])
    expect(found.site.recipe.documents).toMatchObject({ idType: 'string', hasPayloads: true })
  })

  it('bring integer ids and payloads', async () => {
    const found = await read({ input: batches({ vectors: vectorsOf(2), ids: [7, 5], payloads: [{}, { a: 1 }] }) })
    expect(found).toMatchObject({ ids: [7, 5], payloads: [{}, { a: 1 }], fields: [[], []] })
  })
})

describe('arrays', () => {
  it('go with arrays of string ids and payloads', async () => {
    const found = await read({ ids: ['x', 'y', 'z'], payloads: [{ a: 1 }, { a: 2 }, {}], fields: { a: 'number' } })
    expect(found).toMatchObject({ ids: ['x', 'y', 'z'], payloads: [{ a: 1 }, { a: 2 }, {}] })
    expect(found.fields).toEqual([[1], [2], [undefined]])
  })

  it('number rows where only payloads are given', async () => {
    expect(await read({ payloads: [{ a: 1 }, {}, {}] })).toMatchObject({ ids: [0, 1, 2] })
  })

  it('without documents are read as ever', async () => {
    expect((await read({ ids: [3, 2, 1] })).site.recipe).toMatchObject({ documents: null, ids: 'spool' })
  })
})

it('refuses a payload of an array by TypeError', async () => {
  const reason = await rejection(read({ payloads: [{}, {}, { tags: [1, 2, new Date(0)] }] }))
  expect(reason).toBeInstanceOf(TypeError)
  expect(reason).toMatchObject({ message: expect.stringMatching(/^row 2: payload\.tags\[2\] is a Date/) })
  expect(await errorFrom(read({ payloads: [{ a: 1 }, { a: 'x' }, {}], fields: { a: 'number' } }))).toMatchObject({
    code: 'ZGQ_BUILD_INPUT',
    message: expect.stringMatching(/^row 1: the field a is "x", expected a number/)
  })
})
