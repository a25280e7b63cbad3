// The records of an index by the spec, with offsets of their own: whoever forges shares no code with whoever reads.

export type FieldType = 'u32' | 'u64' | 'f64' | `bytes${number}`

export interface Structure<K extends string> {
  readonly byteLength: number
  readonly fields: Readonly<Record<K, { readonly offset: number; readonly type: FieldType }>>
}

export function sizeOf(type: FieldType): number {
  return type === 'u32' ? 4 : type === 'u64' || type === 'f64' ? 8 : Number(type.slice('bytes'.length))
}

/** Declares fields that stand one behind the other. */
function structure<const K extends string>(types: Readonly<Record<K, FieldType>>, byteLength?: number): Structure<K> {
  const fields = {} as Record<K, { offset: number; type: FieldType }>
  let end = 0
  for (const [name, type] of Object.entries<FieldType>(types)) {
    fields[name as K] = { offset: end, type }
    end += sizeOf(type)
  }
  return { byteLength: byteLength ?? end, fields }
}

export const HEADER = structure(
  {
    magic: 'bytes8',
    version: 'u32',
    headerByteLength: 'u32',
    readerFeatures: 'u64',
    writerFeatures: 'u64',
    indexId: 'bytes16',
    generation: 'u64',
    shard: 'u64',
    dim: 'u64',
    elementType: 'u32',
    metric: 'u32',
    alignment: 'u64',
    fileByteLength: 'u64',
    segmentCount: 'u64',
    rowCount: 'u64'
  },
  4096
)

export const COLUMNS_HEADER = structure({ magic: 'bytes4', columnCount: 'u32', segment: 'u64', rowCount: 'u64' })

export const COLUMN_ENTRY = structure({
  kind: 'u32',
  flags: 'u32',
  offset: 'u64',
  byteLength: 'u64',
  crc: 'u32',
  field: 'u32'
})

export const DIRECTORY_ENTRY = structure({
  segment: 'u64',
  zone: 'u32',
  flags: 'u32',
  rowCount: 'u64',
  rowsOffset: 'u64',
  columnsOffset: 'u64',
  columnsByteLength: 'u64',
  minNorm: 'f64',
  maxNorm: 'f64',
  radius: 'f64',
  columnsCrc: 'u32',
  reserved: 'u32'
})

export const FOOTER = structure({
  directoryOffset: 'u64',
  directoryByteLength: 'u64',
  segmentCount: 'u64',
  supersededCount: 'u64',
  indexId: 'bytes16',
  directoryCrc: 'u32',
  reserved: 'u32',
  magic: 'bytes8',
  version: 'u32',
  crc: 'u32'
})

export const FILE_RECORD = structure({
  file: 'u64',
  kind: 'u32',
  headerCrc: 'u32',
  generation: 'u64',
  shard: 'u64',
  byteLength: 'u64',
  segmentCount: 'u64',
  rowCount: 'u64',
  reserved: 'u64'
})

export const SEGMENT_RECORD = structure({
  segment: 'u64',
  zone: 'u32',
  flags: 'u32',
  rowCount: 'u64',
  minNorm: 'f64',
  maxNorm: 'f64',
  radius: 'f64',
  spread: 'f64',
  rowsOffset: 'u64',
  rowsByteLength: 'u64',
  rowsFile: 'u32',
  rowsCrc: 'u32',
  columnsOffset: 'u64',
  columnsByteLength: 'u64',
  columnsFile: 'u32',
  columnsCrc: 'u32',
  codesOffset: 'u64',
  codesByteLength: 'u64',
  codesFile: 'u32',
  codesCrc: 'u32',
  fieldsOffset: 'u64',
  fieldsByteLength: 'u64',
  fieldsFile: 'u32',
  fieldsCrc: 'u32',
  payloadOffset: 'u64',
  payloadByteLength: 'u64',
  payloadFile: 'u32',
  payloadCrc: 'u32'
})

export const INDEX_RECORD = structure({
  version: 'u32',
  metric: 'u32',
  elementType: 'u32',
  bits: 'u32',
  idType: 'u32',
  reserved: 'u32',
  readerFeatures: 'u64',
  writerFeatures: 'u64',
  indexId: 'bytes16',
  generation: 'u64',
  commit: 'u64',
  dim: 'u64',
  count: 'u64',
  zoneCount: 'u64',
  segmentCount: 'u64',
  fileCount: 'u64',
  nextSegment: 'u64',
  nextFile: 'u64',
  deltaZoneCount: 'u64',
  digest: 'bytes32'
})

export const QUANTIZER_HEADER = structure({ rounds: 'u32', reserved: 'u32' })

export const CALIBRATION_HEADER = structure({
  source: 'u32',
  flags: 'u32',
  queries: 'u64',
  confidence: 'f64',
  highestRecall: 'f64',
  scale: 'f64',
  copies: 'f64',
  nearestZone: 'f64',
  farthestZone: 'f64',
  farthestHit: 'f64',
  maxNorm: 'f64',
  pointCount: 'u64',
  alignment: 'f64',
  gain: 'f64'
})

export const CALIBRATION_POINT = structure({
  k: 'u64',
  filter: 'u32',
  flags: 'u32',
  recall: 'f64',
  threshold: 'f64',
  mean: 'f64',
  zones: 'f64',
  trust: 'f64'
})

export const PACKED_HEADER = structure(
  {
    magic: 'bytes8',
    version: 'u32',
    headerByteLength: 'u32',
    readerFeatures: 'u64',
    indexId: 'bytes16',
    generation: 'u64',
    commit: 'u64',
    fileByteLength: 'u64',
    openingByteLength: 'u64',
    openedByteLength: 'u64',
    openingCrc: 'u32',
    centroidPageCount: 'u32',
    digest: 'bytes32'
  },
  4096
)

export const OPENED_LENGTHS = structure({
  valuesByteLength: 'u64',
  partCount: 'u64',
  centroidPageCount: 'u64',
  zoneCodesByteLength: 'u64',
  fileCount: 'u64',
  segmentCount: 'u64'
})

export const PART_RECORD = structure({ byteLength: 'u64', digest: 'bytes32' })

/** By their headings in the spec. */
export const STRUCTURES: Readonly<Record<string, Structure<string>>> = {
  header: HEADER,
  'columns header': COLUMNS_HEADER,
  'column entry': COLUMN_ENTRY,
  'directory entry': DIRECTORY_ENTRY,
  footer: FOOTER,
  'file record': FILE_RECORD,
  'segment record': SEGMENT_RECORD,
  'index record': INDEX_RECORD,
  'quantizer header': QUANTIZER_HEADER,
  'calibration header': CALIBRATION_HEADER,
  'calibration point': CALIBRATION_POINT,
  'packed header': PACKED_HEADER,
  'opened lengths': OPENED_LENGTHS,
  'part record': PART_RECORD
}
