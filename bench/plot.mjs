// npm run plot: draws recall.svg (recall against latency, one line a data set) from the JSON of `npm run sets`.
// Plain JavaScript, since the root type check runs where the packages of this folder are not installed.

import { readFileSync, writeFileSync } from 'node:fs'

import { parse, View } from 'vega'
import { compile } from 'vega-lite'

const [from, to = 'recall.svg'] = process.argv.slice(2)
if (from === undefined) throw new Error('usage: npm run plot -- SETS.json [OUT.svg]')
const LABELS = {
  'sift1m-10k': 'SIFT, 10,000 x 128',
  'sift1m-100k': 'SIFT, 100,000 x 128',
  'sift1m-1m': 'SIFT, 1,000,000 x 128',
  glove: 'GloVe, 331,479 x 100',
  fashion: 'Fashion-MNIST, 60,000 x 784',
  use50k: 'sentences, 50,000 x 512'
}
const { results } = JSON.parse(readFileSync(from, 'utf8'))
const values = Object.entries(results).flatMap(([name, result]) =>
  result.recall.rows
    .filter((row) => row.recall >= 0.5 && row.nprobe !== 'default')
    .map((row) => ({ set: LABELS[name], recall: row.recall, millis: row.p50Us / 1000, isExact: row.nprobe === 'exact' }))
)
const spec = {
  width: 640,
  height: 360,
  background: 'white',
  title: 'Median time of one query on one thread, by zones probed (squares: all zones, exact)',
  data: { values },
  encoding: {
    x: { field: 'recall', type: 'quantitative', title: 'recall@10', scale: { domain: [0.5, 1] }, axis: { values: [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1], format: '.2f' } },
    y: { field: 'millis', type: 'quantitative', title: 'milliseconds (lower is better)', scale: { type: 'log', nice: false }, axis: { values: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30] } },
    color: { field: 'set', type: 'nominal', title: null, scale: { scheme: 'tableau10' }, legend: { labelLimit: 0 } }
  },
  layer: [
    { mark: { type: 'line', strokeWidth: 2 } },
    { mark: { type: 'point', filled: true, size: 45 }, encoding: { shape: { field: 'isExact', type: 'nominal', legend: null, scale: { domain: [false, true], range: ['circle', 'square'] } } } }
  ]
}
writeFileSync(to, await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG())
