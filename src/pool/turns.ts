// The time that searches take on the caller's thread: some milliseconds in each turn of its event loop.

import { inNextTurn } from '#platform'

import { nowMicros } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import type { SearchResult } from '../search/search-context.ts'
import type { Turns } from '../search/search-later.ts'
import type { SearchState } from '../search/search-state.ts'

/** How long searches may begin in one turn of the event loop, and how long one of them goes on. */
export const TURN_MICROS = 2000

export class ThreadTurns implements Turns {
  readonly #onTurn: () => void
  #spent = 0
  #isScheduled = false
  #isClosed = false
  /** The search that waited and was let go on, until it has worked. */
  #granted: SearchState | undefined
  /** Who waits for time, in order. */
  readonly #waiting: { readonly state: SearchState; readonly wake: () => void }[] = []

  /** `onTurn` is called in each turn that was asked for, after those that wait. */
  constructor(onTurn: () => void) {
    this.#onTurn = onTurn
  }

  get hasTime(): boolean {
    return this.#spent < TURN_MICROS
  }

  run<Result>(state: SearchState, work: () => Result): Result {
    this.schedule()
    const before = nowMicros()
    // Its own slice, however late in the turn it begins: few searches are then cut in two.
    state.deadline = before + TURN_MICROS
    try {
      return work()
    } finally {
      const micros = nowMicros() - before
      state.micros += micros
      this.#spent += micros
      // A search that did not wait leaves the turn to the one that was let go on.
      if (this.#granted === state) this.#granted = undefined
      this.#grant()
    }
  }

  /** Runs a search that takes little, and notes in its result what it took. */
  measure(work: () => SearchResult): SearchResult {
    this.schedule()
    const before = nowMicros()
    try {
      const { hits, explain, isUnlike } = work()
      return { hits, explain, isUnlike, micros: nowMicros() - before }
    } finally {
      this.#spent += nowMicros() - before
    }
  }

  async next(state: SearchState): Promise<void> {
    this.schedule()
    if (this.#granted === undefined && this.hasTime && this.#waiting.length === 0) this.#granted = state
    else if (!this.#isClosed) await new Promise<void>((wake) => this.#waiting.push({ state, wake }))
    if (this.#isClosed) throw new ZgqError('ZGQ_CLOSED', 'the index was closed before the search was done')
  }

  /** Lets the next of those that wait go on: one at a time, since each takes time of the turn. */
  #grant(): void {
    if (this.#granted !== undefined || !this.hasTime) return
    const next = this.#waiting.shift()
    this.#granted = next?.state
    next?.wake()
  }

  /** In the next turn there is time again. */
  schedule(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    inNextTurn(() => {
      this.#isScheduled = false
      this.#spent = 0
      this.#granted = undefined // it may have had no use for its turn
      this.#grant()
      if (this.#waiting.length > 0) this.schedule()
      if (!this.#isClosed) this.#onTurn()
    })
  }

  /** There will be no more time. */
  close(): void {
    this.#isClosed = true
    for (const { wake } of this.#waiting.splice(0)) wake()
  }
}
