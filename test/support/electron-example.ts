// The Electron example beside the library as it is built here, and its index process started in each of the ways in
// which it can have a parent.

import { fork } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

import { electronLike } from './electron-like.ts'
import { ROOT } from './sources.ts'

/** What `examples/electron/worker-client.js` takes for a process. */
interface Child {
  postMessage(message: object): void
  on(event: 'message' | 'exit', listener: (...values: unknown[]) => void): unknown
  kill(): unknown
}

export interface Progress {
  readonly stage: 'read' | 'build'
  readonly file?: string
}

export interface Client {
  request(method: 'state'): Promise<State>
  request(method: 'index', params: { readonly folder: string }): Promise<State>
  request(method: 'search', params: SearchParams): Promise<Found[]>
  request(method: 'cancel' | 'close'): Promise<unknown>
  stop(): void
}

export interface SearchParams {
  readonly text: string
  readonly k?: number
  readonly folder?: string
  readonly since?: number
}

export interface State {
  readonly indexed?: {
    readonly folder: string
    readonly files: number
    readonly skipped: number
    readonly passages: number
    readonly folders: readonly string[]
  }
  readonly problem?: { readonly code: string }
}

export interface Found {
  readonly file: string
  readonly line: number
  readonly modified: number
  readonly text: string
  readonly similarity: number
}

export type Parent = 'a forked process' | 'a process with the port of Electron' | 'a worker thread'

export const EMBEDDER = pathToFileURL(join(ROOT, 'test/support/word-embedder.mjs')).href

/**
 * Copies the example to `folder`, with this repository's zgq and better-sqlite3 in its node_modules; returns the path.
 */
export function installExample(folder: string): string {
  if (!existsSync(join(ROOT, 'dist/index.js'))) throw new Error('dist/ is missing: run npm run build first')
  cpSync(join(ROOT, 'examples/electron'), folder, {
    recursive: true,
    filter: (path) => basename(path) !== 'node_modules'
  })
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(ROOT, join(folder, 'node_modules/zgq'), 'junction')
  symlinkSync(join(ROOT, 'node_modules/better-sqlite3'), join(folder, 'node_modules/better-sqlite3'), 'junction')
  return folder
}

/** Returns what starts the example's own client with its own index process. */
export async function exampleClient(example: string): Promise<(parts: ClientParts) => Client> {
  const { WorkerClient } = await import(pathToFileURL(join(example, 'worker-client.js')).href)
  return ({ parent, storage, embedder = EMBEDDER, onProgress, onChanged }) =>
    new WorkerClient({
      start: () => start(parent, join(example, 'index-worker.js')),
      opening: { storage, embedder },
      onProgress,
      onChanged
    })
}

export interface ClientParts {
  readonly parent: Parent
  readonly storage: string
  readonly embedder?: string
  readonly onProgress?: (progress: Progress) => void
  readonly onChanged?: (changed: { readonly problem?: { readonly code: string } }) => void
}

function start(parent: Parent, file: string): Child {
  if (parent === 'a worker thread') {
    const thread = new Worker(file)
    return {
      postMessage: (message) => {
        thread.postMessage(message)
      },
      on: (event, listener) => thread.on(event, listener),
      kill: () => thread.terminate()
    }
  }
  const execArgv =
    parent === 'a process with the port of Electron'
      ? ['--import', pathToFileURL(join(ROOT, 'test/support/parent-port.mjs')).href]
      : []
  const child = fork(file, { execArgv, env: electronLike(process.env) })
  return {
    postMessage: (message) => child.send(message),
    on: (event, listener) => child.on(event, listener),
    kill: () => child.kill()
  }
}
