// Memory of a process as Linux counts it, in bytes. Rss = RssAnon (its own) + RssFile (mapped files, the Node binary) +
// RssShmem.

import { readFileSync } from 'node:fs'

export interface ProcessMemory {
  readonly rss: number
  readonly rssAnon: number
  readonly rssFile: number
  /** Peak of rss since the program started (VmHWM: unlike ru_maxrss, nothing of the parent is in it). */
  readonly peakRss: number
}

/** Reads /proc/PID/status; undefined once the process has ended. */
export function readProcessMemory(pid: number | 'self'): ProcessMemory | undefined {
  let status: string
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return undefined
  }
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN) * 1024
  const memory = { rss: bytes('VmRSS'), rssAnon: bytes('RssAnon'), rssFile: bytes('RssFile'), peakRss: bytes('VmHWM') }
  return Number.isNaN(memory.rss) ? undefined : memory // a zombie has a status without these lines
}

export function ownMemory(): ProcessMemory {
  const memory = readProcessMemory('self')
  if (memory === undefined) throw new Error('/proc/self/status cannot be read: these benchmarks need Linux')
  return memory
}

/** Bytes that this process made the device read. */
export function ownDeviceReads(): number {
  return Number(/^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])
}

/** Bytes that this process, with its threads, dirtied in the page cache or wrote past it. */
export function ownDeviceWrites(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])
}
