// Writers and readers, each a process of its own, of an index in which each commit leaves rows that agree with each
// other: so that a reader can tell an answer out of two commits from one out of one.
//
// Three registers, each of which writers set as a whole, in one call: the value of `token` of all rows of set `a` (and
// the first number of their vectors), their value of `patch`, and the rows of set `r`, whose ids have the token. Values
// are number * WRITERS + writer; each writer sets the registers in turn, with numbers that grow by one.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

import { entryUrl } from './run-node.ts'

/** Rows of set a, and of set r: so many in one call become a delta. */
export const SET_ROWS = 600
export const WRITERS = 2
export const GENERATIONS_INDEX = {
  dim: 4,
  ids: 'string',
  fields: { set: 'string', token: 'number', patch: 'number', n: 'number' }
} as const

const SHARED = `
import fs from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { ZgqIndex } from '${entryUrl('index')}'
const WRITERS = ${WRITERS}
const SET_ROWS = ${SET_ROWS}
const task = JSON.parse(fs.readFileSync(process.argv[2]))
const body = 'body '.repeat(task.bodyWords ?? 0)
const rowA = (n, token, patch) => ({
  id: 'a-' + n, vector: [token, n % 37, n % 11, 1], payload: { set: 'a', token, patch, n, body }
})
const rowR = (n, token) => ({
  id: 'r-' + token + '-' + n, vector: [token, n % 37, n % 11, -1], payload: { set: 'r', token, n, body }
})
const all = Array.from({ length: SET_ROWS }, (_, n) => n)
`

const WRITER = `${SHARED}
const { path, writer, commits, options, foldsEvery, memoryBytes, done, creates } = task
const index = ZgqIndex.open(path, { ...options, mode: 'write' })
let folds = 0
if (creates) await index.add(all.flatMap((n) => [rowA(n, 0, 0), rowR(n, 0)]))
else {
  let patch = 0
  for (let number = 1; number <= commits; number++) {
    const token = number * WRITERS + writer
    // Rows that are written anew keep the value of \`patch\` that is there: only the last call may know it.
    if (number % 3 === 0) await index.upsert(all.map((n) => rowR(n, token)), { replace: { set: 'r' } })
    else if (number % 3 === 1) await index.update({ set: 'a' }, { patch: token })
    else await index.upsert(all.map((n) => rowA(n, token, token)))
    if (number % foldsEvery === writer) {
      try { folds += (await index.optimize({ all: number % 2 === 0, memoryBytes })).steps }
      catch (error) { if (error.code !== 'ZGQ_LOCKED') throw error }
    }
    if (number % 10 === 0) fs.appendFileSync(done, writer + ' ' + number + '\\n')
  }
}
const { generation, changes } = index.info()
index.close()
console.log(JSON.stringify({ folds, generation, commit: changes.commit }))
`

