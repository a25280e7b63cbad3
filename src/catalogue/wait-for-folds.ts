// Keeps folds away from an index while somebody reads all of its files: a fold has files removed a minute later.

import { setTimeout } from 'node:timers/promises'

import { nowMicros } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import { FoldLock } from './fold-lock.ts'

/** How long a fold that is under way is waited for, and how often it is looked whether it is done. */
const MOST_WAIT_MS = 600_000
const WAIT_MS = 20

/**
 * Waits for folds without holding this thread up, and takes their lock; undefined: the index may not be written, so
 * nobody here folds it. Rejects with ZGQ_LOCKED where a fold takes ten minutes, and the reason of the signal.
 */
export async function waitForFolds(folder: string, signal: AbortSignal | undefined): Promise<FoldLock | undefined> {
  const end = nowMicros() + MOST_WAIT_MS * 1000
  try {
    for (;;) {
      const lock = nowMicros() > end ? FoldLock.take(folder, 0) : FoldLock.tryTake(folder)
      if (lock !== undefined) return lock
      await setTimeout(WAIT_MS, undefined, { signal })
    }
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_READ_ONLY') return undefined
    throw error
  }
}
