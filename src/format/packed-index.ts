// The head of a packed index (spec, section 12): its header page, and the opening part, which has all that a search
// needs to know before it reads: the values and records of the catalogue, codes of the centroids, and the length and
// digest of each part. The parts follow: the centroids, then the data files in the order of their numbers. No I/O.

import { ZgqError } from '../errors.ts'
import { planesByteLength } from './codes.ts'
import { deflate, inflate } from './deflated.ts'
import { FILE_RECORD, fileNameOf, type FileRecord } from './file-record.ts'
import { hex } from './header.ts'
import { decodeIndexMeta, type IndexMeta } from './index-record.ts'
import { alignUp, bytesEqual, checksum, ELEMENT_BYTES, FORMAT_VERSION, PAGE_BYTES, pageCount } from './layout.ts'
import { encodePackedHeader, type PackedHeader } from './packed-header.ts'
import { SEGMENT_RECORD } from './segment-record.ts'
import { shuffleRecords, unshuffleRecords } from './shuffled-records.ts'
import { struct } from './struct.ts'

/** Lengths of what the opening part inflates to, which follows in this order. */
export const OPENED_RECORD = struct(48, {
  valuesByteLength: { offset: 0, type: 'u64' },
  partCount: { offset: 8, type: 'u64' },
  centroidPageCount: { offset: 16, type: 'u64' },
  zoneCodesByteLength: { offset: 24, type: 'u64' },
  fileCount: { offset: 32, type: 'u64' },
  segmentCount: { offset: 40, type: 'u64' }
})

export const PART_RECORD = struct(40, {
  byteLength: { offset: 0, type: 'u64' },
  digest: { offset: 8, type: 'bytes32' }
})

/** Before each value: the lengths of its key and its bytes. */
const VALUE_HEAD_BYTES = 8
const MOST_VALUES = 16
const MOST_KEY_BYTES = 64
const MOST_VALUE_BYTES = 2 ** 20

/** A data file or the centroids. */
export interface PackedPart {
  readonly byteLength: number
  /** SHA-256 */
  readonly digest: Uint8Array
}

/** What a packed index says before its parts. */
export interface PackedRecords {
  readonly meta: IndexMeta
  /** The values of table meta by their keys. */
  readonly values: ReadonlyMap<string, Uint8Array>
  /** The first one has the centroids: float32, zones * dim, up to a whole page; then those of the files. */
  readonly parts: readonly PackedPart[]
  /** Of the pages of the first part. */
  readonly centroidCrcs: Uint32Array
  readonly zoneCodes: Uint8Array
  /** FILE_RECORD by ascending number, SEGMENT_RECORD likewise. */
  readonly files: Uint8Array
  readonly segments: Uint8Array
}

/** Encodes what the opening part inflates to. */
export function encodeOpened(records: Omit<PackedRecords, 'meta'>): Uint8Array {
  const { parts, centroidCrcs, zoneCodes, files, segments } = records
  const values = encodeValues(records.values)
  const lengths = new Uint8Array(OPENED_RECORD.byteLength)
  OPENED_RECORD.encode(
    {
      valuesByteLength: values.byteLength,
      partCount: parts.length,
      centroidPageCount: centroidCrcs.length,
      zoneCodesByteLength: zoneCodes.byteLength,
      fileCount: files.byteLength / FILE_RECORD.byteLength,
      segmentCount: segments.byteLength / SEGMENT_RECORD.byteLength
    },
    lengths
  )
  const partRecords = new Uint8Array(parts.length * PART_RECORD.byteLength)
  parts.forEach(({ byteLength, digest }, i) => {
    PART_RECORD.encode({ byteLength, digest }, partRecords, i * PART_RECORD.byteLength)
  })
  return joinBytes([
    lengths,
    values,
    partRecords,
    new Uint8Array(centroidCrcs.slice().buffer),
    zoneCodes,
    shuffleRecords(files, FILE_RECORD.byteLength),
    shuffleRecords(segments, SEGMENT_RECORD.byteLength)
  ])
}

