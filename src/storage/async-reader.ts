// The asynchronous sibling of a reader (reader.ts): reads that block nothing, wherever the bytes of files are.

import { onAbort } from '../abort.ts'
import type { FileRange } from './reader.ts'

/** What reads took of a way to a server: requests with their repetitions, and the bytes of their answers. */
export interface ReadTally {
  requests: number
  bytes: number
}

export interface AsyncReader {
  /**
   * Reads ranges, in any order, and resolves to the bytes of each once all are read. Rejects with ZGQ_TRUNCATED or
   * ZGQ_IO, and with the reason of the signal as soon as it is aborted. `tally` is added to where a reader has a way to
   * go.
   */
  readAsync(ranges: readonly FileRange[], signal: AbortSignal | undefined, tally?: ReadTally): Promise<Uint8Array[]>
  /** Idempotent. What reads that are under way bring is not looked at. */
  close(): void
}

/** Waits for work, or for the signal: then what the work still brings is not looked at. */
export async function unlessAborted<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>
): Promise<Result> {
  signal?.throwIfAborted()
  if (signal === undefined) return await work()
  return await new Promise<Result>((resolve, reject) => {
    const endWait = onAbort(signal, () => {
      reject(signal.reason)
    })
    work().then(resolve, reject).finally(endWait)
  })
}
