// A process that searches an index and writes to it, and one that only reads it, for very many calls; both take samples
// of what they hold: memory, descriptors, and the bytes of the folder.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'

import { entryUrl } from './run-node.ts'

export const SOAK_DIM = 16
const IDS = 20_000
/** Of one cycle. */
export const CYCLE = { writes: 20, searches: 100 } as const

const SHARED = `
import fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { ZgqIndex } from '${entryUrl('index')}'
const DIM = ${SOAK_DIM}
const IDS = ${IDS}
const task = JSON.parse(fs.readFileSync(process.argv[2]))
let state = task.seed
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const below = (limit) => Math.floor(random() * limit)
const vector = () => {
  const clump = below(40)
  return Float32Array.from({ length: DIM }, (_, i) => ((clump * (i + 3)) % 13) + random())
}
const row = () => {
  const group = below(10)
  return { id: below(IDS), vector: vector(), payload: { group, text: 'text '.repeat(below(30)) } }
}
const distinct = (rows) => [...new Map(rows.map((row) => [row.id, row])).values()]
const samples = []
function sample(done) {
  globalThis.gc()
  let folderBytes = 0
  for (const name of fs.readdirSync(task.path))
    folderBytes += fs.statSync(join(task.path, name), { throwIfNoEntry: false })?.size ?? 0
  const { rss, heapUsed, arrayBuffers, external } = process.memoryUsage()
  const descriptors = fs.readdirSync('/proc/self/fd').length
  samples.push({ done, rss, heapUsed, arrayBuffers, external, descriptors, folderBytes })
}
const problems = []
const expect = (isSo, what) => { if (!isSo && problems.length < 10) problems.push(what) }
let searches = 0
async function search(index, i) {
  searches++
  const query = vector()
  const filter = { group: below(10) }
  const kind = i % 20
  const hits =
    kind === 0 ? index.search(query, { k: 10, exact: true })
    : kind === 1 ? await index.searchAsync(query, { k: 10, payload: true })
    : kind < 4 ? index.search(query, { k: 10, filter, payload: true })
    : index.search(query, { k: 10 })
  expect(kind < 2 || kind > 3 || hits.every(({ payload }) => payload.group === filter.group), 'a hit of another group')
  expect(hits.every(({ distance }, at) => at === 0 || distance >= hits[at - 1].distance), 'hits are not sorted')
}
const end = (index, more) => {
  const { generation, changes, count, files } = index.info()
  index.close()
  const fileBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  console.log(JSON.stringify({ samples, problems, searches, generation, commit: changes.commit, count, fileBytes, ...more }))
}
`

const WRITER = `${SHARED}
const { path, cycles, every, ready } = task
const index = await ZgqIndex.create(path, { dim: DIM, fields: { group: 'number' } })
const model = new Map() // group of each row
const put = (rows) => { for (const { id, payload } of rows) model.set(id, payload.group) }
let writes = 0
const upsert = (rows) => { writes++; put(rows); return index.upsert(rows) }
fs.writeFileSync(ready, '')
for (let cycle = 0; cycle < cycles; cycle++) {
  const calls = []
  for (let i = 0; i < 10; i++) calls.push(upsert([row()]))
  for (let i = 0; i < 3; i++) calls.push(upsert(distinct(Array.from({ length: 20 }, row))))
  await Promise.all(calls)
  for (let i = 0; i < 3; i++) {
    const [ids, group] = [[below(IDS), below(IDS)], below(10)]
    writes++
    await index.update(ids, { group })
    for (const id of ids) if (model.has(id)) model.set(id, group)
  }
  for (let i = 0; i < 4; i++) {
    const ids = Array.from({ length: 8 }, () => below(IDS))
    writes++
    await index.delete(ids)
    for (const id of ids) model.delete(id)
  }
  for (let i = 0; i < ${CYCLE.searches}; i++) await search(index, i)
  if (cycle % every === 0) {
    expect(index.count() === model.size, 'count is ' + index.count() + ' instead of ' + model.size)
    sample(cycle)
  }
}
await index.optimize()
const groups = new Map(Array.from(index.documents(), ({ id, payload }) => [id, payload.group]))
expect(groups.size === model.size, 'in the end ' + groups.size + ' rows instead of ' + model.size)
for (const [id, group] of model) expect(groups.get(id) === group, 'row ' + id + ' has group ' + groups.get(id))
end(index, { writes })
`

const READER = `${SHARED}
const { path, every, stop } = task
const index = ZgqIndex.open(path)
for (let i = 0; !fs.existsSync(stop); i++) {
  await search(index, i)
  if (i % every === 0) sample(i)
  if (i % 10 === 0) await setTimeout(1)
}
end(index, { writes: 0 })
`

export interface SoakSample {
  /** Cycles, or searches of the reader. */
  readonly done: number
  readonly rss: number
  readonly heapUsed: number
  readonly arrayBuffers: number
  readonly external: number
  readonly descriptors: number
  readonly folderBytes: number
}

export interface Soaked {
  readonly samples: readonly SoakSample[]
  readonly problems: readonly string[]
  readonly searches: number
  readonly writes: number
  readonly generation: number
  readonly commit: number
  readonly count: number
  /** Of the files of the index in the end. */
  readonly fileBytes: number
}

export interface SoakTask {
  readonly path: string
  readonly seed: number
  /** Cycles between samples; searches of a reader. */
  readonly every: number
}

export const soakWriter = (
  task: SoakTask & { readonly cycles: number; readonly ready: string },
  file: string
): Promise<Soaked> => soak(WRITER, task, file)

export const soakReader = (task: SoakTask & { readonly stop: string }, file: string): Promise<Soaked> =>
  soak(READER, task, file)

async function soak(program: string, task: SoakTask, file: string): Promise<Soaked> {
  writeFileSync(file, JSON.stringify(task))
  writeFileSync(`${file}.mjs`, program)
  const child = spawn(process.execPath, ['--expose-gc', `${file}.mjs`, file], { stdio: ['ignore', 'pipe', 'pipe'] })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text))
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(texts.stdout))
      else reject(new Error(`a process ended with ${String(code ?? signal)}: ${texts.stderr}`))
    })
  })
}
