// Work that several callers want at the same time, done once. It goes on while one of them still waits.

import { onAbort } from '../abort.ts'

interface Running<Result> {
  readonly done: Promise<Result>
  readonly ending: AbortController
  waiting: number
}

/** Shares work by the name of what comes of it. Nothing is remembered once the work has ended. */
export class SharedWork<Result> {
  readonly #running = new Map<string, Running<Result>>()
  /** Work that nobody waits for any more is still ending. */
  readonly #unfinished = new Set<Promise<Result>>()

  /**
   * Resolves to what `work` does, or to what somebody else's work of this name does; then `isOwn` is false. Rejects
   * with the reason of the signal, whoever else still waits.
   */
  async join(
    name: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>
  ): Promise<{ readonly result: Result; readonly isOwn: boolean }> {
    signal.throwIfAborted()
    const before = this.#running.get(name)
    const running = before ?? this.#start(name, work)
    running.waiting++
    try {
      return { result: await orAborted(running.done, signal), isOwn: before === undefined }
    } finally {
      running.waiting--
      if (running.waiting === 0) {
        running.ending.abort(signal.reason)
        this.#forget(name, running)
      }
    }
  }

  /** Resolves once all work that has begun has ended, however. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#unfinished)
  }

  #start(name: string, work: (signal: AbortSignal) => Promise<Result>): Running<Result> {
    const ending = new AbortController()
    const running: Running<Result> = { done: work(ending.signal), ending, waiting: 0 }
    this.#running.set(name, running)
    this.#unfinished.add(running.done)
    const forget = (): void => {
      this.#unfinished.delete(running.done)
      this.#forget(name, running)
    }
    running.done.then(forget, forget)
    return running
  }

  /** Whoever comes from now on begins anew. */
  #forget(name: string, running: Running<Result>): void {
    if (this.#running.get(name) === running) this.#running.delete(name)
  }
}

async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return await new Promise((resolve, reject) => {
    const endWait = onAbort(signal, () => {
      reject(signal.reason)
    })
    work.then(resolve, reject).finally(endWait)
  })
}
