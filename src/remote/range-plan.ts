// Which requests fetch the ranges of a round: ranges that are close together share one, large ones are split.

import type { ObjectRange } from './byte-source.ts'

export interface PlanLimits {
  /** Bytes that nobody wants are fetched too, up to so many in a row, where that saves a request. */
  readonly gapBytes: number
  /** A request asks for no more. */
  readonly mostBytes: number
}

/** Bytes in a row that are fetched, for the ranges with these places in what was asked for. */
export interface Span extends ObjectRange {
  readonly wanted: readonly number[]
}

/** Joins ranges to spans. Where ranges overlap, a span may be longer than a request. */
export function planSpans(ranges: readonly ObjectRange[], limits: PlanLimits): Span[] {
  const spans: (ObjectRange & { byteLength: number; wanted: number[] })[] = []
  const order = [...ranges.keys()].filter((place) => ranges[place].byteLength > 0)
  order.sort((a, b) => compare(ranges[a].name, ranges[b].name) || ranges[a].offset - ranges[b].offset)
  for (const place of order) {
    const { name, offset, byteLength } = ranges[place]
    const last = spans.at(-1)
    const end = last === undefined ? 0 : last.offset + last.byteLength
    const joined = last === undefined ? 0 : Math.max(end, offset + byteLength) - last.offset
    const isNear = offset < end || (offset - end <= limits.gapBytes && joined <= limits.mostBytes)
    if (last?.name === name && isNear) {
      last.byteLength = joined
      last.wanted.push(place)
    } else spans.push({ name, offset, byteLength, wanted: [place] })
  }
  return spans
}

/** Splits a span into requests of about the same size. */
export function splitSpan(span: ObjectRange, mostBytes: number): ObjectRange[] {
  const count = Math.ceil(span.byteLength / mostBytes)
  const step = Math.ceil(span.byteLength / count)
  return Array.from({ length: count }, (_, i) => ({
    name: span.name,
    offset: span.offset + i * step,
    byteLength: Math.min(step, span.byteLength - i * step)
  }))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
