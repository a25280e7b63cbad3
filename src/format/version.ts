// The one version of the format that this code reads. Whoever meets a version asks here.

import { ZgqError, type ZgqErrorPlace } from '../errors.ts'
import { FORMAT_VERSION } from './layout.ts'

/** Throws ZGQ_UNSUPPORTED, saying what helps, for any version but this one. */
export function expectVersion(version: number, place: ZgqErrorPlace): void {
  if (version === FORMAT_VERSION) return
  const help = version < FORMAT_VERSION ? 'rebuild it from its vectors' : 'it needs a newer version of zgq'
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `this index has format version ${version}, expected ${FORMAT_VERSION}: ${help}`,
    place
  )
}
