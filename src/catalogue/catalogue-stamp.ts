// Tells one state of a catalogue that is not open from another, by what the file system says of it and of its log.

import { statSync, type BigIntStats } from 'node:fs'

import { wallMillis } from '../clock.ts'
import { NO_STAMP, type CatalogueStamp } from './snapshot.ts'

/** File systems take times from the system's tick, 10 ms at most: two changes within one look like one. */
const TICKS_MS = 20

export function stampCatalogue(path: string): CatalogueStamp {
  const catalogue = statQuietly(path)
  const log = statQuietly(`${path}-wal`)
  if (catalogue === undefined) return NO_STAMP
  const changedAt = Math.max(...[catalogue, log].map((stats) => Number(stats?.ctimeMs ?? 0)))
  return {
    file: `${catalogue.dev} ${catalogue.ino}`,
    text: [catalogue, log].map(describe).join(),
    hasLog: log !== undefined,
    isSettled: changedAt < wallMillis() - TICKS_MS
  }
}

function describe(stats: BigIntStats | undefined): string {
  return stats === undefined ? '-' : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`
}

function statQuietly(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
