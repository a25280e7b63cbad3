// Several pieces of work at a time, a bounded number of them; all have ended before the caller goes on.

import { onAbort } from '../abort.ts'

/**
 * Does `work` for every item, at most `most` at a time. The first failure aborts the signal that the others got, and is
 * thrown once they have ended.
 */
export async function inParallel<Item>(
  items: Iterable<Item>,
  { most, signal }: { readonly most: number; readonly signal: AbortSignal },
  work: (item: Item, signal: AbortSignal) => Promise<void>
): Promise<void> {
  signal.throwIfAborted()
  const ending = new AbortController()
  const endWait = onAbort(signal, () => {
    ending.abort(signal.reason)
  })
  const failures: unknown[] = []
  const queue = Array.from(items).values()
  const takeTurns = async (): Promise<void> => {
    for (const item of queue) {
      if (ending.signal.aborted) return
      try {
        await work(item, ending.signal)
      } catch (error) {
        failures.push(error)
        ending.abort(error)
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: most }, takeTurns))
  } finally {
    endWait()
  }
  signal.throwIfAborted()
  if (failures.length > 0) throw failures[0]
}

/** Lets a bounded number of pieces of work through at a time. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#free = most
  }

  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free === 0)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    else this.#free--
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
