// Looks at the codes of the centroids: their factors must be numbers, and what fills up the last block must stay out.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import { findBadFactors, isFilledUp } from '../format/codes.ts'

/** Throws ZGQ_CORRUPT for codes that no centroid can have. */
export function checkZoneCodes({ zoneCodes, meta }: Snapshot, path: string): void {
  const bad = findBadFactors(zoneCodes, meta.dim)
  if (bad !== undefined)
    throw new ZgqError('ZGQ_CORRUPT', `the code of a centroid has the factors ${bad.add} and ${bad.multiply}`, { path })
  if (zoneCodes.byteLength > 0 && !isFilledUp(zoneCodes, meta.zoneCount, meta.dim))
    throw new ZgqError('ZGQ_CORRUPT', 'the codes of the centroids have a block whose unused places are wrong', {
      path
    })
}
