// Who a row of the catalogue is about: the process that wrote it, and since when, as JSON. For messages; no decision
// about rows of the index depends on it (spec, section 7.7).

import { isHeld, nameProcess, processNameOf, type ProcessName } from '../build-lock.ts'
import { wallMillis } from '../clock.ts'

export const MOST_ABOUT_BYTES = 1024

/** What a row says. */
export interface About {
  /** Undefined: the row does not say. */
  readonly process: ProcessName | undefined
  /** Milliseconds since 1970. */
  readonly since: number
}

/** Says that it is about this process, from now on. */
export function encodeAbout(): Uint8Array {
  return Buffer.from(JSON.stringify({ ...nameProcess(), since: wallMillis() }))
}

export function decodeAbout(bytes: Uint8Array): About {
  const found = parse(Buffer.from(bytes).toString())
  const since = typeof found === 'object' && found !== null && 'since' in found ? Number(found.since) : NaN
  return { process: processNameOf(found), since }
}

/** Names a process that may be at work, for people; undefined: it is dead, or not known. */
export function describeAbout({ process, since }: About): string | undefined {
  if (process === undefined || !isHeld(process)) return undefined
  const here = nameProcess()
  const { pid, host } = process
  const who = pid === here.pid && host === here.host ? 'this process' : `process ${pid}`
  const seconds = Math.max(0, Math.round((wallMillis() - since) / 1000))
  return `${who}${host === here.host ? '' : ` on ${host}`}, for ${seconds} s`
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
