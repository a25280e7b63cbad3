// Whether an index that was changed, by writers that may have been killed, is whole and holds what it may hold.

import { checkIndex } from '../../src/check.ts'
import { ZgqError } from '../../src/errors.ts'
import type { StoredDocument } from '../../src/types.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'
import { strays } from './leftovers.ts'
import { applyChange, repeated, type Change, type ChangedRow, type Rows } from './changes.ts'

/** What a writer may have left. */
export interface Expected {
  readonly writer: number
  readonly states: readonly Rows[]
}

type Index = ZgqIndex<string, Record<string, unknown>>
type Document = StoredDocument<string, Record<string, unknown>>

const sorted = (payload: unknown): string =>
  JSON.stringify(payload, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value
  )

const textOf = ({ id, vector, payload }: ChangedRow | Document): string =>
  `${id} ${Array.from(vector).join()} ${sorted(payload)}`

/** Rows as lines of text, sorted. */
export const textsOf = (rows: Iterable<ChangedRow | Document>): string[] => Array.from(rows, textOf).sort()

/** Names up to a few rows in which two states differ. */
function difference(found: readonly string[], wanted: readonly string[]): string {
  const [has, wants] = [new Set(found), new Set(wanted)]
  const [more, missing] = [found.filter((text) => !wants.has(text)), wanted.filter((text) => !has.has(text))]
  const some = (texts: readonly string[]): string => texts.slice(0, 3).join('; ').slice(0, 400)
  return `${more.length} rows too many (${some(more)}), ${missing.length} missing (${some(missing)})`
}

function problemsOfRows(documents: readonly Document[], { writer, states }: Expected): string[] {
  const found = textsOf(documents.filter(({ id }) => id.startsWith(`${writer}-`)))
  const together = found.join('\n')
  const wanted = states.map((rows) => textsOf(rows.values()))
  if (wanted.some((texts) => texts.join('\n') === together)) return []
  // The nearest state says most.
  const nearest = wanted.map((texts) => difference(found, texts)).sort((a, b) => a.length - b.length)
  return [`rows of writer ${writer} are none of ${states.length} states: ${nearest[0]}`]
}

/** Everything that can be asked of an open index agrees with its documents. */
export function problemsOfAnswers(index: Index, documents: readonly Document[], gone: Iterable<string>): string[] {
  const problems: string[] = []
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
    if (a !== b) problems.push(`${what}: ${a.slice(0, 300)} instead of ${b.slice(0, 300)}`)
  }
  const ids = documents.map(({ id }) => id)
  expect('rows with one id', new Set(ids).size, ids.length)
  expect('count', index.count(), documents.length)
  expect('ids', Array.from(index.ids()).sort(), ids.slice().sort())
  for (const id of gone) expect(`has ${id}`, index.has(id), ids.includes(id))
  const nprobe = Math.max(1, index.info().zones)
  const some = documents.filter((_, i) => i % Math.ceil(documents.length / 12) === 0)
  for (const document of some) {
    const { id, vector, payload } = document
    const nearest = bruteForce(documents, vector)
    expect(`document ${id}`, textOf(index.document(id)!), textOf(document))
    const hitsOf = (hits: readonly { id: string; distance: number }[]): unknown =>
      hits.map((hit) => [hit.id, Number(hit.distance.toPrecision(5))])
    expect(`exact search at ${id}`, hitsOf(index.search(vector, { k: 5, exact: true })), hitsOf(nearest.slice(0, 5)))
    expect(`search at ${id}`, index.search(vector, { k: 1, nprobe })[0]?.distance, 0)
    if (payload === undefined || tagOf(payload) === '') continue
    const filter = { writer: Number(payload['writer']), group: Number(payload['group']), tags: tagOf(payload) }
    const matching = documents.filter(
      ({ payload: other }) =>
        other?.['writer'] === filter.writer && other['group'] === filter.group && tagOf(other) === filter.tags
    )
    expect(`count of ${JSON.stringify(filter)}`, index.count(filter), matching.length)
    const filtered = index.search(vector, { k: 5, filter, exact: true })
    expect(`filtered search at ${id}`, hitsOf(filtered), hitsOf(bruteForce(matching, vector).slice(0, 5)))
  }
  return problems
}

const tagOf = (payload: Record<string, unknown>): string =>
  Array.isArray(payload['tags']) ? String(payload['tags'][0]) : ''

function bruteForce(documents: readonly Document[], query: Float32Array): { id: string; distance: number }[] {
  const distance = (vector: Float32Array): number => vector.reduce((sum, x, i) => sum + (x - query[i]) ** 2, 0)
  return documents
    .map(({ id, vector }) => ({ id, distance: distance(vector) }))
    .sort((a, b) => a.distance - b.distance || (a.id < b.id ? -1 : 1))
}

