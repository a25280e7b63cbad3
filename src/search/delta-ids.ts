// Ids of the rows of deltas, in memory: deltas have no ids file, since they are few and short-lived. Read when somebody
// first looks for an id.

import type { Segment, SegmentTable } from '../format/segment-table.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { Id } from '../types.ts'

export class DeltaIds {
  readonly #segments: readonly Segment[]
  readonly #files: Pick<DocumentFiles, 'idOf'>
  /** Of the segments that were read. */
  readonly #places: Map<Id, Ordinal>
  #readCount: number

  /** The segments of zones from `builtZones` on; what `before` read of them is kept. */
  constructor(
    of: { readonly segments: SegmentTable; readonly builtZones: number; readonly files: Pick<DocumentFiles, 'idOf'> },
    before?: DeltaIds
  ) {
    const { segments, builtZones, files } = of
    this.#files = files
    this.#segments = builtZones === segments.zoneCount ? [] : [...segments].filter(({ zone }) => zone >= builtZones)
    const isSame = before !== undefined && before.#segments.every((segment, i) => segment === this.#segments[i])
    this.#places = isSame ? before.#places : new Map()
    this.#readCount = isSame ? before.#readCount : 0
  }

  /** Finds the newest row with an id, which may be deleted. Throws as reads of ids do. */
  find(id: Id): Ordinal | undefined {
    for (; this.#readCount < this.#segments.length; this.#readCount++) {
      const segment = this.#segments[this.#readCount]
      for (let row = 0; row < segment.rowCount; row++)
        this.#places.set(this.#files.idOf({ segment, row }), { segment, row })
    }
    return this.#places.get(id)
  }
}
