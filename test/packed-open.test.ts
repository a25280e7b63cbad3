// Packed indexes on disk, of one file and in a folder: they answer as the index that they were packed from, to the bit,
// and cannot be changed.

import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { basename, join, relative } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { checkIndex, repairIndex } from '../src/check.ts'
import { calibrateIndex } from '../src/build.ts'
import { packIndex } from '../src/pack.ts'
import { openReaders } from '../src/storage/open-readers.ts'
import { openAsyncReader } from '../src/storage/open-async-reader.ts'
import type { Filter, Id, OpenOptions, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { buildDocuments } from './support/document-index.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { CAN_MAP, MAPPINGS } from './support/mappings.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { printedBy } from './support/run-node.ts'
import { buildSmall, DIM, errorFrom, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('packed-open')
const COUNT = 400
const DOCUMENTS_DIM = 24
const QUERIES = 12

/** An index, and what was packed of it. */
interface Packed {
  readonly index: string
  readonly file: string
  readonly folder: string
}

async function packBoth(index: string): Promise<Packed> {
  const [file, folder] = [`${index}.zgqp`, `${index}-parts`]
  await packIndex({ index, output: file })
  await packIndex({ index, output: folder, layout: 'folder' })
  return { index, file, folder }
}

const small: Packed = place('small')
const documents: Packed = place('documents')
const cosine: Packed = place('cosine')
const plain: Packed = place('plain')
const OPENINGS: readonly OpenOptions[] = [
  ...MAPPINGS.map((mapping) => ({ mapping })),
  { verify: 'open' },
  { verify: 'none' },
  { cacheBytes: 0 }
]
const LAYOUTS = ['file', 'folder'] as const

function place(name: string): Packed {
  const index = join(temp.path, `${name}.zgq`)
  return { index, file: `${index}.zgqp`, folder: `${index}-parts` }
}

let documentVectors: Float32Array

beforeAll(async () => {
  await buildSmall(small.index, { bits: 4, zones: 20, queries: SMALL.slice(0, 40 * DIM) })
  await buildSmall(plain.index, { bits: 0 })
  const shape = { count: COUNT, dim: DOCUMENTS_DIM, bits: 4, seed: 7 }
  documentVectors = await buildDocuments({ ...shape, output: documents.index, metric: 'l2', ids: 'string' })
  await buildDocuments({ ...shape, output: cosine.index, metric: 'cosine', ids: 'integer' })
  for (const { index } of [small, plain, documents, cosine]) await packBoth(index)
})

const FILTERS: readonly (Filter | undefined)[] = [
  undefined,
  { kind: 'c1' },
  { tags: { $in: ['tag 3'] }, size: { $gt: 0 } },
  { path: { $startsWith: 'dir 2/' } }
]
const MODES: readonly SearchOptions[] = [{}, { nprobe: 2 }, { recall: 0.9, k: 30 }, { exact: true }]

/** All that an index says of its rows, in text: equal for equal bits. */
async function saysOf(path: string, options: OpenOptions = {}): Promise<string[]> {
  using index = ZgqIndex.open<Id>(path, options)
  const { dim, fields, count } = index.info()
  const vectors = dim === DIM ? SMALL : documentVectors
  const filters = Object.keys(fields).length === 0 ? [undefined] : FILTERS
  const said: unknown[] = [count, index.zones(), [...index.ids()]]
  for (const filter of filters) {
    said.push(index.count(filter), [...index.documents({ ...(filter === undefined ? {} : { filter }) })])
    for (const mode of MODES) {
      const wishes = { ...mode, ...(filter === undefined ? {} : { filter }), payload: true }
      for (let row = 0; row < QUERIES; row++) {
        const query = vectors.slice(row * dim, (row + 1) * dim)
        said.push(index.search(query, wishes), await index.searchAsync(query, wishes))
      }
      said.push(await index.searchBatch(vectors.slice(0, QUERIES * dim), wishes))
    }
  }
  for (const name of Object.keys(fields)) said.push(index.fieldSummary(name))
  for (const id of [...index.ids()].slice(0, 20))
    said.push(index.get(id), index.document(id), index.has(id), index.search({ id }, { k: 3 }))
  return said.map((each) => JSON.stringify(each))
}

describe('a packed index answers as the index it was packed from', () => {
  it.each([
    ['integers and codes', small],
    ['no codes', plain],
    ['string ids, fields and payloads', documents],
    ['cosine', cosine]
  ])('with %s', async (_, { index, file, folder }) => {
    const expected = await saysOf(index)
    expect(await saysOf(file)).toEqual(expected)
    expect(await saysOf(folder)).toEqual(expected)
  })

  it.each(OPENINGS)('opened with %j', async (options) => {
    const expected = await saysOf(documents.index)
    expect(await saysOf(documents.file, options)).toEqual(expected)
    expect(await saysOf(documents.folder, options)).toEqual(expected)
  })

  it.each(LAYOUTS)('in worker threads, of a %s', (layout) => {
    const script = (path: string): string => `
      const index = ZgqIndex.open(${JSON.stringify(path)}, { threads: 1, cacheBytes: 0 })
      const queries = new Float32Array(3000 * ${DIM})
      for (let i = 0; i < queries.length; i++) queries[i] = Math.sin(i)
      let threads
      const found = []
      for (let round = 0; round < 30 && !(threads?.running > 0 && round > 3); round++) {
        found.splice(0, 1, await index.searchBatch(queries, { exact: true, k: 5 }))
        threads = index.info().threads
      }
      print({ running: threads.running, failure: threads.failure ?? null, found: JSON.stringify(found) })
      index.close()`
    const expected = printedBy(script(small.index))
    expect(expected).toMatchObject({ running: 1, failure: null })
    expect(printedBy(script(small[layout]))).toEqual(expected)
  })

  it('by a relative path, though the working folder changes, and through a link', async () => {
    const expected = await saysOf(small.index)
    const before = process.cwd()
    const link = join(temp.path, 'link.zgqp')
    symlinkSync(small.file, link)
    expect(await saysOf(link)).toEqual(expected)
    using index = ZgqIndex.open(relative(before, small.file), { threads: 0 })
    using parts = ZgqIndex.open(relative(before, small.folder), { threads: 0 })
    process.chdir(temp.path)
    try {
      const [first] = index.search(SMALL.slice(0, DIM), { exact: true })
      expect(parts.search(SMALL.slice(0, DIM), { exact: true })[0]).toEqual(first)
      expect(first).toMatchObject({ id: 0 })
    } finally {
      process.chdir(before)
    }
  })

  it('without any SQLite', () => {
    const script = (path: string): string => `
      process.getBuiltinModule = undefined
      const { default: Module } = await import('node:module')
      const load = Module._load
      Module._load = (name, ...others) => {
        if (name === 'better-sqlite3' || name === 'node:sqlite') throw new Error('SQLite was asked for')
        return load(name, ...others)
      }
      try {
        const index = ZgqIndex.open(${JSON.stringify(path)})
        const hits = index.search(new Float32Array(${DIM}), { k: 3 })
        index.refresh()
        const { sqlite, packed } = index.info()
        index.close()
        print({ hits: hits.length, driver: sqlite.driver, layout: packed?.layout ?? null,
          check: (await checkIndex(${JSON.stringify(path)})).ok })
      } catch ({ code }) { print(code) }`
    expect(printedBy(script(small.file))).toEqual({ hits: 3, driver: 'none', layout: 'file', check: true })
    expect(printedBy(script(small.folder))).toEqual({ hits: 3, driver: 'none', layout: 'folder', check: true })
    expect(printedBy(script(small.index))).toBe('ZGQ_UNSUPPORTED')
  })
})

describe('the command', () => {
  it.each(LAYOUTS)('finds the same in a %s, measures it, exports it and describes it', (layout) => {
    const place = temp.fresh('command')
    mkdirSync(place)
    const [queries, truth] = [join(place, 'queries.fbin'), join(place, 'truth.ivecs')]
    writeFileSync(queries, fbin(SMALL.slice(0, 6 * DIM), DIM))
    runZgq('search', small.index, queries, '--exact', '--out', truth)
    const saysOf = (path: string): unknown[] => {
      const exported = join(place, 'rows.jsonl')
      const search = jsonOf('search', path, queries, '--recall', '0.9')
      const found = runZgq('eval', path, queries, truth, '--nprobe', '20').stdout.split(/\s+/)
      runZgq('export', path, exported)
      const rows = readFileSync(exported, 'utf8')
      rmSync(exported)
      return [search, found.includes('1.0000'), rows]
    }
    const said = saysOf(small[layout])
    expect(said).toEqual(saysOf(small.index))
    expect(said[2]).not.toBe('')
    const about = runZgq('inspect', small[layout]).stdout
    expect(about).toMatch(/packed into (one file|a folder of parts)/)
    expect(about).not.toMatch(/sqlite/)
    expect(runZgq('check', small[layout]).stdout).toMatch(/ is sound: .* in \d parts, .*digest [0-9a-f]{64}/)
    expect(runZgq('delete', small[layout], '--ids', queries).stderr).toMatch(/ZGQ_READ_ONLY/)
  })
})

describe('a packed index says', () => {
  it('that it is packed, its digest, and its bytes', () => {
    const [file, folder] = LAYOUTS.map((layout) => {
      using index = ZgqIndex.open(small[layout])
      return index.info()
    })
    using index = ZgqIndex.open(small.index)
    expect(index.info().packed).toBeNull()
    expect(file.packed).toEqual({ digest: expect.stringMatching(/^[0-9a-f]{64}$/), layout: 'file' })
    expect(folder.packed).toEqual({ digest: file.packed?.digest, layout: 'folder' })
    expect(file.bytes).toBe(readFileSync(small.file).byteLength)
    const parts = readdirSync(small.folder).filter((name) => name !== 'latest')
    expect(folder.bytes).toBe(parts.reduce((sum, name) => sum + readFileSync(join(small.folder, name)).byteLength, 0))
  })
})

describe('a packed index cannot be', () => {
  const WHAT_TO_DO = /packed from/

  it.each(LAYOUTS)('changed, as a %s', async (layout) => {
    const path = documents[layout]
    const opening = errorOf(() => ZgqIndex.open(path, { mode: 'write', model: 'a model' }))
    expect([opening.code, opening.message]).toEqual(['ZGQ_READ_ONLY', expect.stringMatching(WHAT_TO_DO)])
    using index = ZgqIndex.open<string>(path)
    const vector = new Float32Array(DOCUMENTS_DIM)
    for (const change of [
      index.add([{ id: 'new', vector }]),
      index.upsert([{ id: 'new', vector }]),
      index.update(['new'], { a: 1 }),
      index.delete(['new']),
      index.optimize()
    ]) {
      const { code, message } = await errorFrom(change)
      expect([code, message]).toEqual(['ZGQ_READ_ONLY', expect.stringMatching(WHAT_TO_DO)])
    }
    expect(index.refresh()).toBe(false)
  })

  it.each(LAYOUTS)('backed up, repaired, calibrated or packed, as a %s', async (layout) => {
    const path = small[layout]
    const output = temp.fresh('never')
    using index = ZgqIndex.open(path)
    const errors = [
      await errorFrom(index.backup(output)),
      await errorFrom(repairIndex({ input: path, output, acceptLoss: true })),
      await errorFrom(calibrateIndex(path)),
      await errorFrom(packIndex({ index: path, output }))
    ]
    expect(errors.map(({ code }) => code)).toEqual(Array.from(errors, () => 'ZGQ_UNSUPPORTED'))
    expect(errors[0].message).toMatch(/copy its file or folder/)
    for (const { message } of errors.slice(1)) expect(message).toMatch(WHAT_TO_DO)
    expect(temp.list().filter((name) => name.includes('never'))).toEqual([])
  })
})

describe('a packed file that is replaced', () => {
  it('goes on being read by who has it open; who opens it then reads the new one', async () => {
    const path = temp.fresh('replaced.zgqp')
    copyFileSync(small.file, path)
    const expected = await saysOf(small.file)
    using index = ZgqIndex.open(path, { mapping: 'pread', cacheBytes: 0 })
    copyFileSync(plain.file, `${path}.new`)
    renameSync(`${path}.new`, path)
    expect(index.refresh()).toBe(false)
    expect(JSON.stringify(index.search(SMALL.slice(0, DIM), { payload: true }))).toBe(expected[5])
    using after = ZgqIndex.open(path)
    expect(after.info().bits).toBe(0)
  })

  it('is ZGQ_MISMATCH for a thread that starts then, which others take the work of', () => {
    const path = temp.fresh('swapped.zgqp')
    copyFileSync(small.file, path)
    const found = printedBy(`
      import { copyFileSync, renameSync } from 'node:fs'
      const index = ZgqIndex.open(${JSON.stringify(path)}, { threads: 1, cacheBytes: 0 })
      copyFileSync(${JSON.stringify(plain.file)}, ${JSON.stringify(path)} + '.new')
      renameSync(${JSON.stringify(path)} + '.new', ${JSON.stringify(path)})
      const queries = new Float32Array(3000 * ${DIM})
      let threads
      for (let round = 0; round < 30 && threads?.failure === undefined; round++) {
        await index.searchBatch(queries, { exact: true, k: 5 })
        threads = index.info().threads
      }
      print(threads)
      index.close()`)
    expect(found).toMatchObject({ running: 0, failure: expect.stringMatching(/the file was replaced/) })
  })
})

describe('a folder of parts', () => {
  it('opens as its highest manifest says', async () => {
    const folder = temp.fresh('manifests')
    cpSync(small.folder, folder, { recursive: true })
    await packIndex({ index: plain.index, output: folder, layout: 'folder' })
    using index = ZgqIndex.open(folder)
    expect(index.info().bits).toBe(0)
    rmSync(join(folder, 'manifest-000002'))
    using before = ZgqIndex.open(folder)
    expect(before.info().bits).toBe(4)
  })

  it('with a catalogue in it is an index', () => {
    const folder = temp.fresh('both')
    cpSync(small.folder, folder, { recursive: true })
    cpSync(small.index, folder, { recursive: true })
    using index = ZgqIndex.open(folder)
    expect(index.info().packed).toBeNull()
  })

  it('is ZGQ_CORRUPT where a part is missing, longer or a folder, ZGQ_TRUNCATED where it is shorter', () => {
    const broken = (breakPart: (path: string) => void): string => {
      const folder = temp.fresh('broken')
      cpSync(small.folder, folder, { recursive: true })
      const name = readdirSync(folder).find((found) => found.startsWith('vectors-')) ?? ''
      breakPart(join(folder, name))
      return codeOf(() => ZgqIndex.open(folder))
    }
    expect(broken(rmSync)).toBe('ZGQ_CORRUPT')
    expect(
      broken((path) => {
        truncateSync(path, 4096)
      })
    ).toBe('ZGQ_TRUNCATED')
    expect(
      broken((path) => {
        writeFileSync(path, 'x', { flag: 'a' })
      })
    ).toBe('ZGQ_CORRUPT')
    expect(
      broken((path) => {
        rmSync(path)
        mkdirSync(path)
      })
    ).toBe('ZGQ_CORRUPT')
  })

  it('is opened by its folder, not by its manifest', () => {
    const { code, message } = errorOf(() => ZgqIndex.open(join(small.folder, 'manifest-000001')))
    expect([code, message]).toEqual(['ZGQ_NOT_AN_INDEX', expect.stringMatching(/open the folder/)])
  })
})

describe('parts of one file', () => {
  it.each(['mmap', 'pread'] as const)('are read by %s and asynchronously as if they were files', async (mapping) => {
    if (mapping === 'mmap' && !CAN_MAP) return
    using index = ZgqIndex.open(small.file, { mapping })
    expect(index.info().reader.kind).toBe(mapping)
    const content = Buffer.from(Array.from({ length: 5 * 4096 }, (_, i) => (i * 31) % 251))
    const path = temp.fresh('whole')
    writeFileSync(path, content)
    const whole = { path, absolutePath: path, wholeByteLength: content.byteLength }
    const files = new Map([
      [3, { ...whole, start: 4096, byteLength: 4096 }],
      [7, { ...whole, start: 2 * 4096, byteLength: 3 * 4096 }]
    ])
    const readers = openReaders(temp.path, files, mapping)
    const later = openAsyncReader(readers)
    const [file, offset, byteLength] = [7, 4099, 100]
    const [settled, fresh] = [new Uint8Array(byteLength), new Uint8Array(byteLength)]
    readers.prefetch([{ file, offset, byteLength }])
    readers.readSettled(file, offset, settled)
    readers.readFresh(file, offset, fresh)
    const expected = content.subarray(2 * 4096 + offset, 2 * 4096 + offset + byteLength)
    expect(Buffer.from(settled)).toEqual(expected)
    expect(Buffer.from(fresh)).toEqual(expected)
    expect((await later.readAsync([{ file, offset, byteLength }], undefined)).map(Buffer.from)).toEqual([expected])
    expect(
      codeOf(() => {
        readers.readSettled(7, 3 * 4096 - 10, new Uint8Array(20))
      })
    ).toBe('ZGQ_TRUNCATED')
    readers.close()
  })
})

describe('checkIndex of a packed index', () => {
  it.each(LAYOUTS)('verifies a whole one, and says its digest, as a %s', async (layout) => {
    for (const packed of [small, plain, documents, cosine]) {
      using index = ZgqIndex.open(packed[layout])
      const { bytes, count, files, packed: facts } = index.info()
      expect(await checkIndex(packed[layout])).toMatchObject({
        ok: true,
        count,
        files: files.length,
        bytesChecked: bytes,
        digest: facts?.digest,
        notes: []
      })
    }
    expect((await checkIndex(small.index)).digest).toBeNull()
  })

  it('notes what lies beside one file, or in a folder, and is no part of it', async () => {
    const place = temp.fresh('beside')
    mkdirSync(place)
    const file = join(place, 'a.zgqp')
    copyFileSync(small.file, file)
    writeFileSync(join(place, '.a.zgqp.0123456789ab.tmp'), '')
    writeFileSync(join(place, 'other'), '')
    expect((await checkIndex(file)).notes).toEqual([expect.stringMatching(/0123456789ab\.tmp is of a pack/)])
    const folder = join(place, 'parts')
    cpSync(small.folder, folder, { recursive: true })
    await packIndex({ index: plain.index, output: folder, layout: 'folder' })
    writeFileSync(join(folder, 'latest'), '1')
    writeFileSync(join(folder, 'x.tmp'), '')
    writeFileSync(join(folder, 'readme.txt'), '')
    const { notes } = await checkIndex(folder)
    const found = (pattern: RegExp): number => notes.filter((note) => pattern.test(note)).length
    expect(found(/^latest does not name manifest-000002/)).toBe(1)
    expect(found(/^manifest-000001 is an older manifest/)).toBe(1)
    expect(found(/^x\.tmp is of a pack/)).toBe(1)
    expect(found(/^readme\.txt is in the folder and not part/)).toBe(1)
    const older = readdirSync(small.folder).filter(
      (name) => /\.zgq$/.test(name) && !readdirSync(plain.folder).includes(name)
    )
    expect(found(/is a part that the newest manifest does not name/)).toBe(older.length)
    expect(basename(folder)).toBe('parts')
  })

  it('rejects with the reason of its signal', async () => {
    const reason = new Error('enough')
    await expect(checkIndex(small.file, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
