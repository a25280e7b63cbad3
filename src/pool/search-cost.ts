// Estimates the cost of a query, so that work goes where it is done soonest. Estimates decide who works, never what is
// found.

import type { Snapshot } from '../catalogue/snapshot.ts'
import type { SearchRequest } from '../search/request.ts'
import { estimateMicros } from '../search/strategy.ts'

/** Microseconds that one query of a kind of request takes. */
export interface SearchCost {
  /** On the caller's thread, with all it needs in memory. */
  here: number
  /** How often that was measured. */
  hereCount: number
  /** On a worker thread; undefined before the first was told. */
  there: number | undefined
  /** Queries that threads searched. */
  thereCount: number
  /**
   * Tasks that go to threads without a try, since one here would have had to read; and how many the next such failure
   * sends there.
   */
  away: number
  awayNext: number
  /** On the caller's thread while no other searched. */
  alone: number | undefined
  /**
   * Tasks that the caller's thread does alone, since the last one took longer with help; and how many the next such
   * disappointment leaves to it.
   */
  solo: number
  soloNext: number
}

/** Kinds of request that are remembered: most programs have one or two. */
const MOST_KINDS = 16
/** How far one measurement moves an estimate. Up fast: a search that blocks must not be repeated often. */
const UP = 0.5
const DOWN = 0.2
/**
 * Largest measurement that counts, as a multiple of the estimate: the system may have had something else to do in
 * between.
 */
const MOST_GROWTH = 4

/** Tasks until something that failed is tried again: so many at first, twice as many after each failure. */
const FEWEST = 4
const MOST_AWAY = 1024
const MOST_SOLO = 64
/** Queries after which threads are as fast as they get: their code was interpreted at first. */
const WARM_QUERIES = 500
/** Microseconds assumed for a query that has to read, until one was measured. */
const READING_MICROS = 5000

/** The costs of the kinds of request that an open index was asked for. */
export class SearchCosts {
  readonly #snapshot: Snapshot
  /** Last used first. */
  readonly #known: { readonly request: SearchRequest; readonly cost: SearchCost }[] = []

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
  }

  /** The cost of a kind of request, which goes on learning. */
  of(request: SearchRequest): SearchCost {
    const at = this.#known.findIndex((known) => isSameKind(known.request, request))
    if (at === 0) return this.#known[0].cost
    const found =
      at === -1
        ? {
            request,
            cost: {
              here: estimateMicros(this.#snapshot.meta, request),
              hereCount: 0,
              there: undefined,
              thereCount: 0,
              away: 0,
              awayNext: FEWEST,
              alone: undefined,
              solo: 0,
              soloNext: FEWEST
            }
          }
        : this.#known[at]
    this.#known.splice(at === -1 ? MOST_KINDS - 1 : at, 1)
    this.#known.unshift(found)
    return found.cost
  }
}

function isSameKind(a: SearchRequest, b: SearchRequest): boolean {
  return a.k === b.k && a.isExact === b.isExact && a.rerank === b.rerank && reachOf(a) === reachOf(b)
}

function reachOf({ probe }: SearchRequest): number {
  if ('firstZone' in probe) return probe.endZone - probe.firstZone
  return 'nprobe' in probe ? probe.nprobe : -probe.threshold
}

/** Notes that a query on the caller's thread would have had to read. */
export function learnReading(cost: SearchCost): void {
  cost.there ??= cost.here + READING_MICROS
  cost.away = cost.awayNext
  cost.awayNext = Math.min(MOST_AWAY, cost.awayNext * 2)
}

/** Notes what a query on the caller's thread took, with no other thread at work or with some. */
export function learnHere(cost: SearchCost, micros: number, isAlone: boolean): void {
  cost.awayNext = FEWEST
  cost.hereCount++
  cost.here = moved(cost.here, micros)
  if (isAlone) cost.alone = cost.alone === undefined ? micros : moved(cost.alone, micros)
}

/**
 * Notes what each query of a task took that threads took part in. Where the cores have other work, or are fewer than
 * they seem, that is more than alone.
 */
export function learnSharing(cost: SearchCost, micros: number): void {
  if (cost.alone === undefined || cost.thereCount < WARM_QUERIES) return
  if (micros <= cost.alone) {
    cost.soloNext = FEWEST
  } else {
    cost.solo = cost.soloNext
    cost.soloNext = Math.min(MOST_SOLO, cost.soloNext * 2)
  }
}

/**
 * Notes what each of `count` queries on a worker thread took. With all in memory the caller's thread would have taken
 * no longer.
 */
export function learnThere(cost: SearchCost, micros: number, count: number): void {
  cost.thereCount += count
  cost.there = cost.there === undefined ? micros : moved(cost.there, micros)
  if (cost.there < cost.here) cost.here = moved(cost.here, cost.there)
}

function moved(from: number, to: number): number {
  return from + (Math.min(to, from * MOST_GROWTH) - from) * (to > from ? UP : DOWN)
}
