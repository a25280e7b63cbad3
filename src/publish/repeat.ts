// Repeats requests that fail in passing: too many at a time, a server that restarts, a connection that breaks.

import { randomInt } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'

import { withOwnSignal } from '../abort.ts'
import { mayPass } from './s3-errors.ts'

const MOST_ATTEMPTS = 6
/** Waits of .1, .2, .4, .8 and 1.6 s at the longest, if the store does not ask for more. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 30_000

/**
 * Runs `work` until it succeeds, fails for good, or failed six times; `attempt` counts from 0. Rejects with the reason
 * of the signal.
 */
export async function repeat<Result>(signal: AbortSignal, work: (attempt: number) => Promise<Result>): Promise<Result> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      if (!mayPass(error)) throw error
      if (attempt + 1 === MOST_ATTEMPTS) throw error.after(MOST_ATTEMPTS)
      await wait(Math.max(spread(FIRST_WAIT_MS * 2 ** attempt), error.facts.retryAfterMs ?? 0), signal)
    }
  }
}

/** Half of a time to all of it, so that several that failed together do not come back together. */
function spread(longestMs: number): number {
  return longestMs / 2 + randomInt(longestMs / 2)
}

async function wait(waitMs: number, signal: AbortSignal): Promise<void> {
  await withOwnSignal(signal, (own) => setTimeout(Math.min(waitMs, LONGEST_WAIT_MS), undefined, { signal: own })).catch(
    () => {
      signal.throwIfAborted()
    }
  )
}
