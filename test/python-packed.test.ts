// The second reader, written from the spec alone, reads packed indexes: the same hits, ids and payloads as this library
// finds, and the same refusals.

import { copyFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { packIndex } from '../src/pack.ts'
import type { Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { makeVectors } from './support/datasets.ts'
import { buildDocuments, documentId } from './support/document-index.ts'
import { PackedFile, partStarts } from './support/forge/packed-file.ts'
import { expectReaderAgrees, runReader } from './support/second-reader.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('python-packed')
const [DIM, COUNT] = [12, 300]
const SHAPES = [
  { name: 'text', metric: 'l2', bits: 4, ids: 'string' },
  { name: 'whole', metric: 'cosine', bits: 0, ids: 'integer' }
] as const
const LAYOUTS = ['file', 'folder'] as const

const placeOf = (name: string, layout: string): string => join(temp.path, `${name}-${layout}`)

beforeAll(async () => {
  for (const { name, ...shape } of SHAPES) {
    const index = join(temp.path, name)
    await buildDocuments({ ...shape, output: index, count: COUNT, dim: DIM, seed: 5 })
    for (const layout of LAYOUTS) await packIndex({ index, output: placeOf(name, layout), layout })
  }
})

describe.each(SHAPES)('the second reader, of a packed index ($metric, $bits bits, ids: $ids)', ({ name, ids }) => {
  it.each(LAYOUTS)('finds the same, in a %s', (layout) => {
    const folder = placeOf(name, layout)
    using index = ZgqIndex.open<Id>(folder)
    const queries = makeVectors('clustered', { count: 4, dim: DIM }, 6)
    for (const nprobe of [undefined, 2]) {
      const of = { temp, folder, queries, dim: DIM, k: 7, ...(nprobe === undefined ? {} : { nprobe }) }
      expectReaderAgrees(index, of)
      // With a filter, zones where nothing matches are not probed.
      if (nprobe === undefined) expectReaderAgrees(index, { ...of, filter: { kind: 'c1' } })
    }
    const id = ids === 'string' ? documentId(17) : 51
    expect(runReader('--id', String(id), folder)).toMatchObject({ found: { vector: Array.from(index.get(id) ?? []) } })
  })

  it.each(LAYOUTS)('checks it, in a %s', (layout) => {
    const folder = placeOf(name, layout)
    using index = ZgqIndex.open<Id>(folder)
    const { zones, files } = index.info()
    expect(runReader('--check', folder)).toEqual({ ok: true, count: COUNT, zones, files: files.length })
  })
})

describe('the second reader refuses', () => {
  const refused = (bytes: Uint8Array, ...args: readonly string[]): unknown => {
    const path = temp.fresh('refused.zgqp')
    writeFileSync(path, bytes)
    return runReader(...args, '--check', path)
  }
  const forged = (forge: (packed: PackedFile) => void): unknown => {
    const packed = new PackedFile(placeOf('text', 'file'))
    forge(packed)
    return refused(packed.bytes())
  }

  it('what is damaged, cut off, or of another version', () => {
    const sound = placeOf('text', 'file')
    const bytes = readFileSync(sound)
    const [centroids] = partStarts(sound)
    expect(refused(bytes.subarray(0, 100))).toBe('ZGQ_TRUNCATED')
    expect(refused(bytes.subarray(0, -1))).toBe('ZGQ_TRUNCATED')
    expect(refused(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe('ZGQ_CORRUPT')
    for (const at of [100, 4100, centroids + 5]) {
      const damaged = Buffer.from(bytes)
      damaged[at] ^= 1
      expect(refused(damaged)).toBe('ZGQ_CORRUPT')
    }
    expect(forged(() => undefined)).toMatchObject({ ok: true })
    expect(forged((packed) => packed.header((header) => header.set('version', 3)))).toBe('ZGQ_UNSUPPORTED')
    expect(forged((packed) => packed.header((header) => header.set('generation', 7)))).toBe('ZGQ_CORRUPT')
    expect(forged((packed) => packed.header((header) => header.set('digest', new Uint8Array(32))))).toBe('ZGQ_CORRUPT')
    expect(forged((packed) => packed.lengths((lengths) => lengths.set('partCount', 2)))).toBe('ZGQ_CORRUPT')
    expect(forged((packed) => packed.parts[0].fill(255, 0, 4))).toBe('ZGQ_CORRUPT')
  })

  it('a folder whose newest manifest names what is not there', () => {
    const folder = temp.fresh('parts')
    cpSync(placeOf('text', 'folder'), folder, { recursive: true })
    expect(runReader('--check', folder)).toMatchObject({ ok: true })
    const other = placeOf('whole', 'folder')
    expect(readdirSync(other)).toContain('manifest-000001')
    copyFileSync(join(other, 'manifest-000001'), join(folder, 'manifest-000002'))
    expect(runReader('--check', folder)).toBe('ZGQ_CORRUPT')
  })
})
