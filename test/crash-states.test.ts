// The states that a fold leaves where it dies (spec, section 10, "A fold"): each row of the table is made, read,
// checked and folded again.

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { ChangeWriter } from '../src/catalogue/change-writer.ts'
import { FoldLock } from '../src/catalogue/fold-lock.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { checkIndex } from '../src/check.ts'
import { FoldSession } from '../src/fold/fold-session.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { makeVectors } from './support/datasets.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('crash-states', IN_MEMORY)
const DIM = 8
const COUNT = 1500
const VECTORS = makeVectors('clustered', { count: COUNT, dim: DIM }, 41)
const WRITE = { durability: 'full', lockTimeoutMs: 1000, allowNetworkFileSystem: false } as const

/** An index with two deltas, whose second half is folded into zones if wanted. */
async function makeIndex(): Promise<{ readonly path: string; readonly index: ZgqIndex }> {
  const path = temp.fresh('index')
  const index = await ZgqIndex.create(path, { dim: DIM, autoOptimize: false })
  for (const first of [0, COUNT / 2]) {
    const ids = Array.from({ length: COUNT / 2 }, (_, i) => first + i)
    await index.add({ ids, vectors: VECTORS.slice(first * DIM, (first + COUNT / 2) * DIM) })
  }
  return { path, index }
}

function withWriter<T>(path: string, work: (writer: ChangeWriter) => T): T {
  const writer = ChangeWriter.open(path, { indexId: readCatalogue(path).meta.indexId, ...WRITE })
  try {
    return work(writer)
  } finally {
    writer.close()
  }
}

/** What a fold does, in this thread, without the minute of grace. */
async function fold(path: string, onlyCleansUp = false): Promise<void> {
  const session = new FoldSession(
    {
      folder: path,
      indexId: readCatalogue(path).meta.indexId,
      write: WRITE,
      read: { mapping: 'pread', verify: 'touch', cacheBytes: 2 ** 20 },
      memoryBytes: 2 ** 24,
      all: true,
      isAutomatic: false,
      onlyCleansUp,
      graceMs: 0
    },
    { note: () => undefined, check: () => undefined }
  )
  try {
    await session.run()
  } finally {
    session.close()
  }
}

const filesIn = (path: string): string[] => readdirSync(path).filter((name) => name.endsWith('.zgq'))
const namedIn = (path: string): string[] => {
  const index = ZgqIndex.open(path)
  const names = index.info().files.map(({ name }) => name)
  index.close()
  return names
}

/** Makes a state; returns the folder. By the first column of the table. */
const STATES: Readonly<Record<string, () => Promise<string>>> = {
  '`fold.lock` that nobody has locked': async () => {
    const { path, index } = await makeIndex()
    FoldLock.take(path, 0).release()
    index.close()
    expect(existsSync(join(path, 'fold.lock'))).toBe(true)
    return path
  },
  'a row of `reservations`, perhaps with files of its generation that table `files` does not name': async () => {
    const { path, index } = await makeIndex()
    const { generation } = withWriter(path, (writer) => writer.reserve({ segments: 3, files: 4 }))
    const of = `${String(generation).padStart(6, '0')}-00000.zgq`
    for (const name of [`vectors-${of}`, `vectors-${of}.columns`, `ids-${of}.run`]) writeFileSync(join(path, name), 'x')
    index.close()
    return path
  },
  'files of the generation in table `files`, no row of `reservations`': async () => {
    const { path, index } = await makeIndex()
    await fold(path)
    await fold(path, true)
    index.close()
    expect(filesIn(path).sort()).toEqual(namedIn(path).sort())
    return path
  },
  'rows of `superseded` and their files': async () => {
    const { path, index } = await makeIndex()
    await index.optimize()
    index.close()
    expect(filesIn(path).filter((name) => name.startsWith('delta'))).toHaveLength(2)
    return path
  },
  'rows of `superseded` without their files': async () => {
    const { path, index } = await makeIndex()
    await index.optimize()
    for (const name of filesIn(path).filter((one) => one.startsWith('delta'))) rmSync(join(path, name))
    index.close()
    return path
  },
  'a delta file of a generation that was never committed': async () => {
    const { path, index } = await makeIndex()
    writeFileSync(join(path, 'delta-000003-00000.zgq'), 'x')
    index.close()
    return path
  },
  'a catalogue with `-wal` that has the publishing transaction': async () => {
    const { path, index } = await makeIndex()
    await index.optimize()
    const copy = temp.fresh('copy')
    cpSync(path, copy, { recursive: true, filter: (name) => !name.endsWith('-shm') })
    index.close()
    expect(existsSync(join(copy, 'catalogue.sqlite-wal'))).toBe(true)
    expect(ZgqIndex.open(copy).info().zones).toBeGreaterThan(0)
    return copy
  }
}

function rowsOfTable(): string[] {
  const spec = readFileSync(join(ROOT, 'format-spec/README.md'), 'utf8')
  const section = spec.slice(spec.indexOf('### A fold'), spec.indexOf('## 11.'))
  const lines = section.split('\n').filter((line) => line.startsWith('| '))
  return lines.slice(1).map((line) => line.split(' | ')[0].slice(2))
}

it('every state of a fold in the spec has a test here', () => {
  expect(rowsOfTable()).toEqual(Object.keys(STATES))
})

describe.each(rowsOfTable())('%s', (name) => {
  it('is read, passes the check, and the next fold leaves nothing but the index', async () => {
    const path = await STATES[name]()
    using index = ZgqIndex.open(path)
    expect(index.count()).toBe(COUNT)
    const query = VECTORS.slice(0, DIM)
    expect(index.search(query, { k: 1, exact: true })[0].id).toBe(0)
    expect(await checkIndex(path)).toMatchObject({ ok: true, count: COUNT })
    const writer = ZgqIndex.open(path, { mode: 'write', autoOptimize: false })
    await writer.add([{ id: COUNT, vector: query }])
    await fold(path)
    await fold(path, true)
    writer.close()
    index.refresh()
    expect(index.count()).toBe(COUNT + 1)
    expect(withWriter(path, (one) => one.readFoldFiles())).toMatchObject({ reservations: [], superseded: [] })
    expect(filesIn(path).sort()).toEqual(namedIn(path).sort())
    expect(readdirSync(path).filter((file) => /\.(run|columns)$/.test(file))).toEqual([])
  })
})
