// npm run plot-filters -- PEERS.json [FOLDER]: draws, from the JSON of `npm run filter-peers`, recall and queries a
// second over the share of rows that pass a filter, for each data set (filters-SET.svg). Plain JavaScript: the packages
// that draw are only installed here.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { parse, View } from 'vega'
import { compile } from 'vega-lite'

const [from, folder = '.'] = process.argv.slice(2)
if (from === undefined) throw new Error('usage: npm run plot-filters -- PEERS.json [FOLDER]')
const LABELS = {
  sift10k: 'SIFT, 10,000 x 128',
  'sift1m-100k': 'SIFT, 100,000 x 128',
  'sift1m-1m': 'SIFT, 1,000,000 x 128',
  use50k: 'sentences, 50,000 x 512'
}
// As in plot-peers.mjs: one colour a package; the variants of LanceDB and zvec are shown by their fastest.
const COLORS = { zgq: '#d62728', lancedb: '#ff7f0e', zvec: '#9467bd', 'sqlite-vec': '#8c564b' }
const HEAD = {
  background: 'white',
  config: {
    font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
    axis: { labelFontSize: 12, titleFontSize: 12 },
    legend: { labelFontSize: 12 },
    title: { fontSize: 14 }
  }
}
const LEAST_RECALL = 0.95

const { results } = JSON.parse(readFileSync(from, 'utf8')).results
for (const [set, rows] of Object.entries(results)) await draw(`filters-${set}.svg`, picture(set, rows))

function picture(set, rows) {
  const values = fastestOfEach(rows.filter(({ name }) => /^random [\d.]+ %$/.test(name)))
  const shown = Object.keys(COLORS).filter((name) => values.some(({ engine }) => engine === name))
  const x = {
    field: 'passing',
    type: 'quantitative',
    title: 'rows that pass the filter',
    scale: { type: 'log', reverse: true, nice: false },
    axis: { format: '~%', values: [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001] }
  }
  const color = {
    field: 'engine',
    type: 'nominal',
    title: null,
    scale: { domain: shown, range: shown.map((name) => COLORS[name]) }
  }
  const panel = (y, height) => ({
    width: 620,
    height,
    encoding: { x, y, color },
    layer: [{ mark: { type: 'line', strokeWidth: 2 } }, { mark: { type: 'point', filled: true, size: 45, opacity: 1 } }]
  })
  return {
    ...HEAD,
    title: `${LABELS[set] ?? set}: filters at recall@10 of ${LEAST_RECALL} or more`,
    data: { values },
    vconcat: [
      panel(
        {
          field: 'qps',
          type: 'quantitative',
          title: 'queries a second, one thread',
          scale: { type: 'log' },
          axis: { format: '~s' }
        },
        300
      ),
      panel({ field: 'recall', type: 'quantitative', title: 'recall@10', scale: { domain: [0.9, 1] } }, 120)
    ]
  }
}

/** Of the variants of a package: the fastest that reaches the recall, else the one with the highest. */
function fastestOfEach(rows) {
  const best = new Map()
  for (const { name, passing, engine, recall, meanUs } of rows) {
    const family = Object.keys(COLORS).find((key) => engine.startsWith(key)) ?? engine
    const key = `${family} ${name}`
    const found = { engine: family, passing, recall, qps: 1e6 / meanUs }
    const other = best.get(key)
    if (other === undefined || isBetter(found, other)) best.set(key, found)
  }
  return [...best.values()].sort((a, b) => b.passing - a.passing)
}

function isBetter(a, b) {
  const reaches = ({ recall }) => recall >= LEAST_RECALL
  if (reaches(a) !== reaches(b)) return reaches(a)
  return reaches(a) ? a.qps > b.qps : a.recall > b.recall
}

async function draw(name, spec) {
  const svg = await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
  writeFileSync(join(folder, name), svg.replaceAll(' opacity="1"', '')) // the default, thousands of times
}
