// The parent's side of a worker thread: calls that are answered in order, and a typed error where the thread dies.

// Not node:worker_threads: webpack looks for this name.
import { Worker, type WorkerOptions } from 'worker_threads'

import { ZgqError } from '../errors.ts'
import type { SentCall, SentReply } from './serve-thread.ts'
import { receivedError } from './thread-error.ts'
import { workerFile, type WorkerName } from './worker-file.ts'

/** Defined where webpack, or a bundler like it, took this library in: it replaces the word. */
declare const __webpack_require__: unknown

interface Waiting<Answer, Note> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (reason: unknown) => void
  readonly onNote: ((note: Note) => void) | undefined
}

export interface CallOptions<Note> {
  readonly onNote?: ((note: Note) => void) | undefined
  /** Buffers that go over instead of being copied. */
  readonly transfer?: ArrayBuffer[] | undefined
}

/**
 * Room for young objects, of each thread: half of what V8 takes at its own choice costs no time that could be measured,
 * and three times it is in memory.
 */
const YOUNG_MB = 8

/** A worker thread. It keeps the process alive only while calls wait for an answer. */
export class Thread<Request, Answer, Note = never> {
  readonly #worker: Worker
  readonly #name: WorkerName
  readonly #waiting = new Map<number, Waiting<Answer, Note>>()
  #calls = 0
  /** Why no call can be answered any more. */
  #end: ZgqError | undefined

  /** Starts the thread; `data` is its workerData. Throws ZGQ_UNSUPPORTED where its file is missing. */
  constructor(name: WorkerName, data: unknown) {
    this.#name = name
    // Flags of the main thread's command line are not for this one: loaders above all.
    this.#worker = startWorker(name, {
      name: `zgq-${name}`,
      workerData: data,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB }
    })
    this.#worker.unref()
    this.#worker.on('message', (reply: SentReply<Answer, Note>) => {
      this.#receive(reply)
    })
    this.#worker.on('error', (cause) => {
      this.#fail(
        new ZgqError(
          'ZGQ_IO',
          `a worker thread (${name}) died: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause }
        )
      )
    })
    this.#worker.on('exit', (code) => {
      this.#fail(
        new ZgqError('ZGQ_IO', `a worker thread (${name}) ended before its work was done, with exit code ${code}`)
      )
    })
  }

  /** Calls that have no answer yet. */
  get pending(): number {
    return this.#waiting.size
  }

  /** Calls reach it: it was neither stopped nor did it die. */
  get isAlive(): boolean {
    return this.#end === undefined
  }

  /** Sends a call; rejects with the error of the thread's side, or with ZGQ_IO if the thread dies. */
  call(request: Request, options: CallOptions<Note> = {}): Promise<Answer> {
    if (this.#end !== undefined) return Promise.reject(this.#end)
    return new Promise((resolve, reject) => {
      const call = this.#calls++
      const message: SentCall<Request> = { call, request }
      this.#worker.postMessage(message, options.transfer)
      this.#waiting.set(call, { resolve, reject, onNote: options.onNote })
      this.#worker.ref()
    })
  }

  /**
   * Stops the thread, in the middle of its work if need be; calls that wait reject with ZGQ_CLOSED. Resolves once it
   * runs no more.
   */
  async close(): Promise<void> {
    this.#fail(new ZgqError('ZGQ_CLOSED', `the worker thread (${this.#name}) was stopped`))
    await this.#worker.terminate()
  }

  /**
   * Sends a last request, by which the thread is to end itself once its work is done; calls that wait reject with
   * ZGQ_CLOSED. It keeps the process alive no more, unless `keepsProcess` says so: until it has ended.
   */
  retire(request: Request, { keepsProcess = false } = {}): void {
    this.#fail(new ZgqError('ZGQ_CLOSED', `the worker thread (${this.#name}) was stopped`))
    const message: SentCall<Request> = { call: this.#calls++, request }
    this.#worker.postMessage(message)
    if (keepsProcess) this.#worker.ref()
    else this.#worker.unref()
  }

  #receive(reply: SentReply<Answer, Note>): void {
    const waiting = this.#waiting.get(reply.call)
    if (waiting === undefined) return
    if (reply.kind === 'note') {
      waiting.onNote?.(reply.note)
      return
    }
    this.#waiting.delete(reply.call)
    if (this.#waiting.size === 0) this.#worker.unref()
    if (reply.kind === 'answer') waiting.resolve(reply.answer)
    else waiting.reject(receivedError(reply.error))
  }

  #fail(end: ZgqError): void {
    this.#end ??= end
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(this.#end)
  }
}

/** Starts a worker thread; throws ZGQ_UNSUPPORTED where its file is missing. */
function startWorker(name: WorkerName, options: WorkerOptions): Worker {
  // Spelled so that webpack sees the entries here, and bundles them too.
  if (typeof __webpack_require__ === 'function') {
    switch (name) {
      case 'search-worker':
        return new Worker(new URL('./search-worker.js', import.meta.url), options)
      case 'writer-worker':
        return new Worker(new URL('./writer-worker.js', import.meta.url), options)
      case 'fold-worker':
        return new Worker(new URL('./fold-worker.js', import.meta.url), options)
      default:
        return new Worker(new URL('./build-worker.js', import.meta.url), options)
    }
  }
  return new Worker(workerFile(name), options)
}