const READER = `${SHARED}
const { path, end, ready, options } = task
const problems = []
const wrong = (what) => { if (problems.length < 10) problems.push(what) }
let answers = 0
const seen = new Map() // newest number of each register and writer
const last = { generation: 0, commit: 0 }

// What an answer says of a register: one value, or it is out of two commits.
const one = (what, values) => {
  const different = [...new Set(values)]
  if (different.length > 1) wrong(what + ' has values of several commits: ' + different.slice(0, 5).join())
  return different[0]
}
function expectForward(what, register, value) {
  if (value === undefined || value < WRITERS) return
  const [number, writer] = [Math.floor(value / WRITERS), value % WRITERS]
  const before = seen.get(register + writer) ?? 0
  if (number < before) wrong(what + ': ' + register + ' went back from ' + before + ' to ' + number)
  seen.set(register + writer, number)
}
// Registers of one commit: a writer that has set one has not set another twice since.
function look(what, registers) {
  answers++
  for (const [register, value] of Object.entries(registers)) expectForward(what, register, value)
  for (let writer = 0; writer < WRITERS; writer++) {
    const numbers = Object.values(registers)
      .filter((value) => value >= WRITERS && value % WRITERS === writer)
      .map((value) => Math.floor(value / WRITERS))
    if (Math.max(...numbers) - Math.min(...numbers) > 2) wrong(what + ' is out of several commits: ' + numbers.join())
  }
}
const registersOf = (what, rows) => {
  const [a, r] = ['a', 'r'].map((set) => rows.filter(({ payload }) => payload.set === set))
  for (const { id, payload } of r) if (!id.startsWith('r-' + payload.token + '-')) wrong(what + ': ' + id + ' is another row')
  for (const { id, payload } of a) if (id !== 'a-' + payload.n) wrong(what + ': ' + id + ' is another row')
  return {
    token: one(what + ' (token)', a.map(({ payload }) => payload.token)),
    patch: one(what + ' (patch)', a.map(({ payload }) => payload.patch)),
    rows: one(what + ' (rows)', r.map(({ payload }) => payload.token))
  }
}
const expectCount = (what, found, wanted) => {
  answers++
  if (found !== wanted) wrong(what + ' is ' + found + ' instead of ' + wanted)
}
const distinct = (what, rows) => {
  if (new Set(rows.map(({ id }) => id)).size !== rows.length) wrong(what + ': an id twice')
  return rows
}

const index = ZgqIndex.open(path, options)
const whole = (what, rows) => {
  distinct(what, rows)
  if (rows.length !== 2 * SET_ROWS) wrong(what + ': ' + rows.length + ' rows')
  for (const { vector, payload } of rows) if (vector && vector[0] !== payload.token) wrong(what + ': vector of another token')
  const registers = registersOf(what, rows)
  look(what, registers)
  return registers
}
const query = (i) => [(seen.get('rows0') ?? 0) * WRITERS + (i % 3), i % 37, i % 11, i % 2 === 0 ? 1 : -1]
const asks = [
  () => whole('documents', Array.from(index.documents())),
  (i) => whole('exact search', index.search(query(i), { k: 2 * SET_ROWS, exact: true, payload: true })),
  (i) => {
    const hits = distinct('search', index.search(query(i), { k: 50, payload: true }))
    expectCount('hits of a search', hits.length, 50)
    look('search', registersOf('search', hits))
  },
  (i) => {
    const filter = { set: i % 4 < 2 ? 'a' : 'r' }
    const hits = distinct('filtered search', index.search(query(i), { k: SET_ROWS, payload: true, filter, exact: true }))
    expectCount('hits of a filtered search', hits.length, SET_ROWS)
    look('filtered search', registersOf('filtered search', hits))
  },
  () => expectCount('count', index.count(), 2 * SET_ROWS),
  () => expectCount('count of a', index.count({ set: 'a' }), SET_ROWS),
  () => expectCount('count of r', index.count({ set: 'r' }), SET_ROWS),
  () => {
    const ids = Array.from(index.ids())
    distinct('ids', ids.map((id) => ({ id })))
    expectCount('ids', ids.length, 2 * SET_ROWS)
    const tokens = ids.filter((id) => id.startsWith('r-')).map((id) => Number(id.split('-')[1]))
    expectForward('ids', 'rows', one('ids', tokens))
  },
  () => {
    // By no other commit is this value of all rows, or of some of them.
    const token = index.document('a-7').payload.patch
    const count = index.count({ patch: token })
    if (count !== 0 && count !== SET_ROWS) wrong('count of a patch is ' + count)
    answers++
  },
  async (i) => {
    const hits = await index.searchAsync(query(i), { k: 2 * SET_ROWS, exact: true, payload: true })
    whole('searchAsync', hits)
  },
  async (i) => {
    const batch = await index.searchBatch(Float32Array.from([query(i), query(i + 1)].flat()), { k: 60, payload: true })
    for (const hits of batch) look('searchBatch', registersOf('searchBatch', distinct('searchBatch', hits)))
  },
  () => {
    const { generation, changes } = index.info()
    if (generation < last.generation) wrong('generation went back: ' + last.generation + ' to ' + generation)
    if (changes.commit < last.commit) wrong('commit went back: ' + last.commit + ' to ' + changes.commit)
    Object.assign(last, { generation, commit: changes.commit })
    answers++
  }
]
fs.writeFileSync(ready, '')
for (let i = 0; !fs.existsSync(end); i++) {
  try {
    await asks[i % asks.length](i)
  } catch (error) {
    wrong(error?.code + ' ' + error?.stack)
  }
  if (i % 5 === 0) await setTimeout(i % 7)
}
// All is committed by now: the next turn of the event loop sees the last of it.
await setTimeout(20)
const registers = whole('the end', Array.from(index.documents()))
const { generation, changes } = index.info()
index.close()
console.log(JSON.stringify({ answers, problems, registers, generation, commit: changes.commit }))
`

export interface WriterTask {
  readonly path: string
  readonly writer: number
  readonly commits: number
  readonly options?: Readonly<Record<string, unknown>>
  /** It folds after so many of its commits. */
  readonly foldsEvery: number
  readonly memoryBytes: number
  /** A file: a line for each ten commits. */
  readonly done: string
  readonly bodyWords: number
  /** It makes the first commit, and nothing else. */
  readonly creates?: boolean
}

export interface ReaderTask {
  readonly path: string
  readonly options: Readonly<Record<string, unknown>>
  /** Files: that it reads, and that it is to end. */
  readonly ready: string
  readonly end: string
}

export interface Registers {
  readonly token: number
  readonly patch: number
  readonly rows: number
}

export interface WriterEnd {
  readonly folds: number
  readonly generation: number
  readonly commit: number
}

export interface ReaderEnd {
  readonly answers: number
  readonly problems: readonly string[]
  readonly registers: Registers
  readonly generation: number
  readonly commit: number
}

export interface RunningProgram<T> {
  readonly process: ChildProcess
  /** Rejects where it fails. */
  readonly ended: Promise<T>
}

type Env = Readonly<Record<string, string>>

/** Starts a writer; `file` is for what it is told. */
export const startWriter = (task: WriterTask, file: string, env: Env): RunningProgram<WriterEnd> =>
  startProgram(WRITER, task, { file, env })

export const startReader = (task: ReaderTask, file: string): RunningProgram<ReaderEnd> =>
  startProgram(READER, task, { file, env: {} })

function startProgram<T>(
  program: string,
  task: object,
  of: { readonly file: string; readonly env: Env }
): RunningProgram<T> {
  const { file, env } = of
  writeFileSync(file, JSON.stringify(task))
  writeFileSync(`${file}.mjs`, program)
  const child = spawn(process.execPath, [`${file}.mjs`, file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text))
  const ended = new Promise<T>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(texts.stdout))
      else reject(new Error(`a process ended with ${String(code ?? signal)}: ${texts.stderr}`))
    })
  })
  ended.catch(() => undefined) // it is awaited later
  return { process: child, ended }
}

/** Commits that writers say that they made, so far. */
export function commitsOf(done: string): number {
  if (!existsSync(done)) return 0
  const numbers = new Map<string, number>()
  for (const line of readFileSync(done, 'utf8').split('\n').slice(0, -1)) {
    const [writer, number] = line.split(' ')
    numbers.set(writer, Number(number))
  }
  return Array.from(numbers.values()).reduce((sum, number) => sum + number, 0)
}
