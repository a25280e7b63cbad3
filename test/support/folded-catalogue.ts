// An index that a fold took files out of, made without a fold: what its tables then say.

import type { FileRecord } from '../../src/format/file-record.ts'
import { writeDelta } from '../../src/write/delta-file.ts'
import { Changer } from './changed-catalogue.ts'
import { DIM, SMALL } from './small-build.ts'

export interface FoldedIndex {
  readonly changer: Changer
  /** The files of two deltas. */
  readonly superseded: readonly FileRecord[]
}

/** Adds two deltas to a small index, and publishes a fold that takes them out again at `nowMs`. */
export function foldDeltas(folder: string, { nowMs }: { readonly nowMs: number }): FoldedIndex {
  const changer = new Changer(folder)
  const { files, segments, centroids, zoneCodes, meta } = changer.snapshot
  for (const id of [9001, 9002]) {
    changer.change(() => {
      const { quantizer, fields } = changer.snapshot
      const rows = { count: 1, ids: [id], vectors: SMALL.slice(0, DIM), payloads: [undefined] }
      const delta = writeDelta({ folder, meta: changer.meta, quantizer, fields }, rows)
      changer.meta = changer.writer.addDelta(delta, changer.meta)
    })
  }
  const superseded = changer.reread().files.slice(-2)
  const { generation } = changer.writer.reserve({ segments: 0, files: 0 })
  const { zoneCount } = meta
  const asBefore = { files, segments: [...segments], centroids, zoneCount, zoneCodes }
  changer.change(() => {
    const fold = { ...asBefore, generation, quantizer: undefined, calibration: undefined, nowMs }
    changer.meta = changer.writer.publishFold(fold, changer.meta)
  })
  return { changer, superseded }
}
