// Makes a snapshot of the head of a packed index (spec, section 12). Nothing changes in one: what replaces it is
// another packed index. No SQLite.

import { ZgqError } from '../errors.ts'
import { decodeChangesMeta } from '../format/changes-record.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import { expectParts, type PackedRecords } from '../format/packed-index.ts'
import { decodeSnapshot, expectFitting } from './decode-snapshot.ts'
import { NO_STAMP, type Snapshot } from './snapshot.ts'

/** What is known of a packed index besides its head. */
export interface PackedPlace {
  /** As errors say it. */
  readonly path: string
  /** Of all zones, or none of them where they are fetched when they are needed: float32, zones * dim. */
  readonly centroids: Float32Array
  /** Bytes of the head. */
  readonly byteLength: number
}

/** Throws ZGQ_CORRUPT, ZGQ_MISMATCH or ZGQ_UNSUPPORTED. */
export function packedSnapshot(records: PackedRecords, { path, centroids, byteLength }: PackedPlace): Snapshot {
  const { meta, values, files, segments, zoneCodes } = records
  expectFitting(meta.zoneCount * meta.dim * ELEMENT_BYTES, path)
  const decoded = decodeSnapshot(
    { meta, values, files, segments, centroids, zoneCodes, catalogueBytes: byteLength },
    path
  )
  expectParts(records, decoded.files, path)
  const changed = decodeChangesMeta(values.get('changes'), path)
  const { freshCount, deletedCount, patchCount } = changed
  if (freshCount + deletedCount + patchCount > 0)
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `a packed index has ${freshCount} fresh rows, ${deletedCount} deleted ones and ${patchCount} patches, ` +
        'expected none',
      { path }
    )
  return {
    ...decoded,
    folder: path,
    cataloguePath: path,
    stamp: NO_STAMP,
    changes: { meta: changed, commit: meta.commit, fresh: [], kept: undefined, masks: [], patches: [] }
  }
}
