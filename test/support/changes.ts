// Changes of an index, drawn at random, and what the index holds after them: an oracle for tests that kill writers or
// cut the power. Each writer has ids and groups of its own, so that two of them do not meet in one row.

import { randomFrom } from './random.ts'

export const CHANGES_DIM = 4
/** For `ZgqIndex.create`. */
export const CHANGES_INDEX = {
  dim: CHANGES_DIM,
  ids: 'string',
  fields: { writer: 'number', group: 'number', tags: 'string[]', version: 'number' }
} as const

export interface ChangedRow {
  readonly id: string
  readonly vector: readonly number[]
  readonly payload: Readonly<Record<string, unknown>>
}

/** Filters of changes. */
export type GroupFilter = Readonly<Record<'writer' | 'group', number>>

/** A call; `together`: calls on different rows that do not wait for each other. */
export type Change =
  | { readonly call: 'add'; readonly rows: readonly ChangedRow[] }
  | { readonly call: 'upsert'; readonly rows: readonly ChangedRow[]; readonly replace?: GroupFilter }
  | {
      readonly call: 'update'
      readonly rows: readonly string[] | GroupFilter
      readonly values: Readonly<Record<string, unknown>>
    }
  | { readonly call: 'delete'; readonly rows: readonly string[] | { readonly filter: GroupFilter } }
  | { readonly call: 'reopen' }
  | { readonly call: 'backup' | 'repair'; readonly path: string }
  | { readonly call: 'optimize'; readonly all: boolean; readonly memoryBytes: number }
  | { readonly call: 'together'; readonly changes: readonly Change[] }

/** Rows by id. */
export type Rows = ReadonlyMap<string, ChangedRow>

const areIds = (rows: readonly string[] | object): rows is readonly string[] => Array.isArray(rows)

const isChosen = (row: ChangedRow, rows: readonly string[] | GroupFilter): boolean =>
  areIds(rows) ? rows.includes(row.id) : row.payload['writer'] === rows.writer && row.payload['group'] === rows.group

/** The rows after a change. */
export function applyChange(rows: Rows, change: Change): Rows {
  const after = new Map(rows)
  switch (change.call) {
    case 'add':
      for (const row of change.rows) after.set(row.id, row)
      break
    case 'upsert':
      for (const row of rows.values())
        if (change.replace !== undefined && isChosen(row, change.replace)) after.delete(row.id)
      for (const row of change.rows) after.set(row.id, row)
      break
    case 'update':
      for (const row of rows.values())
        if (isChosen(row, change.rows)) after.set(row.id, { ...row, payload: { ...row.payload, ...change.values } })
      break
    case 'delete': {
      const chosen = areIds(change.rows) ? change.rows : change.rows.filter
      for (const row of rows.values()) if (isChosen(row, chosen)) after.delete(row.id)
      break
    }
    case 'together':
      return change.changes.reduce(applyChange, rows)
    case 'reopen':
    case 'backup':
    case 'repair':
    case 'optimize':
      break
  }
  return after
}

const GROUPS = 4
const MANY = 100
/** Rows of a call that become a delta at once, and of one that do so together with those of two others. */
export const ONE_DELTA = 700
export const PART_OF_DELTA = 450
const numberOf = (id: string): number => Number(id.slice(id.indexOf('-') + 1))

export interface ChangesWish {
  readonly seed: number
  readonly writer: number
  readonly count: number
  /** Rows of the largest call; from `MANY` on some calls have all of them. Default 12. */
  readonly most?: number
  /** What the index holds of this writer before. */
  readonly before?: Rows
  /** Numbers of a vector; default CHANGES_DIM. */
  readonly dim?: number | undefined
}

/** A vector of any length that repeats some numbers. */
export const repeated = (numbers: readonly number[], dim: number): number[] =>
  Array.from({ length: dim }, (_, i) => numbers[i % numbers.length])

