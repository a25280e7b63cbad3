// The digest over all chunks of a catalogue (spec, section 7.1).

import { createHash } from 'node:crypto'

/** Computes the digest over the checksums of all chunks: table by table, chunks by `first`. */
export function chunksDigest(checksums: readonly number[]): Uint8Array {
  return createHash('sha256')
    .update(new Uint8Array(Uint32Array.from(checksums).buffer))
    .digest()
}
