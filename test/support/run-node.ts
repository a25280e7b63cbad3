// Scripts in a plain Node process of its own, with zgq as it stands in dist/: for what a test runner would get in the
// way of.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { ROOT } from './sources.ts'

const DIST = join(ROOT, 'dist')

/** How a script ended; `printed` is what it gave to `print`. */
export interface NodeRun {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly printed: unknown
  readonly stderr: string
}

/** Names of entries that scripts import from. */
export const entryUrl = (name: 'index' | 'build' | 'check'): string => pathToFileURL(join(DIST, `${name}.js`)).href

/**
 * Runs an ES module; in it, `ZgqIndex`, `buildIndex` and `checkIndex` are there, and `print` takes what the test wants
 * to see.
 */
export function runNode(script: string, env: Readonly<Record<string, string>> = {}): NodeRun {
  if (!existsSync(join(DIST, 'index.js'))) throw new Error('dist/ is missing: run npm run build first')
  const source = `
    import { createRequire } from 'node:module'
    import { ZgqIndex } from '${entryUrl('index')}'
    import { buildIndex, buildStage, calibrateIndex } from '${entryUrl('build')}'
    import { checkIndex } from '${entryUrl('check')}'
    const require = createRequire(${JSON.stringify(join(ROOT, 'package.json'))})
    const print = (value) => { console.log(JSON.stringify(value)) }
    ${script}`
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26
  })
  return { code: status, signal, printed: stdout === '' ? undefined : JSON.parse(stdout), stderr }
}

/** Runs a script that must succeed; returns what it printed. */
export function printedBy(script: string, env: Readonly<Record<string, string>> = {}): unknown {
  const { code, signal, printed, stderr } = runNode(script, env)
  if (code !== 0) throw new Error(`the script ended with ${String(code ?? signal)}: ${stderr}`)
  return printed
}
