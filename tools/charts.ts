// Charts as SVG: a histogram, and lines over a logarithmic axis. Colours and sizes of text are in page-style.ts; what
// is drawn is given.

import { formatCount } from '../src/describe.ts'
import { html, type Markup } from './markup.ts'

/** Drawn for about this size on a screen, a phone's too, so that text keeps its size. */
const WIDTH = 360
const HEIGHT = 220
const PLOT = { left: 48, right: 340, top: 24, bottom: 178 }

/** Title, description and axes of a chart. */
export interface Frame {
  /** Unique on the page. */
  readonly id: string
  readonly title: string
  /** Says in words what the chart shows. */
  readonly description: string
  readonly xLabel: string
  readonly yLabel: string
}

/** One bar: how many values lie from `from` (included) to `to` (excluded; included for the last). */
export interface Bin {
  readonly from: number
  readonly to: number
  readonly count: number
}

interface Tick {
  readonly at: number
  readonly label: string
}

/** A number with four digits, short. */
export function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(2).replace('e+', 'e')
  if (size >= 1000) return formatCount(Math.round(value))
  return String(Number(value.toPrecision(4)))
}

/** The smallest of 1, 2, 5 times a power of ten that is at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return ([1, 2, 5].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10) * power
}

/** Counts values in about `wanted` bins of equal, round width; whole numbers get bins of whole width. */
export function countInBins(
  values: readonly number[],
  { wanted, isWhole }: { wanted: number; isWhole: boolean }
): Bin[] {
  if (values.length === 0) return []
  const least = values.reduce((a, b) => Math.min(a, b))
  const most = values.reduce((a, b) => Math.max(a, b))
  if (least === most && !isWhole) return [{ from: least, to: most, count: values.length }]
  const step = niceStep(Math.max((most - least) / wanted, isWhole ? 1 : (Math.abs(most) || 1) * 1e-12))
  const first = Math.floor(least / step)
  // A largest value that lies on an edge belongs to the last bin, unless bins are whole numbers from `from` to before
  // `to`.
  const bins = Math.max(1, isWhole ? Math.floor(most / step) - first + 1 : Math.ceil(most / step) - first)
  const counts = new Array<number>(bins).fill(0)
  for (const value of values) counts[Math.min(bins - 1, Math.floor(value / step) - first)]++
  return counts.map((count, i) => ({ from: (first + i) * step, to: (first + i + 1) * step, count }))
}

/** Draws bins as bars. `label` says what a bin holds. */
export function drawHistogram(frame: Frame, bins: readonly Bin[], label: (bin: Bin) => string): Markup {
  const [start, end] = [bins[0].from, bins[bins.length - 1].to]
  const yTicks = linearTicks(
    0,
    bins.reduce((most, bin) => Math.max(most, bin.count), 1),
    { wanted: 4, least: 1 }
  )
  const top = yTicks[yTicks.length - 1].at
  const isOneValue = bins.length === 1
  const x = (value: number): number =>
    isOneValue ? (PLOT.left + PLOT.right) / 2 : PLOT.left + ((value - start) / (end - start)) * (PLOT.right - PLOT.left)
  const y = (count: number): number => PLOT.bottom - (count / top) * (PLOT.bottom - PLOT.top)
  const xTicks = isOneValue
    ? [{ at: start, label: formatNumber(start) }]
    : linearTicks(start, end, { wanted: 5, least: 0 }).filter((tick) => tick.at >= start && tick.at <= end * (1 + 1e-9))
  const bars = bins
    .filter((bin) => bin.count > 0)
    .map((bin) => {
      const [left, right] = isOneValue ? [x(start) - 6, x(start) + 6] : [x(bin.from), x(bin.to)]
      const gap = right - left > 4 ? 1 : 0
      // The smallest count stays visible.
      const height = Math.max(1.5, PLOT.bottom - y(bin.count))
      const [barWidth, barTop] = [right - left - gap, PLOT.bottom - height]
      return html`<rect class="bar" x="${place(left + gap / 2)}" y="${place(barTop)}"
 width="${place(barWidth)}" height="${place(height)}"><title>${label(bin)}</title></rect>`
    })
  const ticks = {
    x: xTicks.map((tick) => ({ at: x(tick.at), label: tick.label })),
    y: yTicks.map((tick) => ({ at: y(tick.at), label: tick.label }))
  }
  return drawFrame(frame, ticks, bars)
}

