// The watch of the process that reads a user's database: SQLite may be at work for hours before it gives a row, and
// nothing else of the process can run meanwhile. A thread of it looks whether the build is still there.

import { Worker } from 'node:worker_threads'

import { systemCode } from '../errors.ts'

/** How long the process lives on after the build, at most. */
const LOOK_MS = 250

interface Watch {
  /** Process id of the build. */
  readonly parent: number
}

export function isWatch(data: unknown): data is Watch {
  return typeof data === 'object' && data !== null && 'parent' in data && typeof data.parent === 'number'
}

/** Starts a thread that runs this same file; without threads the process ends when it next sends something. */
export function startWatch(): void {
  const data: Watch = { parent: process.ppid }
  try {
    const thread = new Worker(process.argv[1], { workerData: data, execArgv: [] })
    thread.on('error', () => undefined)
    thread.unref()
  } catch (error) {
    if (systemCode(error) !== 'ERR_ACCESS_DENIED') throw error
  }
}

/** Ends the process, SQLite and all, once its parent is gone. */
export function watch({ parent }: Watch): void {
  setInterval(() => {
    if (process.ppid !== parent || !isThere(parent)) process.kill(process.pid, 'SIGKILL')
  }, LOOK_MS)
}

/** On Windows the number of a parent stays, whether it lives or not. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) !== 'ESRCH'
  }
}
