// Where the bytes of a packed index come from: the seam between what reads an index and what fetches ranges of objects.

export interface GotBytes {
  readonly bytes: Uint8Array
  readonly etag?: string | undefined
  /** Of the whole object, where the answer says it. */
  readonly byteLength?: number | undefined
}

/** Where the bytes of a packed index come from: one object ('' is its name) or several. */
export interface ByteSource {
  /** As errors name it, without secrets: an URL without its query, `s3://bucket/prefix`. */
  readonly place?: string | undefined
  /**
   * Resolves to `length` bytes at `offset` of an object, fewer only where it ends before. Rejects with ZGQ_NOT_FOUND
   * where there is no such object.
   */
  getBytes(name: string, offset: number, length: number, signal: AbortSignal): Promise<GotBytes>
  /** Names of objects that begin with a prefix; absent where nobody can list. */
  list?(prefix: string, signal: AbortSignal): Promise<string[]>
}
