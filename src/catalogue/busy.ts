// Waits for a lock of SQLite that another connection holds. SQLite's own waiting grows to a tenth of a second a time:
// beside somebody who writes without a pause its turn would hardly come.

import { nowMicros } from '../clock.ts'
import { isBusy } from './sqlite-errors.ts'

const FIRST_PAUSE_MS = 0.2
const LONGEST_PAUSE_MS = 4

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Holds this thread up. */
export function pause(milliseconds: number): void {
  Atomics.wait(NEVER, 0, 0, milliseconds)
}

/** Does `work` again and again while it fails because another connection is in the way; then throws its error. */
export function whileBusy<T>(timeoutMs: number, work: () => T): T {
  const end = nowMicros() + timeoutMs * 1000
  for (let next = FIRST_PAUSE_MS; ; next = Math.min(LONGEST_PAUSE_MS, next * 1.5)) {
    try {
      return work()
    } catch (error) {
      const leftMs = (end - nowMicros()) / 1000
      if (!isBusy(error) || leftMs <= 0) throw error
      pause(Math.min(next, leftMs))
    }
  }
}
