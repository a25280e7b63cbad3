// Waits for what may never come.

import { setTimeout } from 'node:timers/promises'

/** Resolves to whether `work` ended within a time, in whatever way. */
export async function within(longestMs: number, work: Promise<unknown>): Promise<boolean> {
  const wait = new AbortController()
  const late = setTimeout(longestMs, false, { signal: wait.signal }).catch(() => false)
  const ended = work.then(
    () => true,
    () => true
  )
  try {
    return await Promise.race([ended, late])
  } finally {
    wait.abort()
  }
}
