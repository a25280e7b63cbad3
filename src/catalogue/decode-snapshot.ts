// Makes a snapshot of the records of an index, wherever they were read: in the tables of a catalogue, or in the head of
// a packed index. No SQLite.

import { decodeStrictUtf8 } from '#platform'

import { ZgqError } from '../errors.ts'
import { decodeCalibration } from '../format/calibration-record.ts'
import { decodeFields } from '../format/fields.ts'
import { decodeFileRecords } from '../format/file-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { decodeQuantizer } from '../format/quantizer.ts'
import { SegmentTable } from '../format/segment-table.ts'
import { checkFiles, checkSegments } from './extents.ts'
import type { Snapshot } from './snapshot.ts'

/** The records of an index, whose checksums were verified. */
export interface IndexRecords {
  readonly meta: IndexMeta
  /** The values of table meta by their keys. */
  readonly values: ReadonlyMap<string, Uint8Array>
  readonly files: Uint8Array
  readonly segments: Uint8Array
  /** Of built zones, then of those of deltas: float32, zones * dim. */
  readonly centroids: Float32Array
  readonly zoneCodes: Uint8Array
  /** Of all that was read. */
  readonly catalogueBytes: number
}

/** Decodes records and holds them against each other; throws ZGQ_CORRUPT, ZGQ_MISMATCH or ZGQ_UNSUPPORTED. */
export function decodeSnapshot(
  records: IndexRecords,
  path: string
): Omit<Snapshot, 'folder' | 'cataloguePath' | 'stamp' | 'changes'> {
  const { meta, values, centroids, zoneCodes, catalogueBytes } = records
  const { dim, zoneCount, deltaZoneCount, bits } = meta
  const calibration = values.get('calibration')
  const snapshot = {
    meta,
    catalogueBytes,
    quantizer: bits === 0 ? undefined : decodeQuantizer(values.get('quantizer'), dim, path),
    calibration: calibration === undefined ? null : decodeCalibration(calibration, zoneCount, path),
    encodedBuildFacts: values.get('build'),
    files: decodeFileRecords(records.files, path),
    segments: new SegmentTable(records.segments, zoneCount + deltaZoneCount),
    centroids,
    zoneCodes,
    ...readDocumentFacts(values, path)
  }
  checkFiles(snapshot, path)
  checkSegments(snapshot, path)
  return snapshot
}

/** What an index says of documents: values under keys of their own. */
function readDocumentFacts(
  values: ReadonlyMap<string, Uint8Array>,
  path: string
): Pick<Snapshot, 'fields' | 'model' | 'encodedNote'> {
  const fields = values.get('fields')
  const model = values.get('model')
  const name = model && decodeStrictUtf8(model, 0, model.byteLength)
  if (model !== undefined && name === undefined)
    throw new ZgqError('ZGQ_CORRUPT', 'the value model of table meta is not UTF-8', { path })
  return {
    fields: fields === undefined ? [] : decodeFields(fields, path),
    model: name,
    encodedNote: values.get('note')
  }
}

/** Bytes of centroids that kernel memory can hold beside what else it holds. */
const MOST_CENTROID_BYTES = 3 * 2 ** 30

/** Throws ZGQ_UNSUPPORTED for more centroids than that. */
export function expectFitting(byteLength: number, path: string): void {
  if (byteLength > MOST_CENTROID_BYTES)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `the centroids have ${byteLength} bytes, expected at most ${MOST_CENTROID_BYTES}: build with fewer zones`,
      { path }
    )
}
