// Opens what is in a folder while others may rename it away, and another one into its place, at any moment. What was
// read then may be of both: it looks like damage, which is said only of a folder that stood still.

import { statSync } from 'node:fs'

import { wallMillis } from '../clock.ts'
import { ZgqError, type ZgqErrorCode } from '../errors.ts'

/** Errors that a mixture of two folders, or a folder that has gone, may cause. */
const MAY_BE_MIXED: readonly ZgqErrorCode[] = [
  'ZGQ_CORRUPT',
  'ZGQ_TRUNCATED',
  'ZGQ_MISMATCH',
  'ZGQ_NOT_AN_INDEX',
  'ZGQ_NOT_FOUND',
  'ZGQ_IO'
]
/** Errors of a folder that is not there, or may not be looked at. */
const NOT_SEEN: readonly ZgqErrorCode[] = ['ZGQ_NOT_FOUND', 'ZGQ_IO']
/** File systems take the time from the system's tick, 10 ms at most: two changes within one look like one. */
const TICKS_MS = 20
const PAUSE_MS = 1
const MOST_ATTEMPTS = 60

/**
 * Opens an index by `open`; where that fails and its folder may have been swapped meanwhile, again. Throws
 * ZGQ_NOT_FOUND where it never stood still.
 */
export function whileSteady<T>(places: readonly string[], open: () => T): T {
  let seen: string | undefined
  let wasThere = false
  for (let attempt = 1; ; attempt++) {
    const startedAt = wallMillis()
    const before = lookAt(places)
    try {
      return open()
    } catch (error) {
      if (!(error instanceof ZgqError) || !MAY_BE_MIXED.includes(error.code)) throw error
      const after = lookAt(places)
      wasThere ||= before.isThere || after.isThere
      const isSteady = after.stamp === before.stamp && (before.isThere || (!wasThere && NOT_SEEN.includes(error.code)))
      // Renamed away and back within a tick, it would look as before: unless it had not changed for longer than that.
      if (isSteady && (before.changedAt < startedAt - TICKS_MS || before.stamp === seen)) throw error
      if (attempt === MOST_ATTEMPTS)
        throw new ZgqError('ZGQ_NOT_FOUND', 'the index was moved again and again while it was opened', {
          path: places[0],
          cause: error
        })
      seen = isSteady ? before.stamp : undefined
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, isSteady ? TICKS_MS : PAUSE_MS)
    }
  }
}

interface Look {
  /** Tells which folders stand there, and when they were last renamed or had an entry made or removed. */
  readonly stamp: string
  readonly changedAt: number
  readonly isThere: boolean
}

function lookAt(places: readonly string[]): Look {
  const found = places.map(statQuietly)
  return {
    stamp: found.map((stats) => (stats === undefined ? '-' : `${stats.dev}:${stats.ino}:${stats.ctimeNs}`)).join(),
    changedAt: Math.max(...found.map((stats) => Number(stats?.ctimeMs ?? 0))),
    isThere: found.some((stats) => stats !== undefined)
  }
}

/** Returns undefined for a folder that cannot be looked at, too: opening it will say why. */
function statQuietly(path: string): { dev: bigint; ino: bigint; ctimeNs: bigint; ctimeMs: bigint } | undefined {
  try {
    return statSync(path, { bigint: true })
  } catch {
    return undefined
  }
}
