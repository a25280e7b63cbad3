// The entry of a writer's thread: it owns the connection that writes, so that syncs and waits for locks hold up nobody
// else.

import { parentPort, workerData } from 'node:worker_threads'

import { ZgqError } from '../errors.ts'
import { serveTogether, type Served } from '../threads/serve-thread.ts'
import type { WriteAnswer, WriteRequest } from './messages.ts'
import { WriteSession, type ChangeRequest, type SessionOptions } from './write-session.ts'

/** Within how long what was written is synced where `durability` is `batch`. */
const SYNC_MS = 1000

const options: SessionOptions = workerData
let session: WriteSession | undefined
let syncTimer: NodeJS.Timeout | undefined

function syncLater(): void {
  if (options.write.durability !== 'batch' || syncTimer !== undefined) return
  syncTimer = setTimeout(() => {
    syncTimer = undefined
    try {
      session?.sync()
    } catch {
      syncLater() // others may hold the lock: what was committed is there, and is synced as soon as can be
    }
  }, SYNC_MS)
}

function close(): void {
  clearTimeout(syncTimer)
  try {
    session?.close()
  } finally {
    session = undefined
    parentPort?.close() // nothing is left to wait for: the thread ends
  }
}

function isChange(request: WriteRequest): request is ChangeRequest {
  return request.kind !== 'close'
}

serveTogether<WriteRequest, WriteAnswer>((requests): Served<WriteAnswer>[] => {
  const changes = requests.filter(isChange)
  const isClosing = changes.length < requests.length
  let outcomes: Served<WriteAnswer>[]
  try {
    // What waits when the index is closed is not written: its callers were told so.
    if (isClosing) throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: options.folder })
    session ??= new WriteSession(options)
    outcomes = session.run(changes)
    syncLater()
  } catch (error) {
    outcomes = requests.map(() => ({ error }))
  }
  if (isClosing) close()
  return outcomes
})
