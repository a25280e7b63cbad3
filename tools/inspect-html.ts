// The page that `zgq inspect --html` writes: what an index holds, at a glance. One file that asks for nothing else; the
// same index gives the same page.

import { basename, resolve } from 'node:path'

import { countOf, formatCount } from '../src/describe.ts'
import {
  DEFAULT_RECALL,
  type Calibration,
  type CalibrationCurve,
  type FieldSummary,
  type IndexInfo,
  type ZoneInfo
} from '../src/index.ts'
import {
  countInBins,
  drawHistogram,
  drawRecall,
  formatNumber,
  type Bin,
  type Frame,
  type RecallRange
} from './charts.ts'
import { drawFields } from './field-cards.ts'
import { payloadBytesOf } from './field-text.ts'
import { html, Markup, numbers, table, type Content } from './markup.ts'
import { formatBytes, formatRecall } from './output.ts'
import { PAGE_STYLE } from './page-style.ts'
import { changesOf, showPayload } from './shown-values.ts'
import { drawZoneMap } from './zone-map.ts'
import { ZONE_MAP_SCRIPT } from './zone-map-script.ts'

/** Facts of an index for its page. `build` has its bytes as text already. */
export interface Inspected {
  readonly info: IndexInfo
  /** Of all declared fields. */
  readonly fields: readonly FieldSummary[]
  readonly zones: readonly ZoneInfo[]
  readonly build: Readonly<Record<string, unknown>>
}