/** Draws changes; each call is for rows that its writer made. */
export function drawChanges({
  seed,
  writer,
  count,
  most = 12,
  before = new Map(),
  dim = CHANGES_DIM
}: ChangesWish): Change[] {
  const random = randomFrom(seed * 31 + writer)
  const below = (limit: number): number => Math.floor(random() * limit)
  let rows: Rows = before
  let next = Math.max(-1, ...Array.from(before.keys(), numberOf)) + 1
  let version = 0
  const rowOf = (id: string, group: number): ChangedRow => {
    version++
    const payload = { writer, group, version, tags: [`tag ${below(3)}`], body: 'text '.repeat(below(20)) }
    return { id, vector: repeated([numberOf(id) / 8, version / 4, writer, below(9)], dim), payload }
  }
  const newRows = (number: number): ChangedRow[] =>
    Array.from({ length: number }, () => rowOf(`${writer}-${next++}`, below(GROUPS)))
  const someIds = (number: number): string[] => {
    const ids = Array.from(rows.keys())
    return Array.from(new Set(Array.from({ length: number }, () => ids[below(ids.length)])))
  }
  // Few calls are large.
  const size = (): number => (random() < 0.1 ? 1 + below(most) : 1 + below(Math.min(most, 6)))
  const values = (): Record<string, unknown> => ({ version: ++version, tags: ['updated'], note: 'n'.repeat(below(9)) })
  const filter = (): GroupFilter => ({ writer, group: below(GROUPS) })
  const draw = (i: number): Change => {
    if (most >= MANY && i % 3 === 1) return { call: 'add', rows: newRows(most) }
    const kind = rows.size < 10 ? 0 : random()
    if (kind < 0.35) return { call: 'add', rows: newRows(size()) }
    if (kind < 0.5) {
      const old = someIds(size()).map((id) => rowOf(id, below(GROUPS)))
      return { call: 'upsert', rows: [...old, ...newRows(below(4))] }
    }
    if (kind < 0.58) {
      const replace = filter()
      return { call: 'upsert', rows: newRows(size()), replace }
    }
    if (kind < 0.66) return { call: 'update', rows: someIds(size()), values: values() }
    if (kind < 0.7) return { call: 'update', rows: filter(), values: values() }
    if (kind < 0.82) return { call: 'delete', rows: someIds(size()) }
    if (kind < 0.86) return { call: 'delete', rows: { filter: filter() } }
    if (kind < 0.9) return { call: 'reopen' }
    const [first, second, third] = [someIds(1), someIds(1), newRows(2)]
    const others = second.filter((id) => !first.includes(id))
    return {
      call: 'together',
      changes: [
        { call: 'add', rows: third },
        { call: 'update', rows: first, values: values() },
        ...(others.length > 0 ? [{ call: 'delete', rows: others } as const] : []),
        { call: 'add', rows: newRows(1) }
      ]
    }
  }
  return Array.from({ length: count }, (_, i) => {
    const change = draw(i)
    rows = applyChange(rows, change)
    return change
  })
}

/** Calls after which rows may be others. */
const CHANGING: ReadonlySet<Change['call']> = new Set(['add', 'upsert', 'update', 'delete', 'together'])

/** What became of a call, by the marks of its writer (changes-program.ts). */
type Told = 'done' | 'failed' | 'begun'

/**
 * States of the rows of a writer that its marks leave open: a call that was done is there, one that failed is not, one
 * that had neither answer is there whole or not. `failsAtSync`: so is the one that failed first, and what was made
 * together with it. Where the sync of a commit fails, the log may hold it whole, and nothing can be written over it.
 */
export function possibleRows(
  changes: readonly Change[],
  of: { marks: readonly string[]; writer: number; before?: Rows; failsAtSync?: boolean }
): Rows[] {
  const { marks, writer, before = new Map(), failsAtSync = false } = of
  const told = new Map<string, Told>()
  for (const mark of marks) {
    const [whose, what, call] = mark.split(' ')
    if (whose === `w${writer}` && (what === 'done' || what === 'failed' || what === 'begun')) told.set(call, what)
  }
  const parts = changes.flatMap((change, i): [string, Change][] =>
    change.call === 'together' ? change.changes.map((part, j) => [`${i}.${j}`, part]) : [[`${i}`, change]]
  )
  const groupOf = (call: string): string => call.split('.')[0]
  const [first] = parts.filter(([call]) => told.get(call) === 'failed').map(([call]) => groupOf(call))
  let states: Rows[] = [before]
  for (const [call, change] of parts) {
    const what = told.get(call)
    if (what === 'failed' && !(failsAtSync && groupOf(call) === first)) continue
    if (what === undefined || !CHANGING.has(change.call)) continue
    const after = states.map((rows) => applyChange(rows, change))
    states = what === 'done' ? after : [...states, ...after]
  }
  return states
}
