// What `explain: true` tells of a search.

import { ELEMENT_BYTES, pageCount } from '../format/layout.ts'
import type { Explain, ExplainedFilter } from '../types.ts'
import type { SearchState } from './search-state.ts'

/** Tells how the pass at hand went, which ended at `endedAt`. */
export function explainPass(state: SearchState, endedAt: number): Explain {
  const rowBytes = state.dim * ELEMENT_BYTES
  const { filter } = state.request
  const segments = state.isFar ? [] : filter === undefined ? state.segments : state.segments.slice(0, state.reached)
  const parts = segments.flatMap(({ rows, columns, codes }) =>
    state.byRows ? [rows.byteLength, columns.byteLength] : [codes.byteLength]
  )
  const { rowsReranked, rowsConfirmed, ioRounds, startedAt, probedAt, scannedAt } = state
  return {
    zones: [...new Set(segments.map(({ zone }) => zone))],
    vectorsScanned: segments.reduce(
      (sum, { rowCount }) => sum + rowCount,
      state.passes.length > 0 ? 0 : state.freshScanned
    ),
    bytes: parts.reduce((sum, part) => sum + part, rowsReranked * rowBytes),
    pages: parts.reduce((sum, part) => sum + pageCount(part), rowsReranked * pageCount(rowBytes)),
    rowsReranked,
    rowsConfirmed,
    ioRounds,
    ...state.counters,
    probeMicros: probedAt - startedAt,
    scanMicros: scannedAt - probedAt,
    rerankMicros: endedAt - scannedAt,
    unlike: false,
    ...explainFilter(state)
  }
}

function explainFilter({ request, filterPlan, stopped, workspace }: SearchState): {
  readonly filter?: ExplainedFilter
} {
  const { filter } = request
  if (filter === undefined) return {}
  const { matchCount, segmentCount } = filter.masks
  const segmentsSkipped = workspace.segments.count - segmentCount
  return { filter: { plan: filterPlan, rowsMatched: matchCount, segmentsSkipped, stopped } }
}

/** Adds up the work of passes; the zones, bytes and pages are those of the last, which had those of all others. */
export function sumExplains(passes: readonly Explain[]): Explain {
  const sum = (of: (pass: Explain) => number): number => passes.reduce((total, pass) => total + of(pass), 0)
  return {
    ...passes[passes.length - 1],
    vectorsScanned: sum((pass) => pass.vectorsScanned),
    rowsReranked: sum((pass) => pass.rowsReranked),
    rowsConfirmed: sum((pass) => pass.rowsConfirmed),
    ioRounds: sum((pass) => pass.ioRounds),
    probeMicros: sum((pass) => pass.probeMicros),
    scanMicros: sum((pass) => pass.scanMicros),
    rerankMicros: sum((pass) => pass.rerankMicros)
  }
}
