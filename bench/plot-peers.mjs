// npm run plot-peers -- BENCH.json [FOLDER]: draws, from the JSON of `npm run bench`, one picture of recall against
// queries a second for each data set (peers-SET.svg), and one each of build time and of memory. Plain JavaScript: the
// packages that draw are only installed here.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { parse, View } from 'vega'
import { compile } from 'vega-lite'

const [from, folder = '.'] = process.argv.slice(2)
if (from === undefined) throw new Error('usage: npm run plot-peers -- BENCH.json [FOLDER]')
const LABELS = {
  sift10k: 'SIFT, 10,000 x 128',
  wordnet: 'sentences, 1,800 x 512',
  'sift1m-10k': 'SIFT, 10,000 x 128',
  'sift1m-100k': 'SIFT, 100,000 x 128',
  'sift1m-1m': 'SIFT, 1,000,000 x 128',
  glove: 'GloVe, 331,479 x 100',
  fashion: 'Fashion-MNIST, 60,000 x 784',
  use50k: 'sentences, 50,000 x 512'
}
// One colour a package; its variants differ by the pattern of the line and the shape of the points.
const COLORS = {
  zgq: '#d62728',
  usearch: '#1f77b4',
  hnswlib: '#2ca02c',
  lancedb: '#ff7f0e',
  zvec: '#9467bd',
  'sqlite-vec': '#8c564b',
  'brute-force': '#7f7f7f'
}
const DASHES = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
  [1, 4]
]
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross']
const LOWEST_RECALL = 0.8
/** Recalls above 1 - this are drawn at the right edge. */
const LEAST_MISSED = 0.0005
const HEAD = {
  background: 'white',
  config: {
    font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
    axis: { labelFontSize: 12, titleFontSize: 12 },
    legend: { labelFontSize: 12 },
    title: { fontSize: 14 }
  }
}

const { results } = JSON.parse(readFileSync(from, 'utf8'))
const family = (name) => Object.keys(COLORS).find((key) => name.startsWith(key)) ?? name
const names = [...new Set(Object.values(results).flatMap((outcomes) => Object.keys(outcomes)))]
const variant = (name) => names.filter((other) => family(other) === family(name)).indexOf(name)
const range = {
  color: names.map((name) => COLORS[family(name)]),
  dash: names.map((name) => DASHES[variant(name)]),
  shape: names.map((name) => SHAPES[variant(name)])
}

for (const [set, outcomes] of Object.entries(results)) await draw(`peers-${set}.svg`, recallPicture(set, outcomes))
await draw(
  'peers-build.svg',
  bars(
    'Build time, seconds (number of threads)',
    ({ build }) => build.seconds,
    ({ build }) => `${short(build.seconds)} (${build.threads})`
  )
)
await draw(
  'peers-memory.svg',
  bars(
    'Growth of the process by opening and searching, MiB',
    ({ search }) => (search.after.rss - search.before.rss) / 2 ** 20,
    ({ search }) => short((search.after.rss - search.before.rss) / 2 ** 20)
  )
)

function recallPicture(set, outcomes) {
  const measured = Object.entries(outcomes).filter(([, outcome]) => 'search' in outcome)
  const values = measured.flatMap(([engine, { search }]) =>
    frontier(search.rows)
      .filter(({ recall }) => recall >= LOWEST_RECALL)
      .map(({ recall, qps }) => ({ engine, missed: Math.max(1 - recall, LEAST_MISSED), qps }))
  )
  const shown = names.filter((name) => values.some(({ engine }) => engine === name))
  const scale = (kind) => ({ domain: shown, range: shown.map((name) => range[kind][names.indexOf(name)]) })
  const encoding = {
    // Recall by what it misses, on a logarithmic scale from right to left, so that .95 and .99 lie as far apart as they
    // feel.
    x: {
      field: 'missed',
      type: 'quantitative',
      title: 'recall@10',
      scale: { type: 'log', reverse: true, nice: false, domain: [LEAST_MISSED, 1 - LOWEST_RECALL] },
      axis: { values: [0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001], labelExpr: "format(1 - datum.value, '~r')" }
    },
    y: {
      field: 'qps',
      type: 'quantitative',
      title: 'queries a second, one thread (higher is better)',
      scale: { type: 'log', nice: true },
      axis: { format: '~s' }
    },
    color: {
      field: 'engine',
      type: 'nominal',
      title: null,
      scale: scale('color'),
      legend: { symbolSize: 110, symbolStrokeColor: 'transparent', labelLimit: 0 }
    }
  }
  return {
    ...HEAD,
    width: 620,
    height: 420,
    title: LABELS[set] ?? set,
    data: { values },
    encoding,
    layer: [
      {
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { strokeDash: { field: 'engine', type: 'nominal', scale: scale('dash'), legend: null } }
      },
      {
        mark: { type: 'point', filled: true, size: 45, opacity: 1 },
        encoding: { shape: { field: 'engine', type: 'nominal', scale: scale('shape'), title: null } }
      }
    ]
  }
}

/** One row of bars for each engine, one column for each data set. */
function bars(title, take, show) {
  const values = Object.entries(results).flatMap(([set, outcomes]) =>
    Object.entries(outcomes)
      .filter(([, outcome]) => 'search' in outcome)
      .map(([engine, outcome]) => ({
        set: LABELS[set] ?? set,
        engine,
        value: Math.max(take(outcome), 0.01),
        text: show(outcome)
      }))
  )
  const y = { field: 'engine', type: 'nominal', sort: names, title: null, axis: { labelLimit: 0 } }
  return {
    ...HEAD,
    title,
    data: { values },
    facet: {
      field: 'set',
      type: 'nominal',
      title: null,
      sort: Object.keys(results).map((set) => LABELS[set] ?? set),
      header: { labelFontSize: 12, labelFontWeight: 'bold' }
    },
    columns: 3,
    spec: {
      width: 210,
      height: { step: 17 },
      layer: [
        {
          mark: { type: 'bar' },
          encoding: {
            y,
            x: { field: 'value', type: 'quantitative', title: null, scale: { type: 'symlog' }, axis: null },
            color: { field: 'engine', type: 'nominal', scale: { domain: names, range: range.color }, legend: null }
          }
        },
        {
          mark: { type: 'text', align: 'left', dx: 3, fontSize: 11 },
          encoding: {
            y,
            x: { field: 'value', type: 'quantitative', scale: { type: 'symlog' } },
            text: { field: 'text' }
          }
        }
      ]
    }
  }
}

/** The points that no other beats in recall and speed both, by rising recall; as in peers-table.ts. */
function frontier(rows) {
  let best = 0
  return [...rows]
    .sort((a, b) => b.recall - a.recall || b.qps - a.qps)
    .filter(({ qps }) => {
      if (qps <= best) return false
      best = qps
      return true
    })
    .reverse()
}

function short(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

async function draw(name, spec) {
  const svg = await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
  writeFileSync(join(folder, name), svg.replaceAll(' opacity="1"', '')) // the default, thousands of times
}
