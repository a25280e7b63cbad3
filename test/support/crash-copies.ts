// What a process would leave that is killed at any of its calls: it runs once, under a shim (test/crash-shim) that
// copies its folder before each of them.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { compileShared } from './electron-shim.ts'
import { printedBy } from './run-node.ts'
import type { TempFolder } from './temp-folder.ts'

/** The state of a folder before a call. */
export interface CrashCopy {
  readonly number: number
  /** Name of the call and path below the folder. */
  readonly call: string
  readonly folder: string
}

const compiledFor = new WeakMap<TempFolder, string>()

/**
 * Runs a script (see run-node.ts) that changes files in `folder`; returns the states on its way. `withWrites`: also
 * those before positioned writes and cuts, of which SQLite makes most.
 */
export function crashCopies(
  temp: TempFolder,
  { folder, withWrites }: { folder: string; withWrites: boolean },
  script: string
): CrashCopy[] {
  const shim = compiledFor.get(temp) ?? compileShared(temp, '../crash-shim/copy-at-calls.c', 'copy-at-calls.so')
  compiledFor.set(temp, shim)
  const copies = temp.fresh('copies')
  mkdirSync(copies)
  printedBy(script, {
    LD_PRELOAD: shim,
    ZGQ_CRASH_FOLDER: folder,
    ZGQ_CRASH_COPIES: copies,
    ZGQ_CRASH_WRITES: withWrites ? '1' : '0'
  })
  const calls = readFileSync(join(copies, 'calls'), 'utf8').trimEnd().split('\n')
  return calls.map((call, i) => ({ number: i + 1, call, folder: join(copies, String(i + 1)) }))
}
