// npm run bits -- --rows FILE --queries FILE: indexes of the same rows with codes of different bits, searched in turn
// in one process. Each is opened twice: how far its two times are apart is noise.

import { readdirSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

import { need, readCount, readOptions } from './arguments.ts'
import { loadZgq, loadZgqBuild, type ZgqIndex } from './packages.ts'
import { recallOf, type Queries } from './queries.ts'
import { endReport, mean, printTable, showMib, startReport } from './report.ts'

interface Side {
  readonly bits: number
  readonly index: ZgqIndex
  /** Of each query, the fastest of all rounds; explained searches, by stage. */
  readonly micros: Float64Array
  readonly stages: readonly Float64Array[]
}

const options = readOptions(['rows', 'queries', 'metric', 'bits', 'recall', 'k', 'rounds', 'limit'])
const [rows, asked] = ['rows', 'queries'].map((name) => resolve(need(options, name)))
const metric = options.text['metric'] === 'cosine' ? 'cosine' : 'l2'
const bitsList = (options.text['bits'] ?? '4,8').split(',').map(Number)
const recalls = (options.text['recall'] ?? '0.95,0.99').split(',').map(Number)
const k = readCount(options, 'k', 10)
const rounds = readCount(options, 'rounds', 10)
const { buildIndex, openVectorFile } = await loadZgqBuild()
const { ZgqIndex } = await loadZgq()
const machine = startReport(`Bits of codes: ${basename(rows)}`)
const folders = new Map<number, string>()
for (const bits of bitsList) folders.set(bits, await build(bits))
const queries = readAsked(readCount(options, 'limit', 1000))
const results = recalls.map((recall) => measure(recall))
endReport(machine, { rows: basename(rows), metric, k, rounds, results }, options.json)

async function build(bits: number): Promise<string> {
  const output = join(options.work, `bits-${basename(rows)}-${bits}.zgq`)
  const startedAt = performance.now()
  await buildIndex({ input: rows, output, metric, bits, force: true })
  const seconds = (performance.now() - startedAt) / 1000
  console.log(`${bits} bits: built in ${seconds.toFixed(1)} s, codes ${showMib(codesBytes(output))} MiB`)
  return output
}

function codesBytes(folder: string): number {
  return readdirSync(folder)
    .filter((name) => name.startsWith('codes-'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

/** Reads queries, with the hits of exact searches as their truth. */
function readAsked(limit: number): Queries {
  const source = openVectorFile(asked)
  const vectors = Array.from({ length: Math.min(limit, source.count) }, (_, row) => {
    const vector = new Float32Array(source.dim)
    source.readRows(row, vector)
    return vector
  })
  source.close()
  using index = ZgqIndex.open(folders.get(bitsList[0]) ?? '')
  return { vectors, truth: vectors.map((vector) => idsOf(index, vector, { k, exact: true })) }
}

function idsOf(index: ZgqIndex, vector: Float32Array, knob: { k: number; recall?: number; exact?: boolean }): number[] {
  return index.search(vector, knob).map(({ id }) => id)
}

function measure(recall: number): object[] {
  const count = queries.vectors.length
  const fresh = (): Float64Array => new Float64Array(count).fill(Infinity)
  const sides = [...bitsList, ...bitsList].map((bits): Side => ({
    bits,
    index: ZgqIndex.open(folders.get(bits) ?? ''),
    micros: fresh(),
    stages: [fresh(), fresh(), fresh()]
  }))
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      queries.vectors.forEach((vector, i) => {
        timeQuery(side, { vector, i, recall })
      })
    }
  }
  const found = sides.map((side) => summarize(side, recall))
  console.log(`\nrecall ${recall}, k ${k}\n`)
  printTable(
    ['bits', 'us', 'time / first', 'recall', 'rows reranked', 'probe us', 'scan us', 'rerank us'],
    found.map(({ bits, micros, recall: reached, reranked, stages }) => [
      String(bits),
      micros.toFixed(1),
      (micros / found[0].micros).toFixed(3),
      reached.toFixed(4),
      reranked.toFixed(1),
      ...stages.map((stage) => stage.toFixed(1))
    ])
  )
  for (const { index } of sides) index.close()
  return found
}

function timeQuery({ index, micros, stages }: Side, of: { vector: Float32Array; i: number; recall: number }): void {
  const { vector, i, recall } = of
  const startedAt = performance.now()
  index.search(vector, { k, recall })
  micros[i] = Math.min(micros[i], (performance.now() - startedAt) * 1000)
  const { explain } = index.search(vector, { k, recall, explain: true })
  const spent = [explain.probeMicros, explain.scanMicros, explain.rerankMicros]
  stages.forEach((stage, at) => (stage[i] = Math.min(stage[i], spent[at])))
}

interface SideSummary {
  readonly bits: number
  readonly micros: number
  readonly recall: number
  readonly reranked: number
  readonly stages: readonly number[]
}

function summarize({ bits, index, micros, stages }: Side, recall: number): SideSummary {
  const { vectors, truth } = queries
  return {
    bits,
    micros: mean(micros),
    recall: mean(vectors.map((vector, i) => recallOf(idsOf(index, vector, { k, recall }), truth[i], k))),
    reranked: mean(vectors.map((vector) => index.search(vector, { k, recall, explain: true }).explain.rowsReranked)),
    stages: stages.map(mean)
  }
}
