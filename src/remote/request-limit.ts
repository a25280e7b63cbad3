// How many requests are under way at a time: more wait their turn.

import { onAbort } from '../abort.ts'

export class RequestLimit {
  readonly most: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.most = most
  }

  get running(): number {
    return this.#running
  }

  /** Waits for a turn; what was tried before goes first. Rejects with the reason of the signal. */
  async enter(signal: AbortSignal, isAgain: boolean): Promise<void> {
    signal.throwIfAborted()
    if (this.#running < this.most) {
      this.#running++
      return
    }
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        endWait()
        resolve()
      }
      const endWait = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1)
        reject(signal.reason)
      })
      if (isAgain) this.#waiting.unshift(wake)
      else this.#waiting.push(wake)
    })
  }

  /** Ends a turn: the next one has it. */
  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }
}
