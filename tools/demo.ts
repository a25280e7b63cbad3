// npm run demo: builds two small indexes from vectors in this repository and shows what they find, how much of it is
// right, and how fast.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { buildIndex, openVectorFile, readIvecs } from '../src/build.ts'
import { countOf, formatCount } from '../src/describe.ts'
import { DEFAULT_RECALL, ZgqIndex, type Hit } from '../src/index.ts'
import { formatBytes, formatTable, print } from './output.ts'

const DATA = join(import.meta.dirname, '..', 'test', 'data')
const OUT = join(import.meta.dirname, '..', 'demo')
const K = 10

/** A matrix of vectors in memory. */
interface Vectors {
  readonly count: number
  readonly dim: number
  /** float32, count * dim, row-major */
  readonly values: Float32Array
  readonly row: (i: number) => Float32Array
}

function readVectors(name: string): Vectors {
  const source = openVectorFile(join(DATA, name))
  const { count, dim } = source
  const values = new Float32Array(count * dim)
  source.readRows(0, values)
  source.close()
  return { count, dim, values, row: (i) => values.subarray(i * dim, (i + 1) * dim) }
}

/** The plain way: every distance in one loop, then a sort of the best. What an index must beat. */
function bruteForce(base: Vectors, query: Float32Array): number[] {
  const best: { id: number; distance: number }[] = []
  const { values, dim } = base
  for (let id = 0, at = 0; id < base.count; id++) {
    let distance = 0
    for (let i = 0; i < dim; i++, at++) {
      const d = values[at] - query[i]
      distance += d * d
    }
    if (best.length === K && distance >= best[K - 1].distance) continue
    best.push({ id, distance })
    best.sort((a, b) => a.distance - b.distance)
    if (best.length > K) best.pop()
  }
  return best.map((hit) => hit.id)
}

/** Answers every query and returns recall and the median time; the first round is not counted. */
function measure(
  queries: Vectors,
  truth: (i: number) => ReadonlySet<number>,
  answer: (query: Float32Array) => readonly number[]
): { recall: number; micros: number } {
  const micros: number[] = []
  let found = 0
  for (let i = 0; i < queries.count; i++) answer(queries.row(i))
  for (let i = 0; i < queries.count; i++) {
    const startedAt = performance.now()
    const ids = answer(queries.row(i))
    micros.push((performance.now() - startedAt) * 1000)
    for (const id of ids) if (truth(i).has(id)) found++
  }
  return { recall: found / (queries.count * K), micros: micros.sort((a, b) => a - b)[Math.floor(queries.count / 2)] }
}

async function showPictures(): Promise<void> {
  const output = join(OUT, 'sift10k.zgq')
  const startedAt = performance.now()
  const report = await buildIndex({ input: join(DATA, 'sift10k.base.u8bin'), output, force: true })
  print(`1. Pictures. Built ${output} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s:`)
  print(
    `   ${formatCount(report.count)} SIFT features of ${report.dim} dimensions in ${countOf(report.zones, 'zone')}, ` +
      `${formatBytes(report.bytes)}.\n`
  )
  const base = readVectors('sift10k.base.u8bin')
  const queries = readVectors('sift10k.queries.u8bin')
  const ivecs = readIvecs(join(DATA, 'sift10k.truth.ivecs'))
  const truth = (i: number): ReadonlySet<number> => new Set(ivecs.values.subarray(i * ivecs.dim, i * ivecs.dim + K))
  const index = ZgqIndex.open(output)
  const brute = measure(queries, truth, (query) => bruteForce(base, query))
  const line = (name: string, result: { recall: number; micros: number }): string[] => [
    `   ${name}`,
    result.recall.toFixed(3),
    `${result.micros.toFixed(0)} us`,
    `${(brute.micros / result.micros).toFixed(1)} x`
  ]
  const rows = [['   search', `recall@${K}`, 'median', 'against the loop'], line('a loop over all vectors', brute)]
  for (const recall of [0.9, 0.95, 0.99]) {
    rows.push(
      line(
        `recall: ${recall}${recall === DEFAULT_RECALL ? ' (default)' : ''}`,
        measure(queries, truth, (query) => index.search(query, { k: K, recall }).map((hit) => hit.id))
      )
    )
  }
  rows.push(
    line(
      'all zones (exact: true)',
      measure(queries, truth, (query) => index.search(query, { k: K, exact: true }).map((hit) => hit.id))
    )
  )
  print(`${formatTable(rows)}\n`)
  index.close()
}

/** What the index keeps of a text. */
interface Definition {
  readonly text: string
  readonly first: string
  readonly words: number
}

function definitionOf(text: string): Definition {
  const words = text.split(' ')
  return { text, first: words[0], words: words.length }
}

/** Makes an id of the first words of each text; the second of the same words gets a number. */
function idsOf(texts: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return texts.map((text) => {
    const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? ['text']
    const id = words.slice(0, 6).join('-')
    const count = (seen.get(id) ?? 0) + 1
    seen.set(id, count)
    return count === 1 ? id : `${id}.${count}`
  })
}

const linesOf = (name: string): string[] => readFileSync(join(DATA, name), 'utf8').trimEnd().split('\n')

async function showTexts(): Promise<void> {
  const output = join(OUT, 'wordnet.zgq')
  const base = readVectors('wordnet.base.f16bin')
  const texts = linesOf('wordnet.base.txt')
  const report = await buildIndex({
    input: base.values,
    dim: base.dim,
    ids: idsOf(texts),
    payloads: texts.map(definitionOf),
    fields: { first: 'string', words: 'number' },
    metric: 'cosine',
    output,
    force: true
  })
  const { count, dim } = report
  print(`2. Texts. Built ${output}: ${formatCount(count)} definitions from WordNet, ${dim} dimensions, cosine.`)
  const asked = linesOf('wordnet.queries.txt')
  const queries = readVectors('wordnet.queries.f16bin')
  const index = ZgqIndex.open<string, Definition>(output)
  const show = (hits: readonly Hit<string, Definition>[]): void => {
    for (const { distance, payload } of hits) print(`      ${distance.toFixed(3)}  ${payload?.text ?? ''}`)
  }
  print('\n   Nearest to a query:')
  for (let i = 0; i < 3; i++) {
    print(`   "${asked[i]}"`)
    show(index.search(queries.row(i), { k: 3, payload: ['text'] }))
  }
  const query = queries.row(asked.length - 1)
  const filter = { first: { $in: ['a', 'an', 'the'] }, words: { $lte: 6 } }
  print(`\n   With a filter, which ${formatCount(index.count(filter))} of them meet:`)
  print(`   "${asked[asked.length - 1]}", first word a, an or the, at most 6 words`)
  show(index.search(query, { k: 3, filter, payload: ['text'] }))
  const [{ id }] = index.search(query, { k: 1 })
  print(`\n   Like one of them, by its id:\n   ${id}`)
  show(index.search({ id }, { k: 3, payload: ['text'] }))
  index.close()
}

mkdirSync(OUT, { recursive: true })
await showPictures()
await showTexts()
print(
  '\nLook further: npx zgq inspect demo/sift10k.zgq; npx zgq eval demo/sift10k.zgq ' +
    'test/data/sift10k.queries.u8bin test/data/sift10k.truth.ivecs --recall 0.8,0.9,0.95,0.99; ' +
    'npx zgq inspect demo/wordnet.zgq --html demo/wordnet.html'
)
