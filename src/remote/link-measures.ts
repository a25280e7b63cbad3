// What the way to a server is like, as far as requests have shown: from it follows which ranges share a request.

/** Before anything is known. */
const FIRST_GAP = 32 * 1024
const LEAST_GAP = 8 * 1024
const MOST_GAP = 256 * 1024
const MOST_REQUEST = 4 * 2 ** 20
const LEAST_REQUEST = 256 * 1024
/** On a slow line a request has to end long before its timeout, with others beside it. */
const MOST_SECONDS = 2
/** Less than that arrives in one piece: it shows how long the way is, not how wide. */
const SHORT_BYTES = 16 * 1024
/** How much one more request changes what is known. */
const WEIGHT = 0.2
/** A short latency says more than a long one: the first requests had to connect, others waited for each other. */
const WEIGHT_OF_SHORTER = 0.5

export interface Measured {
  /** From a request to the begin of its answer. */
  readonly latencyMs: number | undefined
  /** Of the line, which requests at the same time share. */
  readonly bytesPerSecond: number | undefined
}

/** A request that was answered. */
export interface Exchange {
  readonly byteLength: number
  readonly elapsedMs: number
  /** Where the source knows it. */
  readonly latencyMs: number | undefined
  /** Requests that were under way meanwhile, itself among them, on average. */
  readonly atOnce: number
}

export class LinkMeasures {
  #latencyMs: number | undefined
  #bytesPerSecond: number | undefined

  get measured(): Measured {
    return { latencyMs: this.#latencyMs, bytesPerSecond: this.#bytesPerSecond }
  }

  add(exchange: Exchange): void {
    const { byteLength, elapsedMs, atOnce } = exchange
    const latencyMs = exchange.latencyMs ?? (byteLength < SHORT_BYTES ? elapsedMs : undefined)
    if (latencyMs !== undefined) {
      const weight = latencyMs < (this.#latencyMs ?? 0) ? WEIGHT_OF_SHORTER : WEIGHT
      this.#latencyMs = average(this.#latencyMs, latencyMs, weight)
    }
    if (byteLength < SHORT_BYTES) return
    // Without a latency all of the time counts as transfer: too slow a line is guessed, never too fast a one.
    const transferMs = Math.max(elapsedMs - (exchange.latencyMs ?? this.#latencyMs ?? 0), elapsedMs / 100, 0.1)
    this.#bytesPerSecond = average(this.#bytesPerSecond, (byteLength / transferMs) * 1000 * atOnce, WEIGHT)
  }

  /**
   * Bytes that take as long as a request of their own: it would wait for the latency, which `maxRequests` at a time
   * share.
   */
  gapBytes(maxRequests: number): number {
    if (this.#latencyMs === undefined || this.#bytesPerSecond === undefined) return FIRST_GAP
    return clamp(((this.#latencyMs / 1000) * this.#bytesPerSecond) / maxRequests, LEAST_GAP, MOST_GAP)
  }

  get mostBytes(): number {
    if (this.#bytesPerSecond === undefined) return MOST_REQUEST
    return clamp(this.#bytesPerSecond * MOST_SECONDS, LEAST_REQUEST, MOST_REQUEST)
  }
}

function average(known: number | undefined, found: number, weight: number): number {
  return known === undefined ? found : known + weight * (found - known)
}

function clamp(value: number, least: number, most: number): number {
  return Math.round(Math.min(Math.max(value, least), most))
}
