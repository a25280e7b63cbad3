// Repeats requests that fail in passing: too many at a time, a server that restarts, a connection that breaks.

import { randomInt } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'

import { isTransient } from './s3-errors.ts'

const MOST_ATTEMPTS = 6
/** Waits of .1, .2, .4, .8 and 1.6 s at the longest. */
const FIRST_WAIT_MS = 100

/**
 * Runs `work` until it succeeds, fails for good, or failed six times; `attempt` counts from 0. Rejects with the reason of
 * the signal.
 */
export async function repeat<Result>(signal: AbortSignal, work: (attempt: number) => Promise<Result>): Promise<Result> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      if (!isTransient(error) || attempt + 1 >= MOST_ATTEMPTS) throw error
    }
    await wait(FIRST_WAIT_MS * 2 ** attempt, signal)
  }
}

/** Waits for half of a time to all of it, so that several that failed together do not come back together. */
async function wait(longestMs: number, signal: AbortSignal): Promise<void> {
  const waitMs = longestMs / 2 + randomInt(longestMs / 2)
  await setTimeout(waitMs, undefined, { signal }).catch(() => {
    signal.throwIfAborted()
  })
}
