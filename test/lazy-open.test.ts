// What opening and a first search do without: modules that take as long to load as hundreds of plain reads.

import { renameSync, statSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { Readers } from '../src/storage/open-readers.ts'
import { makeVectors } from './support/datasets.ts'
import { CAN_MAP } from './support/mappings.ts'
import { makeFile, numbered } from './support/reader-contract.ts'
import { printedBy } from './support/run-node.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('lazy-open')
const SEED = 130
const DIM = 32
const folders = new Map<number, string>()

beforeAll(async () => {
  for (const bits of [0, 4]) {
    const output = temp.fresh(`bits-${bits}`)
    await buildIndex({
      input: makeVectors('clustered', { count: 4000, dim: DIM }, SEED),
      dim: DIM,
      bits,
      zones: 40,
      output
    })
    folders.set(bits, output)
  }
})

/** In a process of its own: `path`, some queries, and `loaded()`, which names the packages that were loaded. */
function run(bits: number, script: string): unknown {
  const queries = Array.from(makeVectors('clustered', { count: 200, dim: DIM }, SEED + 1))
  return printedBy(`
    const path = ${JSON.stringify(folders.get(bits))}
    const values = Float32Array.from(${JSON.stringify(queries)})
    const query = (i) => values.subarray(i * ${DIM}, (i + 1) * ${DIM})
    const loaded = () => ['koffi', 'msgpackr', 'hyparquet'].filter((name) =>
      Object.keys(require.cache).some((file) => file.includes('node_modules/' + name + '/'))
    )
    ${script}`)
}

describe.each([0, 4])('an index with %d bits, in a process that has just begun', (bits) => {
  it('loads neither koffi nor msgpackr for opening, a first search, get and close', () => {
    const printed = run(
      bits,
      `
      const index = ZgqIndex.open(path)
      const opened = loaded()
      const hits = index.search(query(0), { k: 10 })
      const searched = loaded()
      index.zones()
      const vector = index.get(hits[0].id)
      index.close()
      print({ opened, searched, closed: loaded(), hits: hits.length, length: vector.length })`
    )
    expect(printed).toEqual({ opened: [], searched: [], closed: [], hits: 10, length: DIM })
  })

  it.runIf(CAN_MAP)('maps its files though the working folder is another by then', () => {
    const printed = run(
      bits,
      `
      const { basename, dirname } = await import('node:path')
      process.chdir(dirname(path))
      const index = ZgqIndex.open(basename(path))
      process.chdir('/')
      print(index.info().reader.kind)`
    )
    expect(printed).toBe('mmap')
  })

  it.runIf(CAN_MAP)('maps its files after some searches, which find the same', () => {
    const printed = run(
      bits,
      `
      const index = ZgqIndex.open(path, { cacheBytes: 0 })
      const plain = ZgqIndex.open(path, { mapping: 'pread' })
      let before = 0
      let differing = 0
      for (let i = 0; i < 200; i++) {
        const found = index.search(query(i), { k: 10, nprobe: 20, rerank: 50 })
        if (JSON.stringify(found) !== JSON.stringify(plain.search(query(i), { k: 10, nprobe: 20, rerank: 50 }))) differing++
        if (!loaded().includes('koffi')) before++
      }
      print({ differing, hasPlain: before > 0, hasMapped: before < 200, kind: index.info().reader.kind })`
    )
    expect(printed).toEqual({ differing: 0, hasPlain: true, hasMapped: true, kind: 'mmap' })
  })

  it.runIf(CAN_MAP)('chooses when info is asked, which says why', () => {
    const printed = run(
      bits,
      `
      const index = ZgqIndex.open(path)
      index.search(query(0))
      const before = loaded()
      const { reader } = index.info()
      print({ before, after: loaded().includes('koffi'), kind: reader.kind })`
    )
    expect(printed).toEqual({ before: [], after: true, kind: 'mmap' })
  })

  it.runIf(CAN_MAP)('maps at once where that was asked for', () => {
    expect(run(bits, `ZgqIndex.open(path, { mapping: 'mmap' }); print(loaded())`)).toEqual(['koffi'])
  })

  it('never maps where plain reads were asked for', () => {
    const printed = run(
      bits,
      `
      const index = ZgqIndex.open(path, { mapping: 'pread', cacheBytes: 0 })
      for (let i = 0; i < 200; i++) index.search(query(i), { k: 10, nprobe: 20 })
      print({ koffi: loaded().includes('koffi'), kind: index.info().reader.kind })`
    )
    expect(printed).toEqual({ koffi: false, kind: 'pread' })
  })
})

describe.runIf(CAN_MAP)('readers opened with auto', () => {
  it('begin to prefetch with the work at which they map', () => {
    const file = makeFile(temp, 8192)
    const readers = new Readers(temp.path, numbered(file), 'auto')
    try {
      const target = Buffer.alloc(10)
      const isMapped: boolean[] = []
      for (let read = 0; read < 2000 && !readers.isMapped; read++) {
        readers.readSettled(0, read, target)
        isMapped.push(readers.isMapped)
        expect(target.equals(file.content.subarray(read, read + 10))).toBe(true)
      }
      expect(isMapped.length).toBeGreaterThan(100)
      expect(isMapped.at(-1)).toBe(true)
      expect(readers.chosen().kind).toBe('mmap')
    } finally {
      readers.close()
    }
  })

  it('go on with plain reads, and say why, where a file was replaced before they map', () => {
    const file = makeFile(temp, 8192)
    const { dev, ino } = statSync(file.path)
    const readers = new Readers(temp.path, numbered({ ...file, identity: `${dev}:${ino}` }), 'auto')
    try {
      renameSync(makeFile(temp, 8192).path, file.path)
      expect(readers.chosen()).toMatchObject({ kind: 'pread', reason: expect.stringContaining('was replaced') })
      const bytes = Buffer.alloc(8192)
      readers.readSettled(0, 0, bytes)
      expect(bytes.equals(file.content)).toBe(true)
    } finally {
      readers.close()
    }
  })
})
