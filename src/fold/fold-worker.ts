// The entry of the thread of a fold: one fold, then it ends.

import { parentPort, workerData } from 'node:worker_threads'

import { serveThread } from '../threads/serve-thread.ts'
import type { FoldProgress, FoldReport, FoldTell } from './fold-messages.ts'
import { FoldSession, type FoldOptions } from './fold-session.ts'

/** What the thread is started with. */
interface FoldData {
  readonly options: FoldOptions
  /** An Int32Array over it holds 1 once the fold is cancelled. */
  readonly cancelled: SharedArrayBuffer
}

const data: FoldData = workerData
const cancelled = new Int32Array(data.cancelled)

serveThread<'fold', FoldReport | undefined, FoldProgress>(async (_, note) => {
  const check = (): void => {
    if (Atomics.load(cancelled, 0) === 1) throw new Cancelled()
  }
  const tell: FoldTell = {
    check,
    note(progress) {
      check()
      note(progress)
    }
  }
  try {
    const session = new FoldSession(data.options, tell)
    try {
      return { answer: await session.run() }
    } finally {
      session.close()
    }
  } catch (error) {
    if (error instanceof Cancelled) return { answer: undefined }
    throw error
  } finally {
    parentPort?.unref() // nothing is left to wait for: the thread ends once its answer is sent
  }
})

class Cancelled extends Error {}
