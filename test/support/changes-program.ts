// A process that changes an index as it is told (changes.ts) and marks which calls were acknowledged; it may be killed,
// or be under a shim that kills it, makes its calls fail or logs them (crash-log.ts).

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Change } from './changes.ts'
import { entryUrl } from './run-node.ts'

/** What the program is told. */
export interface ChangesTask {
  readonly path: string
  readonly writer: number
  readonly changes: readonly Change[]
  /**
   * Lines are appended: `w0 begun 3`, `w0 done 3`, `w0 failed 3 ZGQ_IO message`; 3.1: the second of a group. A fold
   * adds `w0 at train`.
   */
  readonly marks: string
  /** For `ZgqIndex.create`; left out: the index is there. */
  readonly create?: Readonly<Record<string, unknown>>
  readonly open?: Readonly<Record<string, unknown>>
  /** Also read after each call: `w0 unread 3 ZGQ_IO message` where that fails, `w0 misread 3 id` where it is wrong. */
  readonly reads?: boolean
  /** Path of another Node.js. */
  readonly node?: string
}

const PROGRAM = `
import fs from 'node:fs'
import { ZgqIndex } from '${entryUrl('index')}'
import * as check from '${entryUrl('check')}'
const { path, writer, changes, marks, create, open, reads } = JSON.parse(fs.readFileSync(process.argv[2]))
const marksFile = fs.openSync(marks, 'a')
const mark = (text) => { fs.writeSync(marksFile, text + '\\n') }
const tell = (what) => { mark('w' + writer + ' ' + what) }
const oneLine = (error) => (error?.code + ' ' + error?.name + ': ' + error?.message).replaceAll('\\n', ' ')
const opened = () => ZgqIndex.open(path, { ...open, mode: 'write' })
const made = {
  add: (index, { rows }) => index.add(rows),
  upsert: (index, { rows, replace }) => index.upsert(rows, replace === undefined ? {} : { replace }),
  update: (index, { rows, values }) => index.update(rows, values),
  delete: (index, { rows }) => index.delete(rows),
  backup: (index, { path }) => index.backup(path),
  repair: (_, { path: output }) => check.repairIndex({ input: path, output }),
  optimize: (index, { all, memoryBytes }) => {
    let last
    const onProgress = ({ stage }) => { if (stage !== last) tell('at ' + (last = stage)) }
    return index.optimize({ all, memoryBytes, onProgress })
  }
}
let index
async function make(change, call) {
  tell('begun ' + call)
  try {
    if (change.call === 'reopen') { index?.close(); index = undefined; index = opened() }
    else {
      index ??= opened()
      await made[change.call](index, change)
    }
    tell('done ' + call)
  } catch (error) {
    tell('failed ' + call + ' ' + oneLine(error))
    return
  }
  if (reads) read(change, call)
}
// What was acknowledged is found at once.
function read({ call: kind, rows }, call) {
  try {
    if (kind !== 'add' && kind !== 'upsert') index.count()
    else if (index.search(rows[0].vector, { k: 1 })[0].id !== rows[0].id) tell('misread ' + call + ' ' + rows[0].id)
  } catch (error) {
    tell('unread ' + call + ' ' + oneLine(error))
  }
}
mark('arm')
try {
  index = create === undefined ? opened() : await ZgqIndex.create(path, create)
  tell('opened')
} catch (error) {
  tell('unopened 0 ' + oneLine(error))
}
for (const [i, change] of changes.entries()) {
  if (change.call === 'together') await Promise.all(change.changes.map((part, j) => make(part, i + '.' + j)))
  else await make(change, '' + i)
}
try { index?.close() } catch (error) { tell('unclosed 0 ' + oneLine(error)) }
tell('closed')
`

export interface ChangesEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export interface RunningChanges {
  readonly process: ChildProcess
  readonly ended: Promise<ChangesEnd>
}

/** Variables for a process whose folds remove files that they took out of the index after a tenth of a second. */
export function hastyCleanUp(): Record<string, string> {
  const preload = fileURLToPath(new URL('hasty-clean-up.cjs', import.meta.url))
  return { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --require=${JSON.stringify(preload)}` }
}

/** Starts the program; `file` is for what it is told. */
export function startChanges(
  task: ChangesTask,
  file: string,
  env: Readonly<Record<string, string>> = {}
): RunningChanges {
  writeFileSync(file, JSON.stringify(task))
  const program = `${file}.mjs`
  writeFileSync(program, PROGRAM)
  const child = spawn(task.node ?? process.execPath, [program, file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<ChangesEnd>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ code, signal, stderr })
    })
  })
  return { process: child, ended }
}

/** Runs the program to its end. */
export async function runChanges(
  task: ChangesTask,
  file: string,
  env: Readonly<Record<string, string>> = {}
): Promise<ChangesEnd> {
  return await startChanges(task, file, env).ended
}

/** Lines that programs marked. */
export function readMarks(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
}

/** Where an index lies in a folder that a shim watches: the index is a folder in it, so that its own entry counts. */
export const indexIn = (folder: string): string => join(folder, 'index')
