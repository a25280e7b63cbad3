// Seals a catalogue: leaves WAL mode, so that nothing stands beside it and it opens from a folder that is only read.

import { pause } from './busy.ts'
import type { Database } from './driver.ts'
import { isBusy } from './sqlite-errors.ts'

/** Pragmas of a connection that writes: what is committed is synced to the medium, not only to its cache. */
export const SYNCED = ['synchronous = FULL', 'fullfsync = 1', 'checkpoint_fullfsync = 1']

const PAUSE_MS = 4

/**
 * Leaves WAL mode; tries so often while others are in the way, which read for milliseconds. Returns false where
 * somebody keeps the catalogue open: what was committed is safe, readers take it as it is, and the last of them seals.
 */
export function seal(database: Database, attempts: number): boolean {
  for (let attempt = 1; ; attempt++) {
    try {
      // Moves the log first, and does nothing where it is not alone.
      if (database.pragma('journal_mode = DELETE') === 'delete') return true
    } catch (error) {
      if (!isBusy(error)) throw error
    }
    if (attempt >= attempts) return false
    pause(PAUSE_MS)
  }
}
