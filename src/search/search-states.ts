// Who works with an open index: searches under way, each with a state of its own, and work that goes on over several
// turns of the event loop. As long as there is any, the index does not become another generation under its hands.

import type { SearchState } from './search-state.ts'

/** States that are kept for searches to come: more of them, after many searches at a time, give their memory back. */
const MOST_IDLE = 16

/** Holds a generation of an index until it ends. */
export interface Lease {
  /** Idempotent. */
  end(): void
}

/** The states of an open index: each is one search's at a time. */
export class SearchStates {
  readonly #make: () => SearchState
  readonly #idle: SearchState[] = []
  #inUse = 0
  #leases = 0
  #onUnused: (() => void) | undefined
  /** Iterators that nobody goes on with are collected without a word. */
  #forgotten: FinalizationRegistry<Lease> | undefined

  constructor(make: () => SearchState) {
    this.#make = make
  }

  /** Searches that are under way. */
  get inUse(): number {
    return this.#inUse
  }

  /** Searches are under way, or other work. */
  get areUsed(): boolean {
    return this.#inUse > 0 || this.#leases > 0
  }

  take(): SearchState {
    const state = this.#idle.pop() ?? this.#make()
    this.#inUse++
    return state
  }

  /** Lends a state for work that waits for nothing. */
  use<Result>(work: (state: SearchState) => Result): Result {
    const state = this.take()
    try {
      return work(state)
    } finally {
      this.giveBack(state)
    }
  }

  giveBack(state: SearchState): void {
    this.#inUse--
    state.end()
    if (this.#idle.length < MOST_IDLE) this.#idle.push(state)
    else state.close()
    this.#tellUnused()
  }

  /** Holds what is open for work that goes on later. */
  lease(): Lease {
    this.#leases++
    let hasEnded = false
    return {
      end: () => {
        if (hasEnded) return
        hasEnded = true
        this.#leases--
        this.#tellUnused()
      }
    }
  }

  /** Ends a lease with an object at the latest, once that was collected. */
  endWith(holder: object, lease: Lease): void {
    this.#forgotten ??= new FinalizationRegistry((forgotten) => {
      forgotten.end()
    })
    this.#forgotten.register(holder, lease)
  }

  /** Calls `then` once nobody works with it: now, or with the end of the last. Nobody begins any more. */
  whenUnused(then: () => void): void {
    this.#onUnused = then
    this.#tellUnused()
  }

  #tellUnused(): void {
    if (this.#onUnused === undefined || this.areUsed) return
    const then = this.#onUnused
    this.#onUnused = undefined
    then()
  }
}
