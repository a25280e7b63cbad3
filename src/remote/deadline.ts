// How long a request may take, with all its repetitions.

import { onAbort } from '../abort.ts'
import { nowMicros } from '../clock.ts'

/** When a request of a source was answered last: a long queue behind it is no server that never answers. */
export interface Progress {
  lastAnswerMs: number
}

interface Terms {
  readonly timeoutMs: number
  readonly progress: Progress
  /** Ends the request earlier. */
  readonly signal: AbortSignal
  /** What the request rejects with once its time is over. */
  readonly makeError: () => Error
}

/**
 * Aborts `signal` when the time is over. Until `start`, while the request waits its turn, each answer to another one
 * gives it all of its time again.
 */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #terms: Terms
  readonly #endWait: () => void
  #startMs = nowMs()
  #isStarted = false
  #timer: ReturnType<typeof setTimeout>

  constructor(terms: Terms) {
    this.#terms = terms
    this.#endWait = onAbort(terms.signal, () => {
      this.#controller.abort(terms.signal.reason)
    })
    if (terms.signal.aborted) this.#controller.abort(terms.signal.reason)
    this.#timer = this.#wait(terms.timeoutMs)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get remainingMs(): number {
    return this.#terms.timeoutMs - (nowMs() - this.#since())
  }

  /** The request is sent. */
  start(): void {
    this.#startMs = this.#since()
    this.#isStarted = true
  }

  /** Idempotent. */
  end(): void {
    clearTimeout(this.#timer)
    this.#endWait()
  }

  #since(): number {
    return this.#isStarted ? this.#startMs : Math.max(this.#startMs, this.#terms.progress.lastAnswerMs)
  }

  #wait(delayMs: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      const remaining = this.remainingMs
      if (remaining > 0) this.#timer = this.#wait(remaining)
      else this.#controller.abort(this.#terms.makeError())
    }, Math.ceil(delayMs))
  }
}

export function nowMs(): number {
  return nowMicros() / 1000
}
