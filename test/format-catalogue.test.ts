// The records and values of the catalogue: what is written is read back, what does not fit is rejected. No SQLite here.

import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'

import { metaChecksum } from '../src/catalogue/rows.ts'
import { decodeBuildFacts } from '../src/format/build-facts.ts'
import {
  CALIBRATION_HEADER,
  CALIBRATION_POINT,
  decodeCalibration,
  encodeCalibration
} from '../src/format/calibration-record.ts'
import {
  CHANGES_RECORD,
  decodeChangesMeta,
  encodeChangesMeta,
  NO_CHANGES,
  sameChanges
} from '../src/format/changes-record.ts'
import { chunksDigest } from '../src/catalogue/chunks-digest.ts'
import { chunkChecksum } from '../src/format/chunks.ts'
import {
  decodeFileRecords,
  encodeFileRecords,
  FILE_RECORD,
  fileNameOf,
  parseFileName
} from '../src/format/file-record.ts'
import { decodeIndexMeta, encodeIndexMeta, INDEX_RECORD } from '../src/format/index-record.ts'
import { encodeMessagePack } from '../src/catalogue/encode-message-pack.ts'
import { decodeMessagePack } from '../src/format/message-pack.ts'
import { decodeQuantizer, encodeQuantizer } from '../src/format/quantizer.ts'
import { encodeSegmentRecords, SEGMENT_RECORD } from '../src/format/segment-record.ts'
import { SegmentTable } from '../src/format/segment-table.ts'
import type { Calibration } from '../src/types.ts'
import { codeOf, errorOf } from './support/errors.ts'
import {
  CALIBRATION,
  FILE,
  forged,
  forgedDouble,
  INDEX_META,
  QUANTIZER,
  SEGMENTS,
  u64Fields
} from './support/format-samples.ts'

const PATH = 'catalogue.sqlite'
const DIM = 3
const ABOVE_SAFE = 2n ** 53n

describe('a file record', () => {
  const bytes = encodeFileRecords([FILE])
  const { fields } = FILE_RECORD
  const decodeForged = (name: keyof typeof fields, value: bigint): unknown =>
    decodeFileRecords(forged(bytes, fields[name], value), PATH)

  it.each(['vectors', 'codes', 'fields', 'payload', 'ids'] as const)('is read back as it was written (%s)', (kind) => {
    const files = [
      { ...FILE, kind },
      { ...FILE, kind, file: Number.MAX_SAFE_INTEGER, generation: 7, shard: 99, byteLength: 4096 }
    ]
    expect(decodeFileRecords(encodeFileRecords(files), PATH)).toEqual(files)
  })

  it('gives the name of the file', () => {
    expect(fileNameOf({ kind: 'codes', generation: 12, shard: 3 })).toBe('codes-000012-00003.zgq')
    expect(fileNameOf({ kind: 'vectors', generation: 1_234_567, shard: 123_456 })).toBe('vectors-1234567-123456.zgq')
  })

  it.each([
    ['codes', 12, 3],
    ['delta', 1_234_567, 123_456]
  ] as const)('is found by the name of the file (%s)', (kind, generation, shard) => {
    expect(parseFileName(fileNameOf({ kind, generation, shard }))).toEqual({ kind, generation, shard })
  })

  it.each([
    'notes-000001-00000.zgq',
    'codes-1-00000.zgq',
    'codes-0000001-00000.zgq',
    'codes-000001-000000.zgq',
    'codes-000001-00000.zgq.bak',
    'my-codes-000001-00000.zgq',
    'codes-000001-00000'
  ])('is of no file %s', (name) => {
    expect(parseFileName(name)).toBeUndefined()
  })

  it.each([0, 7, 8, 0xffff_ffff])('is unsupported with kind %d', (kind) => {
    expect(codeOf(() => decodeForged('kind', BigInt(kind)))).toBe('ZGQ_UNSUPPORTED')
  })

  it.each(u64Fields(fields))('is corrupt where %s is above 2^53 - 1', (name) => {
    expect(codeOf(() => decodeForged(name as keyof typeof fields, ABOVE_SAFE))).toBe('ZGQ_CORRUPT')
  })

  it.each([0, 4095])('is corrupt with a file of %d bytes, less than a header', (byteLength) => {
    expect(codeOf(() => decodeForged('byteLength', BigInt(byteLength)))).toBe('ZGQ_CORRUPT')
  })

  it('is read where what is reserved is not zero', () => {
    expect(decodeForged('reserved', 7n)).toEqual([FILE])
  })
})

