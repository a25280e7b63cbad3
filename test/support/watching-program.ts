// A process that reads an index over and over while others change it, and says what it found wrong. Whatever the
// writers do, an answer has each id once, is sorted, and holds whole rows.

import { existsSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'

import { entryUrl } from './run-node.ts'

const PROGRAM = `
import fs from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { ZgqIndex } from '${entryUrl('index')}'
const { path, dim, stop, options } = JSON.parse(fs.readFileSync(process.argv[2]))
const problems = []
const wrong = (what) => { if (problems.length < 20) problems.push(what) }
const index = ZgqIndex.open(path, options)
let answers = 0
const look = (what, rows) => {
  const ids = rows.map(({ id }) => id)
  if (new Set(ids).size !== ids.length) wrong(what + ': an id twice')
  for (const { id, payload } of rows)
    if (payload?.writer !== undefined && !id.startsWith(payload.writer + '-'))
      wrong(what + ': ' + id + ' has the payload of another row')
  answers++
}
const hitsOf = (what, hits) => {
  look(what, hits)
  if (hits.some(({ distance }, i) => i > 0 && distance < hits[i - 1].distance)) wrong(what + ': not sorted')
}
for (let i = 0; !fs.existsSync(stop); i++) {
  const query = Float32Array.from({ length: dim }, (_, j) => (i * (j + 3)) % 11)
  try {
    hitsOf('exact', index.search(query, { k: 20, exact: true, payload: true }))
    hitsOf('coded', index.search(query, { k: 20, payload: true }))
    hitsOf('filtered', index.search(query, { k: 20, payload: true, filter: { group: i % 4 } }))
    hitsOf('later', await index.searchAsync(query, { k: 20, payload: true }))
    if (i % 4 === 0) look('documents', Array.from(index.documents()))
    if (i % 4 === 1) look('ids', Array.from(index.ids(), (id) => ({ id })))
    const { id } = index.search(query, { k: 1 })[0] ?? {}
    if (id !== undefined) look('document', [index.document(id)].filter((row) => row !== undefined))
  } catch (error) {
    wrong(error?.code + ' ' + error?.stack)
  }
  await setTimeout(5 + (i % 20))
}
index.close()
console.log(JSON.stringify({ answers, problems }))
`

export interface Watched {
  readonly answers: number
  readonly problems: readonly string[]
}

export interface Watcher {
  /** Ends the process; what it saw. */
  stop(): Promise<Watched>
}

export interface WatchTask {
  readonly path: string
  readonly dim: number
  /** Of `ZgqIndex.open`. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** Starts the process; `file` is for what it is told. */
export function startWatcher(task: WatchTask, file: string): Watcher {
  const stop = `${file}.stop`
  writeFileSync(file, JSON.stringify({ ...task, stop }))
  writeFileSync(`${file}.mjs`, PROGRAM)
  const child = spawn(process.execPath, [`${file}.mjs`, file], { stdio: ['ignore', 'pipe', 'pipe'] })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text))
  const ended = new Promise<Watched>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(texts.stdout))
      else resolve({ answers: 0, problems: [`the reader ended with ${String(code)}: ${texts.stderr}`] })
    })
  })
  return {
    async stop() {
      if (!existsSync(stop)) writeFileSync(stop, '')
      return await ended
    }
  }
}
