// The lock of a build: a file that names the process that works in a folder (spec, section 10).

import { constants, copyFileSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'

import { systemCode } from './errors.ts'
import { readSmallFile } from './small-file.ts'

export const LOCK_NAME = 'lock.json'

/** Tells one process from all others. */
export interface ProcessName {
  readonly pid: number
  readonly host: string
  /**
   * When the process started, as the system counts it: numbers of processes are used again, in containers at once.
   * Empty where it is not known.
   */
  readonly start: string
}

/** Who works in a folder. */
export interface BuildLock extends ProcessName {
  /** The build has begun to put its index in the place of another: what stands at OUTPUT.replaced is that other one. */
  readonly isReplacing: boolean
}

/** Writes the lock of this process into `folder`, in one step. */
export function writeLock(folder: string, isReplacing: boolean): void {
  const lock = ownLock(isReplacing)
  const temporary = join(folder, `${LOCK_NAME}.new`)
  writeFileSync(temporary, JSON.stringify(lock))
  renameSync(temporary, join(folder, LOCK_NAME))
}

/** Writes a lock of its own name where none is, whole from its first moment; returns false where one is. */
export function writeStageLock(path: string): boolean {
  const temporary = `${path}.new-${hostname()}-${process.pid}-${threadId}`
  try {
    writeFileSync(temporary, JSON.stringify(ownLock(false)))
    linkOrCopy(temporary, path)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Not every file system has links; without them, the copy is whole a moment later. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error
    copyFileSync(from, to, constants.COPYFILE_EXCL)
  }
}

/** Removes a lock of a dead process, and leaves it where a living one has taken its place meanwhile. */
export function clearStageLock(folder: string, name: string): void {
  const dead = `${name}.dead-${hostname()}-${process.pid}-${threadId}`
  try {
    renameSync(join(folder, name), join(folder, dead)) // of several processes that find it dead, one gets it
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  const lock = readLock(folder, dead)
  if (lock === undefined || !isHeld(lock)) rmSync(join(folder, dead), { force: true })
  else renameSync(join(folder, dead), join(folder, name))
}

function ownLock(isReplacing: boolean): BuildLock {
  return { ...nameProcess(), isReplacing }
}

/** Names this process. */
export function nameProcess(): ProcessName {
  return { pid: process.pid, host: hostname(), start: startOf(process.pid) }
}

/**
 * Reads the lock in `folder`; undefined if there is none, or what is there is no lock: a crash cut it short, and its
 * process is gone then.
 */
export function readLock(folder: string, name = LOCK_NAME): BuildLock | undefined {
  try {
    const lock: unknown = JSON.parse(readSmallFile(join(folder, name)) ?? '')
    const owner = processNameOf(lock)
    if (owner === undefined || typeof lock !== 'object' || lock === null) return undefined
    return { ...owner, isReplacing: 'isReplacing' in lock && lock.isReplacing === true }
  } catch {
    return undefined
  }
}

/** Reads the name of a process from what JSON had; undefined: it has none. */
export function processNameOf(found: unknown): ProcessName | undefined {
  if (typeof found !== 'object' || found === null || !('pid' in found) || !('host' in found)) return undefined
  if (typeof found.pid !== 'number' || typeof found.host !== 'string') return undefined
  return {
    pid: found.pid,
    host: found.host,
    start: 'start' in found && typeof found.start === 'string' ? found.start : ''
  }
}

/** Tells whether the process of a lock may still be at work; of another host it is always taken to be. */
export function isHeld(lock: ProcessName): boolean {
  if (lock.host !== hostname()) return true
  if (!isAlive(lock.pid)) return false
  const start = startOf(lock.pid)
  return start === '' || lock.start === '' || start === lock.start
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM' // there, but another user's
  }
}

/** Field 22 of /proc/PID/stat: clock ticks from boot to the start of the process (Linux). */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