describe('a segment record', () => {
  it('is read back as it was written', () => {
    const table = new SegmentTable(encodeSegmentRecords(SEGMENTS), 2)
    expect(table.count).toBe(2)
    expect([...table]).toEqual(SEGMENTS.map((segment, slot) => ({ ...segment, slot })))
  })

  it('has zeros for flags, and for extents that are not there', () => {
    const record = SEGMENT_RECORD.decode(encodeSegmentRecords(SEGMENTS), 0, PATH)
    const zeros = Object.entries(record).filter(([name]) => /^(flags|codes|fields|payload)/.test(name))
    expect(zeros).toHaveLength(13)
    expect(zeros.every(([, value]) => value === 0)).toBe(true)
  })
})

describe('the index record', () => {
  const bytes = encodeIndexMeta(INDEX_META)
  const { fields } = INDEX_RECORD
  const decodeForged = (name: keyof typeof fields, value: bigint): unknown =>
    decodeIndexMeta(forged(bytes, fields[name], value), PATH)

  it.each([0, 1, 2, 4, 8])('is read back as it was written (codes of %d bits)', (bits) => {
    for (const metric of ['l2', 'cosine', 'ip'] as const) {
      const meta = { ...INDEX_META, metric, bits }
      expect(decodeIndexMeta(encodeIndexMeta(meta), PATH)).toEqual(meta)
    }
  })

  it.each(['integer', 'string'] as const)('is read back as it was written (ids of type %s)', (idType) => {
    const meta = { ...INDEX_META, idType }
    expect(decodeIndexMeta(encodeIndexMeta(meta), PATH)).toEqual(meta)
  })

  it('is corrupt where it is missing, shorter or longer', () => {
    const others = [undefined, new Uint8Array(0), bytes.slice(1), Uint8Array.of(...bytes, 0)]
    for (const other of others) expect(codeOf(() => decodeIndexMeta(other, PATH))).toBe('ZGQ_CORRUPT')
  })

  it.each([
    ['version', 0n],
    ['version', 1n],
    ['version', 3n],
    ['readerFeatures', 1n],
    ['readerFeatures', 2n ** 63n],
    ['elementType', 0n],
    ['elementType', 2n],
    ['bits', 3n],
    ['bits', 16n],
    ['idType', 0n],
    ['idType', 3n]
  ] as const)('is unsupported where %s is %d', (name, value) => {
    expect(codeOf(() => decodeForged(name, value))).toBe('ZGQ_UNSUPPORTED')
  })

  it.each([
    ['dim', 0n],
    ['dim', 65_537n],
    ['metric', 0n],
    ['metric', 4n]
  ] as const)('is corrupt where %s is %d', (name, value) => {
    expect(codeOf(() => decodeForged(name, value))).toBe('ZGQ_CORRUPT')
  })

  it.each(u64Fields(fields))('is corrupt where %s is above 2^53 - 1', (name) => {
    expect(codeOf(() => decodeForged(name as keyof typeof fields, ABOVE_SAFE))).toBe('ZGQ_CORRUPT')
  })

  it('is of another version before its other fields mean anything', () => {
    const newer = forged(forged(bytes, fields.version, 3n), fields.dim, ABOVE_SAFE)
    expect(codeOf(() => decodeIndexMeta(newer, PATH))).toBe('ZGQ_UNSUPPORTED')
  })

  it('says what to do where it is of an older or a newer version', () => {
    const messages = [1n, 3n].map((version) => errorOf(() => decodeForged('version', version)).message)
    expect(messages).toEqual([expect.stringContaining('rebuild'), expect.stringContaining('newer version of zgq')])
  })

  it('is read with writer features that are not known, and where what is reserved is not zero', () => {
    for (const name of ['writerFeatures', 'reserved'] as const) expect(decodeForged(name, 8n)).toEqual(INDEX_META)
    expect(decodeForged('writerFeatures', 2n ** 63n)).toEqual(INDEX_META)
  })
})

