// Other versions of Node, which come as packages of npm: for the tests on several versions, and for benchmarks.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { run } from './project-copy.mjs'

/**
 * Returns the path of a Node of this version (`24`, `22.13` or `20.19.0`) below a folder, and installs it there unless
 * an earlier call did.
 */
export function installNode(version, folder) {
  const name = `node-${process.platform}-${process.arch}`
  const path = join(folder, 'node_modules', name, 'bin/node')
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const args = ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', `${name}@${version}`]
  run('npm', args, { cwd: folder })
  return path
}
