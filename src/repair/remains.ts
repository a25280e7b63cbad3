// What is left of an index, as a repair reads it, whether its catalogue told that or its data files did.

import type { FreshRow } from '../catalogue/changes.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { IndexMeta } from '../format/index-record.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import type { RemainingFiles } from './remaining-files.ts'

/** Facts of an index that its data files have, too. */
export type RemainingMeta = Pick<IndexMeta, 'dim' | 'metric' | 'bits' | 'idType'>

export interface Remains {
  readonly folder: string
  readonly meta: RemainingMeta
  readonly files: RemainingFiles
  /** In the order in which their rows go into the new index. */
  readonly segments: Iterable<SegmentRecord>
  /** Rows of all segments, deleted ones too. */
  readonly rowCount: number
  /** By segment: which rows are deleted. */
  readonly deleted: ReadonlyMap<number, Uint32Array>
  /** By segment and row: payloads that were updated. */
  readonly patches: ReadonlyMap<number, ReadonlyMap<number, Uint8Array>>
  readonly fresh: readonly FreshRow[]
  readonly hasPayloads: boolean
  readonly fields: readonly DeclaredField[]
  /** The index had these fields: a payload that does not fit them is damaged. */
  readonly hadFields: boolean
  readonly model: string | undefined
  readonly note: Readonly<Record<string, unknown>> | undefined
  readonly seed: number
  /** Several segments may have a row of one id: the first is the newest. */
  readonly hasOlderRows: boolean
  readonly notes: readonly string[]
}
