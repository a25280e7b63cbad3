// npm run plot-churn -- CHURN.json [FOLDER]: draws, from the JSON of `npm run churn`, recall, time, disk, memory and
// bytes written over the rounds, beside fresh builds of the same rows: churn-ROWS-DRIFT-MODE.svg for each run. Plain
// JavaScript: the packages that draw are only installed here.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { parse, View } from 'vega'
import { compile } from 'vega-lite'

const [from, folder = '.'] = process.argv.slice(2)
if (from === undefined) throw new Error('usage: npm run plot-churn -- CHURN.json [FOLDER]')
const CHURNED = 'churned'
const FRESH = 'fresh build'
const WITH_SUPERSEDED = 'churned, with superseded files'
const SERIES = [CHURNED, FRESH, WITH_SUPERSEDED]
const DASHES = [
  [1, 0],
  [4, 4],
  [1, 3]
]
const DRIFTS = { none: 'random rows', drifting: 'drifting rows' }
const MODES = { optimize: 'optimize() after each round', automatic: 'automatic folds only' }
const ASKED_COLORS = ['#1f77b4', '#d62728', '#2ca02c']
const WIDTH = 620
// As in plot-peers.mjs: white, so that it can be read on pages that are light or dark.
const HEAD = {
  background: 'white',
  config: {
    font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
    axis: { labelFontSize: 12, titleFontSize: 12 },
    legend: { labelFontSize: 12, titleFontSize: 12 },
    title: { fontSize: 14 }
  }
}
const MIB = 2 ** 20

const { runs } = JSON.parse(readFileSync(from, 'utf8')).results
for (const run of runs) await draw(nameOf(run), picture(run))

function nameOf({ spec, mode }) {
  const rows = spec.rows >= 1e6 ? `${spec.rows / 1e6}m` : `${spec.rows / 1000}k`
  return `churn-${rows}-${spec.drift === 'none' ? 'random' : spec.drift}-${mode}.svg`
}

function picture({ spec, mode, rounds, fresh }) {
  const searched = rounds.filter(({ search }) => search !== undefined)
  const asked = [
    ...searched.flatMap(({ round, search }) => askedOf(round, search, CHURNED)),
    ...fresh.flatMap(({ round, alone }) => askedOf(round, alone, FRESH))
  ]
  const newBytes = Math.round(spec.rows * spec.part) * spec.dim * 4
  const disk = [
    ...searched.map(({ round, search }) => ({ round, series: CHURNED, value: search.bytes / MIB })),
    ...rounds.map(({ round, bytes }) => ({ round, series: WITH_SUPERSEDED, value: bytes / MIB })),
    ...fresh.map(({ round, alone }) => ({ round, series: FRESH, value: alone.bytes / MIB }))
  ]
  const memory = [
    ...searched.map(({ round, search }) => ({ round, series: CHURNED, value: search.rss / MIB })),
    ...fresh.map(({ round, alone }) => ({ round, series: FRESH, value: alone.rss / MIB }))
  ]
  const written = rounds
    .filter((row) => row.written !== undefined)
    .map(({ round, written: wrote, folded }) => ({
      round,
      series: CHURNED,
      value: (wrote.writtenBytes + (folded?.writtenBytes ?? 0)) / newBytes
    }))
  const last = rounds.at(-1).round
  return {
    ...HEAD,
    title: {
      text: `${spec.rows.toLocaleString('en-US')} x ${spec.dim}, ${spec.part * 100} % of the rows replaced a round`,
      subtitle: `${DRIFTS[spec.drift]}, ${MODES[mode]}`
    },
    vconcat: [
      panel({ title: 'recall@10', values: asked, field: 'recall', byAsked: true, zero: false, last }),
      panel({ title: 'us a query', values: asked, field: 'us', byAsked: true, zero: true, last }),
      panel({ title: 'MiB on disk', values: disk, zero: true, last }),
      panel({ title: 'rss MiB', values: memory, zero: true, last, height: 100 }),
      panel({ title: 'bytes written / new', values: written, zero: true, last, height: 100 })
    ]
  }
}

/** A line of `picture` for each recall that was asked for. */
function askedOf(round, search, series) {
  return search.asked.map(({ asked, recall, meanUs }) => ({
    round,
    series,
    asked: `asked ${asked}`,
    recall,
    us: meanUs
  }))
}

function panel({ title, values, field = 'value', byAsked = false, zero, last, height = 170 }) {
  const names = [...new Set(values.map(({ asked }) => asked))]
  const encoding = {
    x: {
      field: 'round',
      type: 'quantitative',
      title: null,
      scale: { domain: [0, last], nice: false },
      axis: { tickMinStep: 1, format: 'd' }
    },
    y: { field, type: 'quantitative', title, scale: { zero } },
    ...(byAsked
      ? { color: { field: 'asked', type: 'nominal', title: null, scale: { domain: names, range: ASKED_COLORS } } }
      : { color: { value: '#555555' } })
  }
  return {
    width: WIDTH,
    height,
    data: { values },
    encoding,
    layer: [
      {
        mark: { type: 'line', strokeWidth: 2 },
        encoding: {
          strokeDash: {
            field: 'series',
            type: 'nominal',
            title: null,
            scale: { domain: SERIES, range: DASHES },
            legend: { symbolType: 'stroke', symbolStrokeColor: '#555555', symbolSize: 400, labelLimit: 0 }
          }
        }
      },
      {
        transform: [{ filter: `datum.series !== '${WITH_SUPERSEDED}'` }],
        mark: { type: 'point', filled: true, size: 45, opacity: 1 }
      }
    ]
  }
}

async function draw(name, spec) {
  const svg = await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
  writeFileSync(join(folder, name), svg.replaceAll(' opacity="1"', '')) // the default, thousands of times
}