/** Bins of a histogram at most, about; where zones are few, fewer. */
const MOST_BINS = 40
/** Zones in each table of the extremes. */
const EXTREMES = 3
/** Nothing but what stands in the page may be loaded or run. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

/** Makes the whole page, in ASCII. */
export function makePage(inspected: Inspected): string {
  const { info, zones } = inspected
  const hasMap = zones.length > 1
  const name = basename(resolve(info.path))
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<link rel="icon" href="data:,">
<title>${name} - zgq inspect</title>
<style>
${new Markup(PAGE_STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>${name}</h1>
${info.path !== name && html`<p class="path">${info.path}</p>`}
${drawFacts(info)}
</header>
${drawFields(inspected.fields, info.count)}${drawZones(inspected)}
${drawCalibration(info)}
<h2>Files and build</h2>
<div class="cards wide">${drawFiles(info)}${drawChanges(info)}${drawBuild(inspected)}</div>
<footer>Written by zgq inspect --html. Sizes in powers of 1,024.</footer>
</main>
${
  hasMap &&
  html`<script>
${new Markup(ZONE_MAP_SCRIPT)}</script>
`
}</body>
</html>
`.text
}

const METRICS: Readonly<Record<IndexInfo['metric'], string>> = {
  l2: 'squared Euclidean',
  cosine: '1 - cosine',
  ip: 'minus the inner product'
}
/** Facts of the build in words; others stand under their own names. */
const BUILD_WORDS: Readonly<Record<string, string>> = {
  seed: 'seed',
  zones: 'zones asked for',
  sampleCount: 'rows trained on',
  inputDigest: 'digest of the input'
}

function drawFacts(info: IndexInfo): Markup {
  const { count, dim, metric, zoneRows, bytes, bits, calibration } = info
  const fact = (name: string, value: string, note: Content): Markup =>
    html`<div><dt>${name}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>\n`
  return html`<dl class="facts">
${fact('Vectors', formatCount(count), countOf(dim, 'dimension'))}${fact('Metric', metric, METRICS[metric])}${fact(
    'Zones',
    formatCount(info.zones),
    describeSizes(zoneRows)
  )}${fact('Size', formatBytes(bytes), `${formatNumber(Math.round(bytes / Math.max(1, count)))} bytes a vector`)}${fact(
    'Codes',
    bits === 0 ? 'none' : `${bits} ${bits === 1 ? 'bit' : 'bits'}`,
    bits === 0 ? 'float32 rows are scanned' : 'a dimension'
  )}${fact(
    'Recall',
    info.plan.kind === 'exact'
      ? 'exact'
      : calibration === null
        ? 'not known'
        : `up to ${formatRecall(calibration.highestRecall)}`,
    info.plan.kind === 'exact' ? 'all rows are scanned' : calibration === null ? 'not calibrated' : 'calibrated'
  )}</dl>`
}

function describeSizes({ min, mean, max }: IndexInfo['zoneRows']): string {
  return min === max
    ? countOf(max, 'row')
    : `${formatCount(min)} to ${formatCount(max)} rows, mean ${formatNumber(mean)}`
}

function drawZones({ info, zones }: Inspected): Markup {
  const unit =
    info.metric === 'cosine'
      ? 'largest Euclidean distance of a row, scaled to length 1, to the centroid'
      : 'largest Euclidean distance of a row to the centroid'
  if (zones.length < 2) {
    return html`<h2>Zones</h2>
${zones.map(
  ({ rows, radius }) =>
    html`<p class="lead">One zone of ${countOf(rows, 'row')} with a radius of ${formatNumber(radius)}: nothing to map or
to compare. Radius: ${unit}.</p>`
)}`
  }
  const wanted = Math.min(MOST_BINS, Math.ceil(2 * Math.sqrt(zones.length)))
  const rowBins = countInBins(
    zones.map((zone) => zone.rows),
    { wanted, isWhole: true }
  )
  const radiusBins = countInBins(
    zones.map((zone) => zone.radius),
    { wanted, isWhole: false }
  )
  const rows = ({ from, to }: Bin): string =>
    to - from === 1 ? formatCount(from) : `${formatCount(from)} to ${formatCount(to - 1)}`
  const radii = ({ from, to }: Bin): string =>
    from === to ? formatNumber(from) : `${formatNumber(from)} to ${formatNumber(to)}`
  const { min, mean, max } = info.zoneRows
  return html`<h2>Zones</h2>
${drawZoneMap(zones, unit)}
<div class="cards">${histogramCard(
    {
      id: 'sizes',
      title: 'Zones by size',
      description: `How many zones have how many rows: from ${min} to ${max}, ${formatNumber(mean)} in the mean.`,
      xLabel: 'rows in a zone',
      yLabel: 'zones'
    },
    rowBins,
    rows
  )}${histogramCard(
    {
      id: 'radii',
      title: 'Zones by radius',
      description: `How many zones have which radius: the ${unit}.`,
      xLabel: 'radius (distance)',
      yLabel: 'zones'
    },
    radiusBins,
    radii
  )}${extremesCard(zones)}</div>`
}

function extremesCard(zones: readonly ZoneInfo[]): Markup {
  const first = (order: (a: ZoneInfo, b: ZoneInfo) => number): string[][] =>
    [...zones]
      .sort((a, b) => order(a, b) || a.zone - b.zone)
      .slice(0, EXTREMES)
      .map(({ zone, rows, radius }) => [String(zone), formatCount(rows), formatNumber(radius)])
  const head = ['zone', 'rows', 'radius']
  return html`<section class="card"><h3>Largest zones</h3>${table(
    head,
    first((a, b) => b.rows - a.rows)
  )}<h3>Widest zones</h3>${table(
    head,
    first((a, b) => b.radius - a.radius)
  )}</section>\n`
}

function histogramCard(frame: Frame, bins: readonly Bin[], words: (bin: Bin) => string): Markup {
  const filled = bins.filter((bin) => bin.count > 0)
  return html`<section class="card"><h3>${frame.title}</h3>
${drawHistogram(frame, bins, (bin) => `${words(bin)}: ${countOf(bin.count, 'zone')}`)}
${numbers(
  'Numbers',
  table(
    [frame.xLabel, 'zones'],
    filled.map((bin) => [words(bin), formatCount(bin.count)])
  )
)}</section>
`
}

function drawCalibration(info: IndexInfo): Markup {
  const { calibration, plan, warnings } = info
  const head = html`<h2>Recall</h2>
<p class="lead">Searches without options: ${plan.reason}.</p>
${warnings.map((warning) => html`<p class="warning">${warning}</p>\n`)}`
  if (calibration === null || info.zones < 2) return head
  const source = calibration.source === 'base' ? 'rows of the index' : 'queries that were given'
  const queries = `${formatCount(calibration.queries)} ${source}`
  const range = rangeOf(calibration)
  return html`${head}<p class="lead">How many zones a recall takes in the mean, measured with ${queries}.
Searches go by the lower bound, which holds with ${formatNumber(calibration.confidence * 100)} % confidence.</p>
<p class="keys">${key('mean', 'mean that was measured')}${key('bound', 'lower bound')}</p>
<div class="cards">${calibration.curves.map((curve) => recallCard(curve, info, range))}</div>`
}

/** A piece of a chart's line, and what it stands for. */
function key(kind: 'mean' | 'bound', words: string): Markup {
  return html`<span><svg viewBox="0 0 32 10" aria-hidden="true"><g class="${kind}"><path d="M0 5H32"/>
<circle cx="16" cy="5" r="3"/></g></svg>${words}</span>`
}

function rangeOf({ curves }: Calibration): RecallRange {
  const points = curves.flatMap((curve) => curve.points)
  const recalls = points.flatMap((point) => [point.recall, point.mean])
  const below = recalls.filter((recall) => recall < 1)
  const most = below.reduce((a, b) => Math.max(a, b), 0.5)
  return {
    leastZones: points.reduce((a, point) => Math.min(a, point.zones), Infinity),
    mostZones: points.reduce((a, point) => Math.max(a, point.zones), 1),
    leastRecall: below.reduce((a, b) => Math.min(a, b), most),
    // 1 is at no finite height: what reached it is drawn as if half as much was missed as by the next.
    mostRecall: recalls.some((recall) => recall >= 1) ? 1 - (1 - most) / 2 : most
  }
}

function recallCard({ k, points }: CalibrationCurve, info: IndexInfo, range: RecallRange): Markup {
  const line = (
    kind: 'mean' | 'bound',
    value: (point: (typeof points)[number]) => number,
    name: string
  ): Parameters<typeof drawRecall>[1][number] => ({
    kind,
    points: points.map((point) => ({
      x: point.zones,
      y: value(point),
      label: `${name} ${formatShare(value(point))} with ${zonesInWords(point.zones)}`
    }))
  })
  const usual = points.find((point) => point.recall === DEFAULT_RECALL)
  const share =
    usual === undefined
      ? ''
      : `Recall ${DEFAULT_RECALL}, the default, takes ${zonesInWords(usual.zones)}: ` +
        `${formatPercent(usual.zones / info.zones)} of them.`
  const frame = {
    id: `recall-${k}`,
    title: `Recall of ${k} ${k === 1 ? 'hit' : 'hits'} by zones probed`,
    description: `Mean and lower bound of the recall at k = ${k}, over the mean number of zones probed. ${share}`,
    xLabel: 'zones probed (mean, logarithmic)',
    yLabel: `recall@${k}`
  }
  const rows = points.map((point) => [
    formatShare(point.recall),
    formatShare(point.mean),
    formatNumber(point.zones),
    formatPercent(point.zones / info.zones),
    formatNumber(point.threshold)
  ])
  const lines = [line('mean', (point) => point.mean, 'mean'), line('bound', (point) => point.recall, 'lower bound')]
  const head = ['lower bound', 'mean', 'zones', 'of all', 'threshold']
  return html`<section class="card"><h3>k = ${k}</h3>
${drawRecall(frame, lines, range)}
${share !== '' && html`<p class="note">${share}</p>`}${numbers('Numbers', table(head, rows))}</section>
`
}

function drawFiles({ files, bytes, packed }: IndexInfo): Markup {
  const name = packed === null ? 'catalogue.sqlite' : 'head and centroids'
  const rest = { name, bytes: bytes - files.reduce((sum, file) => sum + file.bytes, 0) }
  const rows = [...files, rest].map((file) => {
    const share = bytes === 0 ? 0 : (file.bytes / bytes) * 100
    return [
      html`${file.name}<span class="share" aria-hidden="true"><span style="width:${share.toFixed(1)}%"></span></span>`,
      formatBytes(file.bytes),
      `${share.toFixed(1)} %`
    ]
  })
  return html`<section class="card"><h3>Files</h3>${table(['file', 'size', 'of all'], rows)}</section>\n`
}

/** Nothing for an index that was never changed. */
function drawChanges({ changes }: IndexInfo): Content {
  if (changes.commit === 0) return ''
  const rows = changesOf(changes).map(([name, count]) => [`rows ${name}`, formatCount(count)])
  return html`<section class="card"><h3>Changes</h3>
<p class="note">Since the zones were made, in ${countOf(changes.commit, 'commit')}. Every search looks at fresh rows and
deltas; deleted rows are in the files, and not found.</p>
${table(['what', 'rows'], rows)}</section>
`
}

/** A mean number of zones, as it is shown: what reads 1 is one. */
function zonesInWords(mean: number): string {
  const shown = formatNumber(mean)
  return `${shown} ${shown === '1' ? 'zone' : 'zones'}`
}

function drawBuild({ info, zones, build }: Inspected): Markup {
  const shortest = zones.reduce((least, zone) => Math.min(least, zone.minNorm), Infinity)
  const longest = zones.reduce((most, zone) => Math.max(most, zone.maxNorm), 0)
  const payloadBytes = payloadBytesOf(info)
  const facts: [string, string][] = [
    ['index id', info.indexId],
    ['ids', info.ids === 'string' ? 'strings' : 'integers'],
    ...(payloadBytes === 0 ? [] : [factOf('payloads', formatBytes(payloadBytes))]),
    ...(info.model === undefined ? [] : [factOf('model', info.model)]),
    ...(info.note === undefined ? [] : [factOf('note', showPayload(info.note))]),
    ['format, generation', `${info.formatVersion}, ${info.generation}`],
    ...(zones.length > 0
      ? [['lengths of vectors', `${formatNumber(shortest)} to ${formatNumber(longest)}`] satisfies [string, string]]
      : []),
    ...Object.entries(build).map(([name, value]): [string, string] => [
      BUILD_WORDS[name] ?? name,
      value === null ? 'not given' : typeof value === 'number' ? formatCount(value) : String(value)
    ]),
    ['reader', `${info.reader.kind}: ${info.reader.reason}`],
    ['kernel', info.kernel]
  ]
  return html`<section class="card words"><h3>Index and build</h3><div class="scroll"><table><tbody>
${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`)}</tbody></table></div>
</section>
`
}

function factOf(name: string, value: string): [string, string] {
  return [name, value]
}

function formatPercent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}

/** A recall with as many digits as tell it from its neighbours. */
function formatShare(recall: number): string {
  return String(Number(recall.toFixed(4)))
}
