// Estimates the cost of a query, so that work goes where it is done soonest. Estimates decide who works, never what is
// found.

import type { Snapshot } from '../catalogue/snapshot.ts'
import type { SearchRequest } from '../search/request.ts'
import { estimateMicros, plannedIndex, type PlannedIndex } from '../search/strategy.ts'

/** Microseconds that one query of a kind of request takes, as far as was measured. */
export interface SearchCost {
  micros: number
}

/** Kinds of request that are remembered: most programs have one or two. */
const MOST_KINDS = 16
/** How far one measurement moves an estimate. */
const SHARE = 0.2
/**
 * Largest measurement that counts, as a multiple of the estimate: the system may have had something else to do in
 * between.
 */
const MOST_GROWTH = 4

/** The costs of the kinds of request that an open index was asked for. */
export class SearchCosts {
  readonly #planned: PlannedIndex
  /** Last used first. */
  readonly #known: { readonly request: SearchRequest; readonly cost: SearchCost }[] = []

  constructor(snapshot: Pick<Snapshot, 'meta' | 'segments'>) {
    this.#planned = plannedIndex(snapshot)
  }

  /** The cost of a kind of request, which goes on learning. */
  of(request: SearchRequest): SearchCost {
    const at = this.#known.findIndex((known) => isSameKind(known.request, request))
    if (at === 0) return this.#known[0].cost
    const found = at === -1 ? { request, cost: { micros: estimateMicros(this.#planned, request) } } : this.#known[at]
    this.#known.splice(at === -1 ? MOST_KINDS - 1 : at, 1)
    this.#known.unshift(found)
    return found.cost
  }
}

function isSameKind(a: SearchRequest, b: SearchRequest): boolean {
  return a.k === b.k && a.isExact === b.isExact && a.rerank === b.rerank && reachOf(a) === reachOf(b)
}

function reachOf({ probe }: SearchRequest): number {
  return 'nprobe' in probe ? probe.nprobe : -probe.threshold
}

/** Notes what a query took. */
export function learn(cost: SearchCost, micros: number): void {
  cost.micros += (Math.min(micros, cost.micros * MOST_GROWTH) - cost.micros) * SHARE
}
