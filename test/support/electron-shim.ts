// Compiles the shim that imitates Electron's V8 memory cage (test/electron-shim) and the environment that loads it.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT } from './sources.ts'
import type { TempFolder } from './temp-folder.ts'

/** Compiles a file of test/electron-shim into a library; returns its path. */
export function compileShared(temp: TempFolder, source: string, name: string): string {
  const path = temp.fresh(name)
  const { status, stderr, error } = spawnSync(
    process.env['CC'] ?? 'cc',
    ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', path, join(ROOT, 'test', 'electron-shim', source)],
    { encoding: 'utf8' }
  )
  if (status !== 0) throw new Error(`test/electron-shim/${source} does not compile: ${error?.message ?? stderr}`)
  return path
}

export interface Shim {
  /** For processes that shall run under it. */
  readonly env: Readonly<Record<string, string>>
  /** Paths of the addons that were loaded under it so far. */
  addons(): string[]
}

export function compileShim(temp: TempFolder): Shim {
  const log = temp.fresh('addons.log')
  return {
    env: { LD_AUDIT: compileShared(temp, 'no-external-buffers.c', 'no-external-buffers.so'), ZGQ_SHIM_LOG: log },
    addons: () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [])
  }
}
