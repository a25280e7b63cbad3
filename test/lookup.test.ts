// Looking vectors up by id (get and has), odd paths, and the end of an index.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex } from '../src/index.ts'
import { errorOf } from './support/errors.ts'
import { mendIdsFile } from './support/forge/ids.ts'

const DIM = 5
const folder = mkdtempSync(join(tmpdir(), 'zgq-lookup-'))
const ids = Array.from({ length: 200 }, (_, row) => (row % 2 === 0 ? row : row * 2 ** 34))
const values = Float32Array.from({ length: ids.length * DIM }, (_, i) => Math.sin(i))
let index: ZgqIndex

beforeAll(async () => {
  await buildIndex({ input: values, dim: DIM, ids, metric: 'cosine', zones: 8, output: join(folder, 'a.zgq') })
  index = ZgqIndex.open(join(folder, 'a.zgq'))
})
afterAll(() => {
  index.close()
  rmSync(folder, { recursive: true })
})

describe('get', () => {
  it('returns every vector as the caller gave it, also with ids above 2^32', () => {
    ids.forEach((id, row) => {
      expect(index.get(id)).toEqual(values.slice(row * DIM, (row + 1) * DIM))
    })
  })

  it('returns undefined for an id that is not there', () => {
    expect(index.get(1)).toBeUndefined()
    expect(index.get(Number.MAX_SAFE_INTEGER)).toBeUndefined()
  })

  it('returns a copy', () => {
    index.get(0)?.fill(7)
    expect(index.get(0)).toEqual(values.slice(0, DIM))
  })
})

describe('has', () => {
  it('tells the ids that are there from those that are not', () => {
    expect(ids.every((id) => index.has(id))).toBe(true)
    expect([1, 3, 201, 2 ** 34 + 1].some((id) => index.has(id))).toBe(false)
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('refuses %s as an id', (id) => {
    expect(() => index.has(id)).toThrow(RangeError)
  })
})

it('an ids file that names a row which is not there is corrupt, with its path', async () => {
  const output = join(folder, 'forged.zgq')
  await buildIndex({ input: values, dim: DIM, ids, zones: 8, output })
  const path = join(output, 'ids-000001-00000.zgq')
  const bytes = new Uint8Array(readFileSync(path))
  const firstPage = new DataView(bytes.buffer, 4096)
  for (let entry = 0; entry < ids.length; entry++) firstPage.setUint32(entry * 16 + 12, 0xffff, true)
  mendIdsFile(bytes)
  writeFileSync(path, bytes)
  const forged = ZgqIndex.open(output)
  expect(errorOf(() => forged.get(0))).toMatchObject({ code: 'ZGQ_CORRUPT', path })
  forged.close()
})

describe('a path', () => {
  it('may begin with white space, which is part of the name', async () => {
    const before = process.cwd()
    process.chdir(folder)
    try {
      await buildIndex({ input: values.subarray(0, DIM), dim: DIM, output: ' a.zgq' })
      const spaced = ZgqIndex.open(' a.zgq')
      expect([spaced.info().count, index.info().count]).toEqual([1, ids.length])
      spaced.close()
    } finally {
      process.chdir(before)
    }
  })
})

describe('close', () => {
  it('gives up the index, so that every call after it is ZGQ_CLOSED', () => {
    const closed = ZgqIndex.open(join(folder, 'a.zgq'))
    closed.close()
    for (const call of [() => closed.get(0), () => closed.has(0), () => closed.info()]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ZGQ_CLOSED' }))
    }
  })
})
