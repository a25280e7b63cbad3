// npm run unlike: queries more and more unlike the base, with indexes calibrated by their own rows: the recall that is
// reached where .90 is asked for, the zones that are probed, and how many queries the search found to be unlike.

import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { readOptions } from './arguments.ts'
import { loadZgq, loadZgqBuild } from './packages.ts'
import { recallOf } from './queries.ts'
import { normalRows, uniform } from './random.ts'
import { endReport, mean, printTable, startReport } from './report.ts'

const DIM = 64
const ROWS = 20_000
const K = 10
const RECALL = 0.9
const CENTRES = 500
const RANK = 12
const METRICS = ['l2', 'cosine', 'ip'] as const

const options = readOptions(['queries', 'metrics'])
const queryCount = Number(options.text['queries'] ?? 200)
const metrics = METRICS.filter((one) => (options.text['metrics'] ?? METRICS.join()).split(',').includes(one))

/** Rows of normal values. */
const normal = (count: number, seed: number): Float32Array => normalRows(seed, count * DIM)
const scaled = (vectors: Float32Array, factor: number): Float32Array => vectors.map((value) => value * factor)
const between = (one: Float32Array, other: Float32Array, share: number): Float32Array =>
  one.map((value, i) => (1 - share) * value + share * other[i])

/** Rows around 500 normal centres. */
function clustered(count: number, noise: number, seed: { rows: number; centres: number }): Float32Array {
  const centres = normal(CENTRES, seed.centres)
  const next = uniform(seed.rows + 1)
  const rows = normal(count, seed.rows)
  for (let row = 0; row < count; row++) {
    const centre = Math.floor(next() * CENTRES) * DIM
    for (let i = 0; i < DIM; i++) rows[row * DIM + i] = centres[centre + i] + noise * rows[row * DIM + i]
  }
  return rows
}

/** Rows of a subspace of 12 dimensions, with some noise around it. */
function flat(count: number, noise: number, seed: number): Float32Array {
  const axes = normalRows(11, RANK * DIM)
  const places = normalRows(seed, count * RANK)
  const rows = normal(count, seed + 1)
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < DIM; i++) {
      let value = noise * rows[row * DIM + i]
      for (let j = 0; j < RANK; j++) value += (places[row * RANK + j] * axes[j * DIM + i]) / Math.sqrt(RANK)
      rows[row * DIM + i] = value
    }
  }
  return rows
}

const alike = (noise: number): Float32Array => clustered(queryCount, noise, { rows: 21, centres: 1 })
const BASES: Readonly<Record<string, readonly [base: Float32Array, queries: Readonly<Record<string, Float32Array>>]>> =
  {
    '500 clusters, noise .2': [
      clustered(ROWS, 0.2, { rows: 5, centres: 1 }),
      {
        alike: alike(0.2),
        'noise .3': alike(0.3),
        'noise .8': alike(0.8),
        'a third Gaussian': between(alike(0.2), normal(queryCount, 31), 1 / 3),
        'half Gaussian': between(alike(0.2), normal(queryCount, 31), 1 / 2),
        Gaussian: normal(queryCount, 31),
        'other clusters': clustered(queryCount, 0.2, { rows: 21, centres: 41 }),
        'alike x 2': scaled(alike(0.2), 2)
      }
    ],
    Gaussian: [
      normal(ROWS, 7),
      {
        alike: normal(queryCount, 31),
        'x 1.3': scaled(normal(queryCount, 31), 1.3),
        'x .8': scaled(normal(queryCount, 31), 0.8),
        'x .5': scaled(normal(queryCount, 31), 0.5)
      }
    ],
    '12 intrinsic dimensions': [
      flat(ROWS, 0.05, 51),
      {
        alike: flat(queryCount, 0.05, 61),
        'noise .5': flat(queryCount, 0.5, 61),
        'x .5': scaled(flat(queryCount, 0.05, 61), 0.5),
        Gaussian: normal(queryCount, 31)
      }
    ]
  }

const { ZgqIndex } = await loadZgq()
const { buildIndex } = await loadZgqBuild()
const machine = startReport('Queries unlike the base')
const results: (string | number)[][] = []
for (const metric of metrics) {
  for (const [base, [rows, kinds]] of Object.entries(BASES)) {
    const output = join(options.work, `unlike-${process.pid}.zgq`)
    await buildIndex({ input: rows, dim: DIM, metric, output, force: true })
    const index = ZgqIndex.open(output)
    for (const [kind, vectors] of Object.entries(kinds)) {
      const found = Array.from({ length: queryCount }, (_, i) => {
        const query = vectors.subarray(i * DIM, (i + 1) * DIM)
        const truth = index.search(query, { k: K, exact: true }).map((hit) => hit.id)
        const { hits, explain } = index.search(query, { k: K, recall: RECALL, explain: true })
        const ids = hits.map((hit) => hit.id)
        return { recall: recallOf(ids, truth, K), zones: explain.zones.length, unlike: explain.unlike ? 1 : 0 }
      })
      const zones = mean(found.map((one) => one.zones))
      const unlike = mean(found.map((one) => one.unlike))
      const recall = mean(found.map((one) => one.recall))
      results.push([metric, base, kind, recall, zones, index.info().zones, unlike])
    }
    index.close()
    rmSync(output, { recursive: true })
  }
}
printTable(
  ['metric', 'base', 'queries', `recall@${K}`, 'zones', 'of', 'unlike'],
  results.map((row) =>
    row.map((value, at) => {
      if (typeof value === 'string') return value
      return at === 3 ? value.toFixed(3) : at === 6 ? `${Math.round(value * 100)} %` : value.toFixed(0)
    })
  )
)
endReport(machine, results, options.json)