/** The rows of writers as an index has them. */
export function readRows(path: string, writers: number): Rows[] {
  const index: Index = ZgqIndex.open(path)
  try {
    const documents = Array.from(index.documents())
    return Array.from(
      { length: writers },
      (_, writer) =>
        new Map(
          documents
            .filter(({ id }) => id.startsWith(`${writer}-`))
            .map(({ id, vector, payload }) => [id, { id, vector: Array.from(vector), payload: { ...payload } }])
        )
    )
  } finally {
    index.close()
  }
}

const describe = (error: unknown): string =>
  error instanceof ZgqError ? `${error.code} ${error.message}` : `not a ZgqError: ${String(error)}`

async function tried(what: string, work: () => unknown): Promise<string[]> {
  try {
    const result = await work()
    return Array.isArray(result) ? result.map(String) : []
  } catch (error) {
    return [`${what}: ${describe(error)}`]
  }
}

export interface ChangedIndexOptions {
  /** Write to it, too, and look again. */
  readonly writes?: boolean
  /** Fold all of it, too, and look again; nothing that is no part of it is left. */
  readonly folds?: boolean
  /** Ids that may have gone. */
  readonly gone?: Iterable<string>
}

/** What is wrong with an index; nothing, if it is whole and the rows of each writer are a state that they may be. */
export async function problemsOf(
  path: string,
  expected: readonly Expected[],
  { writes = false, folds = false, gone = [] }: ChangedIndexOptions = {}
): Promise<string[]> {
  const problems = [
    ...(await tried('check', async () => {
      await checkIndex(path)
    })),
    ...(await tried('open', () => {
      const index: Index = ZgqIndex.open(path)
      try {
        const documents = Array.from(index.documents())
        return [
          ...expected.flatMap((one) => problemsOfRows(documents, one)),
          ...problemsOfAnswers(index, documents, gone)
        ]
      } finally {
        index.close()
      }
    }))
  ]
  if (folds && problems.length === 0)
    problems.push(...(await tried('fold afterwards', async () => await problemsOfFolding(path))))
  if (!writes || problems.length > 0) return problems
  return await tried('write afterwards', async () => await problemsOfWriting(path))
}

async function problemsOfFolding(path: string): Promise<string[]> {
  const index: Index = ZgqIndex.open(path, { mode: 'write', autoOptimize: false })
  try {
    const before = textsOf(index.documents())
    await index.optimize({ all: true })
    const documents = Array.from(index.documents())
    const found = textsOf(documents)
    const { deltaRows, deletedRows, patchedRows, freshRows } = index.info().changes
    return [
      ...(found.join('\n') === before.join('\n') ? [] : [`after a fold: ${difference(found, before)}`]),
      ...problemsOfAnswers(index, documents, []),
      ...(deltaRows + deletedRows + patchedRows + freshRows > 0 ? ['a fold of all left something'] : []),
      ...strays(path).map((name) => `${name} is left after a fold`)
    ]
  } finally {
    index.close()
    await checkIndex(path)
  }
}

const LATER: readonly Change[] = [
  {
    call: 'add',
    rows: [1, 2, 3].map((n) => ({ id: `9-${n}`, vector: [n, 9, 9, 9], payload: { writer: 9, group: n } }))
  },
  { call: 'update', rows: ['9-1'], values: { version: 3 } },
  { call: 'delete', rows: ['9-2'] }
]

async function problemsOfWriting(path: string): Promise<string[]> {
  const index: Index = ZgqIndex.open(path, { mode: 'write' })
  try {
    const before = textsOf(index.documents())
    let rows: Rows = new Map()
    for (const change of LATER) {
      const { dim } = index.info()
      if (change.call === 'add')
        await index.add(change.rows.map((row) => ({ ...row, vector: repeated(row.vector, dim) })))
      else if (change.call === 'update') await index.update(['9-1'], change.values)
      else await index.delete(['9-2'])
      rows = applyChange(rows, change)
    }
    rows = new Map([...rows].map(([id, row]) => [id, { ...row, vector: repeated(row.vector, index.info().dim) }]))
    const wanted = [...before, ...textsOf(rows.values())].sort()
    const documents = Array.from(index.documents())
    const found = textsOf(documents)
    const problems = [
      ...(found.join('\n') === wanted.join('\n') ? [] : [`after writing: ${difference(found, wanted)}`]),
      ...problemsOfAnswers(index, documents, ['9-2'])
    ]
    await index.delete(['9-1', '9-3'])
    return problems
  } finally {
    index.close()
  }
}
