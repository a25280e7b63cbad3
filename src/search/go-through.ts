// Iterators over rows of an open index. They go through the generation that there was when they were asked for,
// whatever is committed meanwhile.

import { ZgqError } from '../errors.ts'
import type { RowPlace } from './lookup.ts'
import type { OpenIndex } from './open-index.ts'
import type { SearchContext } from './search-context.ts'
import type { Lease } from './search-states.ts'

/** What is made of rows. */
export interface GoneThrough<Result> {
  /** Which rows; throws as reads do. */
  readonly places: () => Iterable<RowPlace>
  readonly make: (place: RowPlace, context: SearchContext) => Result
  /** Throws ZGQ_CLOSED. */
  readonly expectOpen: () => void
}

/** A generation that is held. */
interface Held {
  readonly context: SearchContext
  readonly commit: number
  readonly places: Iterable<RowPlace>
  readonly lease: Lease
}

/**
 * Returns what is made of rows, which are settled now and read as they are asked for. Throws as reads do, and
 * ZGQ_MISMATCH where files that were not read yet went with a fold.
 */
export function goThrough<Result>(index: OpenIndex, of: GoneThrough<Result>): IterableIterator<Result> {
  const holding = { held: index.read(() => hold(index, of)) }
  const rows = going(index, of, holding)
  holding.held.context.states.endWith(rows, {
    end: () => {
      holding.held.lease.end()
    }
  })
  return rows
}

function hold<Result>(index: OpenIndex, { places }: GoneThrough<Result>): Held {
  const { context, commit } = index
  const found = places()
  return { context, commit, places: found, lease: context.states.lease() }
}

function* going<Result>(index: OpenIndex, of: GoneThrough<Result>, holding: { held: Held }): Generator<Result> {
  for (let hasBegun = false; ;) {
    const { context, commit, places, lease } = holding.held
    try {
      for (const place of places) {
        of.expectOpen()
        const made = of.make(place, context)
        hasBegun = true
        yield made
      }
      return
    } catch (error) {
      if (!index.hasMovedOn(error, commit)) throw error
      if (hasBegun)
        throw new ZgqError('ZGQ_MISMATCH', 'a fold has moved the rows that were to come: begin again', {
          path: index.snapshot.folder,
          cause: error
        })
      holding.held = hold(index, of)
    } finally {
      lease.end()
    }
  }
}
