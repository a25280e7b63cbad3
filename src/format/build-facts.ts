// Facts of the build, for people: the value under `meta` key `build` (spec, section 7.4), plain MessagePack.

import { decodeMessagePack } from './message-pack.ts'

export type BuildFacts = Readonly<Record<string, unknown>>

/** Decodes facts of a build, none where there are no bytes; throws ZGQ_CORRUPT. */
export function decodeBuildFacts(bytes: Uint8Array | undefined, path: string): BuildFacts {
  return bytes === undefined ? {} : decodeMessagePack(bytes, path)
}
