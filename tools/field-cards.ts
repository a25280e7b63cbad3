// What values the fields of an index have, as cards of the page of `zgq inspect --html`.

import { countOf, formatCount } from '../src/describe.ts'
import type { FieldSummary } from '../src/index.ts'
import { drawHistogram, formatNumber, type Bin } from './charts.ts'
import { describeDistinct, describeRows, showValue } from './field-text.ts'
import { html, numbers, table, type Markup } from './markup.ts'

/** Values in the table of a card. */
const MOST_VALUES = 10

/** Draws all fields; nothing where there are none. */
export function drawFields(fields: readonly FieldSummary[], count: number): Markup {
  if (fields.length === 0) return html``
  return html`<h2>Fields</h2>
<p class="lead">What filters may ask, and which values the ${countOf(count, 'row')} have.</p>
<div class="cards">${fields.map((field, i) => drawField(field, i))}</div>
`
}

function drawField(field: FieldSummary, i: number): Markup {
  const { name, type, values = [] } = field
  const isOfValues = type === 'string' || type === 'string[]'
  return html`<section class="card"><h3>${name} <span class="note">${type}</span></h3>
<p class="note">${describeRows(field)}${isOfValues && values.length > 0 && `, ${describeDistinct(field)}`}</p>
${type === 'number' ? drawNumbers(field, i) : drawValues(field)}</section>
`
}

function drawValues({ values = [], distinct = 0, rows, isCut }: FieldSummary): Markup {
  if (values.length === 0) return html``
  if (values.length > 1 && values[0].rows === 1)
    return html`<p class="note">each value once, such as ${showValue(values[0].value)}</p>`
  const most = values.reduce((max, one) => Math.max(max, one.rows), 1)
  const shown = values.slice(0, MOST_VALUES).map((one) => [
    html`${showValue(one.value)}<span class="share" aria-hidden="true"><span
 style="width:${((one.rows / most) * 100).toFixed(1)}%"></span></span>`,
    formatCount(one.rows),
    `${Number(((one.rows / rows) * 100).toPrecision(2))} %`
  ])
  const left = distinct - shown.length
  return html`${table(['value', 'rows', 'share'], shown)}
${left > 0 && html`<p class="note">and ${isCut === true && 'more than '}${countOf(left, 'other value')}</p>`}`
}

function drawNumbers({ name, min, max, histogram = [] }: FieldSummary, i: number): Markup {
  if (min === undefined || max === undefined) return html``
  const range = min === max ? `all ${formatNumber(min)}` : `${formatNumber(min)} to ${formatNumber(max)}`
  const bins = histogram.map(({ from, to, rows }): Bin => ({ from, to, count: rows }))
  const words = ({ from, to }: Bin): string =>
    from === to ? formatNumber(from) : `from ${formatNumber(from)} to ${formatNumber(to)}`
  // Between the largest numbers that there are, no axis can be computed.
  if (bins.length === 0 || !Number.isFinite(bins[bins.length - 1].to - bins[0].from))
    return html`<p class="note">${range}</p>`
  const frame = {
    id: `field-${i}`,
    title: `Rows by ${name}`,
    description: `How many rows have which ${name}: ${range}.`,
    xLabel: name,
    yLabel: 'rows'
  }
  const filled = bins.filter((bin) => bin.count > 0)
  return html`<p class="note">${range}</p>
${drawHistogram(frame, bins, (bin) => `${words(bin)}: ${countOf(bin.count, 'row')}`)}
${numbers(
  'Numbers',
  table(
    [name, 'rows'],
    filled.map((bin) => [words(bin), formatCount(bin.count)])
  )
)}`
}
