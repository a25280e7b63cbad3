// One app (apps/*.mjs) in a process of its own: loads the rows, or opens what was loaded and searches.

import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import { appRows, type AppDocument } from './app-rows.ts'
import { stepInput, stepResult } from './child.ts'
import { ownMemory } from './process-memory.ts'
import { mean, spread } from './report.ts'

export interface AppInput {
  readonly app: string
  readonly task: 'load' | 'open'
  readonly folder: string
  readonly base: string
  readonly texts: string
  readonly queries: string
  readonly queryFrom: number
  readonly queryCount: number
  readonly rounds: number
}

export interface AppTimes {
  readonly recall: number
  /** Of each query its fastest, then the mean. */
  readonly warmUs: number
  /** Median of first calls: no filter or result was seen before. */
  readonly firstUs: number
}

export interface AppResult {
  readonly loadSeconds: number
  /** From open to the first hit with its text, with the modules loaded. */
  readonly reopenMs: number
  readonly search: AppTimes
  readonly bySource: AppTimes
  readonly byLine: AppTimes
  /** Of the process after all searches, and how much opening and searching added. */
  readonly rss: number
  readonly rssGrown: number
}

type Ask = (query: Float32Array, value: unknown) => unknown

interface App {
  load(folder: string, rows: unknown): Promise<void>
  open(folder: string): OpenApp | Promise<OpenApp>
  textOf(hit: unknown): string
}

interface OpenApp {
  readonly search: (query: Float32Array) => unknown
  readonly bySource: Ask
  readonly byLine: Ask
  close(): void
}

const K = 10
const input = stepInput<AppInput>()
const app: App = await import(pathToFileURL(input.app).href)
const rows = await appRows(input)
if (input.task === 'load') {
  const startedAt = performance.now()
  await app.load(input.folder, rows)
  stepResult((performance.now() - startedAt) / 1000)
} else {
  stepResult(await openAndSearch())
}
process.exit(0) // some engines leave threads that keep the process alive

async function openAndSearch(): Promise<Omit<AppResult, 'loadSeconds'>> {
  await loadModules()
  globalThis.gc?.()
  const before = ownMemory()
  const startedAt = performance.now()
  const opened = await app.open(input.folder)
  app.textOf(list(await opened.search(rows.queries[0]))[0])
  const reopenMs = performance.now() - startedAt
  const { queries, documents } = rows
  // Of each query other values: a line of its own, one of 33 sources.
  const lines = queries.map((_, i) => (i * 7919) % documents.length)
  const sources = queries.map((_, i) => documents[lines[i]].source)
  const search = await measure(
    (i) => opened.search(queries[i]),
    () => true
  )
  const bySource = await measure(
    (i) => opened.bySource(queries[i], sources[i]),
    ({ source }, i) => source === sources[i]
  )
  const byLine = await measure(
    (i) => opened.byLine(queries[i], lines[i]),
    ({ line }, i) => line === lines[i]
  )
  globalThis.gc?.()
  const after = ownMemory()
  opened.close()
  return { reopenMs, search, bySource, byLine, rss: after.rss, rssGrown: after.rss - before.rss }
}

/** A small index first, if there is one: what a library loads on first use is not of this index. */
async function loadModules(): Promise<void> {
  const tiny = `${input.folder}-tiny`
  if (!existsSync(tiny) && !existsSync(`${tiny}.sqlite`)) {
    const { dim } = rows
    await app.load(tiny, { dim, vectors: rows.vectors.slice(0, 300 * dim), documents: rows.documents.slice(0, 300) })
  }
  const opened = await app.open(tiny)
  await opened.search(rows.queries[0])
  opened.close()
}

async function measure(
  ask: (query: number) => unknown,
  passes: (document: AppDocument, query: number) => boolean
): Promise<AppTimes> {
  const count = rows.queries.length
  const first = new Float64Array(count)
  const fastest = new Float64Array(count).fill(Infinity)
  const recalls: number[] = []
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now()
    const answer = ask(i)
    const hits = list(answer instanceof Promise ? await answer : answer)
    first[i] = (performance.now() - startedAt) * 1000
    const texts = new Set(hits.map((hit) => app.textOf(hit)))
    const wanted = rows.nearest(i, K, (document) => passes(document, i))
    recalls.push(wanted.filter(({ text }) => texts.has(text)).length / wanted.length)
  }
  for (let round = 0; round < input.rounds; round++) {
    for (let i = 0; i < count; i++) {
      const startedAt = performance.now()
      const answer = ask(i)
      if (answer instanceof Promise) await answer
      fastest[i] = Math.min(fastest[i], (performance.now() - startedAt) * 1000)
    }
  }
  return { recall: mean(recalls), warmUs: mean(fastest), firstUs: spread(first).median }
}

function list(hits: unknown): unknown[] {
  if (!Array.isArray(hits)) throw new Error('an app returned no list of hits')
  return hits
}