/** Encodes the head of a packed index; `digest`: SHA-256 of `opened`. */
export function encodeHead(
  opened: Uint8Array,
  of: {
    readonly meta: IndexMeta
    readonly digest: Uint8Array
    readonly centroidPageCount: number
    /** Of one file; undefined: parts are files of their own. */
    readonly parts: readonly PackedPart[] | undefined
  }
): Uint8Array {
  const { meta, digest, centroidPageCount, parts } = of
  const opening = deflate(opened)
  const header = encodePackedHeader({
    version: FORMAT_VERSION,
    indexId: meta.indexId,
    generation: meta.generation,
    commit: meta.commit,
    fileByteLength: parts === undefined ? 0 : packedByteLength(opening.byteLength, parts),
    openingByteLength: opening.byteLength,
    openedByteLength: opened.byteLength,
    openingCrc: checksum(opening),
    centroidPageCount,
    digest
  })
  return joinBytes([header, opening])
}

/** Where the parts of one file begin, and behind them where it ends. */
export function partOffsets(openingByteLength: number, parts: readonly PackedPart[]): number[] {
  const offsets = [alignUp(PAGE_BYTES + openingByteLength, PAGE_BYTES)]
  for (const { byteLength } of parts) offsets.push(alignUp(offsets[offsets.length - 1] + byteLength, PAGE_BYTES))
  return offsets
}

function packedByteLength(openingByteLength: number, parts: readonly PackedPart[]): number {
  return partOffsets(openingByteLength, parts)[parts.length]
}

/** Names a part that is a file of its own: by what it is and by its digest. */
export function partName(part: PackedPart, of: Pick<FileRecord, 'kind' | 'generation' | 'shard'> | undefined): string {
  const stem = of === undefined ? 'centroids' : fileNameOf(of).replace(/\.zgq$/, '')
  return `${stem}-${hex(part.digest.subarray(0, 8))}.zgq`
}

/** Names the manifest of a folder of parts. */
export function manifestName(number: number): string {
  return `manifest-${String(number).padStart(6, '0')}`
}

/** Reads the number of a manifest; undefined: the name is of something else. */
export function manifestNumber(name: string): number | undefined {
  const [, digits] = /^manifest-(\d{6,15})$/.exec(name) ?? []
  return digits !== undefined && manifestName(Number(digits)) === name ? Number(digits) : undefined
}

/** The object that says which manifest was the highest one lately. */
export const LATEST_NAME = 'latest'

/** Verifies and inflates the opening part; throws ZGQ_CORRUPT. */
export function inflateOpening(opening: Uint8Array, header: PackedHeader, path: string): Uint8Array {
  const damage = damageOf(path)
  const computed = checksum(opening)
  if (computed !== header.openingCrc)
    throw damage(`the opening part has CRC ${computed}, expected ${header.openingCrc}`)
  const opened = inflate(opening, header.openedByteLength)
  if (opened === undefined) throw damage(`the opening part does not inflate to ${header.openedByteLength} bytes`)
  return opened
}

/** Decodes the opening part; throws ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_UNSUPPORTED. */
export function decodeOpening(opening: Uint8Array, header: PackedHeader, path: string): PackedRecords {
  const damage = damageOf(path)
  const records = decodeOpened(inflateOpening(opening, header, path), path)
  const { meta } = records
  for (const name of ['version', 'generation', 'commit'] as const)
    if (header[name] !== meta[name]) throw damage(`its header has ${name} ${header[name]}, its values ${meta[name]}`)
  if (!bytesEqual(header.indexId, meta.indexId)) throw damage('its header has another index id than its values')
  if (records.centroidCrcs.length !== header.centroidPageCount)
    throw damage(`${records.centroidCrcs.length} pages of centroids, its header says ${header.centroidPageCount}`)
  if (header.fileByteLength !== 0) {
    const expected = packedByteLength(opening.byteLength, records.parts)
    if (header.fileByteLength !== expected)
      throw damage(`the file has ${header.fileByteLength} bytes by its header, ${expected} by its parts`)
  }
  return records
}

type Damage = (what: string) => ZgqError

function damageOf(path: string): Damage {
  return (what) => new ZgqError('ZGQ_CORRUPT', `the packed index contradicts itself: ${what}`, { path })
}

