// The seam between publishing and the place that it publishes to: a bucket, or a folder. What a manifest is stands in
// manifests.ts, the order of writes in publish-plan.ts.

import type { ByteSource } from '../remote/byte-source.ts'

/** The first `byteLength` bytes of a file. */
export interface FileContent {
  readonly path: string
  readonly byteLength: number
  /** Called with the number of bytes that were stored since the last call. */
  readonly onBytes?: ((count: number) => void) | undefined
}

/**
 * A place for objects under names. An object appears whole or not at all, and what was stored is read from then on,
 * also by others. Repeats by itself what fails in passing. Rejects as a source does, and with ZGQ_UNSUPPORTED where the
 * place lacks something that is needed.
 */
export interface ObjectStore extends ByteSource {
  list(prefix: string, signal: AbortSignal): Promise<string[]>
  /** Whether there is an object of this name and length. */
  has(name: string, byteLength: number, signal: AbortSignal): Promise<boolean>
  /** Stores an object, in place of one that may be there. */
  put(name: string, content: Uint8Array | FileContent, signal: AbortSignal): Promise<void>
  /**
   * Stores an object where there is none of that name, as one step: of several callers at once one gets true. false:
   * there is one already.
   */
  putIfAbsent(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean>
}