describe('the record of changes', () => {
  const meta = {
    nextSequence: 100,
    freshCount: 2,
    freshBytes: 3,
    freshRemoved: 4,
    deletedCount: 5,
    patchCount: 6,
    rowsSinceCalibration: 7
  }

  it('is read back as it was written', () => {
    expect(decodeChangesMeta(encodeChangesMeta(meta), PATH)).toEqual(meta)
    expect(decodeChangesMeta(encodeChangesMeta(NO_CHANGES), PATH)).toEqual(NO_CHANGES)
    expect(decodeChangesMeta(undefined, PATH)).toEqual(NO_CHANGES)
  })

  it.each(Object.keys(meta))('is another one where %s is another', (name) => {
    expect(sameChanges(meta, { ...meta })).toBe(true)
    expect(sameChanges(meta, { ...meta, [name]: 1 })).toBe(false)
  })

  it.each(u64Fields(CHANGES_RECORD.fields))('is corrupt where %s is above 2^53 - 1', (name) => {
    const field = CHANGES_RECORD.fields[name as keyof typeof CHANGES_RECORD.fields]
    const other = forged(encodeChangesMeta(meta), field, ABOVE_SAFE)
    expect(codeOf(() => decodeChangesMeta(other, PATH))).toBe('ZGQ_CORRUPT')
  })
})

describe('the quantizer', () => {
  const bytes = encodeQuantizer(QUANTIZER)
  const withRounds = (rounds: number): Uint8Array => {
    const copy = new Uint8Array(8 + DIM * 4 + rounds * 2)
    copy.set(bytes.subarray(0, copy.byteLength))
    new DataView(copy.buffer).setUint32(0, rounds, true)
    return copy
  }

  it('is read back as it was written', () => {
    expect(bytes.byteLength).toBe(8 + DIM * 4 + 6)
    expect(decodeQuantizer(bytes, DIM, PATH)).toEqual(QUANTIZER)
  })

  it('is read back with as many rounds as there may be, of dimensions that fill no word', () => {
    const large = { flips: Uint8Array.from({ length: 16 * 4 }, (_, i) => i), mean: new Float32Array(17).fill(2) }
    expect(decodeQuantizer(encodeQuantizer(large), 17, PATH)).toEqual(large)
  })

  it('is corrupt where it is missing, or of any length that is not its own', () => {
    expect(codeOf(() => decodeQuantizer(undefined, DIM, PATH))).toBe('ZGQ_CORRUPT')
    for (let length = 0; length < bytes.byteLength; length++)
      expect(codeOf(() => decodeQuantizer(bytes.slice(0, length), DIM, PATH))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => decodeQuantizer(Uint8Array.of(...bytes, 0), DIM, PATH))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt for an index of other dimensions', () => {
    for (const dim of [2, 4, 17]) expect(codeOf(() => decodeQuantizer(bytes, dim, PATH))).toBe('ZGQ_CORRUPT')
  })

  it.each([0, 17])('is corrupt with %d rounds', (rounds) => {
    expect(codeOf(() => decodeQuantizer(withRounds(rounds), DIM, PATH))).toBe('ZGQ_CORRUPT')
  })

  it.each([1, 16])('is read with %d rounds', (rounds) => {
    expect(decodeQuantizer(withRounds(rounds), DIM, PATH).flips).toHaveLength(rounds * 2)
  })

  it.each([NaN, Infinity, -Infinity])('is corrupt where a value of its mean is %d', (value) => {
    const mean = Float32Array.of(1, value, 1)
    expect(codeOf(() => decodeQuantizer(encodeQuantizer({ ...QUANTIZER, mean }), DIM, PATH))).toBe('ZGQ_CORRUPT')
  })
})

