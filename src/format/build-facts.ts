// Facts of the build, for people: the value under `meta` key `build` (spec, section 7.4), plain MessagePack.

import { ZgqError } from '../errors.ts'
import { decodeMessagePack, encodeMessagePack } from './message-pack.ts'

export type BuildFacts = Readonly<Record<string, unknown>>

export function encodeBuildFacts(facts: BuildFacts): Uint8Array {
  return encodeMessagePack(facts)
}

/** Decodes facts of a build, none where there are no bytes; throws ZGQ_CORRUPT. */
export function decodeBuildFacts(bytes: Uint8Array | undefined, path: string): BuildFacts {
  if (bytes === undefined) return {}
  const value = decodeMessagePack(bytes, path)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ZgqError('ZGQ_CORRUPT', 'meta value "build": not a map', { path })
  return Object.fromEntries(Object.entries(value))
}