function decodeOpened(opened: Uint8Array, path: string): PackedRecords {
  const damage = damageOf(path)
  if (opened.byteLength < OPENED_RECORD.byteLength) throw damage(`an opening part of ${opened.byteLength} bytes`)
  const lengths = OPENED_RECORD.decode(opened, 0, path)
  const pieces = [
    lengths.valuesByteLength,
    lengths.partCount * PART_RECORD.byteLength,
    lengths.centroidPageCount * 4,
    lengths.zoneCodesByteLength,
    lengths.fileCount * FILE_RECORD.byteLength,
    lengths.segmentCount * SEGMENT_RECORD.byteLength
  ]
  const sum = pieces.reduce((bytes, piece) => bytes + piece, OPENED_RECORD.byteLength)
  if (sum !== opened.byteLength) throw damage(`${opened.byteLength} bytes opened, its lengths say ${sum}`)
  let end = OPENED_RECORD.byteLength
  const [valueBytes, partBytes, crcBytes, zoneCodes, files, segments] = pieces.map((byteLength) => {
    end += byteLength
    return opened.slice(end - byteLength, end)
  })
  const values = decodeValues(valueBytes, damage)
  const meta = decodeIndexMeta(values.get('index'), path)
  expectCounts(meta, lengths, damage)
  return {
    meta,
    values,
    parts: Array.from({ length: lengths.partCount }, (_, i) =>
      PART_RECORD.decode(partBytes, i * PART_RECORD.byteLength, path)
    ),
    centroidCrcs: new Uint32Array(crcBytes.buffer),
    zoneCodes,
    files: unshuffleRecords(files, FILE_RECORD.byteLength),
    segments: unshuffleRecords(segments, SEGMENT_RECORD.byteLength)
  }
}

function expectCounts(
  meta: IndexMeta,
  lengths: Record<keyof typeof OPENED_RECORD.fields, number>,
  damage: Damage
): void {
  const { dim, bits, zoneCount, deltaZoneCount, fileCount, segmentCount } = meta
  const expected = {
    partCount: fileCount + 1,
    centroidPageCount: pageCount(zoneCount * dim * ELEMENT_BYTES),
    zoneCodesByteLength: bits === 0 ? 0 : planesByteLength(zoneCount, dim),
    fileCount,
    segmentCount
  }
  if (deltaZoneCount !== 0) throw damage(`${deltaZoneCount} zones of deltas, expected none`)
  for (const [name, value] of Object.entries(expected)) {
    const found = Object.entries(lengths).find(([key]) => key === name)?.[1]
    if (found !== value) throw damage(`${name} is ${found}, expected ${value}`)
  }
}

/** Checks parts against the records of their files and the number of centroids; throws ZGQ_CORRUPT. */
export function expectParts({ parts, centroidCrcs }: PackedRecords, files: readonly FileRecord[], path: string): void {
  const expected = [centroidCrcs.length * PAGE_BYTES, ...files.map(({ byteLength }) => byteLength)]
  parts.forEach(({ byteLength }, i) => {
    if (byteLength !== expected[i])
      throw damageOf(path)(`part ${i} has ${byteLength} bytes, its records say ${expected[i]}`)
  })
}

const UTF8 = new TextEncoder()

/** Keys in ascending order, so that the same index gives the same bytes. */
function encodeValues(values: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const sorted = [...values].sort(([a], [b]) => (a < b ? -1 : 1))
  return joinBytes(
    sorted.flatMap(([key, value]) => {
      const name = UTF8.encode(key)
      return [new Uint8Array(Uint32Array.of(name.byteLength, value.byteLength).buffer), name, value]
    })
  )
}

/** Keys are ASCII. */
function decodeValues(bytes: Uint8Array, damage: Damage): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let before = ''
  for (let at = 0; at < bytes.byteLength;) {
    const left = bytes.byteLength - at - VALUE_HEAD_BYTES
    const keyBytes = left < 0 ? 0 : view.getUint32(at, true)
    const valueBytes = left < 0 ? 0 : view.getUint32(at + 4, true)
    const isBounded = keyBytes <= MOST_KEY_BYTES && valueBytes <= MOST_VALUE_BYTES && values.size < MOST_VALUES
    if (keyBytes === 0 || !isBounded || keyBytes + valueBytes > left)
      throw damage(`a value at byte ${at} of ${bytes.byteLength}`)
    at += VALUE_HEAD_BYTES
    const key = String.fromCharCode(...bytes.subarray(at, at + keyBytes))
    if (key <= before) throw damage('its values are not in the order of their keys')
    before = key
    values.set(key, bytes.slice(at + keyBytes, at + keyBytes + valueBytes))
    at += keyBytes + valueBytes
  }
  return values
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.byteLength
  }
  return joined
}
