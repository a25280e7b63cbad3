// A payload whose bytes are kept as they are: of rows that are taken over from another index.

import type { DeclaredField } from '../format/fields.ts'
import { decodePayload } from '../format/payload.ts'

const NOTHING = new Uint8Array(0)

/** Stands among the payloads of a batch in the place of a plain object. */
export class EncodedPayload {
  /** The row has none. */
  static readonly none = new EncodedPayload(NOTHING, {})
  /** MessagePack; of length 0: the row has none. */
  readonly bytes: Uint8Array
  /** Values of the declared fields in it, by name. */
  readonly values: Readonly<Record<string, unknown>>

  private constructor(bytes: Uint8Array, values: Readonly<Record<string, unknown>>) {
    this.bytes = bytes
    this.values = values
  }

  /** Takes bytes, which are not copied; throws ZGQ_CORRUPT for what is no payload. */
  static of(bytes: Uint8Array, fields: readonly DeclaredField[], path: string): EncodedPayload {
    return new EncodedPayload(bytes, decodePayload(bytes, { path }, new Set(fields.map(({ name }) => name))))
  }
}