describe('a calibration', () => {
  const ZONES = 50
  const bytes = encodeCalibration(CALIBRATION)
  const decode = (other: Uint8Array): Calibration => decodeCalibration(other, ZONES, PATH)
  const pointField = (point: number, name: keyof typeof CALIBRATION_POINT.fields): { offset: number; type: 'u32' } => ({
    offset:
      CALIBRATION_HEADER.byteLength + CALIBRATION_POINT.byteLength * point + CALIBRATION_POINT.fields[name].offset,
    type: 'u32'
  })
  const wide = (field: { offset: number }): { offset: number; type: 'u64' } => ({ offset: field.offset, type: 'u64' })

  it('is read back as it was written', () => {
    expect(bytes.byteLength).toBe(CALIBRATION_HEADER.byteLength + 3 * CALIBRATION_POINT.byteLength)
    expect(decode(bytes)).toEqual(CALIBRATION)
  })

  it('is read back without what it may be without', () => {
    const { usual: _usual, copies: _copies, alignment: _alignment, gain: _gain, ...plain } = CALIBRATION
    const source = 'base' as const
    expect(decode(encodeCalibration({ ...plain, source }))).toEqual({ ...plain, source })
  })

  it('is corrupt at any length that is not its own', () => {
    for (let length = 0; length < bytes.byteLength; length++)
      expect(codeOf(() => decode(bytes.slice(0, length)))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => decode(Uint8Array.of(...bytes, 0)))).toBe('ZGQ_CORRUPT')
  })

  it.each([0n, 3n, 0xffff_ffffn])('is corrupt with source %d', (value) => {
    expect(codeOf(() => decode(forged(bytes, CALIBRATION_HEADER.fields.source, value)))).toBe('ZGQ_CORRUPT')
  })

  it.each([0n, 2n, 4n, 16_385n, ABOVE_SAFE])('is corrupt where it says %d points', (value) => {
    expect(codeOf(() => decode(forged(bytes, CALIBRATION_HEADER.fields.pointCount, value)))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt without a point, and with more points than there may be', () => {
    const { fields } = CALIBRATION_HEADER
    const ofPoints = (count: number): Uint8Array => {
      const [point] = CALIBRATION.curves[0].points
      const curves = Array.from({ length: count }, (_, i) => ({ k: i + 1, points: [point] }))
      return encodeCalibration({ ...CALIBRATION, curves })
    }
    expect(codeOf(() => decode(forged(bytes.slice(0, CALIBRATION_HEADER.byteLength), fields.pointCount, 0n)))).toBe(
      'ZGQ_CORRUPT'
    )
    expect(decode(ofPoints(16_384)).curves).toHaveLength(16_384)
    expect(codeOf(() => decode(ofPoints(16_385)))).toBe('ZGQ_CORRUPT')
  })

  it.each([
    ['confidence', -0.1],
    ['confidence', 1.1],
    ['confidence', NaN],
    ['highestRecall', 0.0009],
    ['highestRecall', 1],
    ['scale', -1],
    ['scale', Infinity],
    ['copies', -1],
    ['copies', NaN],
    ['alignment', -1],
    ['alignment', 1.1],
    ['alignment', NaN],
    ['gain', -1],
    ['gain', 1.1],
    ['nearestZone', -1],
    ['farthestZone', Infinity],
    ['farthestHit', NaN]
  ] as const)('is corrupt where %s is %d', (name, value) => {
    expect(codeOf(() => decode(forgedDouble(bytes, CALIBRATION_HEADER.fields[name], value)))).toBe('ZGQ_CORRUPT')
  })

  it('does not look at bounds and copies that are not there', () => {
    const { usual: _usual, copies: _copies, alignment: _alignment, gain: _gain, ...plain } = CALIBRATION
    for (const name of ['copies', 'alignment', 'gain', 'nearestZone', 'farthestZone', 'farthestHit'] as const)
      expect(decode(forgedDouble(encodeCalibration(plain), CALIBRATION_HEADER.fields[name], NaN))).toEqual(plain)
  })

  it.each([0n, ABOVE_SAFE])('is corrupt with %d queries', (value) => {
    expect(codeOf(() => decode(forged(bytes, CALIBRATION_HEADER.fields.queries, value)))).toBe('ZGQ_CORRUPT')
  })

  it.each([
    ['recall', 0.0009],
    ['recall', 1],
    ['recall', NaN],
    ['threshold', -1],
    ['threshold', Infinity],
    ['mean', -0.1],
    ['mean', 1.1],
    ['zones', 0.5],
    ['zones', ZONES + 0.5],
    ['trust', -1],
    ['trust', 100.5],
    ['trust', NaN]
  ] as const)('is corrupt where %s of a point is %d', (name, value) => {
    expect(codeOf(() => decode(forgedDouble(bytes, pointField(1, name), value)))).toBe('ZGQ_CORRUPT')
  })

  it.each([0n, ABOVE_SAFE])('is corrupt where k of a point is %d', (value) => {
    expect(codeOf(() => decode(forged(bytes, wide(pointField(0, 'k')), value)))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt where points are not in order of k, then recall, or a threshold falls', () => {
    expect(codeOf(() => decode(forged(bytes, wide(pointField(0, 'k')), 2n)))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => decode(forgedDouble(bytes, pointField(0, 'recall'), 0.99)))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => decode(forgedDouble(bytes, pointField(0, 'recall'), 0.995)))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => decode(forgedDouble(bytes, pointField(0, 'threshold'), 0.5)))).toBe('ZGQ_CORRUPT')
  })

  it('is read without its points for searches with a filter, and corrupt where it has no others', () => {
    const skipping = (points: readonly number[]): Calibration =>
      decode(points.reduce((made, point) => forged(made, pointField(point, 'filter'), 1n), bytes))
    expect(skipping([2]).curves).toEqual(CALIBRATION.curves.slice(0, 1))
    expect(skipping([0]).curves[0].points).toEqual(CALIBRATION.curves[0].points.slice(1))
    expect(codeOf(() => skipping([0, 1, 2]))).toBe('ZGQ_CORRUPT')
  })
})

