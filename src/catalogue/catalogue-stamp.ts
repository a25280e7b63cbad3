// Tells one state of a catalogue that is not open from another, by what the file system says of it and of its log.

import { statSync, type BigIntStats } from 'node:fs'

import { wallMillis } from '../clock.ts'

/** File systems take times from the system's tick, 10 ms at most: two changes within one look like one. */
const TICKS_MS = 20

export interface CatalogueStamp {
  /** Which file it is; empty: none that can be looked at. */
  readonly file: string
  /** Changes with the file and its log. */
  readonly text: string
  readonly hasLog: boolean
  /** The last change was so long ago that one more would look different. */
  readonly isSettled: boolean
}

/** Of a catalogue that is never looked at again. */
export const NO_STAMP: CatalogueStamp = { file: '', text: '', hasLog: false, isSettled: true }

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
