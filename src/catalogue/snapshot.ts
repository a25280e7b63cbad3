// What the catalogue holds, as it was read when an index was opened.

import type { CatalogueZone, FileRecord } from '../format/catalogue.ts'
import type { IndexMeta, QuantizerMeta } from '../format/catalogue-values.ts'
import type { Calibration } from '../types.ts'

/** All that a search needs to know of an index; nothing in it changes after open. */
export interface Snapshot {
  /** The folder that was opened. */
  readonly folder: string
  readonly meta: IndexMeta
  /** Facts of the build, for people. */
  readonly build: Readonly<Record<string, unknown>>
  readonly files: readonly FileRecord[]
  readonly zones: readonly CatalogueZone[]
  /** The centroids of all zones: float32, zones * dim. */
  readonly centroids: Float32Array
  /** Undefined without codes. */
  readonly quantizer: QuantizerMeta | undefined
  /** null: the index was never calibrated. */
  readonly calibration: Calibration | null
  readonly catalogueBytes: number
}
