// What the reads of one call took: they go through here on their way to what all calls share.

import type { Fetched, Fetcher, Wanted } from '../search/fetcher.ts'

/** What a call took of the network. */
export interface NetworkUse {
  /** Requests, repeated ones too. Bytes that another call had asked for already are that call's. */
  readonly requests: number
  /** Bytes of the answers, as they were asked for: without what HTTP adds. */
  readonly bytes: number
  /** Rounds of requests, each of which waited for the one before; 0: all was in memory. */
  readonly rounds: number
}

export class CountedFetches {
  readonly #fetcher: Pick<Fetcher, 'fetch'>
  #use = { requests: 0, bytes: 0, rounds: 0 }

  constructor(fetcher: Pick<Fetcher, 'fetch'>) {
    this.#fetcher = fetcher
  }

  get use(): NetworkUse {
    return { ...this.#use }
  }

  async fetch(wanted: Wanted, signal: AbortSignal | undefined): Promise<Fetched> {
    if (wanted.ranges.length > 0) this.#use.rounds++
    const fetched = await this.#fetcher.fetch(wanted, signal)
    this.#use.requests += fetched.tally.requests
    this.#use.bytes += fetched.tally.bytes
    return fetched
  }
}
