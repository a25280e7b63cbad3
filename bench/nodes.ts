// Which Node a process under measurement runs on: a program, or a version from npm.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { installNode } from '../test/everywhere/install-node.mjs'

/**
 * Returns the path of the Node asked for: this one by default, a version such as `24` (this one where it is of that
 * version, else from npm, kept below node_modules/.cache), or a path.
 */
export function findNode(asked: string | undefined): string {
  if (asked === undefined) return process.execPath
  if (/^\d+(\.\d+){0,2}$/.test(asked)) {
    if (`${process.versions.node}.`.startsWith(`${asked}.`)) return process.execPath
    return installNode(asked, join(import.meta.dirname, 'node_modules', '.cache', `node-${asked}`))
  }
  const path = resolve(asked)
  if (!existsSync(path)) throw new Error(`${asked} is neither a version of Node nor the path of one`)
  return path
}

/** Asks a Node for its version: `v24.11.1`. */
export function nodeVersion(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
}