describe('facts of a build', () => {
  it('are read back as they were written', () => {
    const facts = { seed: 7, zones: null, sampleCount: 2 ** 40, inputDigest: Uint8Array.of(1, 2) }
    const { inputDigest, ...rest } = decodeBuildFacts(encodeMessagePack(facts), PATH)
    expect(rest).toEqual({ seed: 7, zones: null, sampleCount: 2 ** 40 })
    expect([...(inputDigest as Uint8Array)]).toEqual([1, 2])
  })

  it('are none where there are no bytes', () => {
    expect(decodeBuildFacts(undefined, PATH)).toEqual({})
  })

  it.each([null, 'text', 7, [1]])('are corrupt where they are %j', (value) => {
    expect(codeOf(() => decodeBuildFacts(encodeMessagePack(value), PATH))).toBe('ZGQ_CORRUPT')
  })

  it('are corrupt where they are not MessagePack', () => {
    expect(codeOf(() => decodeBuildFacts(Uint8Array.of(0xda, 0xff, 0xff, 0x61), PATH))).toBe('ZGQ_CORRUPT')
  })
})

describe('MessagePack', () => {
  it('is plain: a map is a map with string keys', () => {
    expect(Buffer.from(encodeMessagePack({ seed: 1, zones: null })).toString('hex')).toBe(
      '82a47365656401a57a6f6e6573c0'
    )
  })

  it('takes integers that another program wrote as float64', () => {
    expect(decodeMessagePack(Uint8Array.of(0x81, 0xa1, 0x61, 0xcb, 0x40, 0x14, 0, 0, 0, 0, 0, 0), PATH)).toEqual({
      a: 5
    })
  })

  it.each([
    ['uint64', 0xcf],
    ['int64', 0xd3]
  ])('takes integers that another program wrote as %s', (_, type) => {
    const map = decodeMessagePack(Uint8Array.of(0x81, 0xa1, 0x61, type, 0, 0, 0, 0, 0, 0, 0, 5), PATH)
    expect(map).toEqual({ a: 5 })
  })
})

describe('checksums of the catalogue', () => {
  it('of a value of meta cover key and value, each after its length', () => {
    const bytes = Buffer.from('\u0005\0\0\0index\u0002\0\0\0ab', 'latin1')
    expect(metaChecksum('index', Buffer.from('ab'))).toBe(crc32(bytes))
  })

  it('of a chunk cover first and count as u64, then the records', () => {
    const bytes = Buffer.alloc(19)
    bytes.writeBigUInt64LE(BigInt(Number.MAX_SAFE_INTEGER), 0)
    bytes.writeBigUInt64LE(4096n, 8)
    bytes.set([1, 2, 3], 16)
    const chunk = { first: Number.MAX_SAFE_INTEGER, count: 4096, records: Uint8Array.of(1, 2, 3) }
    expect(chunkChecksum(chunk)).toBe(crc32(bytes))
  })

  it('of all chunks together are SHA-256 over their CRCs as u32', () => {
    const bytes = Buffer.of(1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
    expect(chunksDigest([1, 0xffff_ffff])).toEqual(createHash('sha256').update(bytes).digest())
  })
})
