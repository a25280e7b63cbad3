// What values the fields of an index have, as text for people.

import { countOf, formatCount } from '../src/describe.ts'
import type { FieldSummary, IndexInfo, NumberBin } from '../src/index.ts'
import { formatNumber } from './charts.ts'

/** Values on a line, and characters of one. */
const MOST_VALUES = 5
const MOST_CHARACTERS = 40
/** Heights of a bar in a line of text. */
const HEIGHTS = ' .:-=+*#'

/** Bytes of the files with payloads. */
export function payloadBytesOf({ files }: IndexInfo): number {
  return files.reduce((sum, { kind, bytes }) => sum + (kind === 'payload' ? bytes : 0), 0)
}

/** A line for each field. */
export function describeFields(fields: readonly FieldSummary[]): string {
  const width = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length))
  const names = width(fields.map(({ name }) => name))
  const types = width(fields.map(({ type }) => type))
  return fields
    .map((field) => {
      const { name, type } = field
      const values = type === 'number' ? describeNumbers(field) : describeValues(field)
      const said = [describeRows(field), values].filter(Boolean).join(': ')
      return `  ${name.padEnd(names)}  ${type.padEnd(types)}  ${said}`
    })
    .join('\n')
}

/** How many rows have a value: `490 rows, 7 null, 3 without it`. */
export function describeRows({ rows, nulls, missing }: FieldSummary): string {
  return [
    countOf(rows, 'row'),
    ...(nulls === 0 ? [] : [`${formatCount(nulls)} null`]),
    ...(missing === 0 ? [] : [`${formatCount(missing)} without it`])
  ].join(', ')
}

/** How many values there are: `7 values`, `more than 1,048,576 values`. */
export function describeDistinct({ distinct = 0, isCut = false }: FieldSummary): string {
  return `${isCut ? 'more than ' : ''}${countOf(distinct, 'value')}`
}

/** A value, quoted and shortened where it is a string. */
export function showValue(value: string | boolean): string {
  if (typeof value === 'boolean') return String(value)
  return JSON.stringify(value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS)}...` : value)
}

function describeValues(field: FieldSummary): string {
  const { values = [], type } = field
  if (values.length > 1 && values[0].rows === 1)
    return `${describeDistinct(field)}, each once, such as ${showValue(values[0].value)}`
  const shown = values
    .slice(0, MOST_VALUES)
    .map(({ value, rows }) => `${showValue(value)} ${formatCount(rows)}`)
    .join(', ')
  if (type === 'boolean' || values.length === 0) return shown
  return `${describeDistinct(field)}, ${shown}${(field.distinct ?? 0) > MOST_VALUES ? ', ...' : ''}`
}

function describeNumbers({ min, max, histogram = [] }: FieldSummary): string {
  if (min === undefined || max === undefined) return ''
  const range = min === max ? formatNumber(min) : `${formatNumber(min)} to ${formatNumber(max)}`
  return histogram.length < 2 ? range : `${range}  [${drawLine(histogram)}]`
}

/** A character for each bin, the fuller the taller; bins with few rows are seen, too. */
function drawLine(histogram: readonly NumberBin[]): string {
  const most = histogram.reduce((max, { rows }) => Math.max(max, rows), 1)
  return histogram.map(({ rows }) => HEIGHTS[Math.ceil((rows / most) * (HEIGHTS.length - 1))]).join('')
}
