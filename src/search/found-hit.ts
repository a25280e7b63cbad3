// A hit on its way to the caller. Types only.

import type { FreshRow } from '../catalogue/changes.ts'
import type { Hit } from '../types.ts'

/** A hit, and what of it is not in the files of a segment: good for the generation that was searched. */
export interface FoundHit extends Hit {
  /** A fresh row. */
  readonly fresh?: FreshRow
  /** MessagePack, where the payload was updated since the row was written. */
  readonly patch?: Uint8Array
}
