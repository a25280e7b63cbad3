// The search threads of one open index: started one by one, each ready once it has opened the files for itself. Who
// searches what is in search-pool.ts.

import { resolve } from 'node:path'

import type { Snapshot } from '../catalogue/snapshot.ts'
import { Thread } from '../threads/thread.ts'
import type { ThreadsInfo } from '../info-types.ts'
import type { Mapping } from '../types.ts'
import type { CheckedOpenOptions } from '../search/open-context.ts'
import type { FlatHits } from './search-chunk.ts'
import type { SearchWorkerData, SearchWorkerRequest } from './search-worker.ts'
import { packSnapshot } from './sent-snapshot.ts'

export interface ThreadsSource {
  readonly snapshot: Snapshot
  readonly options: CheckedOpenOptions
  /** Threads at most. */
  readonly most: number
}

export interface SearchThread {
  readonly thread: Thread<SearchWorkerRequest, FlatHits>
  isReady: boolean
}

/** Readers that work on the main thread only, and what takes their place. */
const INSTEAD: Readonly<Record<string, Mapping | undefined>> = { 'mmap-io': 'pread' }

export class SearchThreads {
  readonly #source: ThreadsSource
  /** Where the index was when it was opened, whatever the working folder is by now. */
  readonly #folder: string
  #threads: SearchThread[] = []
  #failure: string | undefined

  constructor(source: ThreadsSource) {
    this.#source = source
    this.#folder = resolve(source.snapshot.folder)
  }

  /** Tells whether threads can be used: some run, or none failed to start. */
  get areUsable(): boolean {
    return this.#source.most > 0 && (this.#failure === undefined || this.count > 0)
  }

  /** Threads that live, those included that are not ready yet. */
  get count(): number {
    let count = 0
    for (const { thread } of this.#threads) if (thread.isAlive) count++
    return count
  }

  /** Threads that can search. */
  get readyCount(): number {
    let count = 0
    for (const { thread, isReady } of this.#threads) if (isReady && thread.isAlive) count++
    return count
  }

  /** Threads at most. */
  get most(): number {
    return this.#source.most
  }

  get info(): ThreadsInfo {
    return {
      most: this.#source.most,
      running: this.readyCount,
      cacheBytes: workerOptions(this.#source).cacheBytes,
      failure: this.#failure
    }
  }

  /**
   * Starts one more, unless there are as many as may be or one failed to start; `onReady` is called once it can search,
   * or cannot.
   */
  start(onReady: () => void): void {
    if (this.#failure !== undefined || this.count >= this.#source.most) return
    try {
      const { snapshot } = this.#source
      const data: SearchWorkerData = {
        snapshot: { ...packSnapshot(snapshot), folder: this.#folder },
        options: workerOptions(this.#source)
      }
      const started: SearchThread = { thread: new Thread('search-worker', data), isReady: false }
      this.#threads = [...this.#threads.filter(({ thread }) => thread.isAlive), started]
      void this.#open(started).then(onReady)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Returns a thread that has fewer chunks than `chunks` in hand. */
  free(chunks: number): SearchThread | undefined {
    return this.#threads.find(({ thread, isReady }) => isReady && thread.isAlive && thread.pending < chunks)
  }

  /** Has them end on their own as soon as they have finished what they are at; their calls reject with ZGQ_CLOSED. */
  close(): void {
    for (const { thread } of this.#threads) if (thread.isAlive) thread.retire('close')
    this.#threads = []
  }

  async #open(started: SearchThread): Promise<void> {
    try {
      await started.thread.call('open')
      started.isReady = true
    } catch (error) {
      if (!this.#threads.includes(started)) return // closed meanwhile
      this.#fail(error)
      this.#threads = this.#threads.filter((other) => other !== started)
      if (started.thread.isAlive) started.thread.retire('close')
    }
  }

  #fail(error: unknown): void {
    this.#failure = `a search thread cannot be opened: ${error instanceof Error ? error.message : String(error)}`
  }
}

function workerOptions({ options, most }: ThreadsSource): CheckedOpenOptions {
  const { mapping, cacheBytes, verify, usesOrdinals } = options
  return {
    mapping: INSTEAD[mapping] ?? mapping,
    usesOrdinals,
    cacheBytes: most === 0 ? 0 : Math.floor(cacheBytes / most),
    verify: verify === 'open' ? 'none' : verify // every page was verified when the index was opened
  }
}
