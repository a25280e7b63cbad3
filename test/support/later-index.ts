// An open index whose searches wait: by an asynchronous reader, while plain reads are forbidden. So what a search asked
// for must have been all that it needs.

import { readCatalogue } from '../../src/catalogue/reader.ts'
import { Fetcher } from '../../src/search/fetcher.ts'
import { openContext, type OpenedContext } from '../../src/search/open-context.ts'
import { checkRequest, requestedIndex, type RequestedIndex, type SearchRequest } from '../../src/search/request.ts'
import type { RowMasks } from '../../src/search/row-masks.ts'
import { searchLater, type Turns } from '../../src/search/search-later.ts'
import type { SearchState } from '../../src/search/search-state.ts'
import type { SearchContext, SearchResult } from '../../src/search/search-context.ts'
import { search } from '../../src/search/search.ts'
import type { Mapping, SearchOptions, Verify } from '../../src/types.ts'
import { DelayedReader } from './delayed-reader.ts'

export interface LaterOptions {
  readonly seed: number
  readonly cacheBytes?: number
  readonly verify?: Verify
  readonly mapping?: Mapping
}

/** What is asked for besides the public options. */
export interface Asked extends SearchOptions {
  readonly masks?: RowMasks | undefined
}

/** Turns that end when they are told to: no clock. */
export class FakeTurns implements Turns {
  /** Tells whether the turn that begins is over as soon as a search has done the least that it can. */
  isShort: () => boolean = () => false

  run<Result>(state: SearchState, work: () => Result): Result {
    state.deadline = this.isShort() ? -Infinity : Infinity
    return work()
  }

  async next(_state: SearchState): Promise<void> {
    if (this.isShort()) await new Promise(setImmediate)
  }
}

export class LaterIndex {
  readonly opened: OpenedContext
  readonly context: SearchContext
  readonly reader: DelayedReader
  readonly fetcher: Fetcher
  readonly turns = new FakeTurns()
  readonly requested: RequestedIndex
  #mayRead = false

  constructor(folder: string, options: LaterOptions) {
    const { seed, cacheBytes = 2 ** 24, verify = 'touch', mapping = 'pread' } = options
    const snapshot = readCatalogue(folder)
    this.opened = openContext(snapshot, { mapping, cacheBytes, verify })
    this.context = this.opened.context
    this.requested = requestedIndex(snapshot)
    const { readers } = this.opened
    this.reader = new DelayedReader(readers.files, seed)
    this.fetcher = new Fetcher(this.reader)
    const read = readers.fresh.read.bind(readers.fresh)
    readers.fresh.read = (file, offset, target) => {
      if (!this.#mayRead) throw new Error(`${target.byteLength} bytes at ${offset} of file ${file} were not asked for`)
      read(file, offset, target)
    }
  }

  /** Runs work that may read. */
  reading<Result>(work: () => Result): Result {
    this.#mayRead = true
    try {
      return work()
    } finally {
      this.#mayRead = false
    }
  }

  request({ masks, ...options }: Asked): SearchRequest {
    return { ...checkRequest({ explain: true, ...options }, this.requested), masks }
  }

  search(query: Float32Array, asked: Asked): SearchResult {
    return this.reading(() => search(this.context, query, this.request(asked)))
  }

  /** What searchLater returns: a promise only where it has to wait. */
  later(query: Float32Array, asked: Asked, signal?: AbortSignal): SearchResult | Promise<SearchResult> {
    return searchLater(
      { index: this, fetcher: this.fetcher, turns: this.turns },
      { query, request: this.request(asked), signal }
    )
  }

  get memory(): SearchContext['workspace']['memory'] {
    return this.context.workspace.memory
  }

  close(): void {
    this.fetcher.close()
    this.opened.readers.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Hits, and what is the same however a search came by its bytes. */
export function essence({ hits, explain, isUnlike }: SearchResult): string {
  const { zones, vectorsScanned, rowsReranked, rowsConfirmed, bytes, pages } = explain ?? {}
  return JSON.stringify({ hits, isUnlike, zones, vectorsScanned, rowsReranked, rowsConfirmed, bytes, pages })
}
