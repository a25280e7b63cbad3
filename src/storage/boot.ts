// Which run of which system this is: what was written without a sync is trusted as long as that run goes on.

import { readFileSync } from 'node:fs'
import { hostname, uptime } from 'node:os'

import { wallMillis } from '../clock.ts'

/** A run of a system, from its start to its end. */
export interface Boot {
  readonly host: string
  /** Linux gives each run a name; elsewhere it is the start of the run in seconds, as far as the clock is right. */
  readonly run: string
}

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id'
/** Clocks are set right by less than this while a system runs. */
const SECONDS_APART = 60

export function currentBoot(): Boot {
  try {
    return { host: hostname(), run: readFileSync(BOOT_ID_PATH, 'utf8').trim() }
  } catch {
    return { host: hostname(), run: String(Math.round(wallMillis() / 1000 - uptime())) }
  }
}

/**
 * Tells whether `then` is this run. One of another host is not: a container that was started anew after a power failure
 * has another name too.
 */
export function isStillUp(then: Boot): boolean {
  const now = currentBoot()
  if (then.run === now.run) return true
  return then.host === now.host && Math.abs(Number(then.run) - Number(now.run)) < SECONDS_APART
}
