// Checkouts of this repository under measurement: their packages, their builds, and how reports name them.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { zgqVersion } from './packages.ts'

/**
 * Builds a checkout's dist; installs its packages first where there are none. `asBuilt` takes the dist that is there.
 */
export function prepareCheckout(checkout: string, asBuilt: boolean): void {
  const run = (...args: string[]): void => {
    execFileSync('npm', args, { cwd: checkout, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  if (asBuilt) {
    if (!existsSync(join(checkout, 'dist'))) throw new Error(`${checkout} has no dist: run npm run build there`)
    return
  }
  if (!existsSync(join(checkout, 'node_modules'))) run('ci')
  run('run', '--silent', 'build')
}

/** "zgq 0.1.0+1a2b3c4d, commit 5e6f7a8": the digest is of its built code. */
export function describeCheckout(checkout: string): string {
  const args = ['-C', checkout, 'describe', '--always', '--dirty', '--exclude', '*']
  const commit = execFileSync('git', args, { encoding: 'utf8' }).trim()
  return `zgq ${zgqVersion(checkout)}, commit ${commit}`
}

/** Returns the URL of a published entry of a checkout. */
export function entryOf(checkout: string, name: 'index' | 'build'): string {
  return pathToFileURL(join(checkout, 'dist', `${name}.js`)).href
}