/** A line of a chart: points by ascending x. */
export interface Line {
  /** CSS class that gives the colour. */
  readonly kind: string
  readonly points: readonly { readonly x: number; readonly y: number; readonly label: string }[]
}

/** Recalls worth a mark on the axis. */
const RECALL_TICKS = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999]

/** The two ends of each axis; charts that are compared share them. */
export interface RecallRange {
  readonly leastZones: number
  readonly mostZones: number
  readonly leastRecall: number
  readonly mostRecall: number
}

/** Draws recalls over zones, both on logarithmic axes: upwards each step leaves a part of what is still missed. */
export function drawRecall(frame: Frame, lines: readonly Line[], range: RecallRange): Markup {
  const missed = (recall: number): number => -Math.log(1 - Math.min(recall, range.mostRecall))
  const [low, high] = [missed(range.leastRecall), missed(range.mostRecall)]
  const xStart = niceStep(Math.max(1, range.leastZones) / 2.5)
  const xEnd = Math.max(2 * xStart, range.mostZones)
  const x = (zones: number): number =>
    PLOT.left + (Math.log(Math.max(xStart, zones) / xStart) / Math.log(xEnd / xStart)) * (PLOT.right - PLOT.left)
  const y = (recall: number): number =>
    PLOT.bottom - (high > low ? (missed(recall) - low) / (high - low) : 0.5) * (PLOT.bottom - PLOT.top)
  const paths = lines.map(({ kind, points }) => {
    const path = points.map((point, i) => `${i === 0 ? 'M' : 'L'}${place(x(point.x))} ${place(y(point.y))}`).join('')
    const dots = points.map(
      (point) =>
        html`<circle cx="${place(x(point.x))}" cy="${place(y(point.y))}" r="3"><title>${point.label}</title></circle>`
    )
    return html`<g class="${kind}"><path d="${path}"/>${dots}</g>`
  })
  const recalls = RECALL_TICKS.filter((recall) => recall >= range.leastRecall && recall <= range.mostRecall)
  const ticks = {
    x: logTicks(xStart, xEnd).map((tick) => ({ at: x(tick.at), label: tick.label })),
    y: recalls.map((recall) => ({ at: y(recall), label: String(recall) }))
  }
  return drawFrame(frame, ticks, paths)
}

/** Round numbers from `from` to at least `to`, about as many as wanted and no nearer than `least`. */
function linearTicks(from: number, to: number, { wanted, least }: { wanted: number; least: number }): Tick[] {
  const step = niceStep(Math.max(least, (to - from || 1) / wanted))
  const first = Math.ceil(from / step - 1e-9)
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9))
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    at: (first + i) * step,
    label: formatNumber(Number(((first + i) * step).toPrecision(12)))
  }))
}

function logTicks(start: number, end: number): Tick[] {
  const factors = end / start > 1000 ? [1] : [1, 2, 5]
  const ticks: Tick[] = []
  for (let power = 1; power <= end; power *= 10)
    ticks.push(...factors.map((factor) => ({ at: factor * power, label: formatCount(factor * power) })))
  return ticks.filter(({ at }) => at >= start && at <= end)
}

function drawFrame(
  { id, title, description, xLabel, yLabel }: Frame,
  ticks: { x: readonly Tick[]; y: readonly Tick[] },
  content: readonly Markup[]
): Markup {
  const grid = ticks.y.map(
    ({ at, label }) =>
      html`<path class="grid" d="M${PLOT.left} ${place(at)}H${PLOT.right}"/>
<text x="${PLOT.left - 6}" y="${place(at + 4)}" text-anchor="end">${label}</text>`
  )
  const marks = ticks.x.map(
    ({ at, label }) =>
      html`<path class="axis" d="M${place(at)} ${PLOT.bottom}v4"/>
<text x="${place(at)}" y="${PLOT.bottom + 18}" text-anchor="middle">${label}</text>`
  )
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">${title}</title><desc id="${id}-desc">${description}</desc>
${grid}${marks}<path class="axis" d="M${PLOT.left} ${PLOT.bottom}H${PLOT.right}"/>
<text class="label" x="${PLOT.left}" y="12" text-anchor="start">${yLabel}</text>
<text class="label" x="${PLOT.right}" y="${HEIGHT - 6}" text-anchor="end">${xLabel}</text>
${content}
</svg>`
}

/** Places to a tenth of a pixel: the page stays small. */
function place(value: number): string {
  return String(Math.round(value * 10) / 10)
}
