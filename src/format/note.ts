// The note of an index: what an app keeps there for itself, the value under `meta` key `note` (spec, section 7.4): a
// MessagePack map with one entry, `note`.

import { decodeMessagePack } from './message-pack.ts'

/** Decodes a note; undefined: there is none. Throws ZGQ_CORRUPT. */
export function decodeNote(bytes: Uint8Array | undefined, path: string): unknown {
  return bytes === undefined ? undefined : decodeMessagePack(bytes, path)['note']
}
