// How long the disk takes to sync: what a synced write costs at least.

import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { spread } from './report.ts'

const PAGE = Buffer.alloc(4096)
const COUNT = 100

/** Median milliseconds of an fsync after a page was appended to a file in `folder`. */
export function medianSyncMs(folder: string): number {
  const path = join(folder, 'sync-time')
  const file = openSync(path, 'w')
  try {
    const times = Array.from({ length: COUNT }, () => {
      writeSync(file, PAGE)
      const startedAt = performance.now()
      fsyncSync(file)
      return performance.now() - startedAt
    })
    return spread(times).median
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
