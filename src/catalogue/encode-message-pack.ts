// Writes structured values of any kind as plain MessagePack, which src/format/message-pack.ts reads.

import type { Packr } from 'msgpackr'

import { requirePackage } from '../require-package.ts'

let loaded: Packr | undefined

/** Loads msgpackr, which takes tens of milliseconds, for the first value: only builds have one. */
function messagePack(): Packr {
  if (loaded === undefined) {
    const library: { Packr: typeof Packr } = requirePackage('msgpackr')
    loaded = new library.Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })
  }
  return loaded
}

/** Encodes a structured value as plain MessagePack. */
export function encodeMessagePack(value: unknown): Uint8Array {
  return new Uint8Array(messagePack().pack(value))
}
