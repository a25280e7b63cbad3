// Damage to what indexes of documents have besides vectors: string ids, ids files, payloads, fields and values of the
// catalogue. Whoever reads it says so or answers as before; a check finds all of it.

import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import type { Filter, Id, Mapping, OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { buildDocuments, documentId } from './support/document-index.ts'
import { Parts } from './support/forge/parts.ts'
import {
  bytesOf,
  describeError,
  isSafe,
  restoreAll,
  specimenOf,
  withBytes,
  type Specimen
} from './support/index-damage.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('documents-damage', IN_MEMORY)
const SEED = 83
const COUNT = 300
const DIM = 8
const KINDS = ['vectors', 'fields', 'payload', 'ids'] as const
const ID_TYPES = ['string', 'integer'] as const
const MAPPINGS: readonly Mapping[] = ['auto', 'pread']

const FILTERS: readonly Filter[] = [
  { path: { $startsWith: 'dir 1' } },
  { size: { $gte: 0 } },
  { draft: true },
  { tags: { $in: ['tag 1', 'tag 5'] } },
  { kind: { $ne: 'c1' } },
  { path: null }
]

type IdType = (typeof ID_TYPES)[number]

const specimens = new Map<IdType, { specimen: Specimen; query: Float32Array; right: ReadonlyMap<string, string> }>()

beforeAll(async () => {
  for (const ids of ID_TYPES) {
    const folder = temp.fresh(ids)
    const shape = { output: folder, count: COUNT, dim: DIM, metric: 'l2', bits: 2, ids, seed: SEED } as const
    const query = (await buildDocuments(shape)).slice(0, DIM)
    const specimen = specimenOf(folder, [query])
    const right = answersTo(folder, questionsFor(ids, query), {})
    expect([...right.values()].filter((found) => !/^[[{]|^false$/.test(found))).toEqual([])
    specimens.set(ids, { specimen, query, right })
  }
})
afterEach(() => {
  for (const { specimen } of specimens.values()) restoreAll(specimen)
})

function specimenWith(ids: IdType): { specimen: Specimen; query: Float32Array; right: ReadonlyMap<string, string> } {
  const found = specimens.get(ids)
  if (found === undefined) throw new Error(`nothing was built with ids of type ${ids}`)
  return found
}

/** Together they read all that documents have. */
function questionsFor(ids: IdType, query: Float32Array): Record<string, (index: ZgqIndex<Id>) => unknown> {
  const some = Array.from({ length: 30 }, (_, i) => (ids === 'string' ? documentId(i * 10) : i * 30))
  return {
    'search with payloads': (index) => index.search(query, { exact: true, k: COUNT, payload: true }),
    'search by codes': (index) => index.search(query, { nprobe: 6, k: 50, payload: ['path', 'deep'] }),
    'search with a filter': (index) => FILTERS.map((filter) => index.search(query, { k: 7, filter, exact: true })),
    'search by id': (index) => index.search({ id: some[3] }, { k: 5 }),
    document: (index) => some.map((id) => index.document(id)),
    'get and has': (index) => some.map((id) => [index.get(id), index.has(id)]),
    'an id that is not there': (index) => index.has(ids === 'string' ? 'nobody' : 1),
    count: (index) => FILTERS.map((filter) => index.count(filter)),
    ids: (index) => [...index.ids()],
    facts: (index) => {
      const { fields, model, note } = index.info()
      return { fields, model, note }
    }
  }
}

/** What each question gets, as JSON, or an error; one error for all where the index does not open. */
function answersTo(
  folder: string,
  questions: ReturnType<typeof questionsFor>,
  options: OpenOptions
): Map<string, string> {
  const names = Object.keys(questions)
  let index: ZgqIndex<Id> | undefined
  try {
    index = ZgqIndex.open<Id>(folder, options)
    return new Map(names.map((name) => [name, answerTo(index, questions[name])]))
  } catch (error) {
    return new Map(names.map((name) => [name, describeError(error)]))
  } finally {
    index?.close()
  }
}

function answerTo(index: ZgqIndex<Id> | undefined, ask: (index: ZgqIndex<Id>) => unknown): string {
  try {
    return index === undefined ? '' : JSON.stringify(ask(index))
  } catch (error) {
    return describeError(error)
  }
}

/** What each question gets: `right`, `wrong`, or an error. */
function outcomesOf(ids: IdType, mapping: Mapping): Map<string, string> {
  const { specimen, query, right } = specimenWith(ids)
  const answers = answersTo(specimen.folder, questionsFor(ids, query), { mapping })
  return new Map(Array.from(answers, ([name, found]) => [name, found === right.get(name) ? 'right' : judged(found)]))
}

function judged(found: string): string {
  return isSafe(found) ? found : `wrong: ${found.slice(0, 80)}`
}

interface Stretch {
  readonly what: string
  readonly offset: number
  readonly byteLength: number
}

/**
 * What of the files some checksum covers; in the vectors file the columns alone, the rest is that of damage.test.ts.
 */
function stretchesOf(folder: string, kind: (typeof KINDS)[number]): Stretch[] {
  const parts = new Parts(folder)
  const file = parts.file(kind)
  if (kind === 'ids')
    return [
      { what: 'header', offset: 0, byteLength: 112 },
      { what: 'pages', offset: 4096, byteLength: file.bytes.byteLength - 4096 }
    ]
  const stretches = kind === 'vectors' ? [] : [{ what: 'header', offset: 0, byteLength: 112 }]
  for (const i of parts.placed) {
    const extent = parts.extent(i, kind)
    const start = extent.view.byteOffset
    const tableBytes = 24 + 32 * extent.entries.length
    stretches.push({ what: 'table', offset: start, byteLength: tableBytes })
    for (const entry of extent.entries) {
      const [offset, byteLength] = [start + entry.get('offset'), entry.get('byteLength')]
      stretches.push({ what: `column ${entry.get('kind')} of field ${entry.get('field')}`, offset, byteLength })
    }
  }
  return stretches
}

/** Bytes between two that are damaged. */
const STRIDES = { vectors: step(83, 11), fields: step(127, 7), payload: step(397, 23), ids: step(211, 13) }

/** Places to be damaged: the first and the last byte of every stretch, and some between. */
function placesIn(stretches: readonly Stretch[], stride: number): { what: string; at: number }[] {
  return stretches.flatMap(({ what, offset, byteLength }) => {
    const between = Array.from({ length: Math.floor(byteLength / stride) }, (_, i) => offset + i * stride)
    const all = byteLength === 0 ? [] : [...between, offset, offset + byteLength - 1]
    return [...new Set(all)].map((at) => ({ what, at }))
  })
}

describe.each(ID_TYPES.flatMap((ids) => KINDS.map((kind) => [kind, ids] as const)))(
  `bits turned over in the %s file of an index whose ids are of type %s (seed ${SEED})`,
  (kind, ids) => {
    const random = randomFrom(SEED)
    const nameOf = ({ files }: Specimen): string =>
      Array.from(files.keys()).find((name) => name.startsWith(`${kind}-`)) ?? ''

    const damaged = (stride: number): { what: string; name: string; offset: number; bytes: Uint8Array }[] => {
      const { specimen } = specimenWith(ids)
      const name = nameOf(specimen)
      return placesIn(stretchesOf(specimen.folder, kind), stride).map(({ what, at }) => ({
        what,
        name,
        offset: at,
        bytes: Uint8Array.of(bytesOf(specimen, name)[at] ^ (1 << Math.floor(random() * 8)))
      }))
    }

    it('give the right answers or an error, and an error to some', () => {
      const { specimen } = specimenWith(ids)
      const unsafe: unknown[] = []
      let errors = 0
      for (const change of damaged(STRIDES[kind])) {
        const mapping = MAPPINGS[Math.floor(random() * 2)]
        const outcomes = withBytes(specimen, change, () => outcomesOf(ids, mapping))
        for (const [question, outcome] of outcomes) {
          if (!isSafe(outcome)) unsafe.push({ ...change, bytes: change.bytes[0], question, outcome })
          if (outcome !== 'right') errors++
        }
      }
      expect(unsafe).toEqual([])
      expect(errors).toBeGreaterThan(0)
    })

    it('are found by a check', async () => {
      const { specimen } = specimenWith(ids)
      const missed: unknown[] = []
      for (const change of damaged(STRIDES[kind] * 3)) {
        const found = await withBytes(specimen, change, () =>
          checkIndex(specimen.folder).then(() => 'right', describeError)
        )
        if (!/^ZGQ_(CORRUPT|TRUNCATED|MISMATCH|UNSUPPORTED)$/.test(found)) missed.push({ ...change, found })
      }
      expect(missed).toEqual([])
    })
  }
)

describe.each(['fields', 'model', 'note'])('the value %s of the catalogue', (key) => {
  it('is refused by all after a bit of it was turned over', async () => {
    const { specimen } = specimenWith('string')
    const outcomes = new Set<string>()
    const path = join(specimen.folder, CATALOGUE_NAME)
    const database = new Sqlite(path)
    const old = Uint8Array.from(
      database.prepare<[string], Buffer>('SELECT value FROM meta WHERE key = ?').pluck().get(key) ?? []
    )
    const put = (bytes: Uint8Array): void => {
      database.prepare('UPDATE meta SET value = ? WHERE key = ?').run(bytes, key)
    }
    try {
      for (let at = 0; at < old.byteLength; at += step(3)) {
        const changed = old.slice()
        changed[at] ^= 1 << (at % 8)
        put(changed)
        for (const outcome of outcomesOf('string', 'pread').values()) outcomes.add(outcome)
        outcomes.add(await checkIndex(specimen.folder).then(() => 'right', describeError))
      }
      put(old)
    } finally {
      database.close()
    }
    expect([...outcomes]).toEqual(['ZGQ_CORRUPT'])
  })
})
