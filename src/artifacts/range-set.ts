// Which bytes of a file are there: ranges that neither overlap nor touch, in order.

import type { ByteRange } from '../input/row-source.ts'

interface Span {
  readonly start: number
  readonly end: number
}

/** A set of bytes of one file. */
export class RangeSet {
  #spans: Span[] = []

  /** Adds bytes; those that are there already are no error. */
  add({ offset, byteLength }: ByteRange): void {
    if (byteLength === 0) return
    const [first, end] = this.#touching(offset, offset + byteLength)
    const joined = this.#spans.slice(first, end)
    const start = Math.min(offset, joined.at(0)?.start ?? offset)
    const last = Math.max(offset + byteLength, joined.at(-1)?.end ?? 0)
    this.#spans.splice(first, end - first, { start, end: last })
  }

  /** Returns what is not there of a range, in order. */
  missing({ offset, byteLength }: ByteRange): ByteRange[] {
    const end = offset + byteLength
    const found: ByteRange[] = []
    let at = offset
    for (const span of this.#spans.slice(...this.#touching(offset, end))) {
      if (span.start > at) found.push({ offset: at, byteLength: Math.min(span.start, end) - at })
      at = Math.max(at, span.end)
    }
    if (at < end) found.push({ offset: at, byteLength: end - at })
    return found
  }

  clear(): void {
    this.#spans = []
  }

  /** Numbers of the spans that touch a range: from the first up to, not including, the second. */
  #touching(start: number, end: number): [number, number] {
    const first = this.#spans.findIndex((span) => span.end >= start)
    if (first === -1) return [this.#spans.length, this.#spans.length]
    const behind = this.#spans.findIndex((span) => span.start > end)
    return [first, behind === -1 ? this.#spans.length : behind]
  }
}

/**
 * Joins ranges between which there are at most `gapBytes`, and cuts the result into pieces of at most `pieceBytes`, in
 * order.
 */
export function planPieces(
  ranges: readonly ByteRange[],
  { gapBytes, pieceBytes }: { readonly gapBytes: number; readonly pieceBytes: number }
): ByteRange[] {
  const joined: Span[] = []
  for (const { offset, byteLength } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const before = joined.at(-1)
    const end = offset + byteLength
    if (before !== undefined && offset <= before.end + gapBytes)
      joined.splice(-1, 1, { start: before.start, end: Math.max(before.end, end) })
    else if (byteLength > 0) joined.push({ start: offset, end })
  }
  return joined.flatMap(({ start, end }) =>
    Array.from({ length: Math.ceil((end - start) / pieceBytes) }, (_, i) => {
      const offset = start + i * pieceBytes
      return { offset, byteLength: Math.min(pieceBytes, end - offset) }
    })
  )
}
