// A line of so many bytes a second that connections share, a latency away. What it leaves out: setting connections up,
// and the slow start of TCP.

import { setTimeout as wait } from 'node:timers/promises'

export interface LinkOptions {
  /** From a request to the begin of its answer. Default 0. */
  readonly latencyMs?: number
  /** Of all connections together. Default: not limited. */
  readonly bytesPerSecond?: number
}

/** Pieces that take turns on the line. */
const PIECE = 8 * 1024

/** Where the pieces go: an answer of a server. */
export interface Sink {
  readonly destroyed: boolean
  write(bytes: Uint8Array): boolean
  once(event: 'drain' | 'close', listener: () => void): unknown
  off(event: 'drain' | 'close', listener: () => void): unknown
}

export class SlowLink {
  readonly #latencyMs: number
  readonly #bytesPerSecond: number
  #freeAtMs = 0

  constructor({ latencyMs = 0, bytesPerSecond = Infinity }: LinkOptions) {
    this.#latencyMs = latencyMs
    this.#bytesPerSecond = bytesPerSecond
  }

  async delay(): Promise<void> {
    if (this.#latencyMs > 0) await wait(this.#latencyMs)
  }

  /** Writes bytes as the line lets them through; stops where the other side is gone. */
  async send(bytes: Uint8Array, sink: Sink): Promise<void> {
    const step = this.#bytesPerSecond === Infinity ? 256 * 1024 : PIECE
    for (let at = 0; at < bytes.byteLength && !sink.destroyed; at += step) {
      const piece = bytes.subarray(at, at + step)
      await this.#turn(piece.byteLength)
      if (!sink.destroyed && !sink.write(piece)) await drained(sink)
    }
  }

  async #turn(byteLength: number): Promise<void> {
    if (this.#bytesPerSecond === Infinity) return
    const now = performance.now()
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + (byteLength / this.#bytesPerSecond) * 1000
    // Timers know whole milliseconds: what is due within less goes at once, and the sum stays right.
    if (this.#freeAtMs - now >= 1) await wait(this.#freeAtMs - now)
  }
}

async function drained(sink: Sink): Promise<void> {
  await new Promise<void>((resolve) => {
    const go = (): void => {
      sink.off('drain', go)
      sink.off('close', go)
      resolve()
    }
    sink.once('drain', go)
    sink.once('close', go)
  })
}
