// Files and segments of a catalogue held against each other (spec, section 11.1).

import { describe, expect, it } from 'vitest'

import { checkFiles, checkSegments } from '../src/catalogue/extents.ts'
import type { FileRecord } from '../src/format/file-record.ts'
import type { IndexMeta } from '../src/format/index-record.ts'
import {
  encodeSegmentRecords,
  NO_EXTENT,
  SEGMENT_RECORD,
  type FileExtent,
  type SegmentRecord
} from '../src/format/segment-record.ts'
import { SegmentTable } from '../src/format/segment-table.ts'
import { codeOf } from './support/errors.ts'
import { FILE, forged, forgedDouble, INDEX_META, u64Fields } from './support/format-samples.ts'

const PATH = 'catalogue.sqlite'
const PAGE = 4096
const DIM = 3

const META: IndexMeta = {
  ...INDEX_META,
  dim: DIM,
  bits: 1,
  metric: 'l2',
  generation: 2,
  count: 6,
  zoneCount: 3,
  deltaZoneCount: 0,
  segmentCount: 3,
  fileCount: 3,
  nextSegment: 10,
  nextFile: 8
}

/** A vectors file of each of two generations, and one of codes. */
const FILES: readonly FileRecord[] = [
  { ...FILE, file: 0, byteLength: PAGE * 8, segmentCount: 2, rowCount: 5 },
  { ...FILE, file: 4, generation: 2, byteLength: PAGE * 4, segmentCount: 1, rowCount: 1 },
  { ...FILE, file: 7, kind: 'codes', byteLength: PAGE * 5, segmentCount: 4, rowCount: 9 }
]

interface Pages {
  readonly file: number
  readonly rows: number
  readonly columns: number
  readonly codes: number
}

function segmentOf(facts: Pick<SegmentRecord, 'segment' | 'zone' | 'rowCount'>, pages: Pages): SegmentRecord {
  const { file } = pages
  return {
    ...facts,
    minNorm: 1,
    maxNorm: 2,
    radius: 0,
    spread: 0,
    rows: { file, offset: pages.rows * PAGE, byteLength: facts.rowCount * DIM * 4, crc: 0 },
    columns: { file, offset: pages.columns * PAGE, byteLength: 200, crc: 1 },
    codes: { file: 7, offset: pages.codes * PAGE, byteLength: 300, crc: 2 },
    fields: NO_EXTENT,
    payload: NO_EXTENT
  }
}

/** Two segments of one zone and one of another, none of the third; extents in no order, with gaps. */
const SEGMENTS: readonly SegmentRecord[] = [
  segmentOf({ segment: 2, zone: 2, rowCount: 2 }, { file: 0, rows: 6, columns: 1, codes: 3 }),
  segmentOf({ segment: 3, zone: 0, rowCount: 3 }, { file: 0, rows: 4, columns: 2, codes: 1 }),
  segmentOf({ segment: 9, zone: 2, rowCount: 1 }, { file: 4, rows: 1, columns: 2, codes: 2 })
]

interface Changes {
  readonly meta?: Partial<IndexMeta>
  readonly files?: readonly FileRecord[]
  readonly segments?: readonly SegmentRecord[]
  /** How many fields are declared. */
  readonly fields?: number
  /** Changes the packed records. */
  readonly forge?: (records: Uint8Array) => Uint8Array
}

function check({ meta, files = FILES, segments = SEGMENTS, fields = 0, forge = (it) => it }: Changes): void {
  const whole = { ...META, ...meta }
  checkFiles({ meta: whole, files }, PATH)
  const table = new SegmentTable(forge(encodeSegmentRecords(segments)), whole.zoneCount + whole.deltaZoneCount)
  checkSegments({ meta: whole, files, segments: table, fields: new Array(fields) }, PATH)
}

/** The same with a file of fields and one of payloads: all segments have fields, and two of them payloads. */
const WITH_DOCUMENTS: Changes = {
  fields: 1,
  meta: { fileCount: 5 },
  files: [
    FILES[0],
    FILES[1],
    { ...FILE, file: 5, kind: 'fields', byteLength: PAGE * 4, segmentCount: 3, rowCount: 6 },
    { ...FILE, file: 6, kind: 'payload', byteLength: PAGE * 4, segmentCount: 2, rowCount: 4 },
    FILES[2]
  ],
  segments: SEGMENTS.map((segment, i) => ({
    ...segment,
    fields: { file: 5, offset: PAGE * (i + 1), byteLength: 100, crc: 3 },
    payload: i === 2 ? NO_EXTENT : { file: 6, offset: PAGE * (2 - i), byteLength: PAGE, crc: 4 }
  }))
}

/** Changes an extent of the first segment. */
function withDocumentExtent(kind: 'fields' | 'payload', facts: Partial<FileExtent>): Changes {
  const segments = WITH_DOCUMENTS.segments?.map((segment, i) =>
    i === 0 ? { ...segment, [kind]: { ...segment[kind], ...facts } } : segment
  )
  return { ...WITH_DOCUMENTS, ...(segments && { segments }) }
}

const withFile = (at: number, facts: Partial<FileRecord>): Changes => ({
  files: FILES.map((file, i) => (i === at ? { ...file, ...facts } : file))
})

const withSegment = (at: number, facts: Partial<SegmentRecord>): Changes => ({
  segments: SEGMENTS.map((segment, i) => (i === at ? { ...segment, ...facts } : segment))
})

const withExtent = (at: number, kind: 'rows' | 'columns' | 'codes', facts: Partial<SegmentRecord['rows']>): Changes =>
  withSegment(at, { [kind]: { ...SEGMENTS[at][kind], ...facts } })

describe('segments and files', () => {
  it('may be of several generations, their extents in any order, zones with several segments or none', () => {
    expect(() => {
      check({})
    }).not.toThrow()
  })

  it('may be none', () => {
    expect(() => {
      check({ meta: { count: 0, zoneCount: 0 }, files: [], segments: [] })
    }).not.toThrow()
    expect(() => {
      check({ meta: { count: 0 }, segments: [] })
    }).not.toThrow()
  })

  it('need no codes without bits, wherever those would be', () => {
    const codes = { file: 99, offset: 7, byteLength: 0, crc: 3 }
    expect(() => {
      check({ meta: { bits: 0 }, segments: SEGMENTS.map((segment) => ({ ...segment, codes })) })
    }).not.toThrow()
  })

  it('are of a newer index where a file is of a generation above', () => {
    expect(codeOf(() => check(withFile(1, { generation: 3 })))).toBe('ZGQ_MISMATCH')
  })
})

describe('an ids file', () => {
  const IDS: FileRecord = {
    ...FILE,
    file: 5,
    kind: 'ids',
    byteLength: PAGE * 2,
    segmentCount: 0,
    rowCount: META.count
  }
  const withIds = (facts: Partial<FileRecord>): Changes => {
    const [first, second, last] = FILES
    return { files: [first, second, { ...IDS, ...facts }, last] }
  }

  it('may stand beside the files of segments', () => {
    expect(() => {
      check(withIds({}))
    }).not.toThrow()
  })

  it('has the length that its pages have: 4 for 256 rows, with the header', () => {
    const segments = [
      segmentOf({ segment: 2, zone: 2, rowCount: 256 }, { file: 0, rows: 1, columns: 3, codes: 1 })
    ].map(({ columns, codes, ...segment }) => ({
      ...segment,
      columns: { ...columns, byteLength: 4096 },
      codes: { ...codes, byteLength: 8192 }
    }))
    const files = (byteLength: number): FileRecord[] =>
      [{ ...FILES[0], rowCount: 256 }, { ...IDS, rowCount: 256, byteLength }, FILES[2]].map((file) =>
        file.kind === 'codes' ? { ...file, rowCount: 256 } : file
      )
    const checkWith = (byteLength: number): void => {
      check({ meta: { count: 256 }, files: files(byteLength), segments })
    }
    expect(() => {
      checkWith(PAGE * 4)
    }).not.toThrow()
    for (const pages of [2, 3, 5]) expect(codeOf(() => checkWith(PAGE * pages))).toBe('ZGQ_CORRUPT')
  })

  it.each<readonly [string, Partial<FileRecord>]>([
    ['fewer ids than rows', { rowCount: 5 }],
    ['no ids', { rowCount: 0, byteLength: PAGE }],
    ['a page too many', { byteLength: PAGE * 3 }],
    ['a page too few', { byteLength: PAGE }],
    ['half a page', { byteLength: PAGE * 2 - 1 }],
    ['segments', { segmentCount: 1 }]
  ])('is corrupt with %s', (_, facts) => {
    expect(codeOf(() => check(withIds(facts)))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt in an index without rows', () => {
    const files = [{ ...IDS, rowCount: 0, byteLength: PAGE }]
    expect(codeOf(() => check({ meta: { count: 0 }, files, segments: [] }))).toBe('ZGQ_CORRUPT')
  })

  it('may have more ids than there are rows: of segments that went', () => {
    expect(() => {
      check(withIds({ rowCount: 7 }))
    }).not.toThrow()
  })

  it('may stand beside others, with an id for every row among them', () => {
    const files = (...counts: readonly [number, number]): FileRecord[] => [
      ...FILES.slice(0, 2),
      { ...IDS, rowCount: counts[0] },
      { ...IDS, file: 6, generation: 2, rowCount: counts[1] },
      FILES[2]
    ]
    expect(() => {
      check({ files: files(4, 2) })
    }).not.toThrow()
    expect(codeOf(() => check({ files: files(4, 1) }))).toBe('ZGQ_CORRUPT')
  })

  it.each(['rows', 'columns', 'codes'] as const)('holds no %s of a segment', (kind) => {
    const { segments = [] } = withExtent(0, kind, { file: 5, offset: PAGE, byteLength: 24 })
    expect(codeOf(() => check({ ...withIds({}), segments }))).toBe('ZGQ_CORRUPT')
  })
})

it('many files, each with its columns before its rows, are looked at in one pass', { timeout: 10_000 }, () => {
  // A pass for each file would take minutes.
  const count = 20_000
  const files = Array.from({ length: count }, (_, file) => ({
    ...FILE,
    file,
    generation: file + 1,
    byteLength: PAGE * 8,
    segmentCount: 1,
    rowCount: 1
  }))
  const segments = Array.from({ length: count }, (_, segment) => {
    const at = { file: segment, rows: 4, columns: 1, codes: 0 }
    return { ...segmentOf({ segment, zone: 0, rowCount: 1 }, at), codes: NO_EXTENT }
  })
  const meta = { ...META, bits: 0, generation: count, count, nextFile: count, nextSegment: count }
  expect(() => {
    check({ meta, files, segments })
  }).not.toThrow()
})

describe('files are corrupt', () => {
  it.each([
    ['out of order', { files: [FILES[1], FILES[0], FILES[2]] }],
    ['with a number twice', withFile(1, { file: 0 })],
    ['with a number that is still to come', { meta: { nextFile: 7 } }],
    ['with one name twice', withFile(1, { generation: 1 })]
  ] satisfies [string, Changes][])('%s', (_, changes) => {
    expect(codeOf(() => check(changes))).toBe('ZGQ_CORRUPT')
  })
})

describe('segments are corrupt', () => {
  it.each([
    ['with a number twice', withSegment(1, { segment: 2 })],
    ['out of order', withSegment(1, { segment: 1 })],
    ['with a number that is still to come', { meta: { nextSegment: 9 } }],
    ['of a zone that is missing', { forge: (records) => forged(records, SEGMENT_RECORD.fields.zone, 3n) }],
    ['with other rows than the index', { meta: { count: 7 } }],
    ['without rows', withSegment(2, { rowCount: 0 })],
    ['with 2^31 rows', withSegment(2, { rowCount: 2 ** 31 })],
    ['with a norm below 0', withSegment(0, { minNorm: -1 })],
    ['with norms the wrong way round', withSegment(0, { minNorm: 3 })],
    ['with an infinite norm', withSegment(0, { maxNorm: Infinity })],
    ['with a radius below 0', withSegment(0, { radius: -1 })],
    ['with an infinite radius', withSegment(0, { radius: Infinity })],
    ['with a spread below 0', withSegment(0, { spread: -1 })],
    ['with an infinite spread', withSegment(0, { spread: Infinity })],
    ['with more bytes than rows', withExtent(0, 'rows', { byteLength: 36 })],
    ['with fewer bytes than rows', withExtent(0, 'rows', { byteLength: 12 })],
    ['in a file that is missing', withExtent(0, 'rows', { file: 1 })],
    ['with codes in a file that is missing', withExtent(0, 'codes', { file: 1 })],
    ['with rows in a file of codes', withSegment(0, { rows: SEGMENTS[0].codes, columns: SEGMENTS[0].codes })],
    ['with codes in a file of vectors', withExtent(0, 'codes', { file: 0 })],
    ['with columns in another file than the rows', withExtent(2, 'columns', { file: 0, offset: PAGE * 3 })],
    ['with columns too short for ids and page CRCs', withExtent(0, 'columns', { byteLength: 88 + 16 + 3 })],
    ['with codes too short for ids and page CRCs', withExtent(0, 'codes', { byteLength: 120 + 16 + 3 })],
    ['without codes, which the index has', withExtent(0, 'codes', { byteLength: 0 })],
    ['with codes, which the index has not', { meta: { bits: 0 } }],
    ['beside the start of a page', withExtent(0, 'rows', { offset: PAGE * 6 + 64 })],
    ['in the header', withExtent(0, 'columns', { offset: 0 })],
    ['behind the end of the file', withExtent(0, 'rows', { offset: PAGE * 8 })],
    ['whose last page is cut off', withFile(0, { byteLength: PAGE * 6 + 24 })],
    ['on the page of another one', withExtent(1, 'rows', { offset: PAGE * 6 })],
    ['with columns on the page of another one', withExtent(1, 'columns', { offset: PAGE })],
    ['with codes on the page of another one', withExtent(2, 'codes', { offset: PAGE })],
    ['with rows on the page of columns', withExtent(0, 'rows', { offset: PAGE * 2 })],
    ['with columns on the page of its own rows', withExtent(0, 'columns', { offset: PAGE * 6 })],
    ['that begin within another one', withExtent(1, 'columns', { byteLength: PAGE * 2 + 1 })],
    ['more than were written to the file', withFile(0, { segmentCount: 1 })],
    ['of more rows than were written to the file', withFile(0, { rowCount: 4 })],
    ['with codes of more rows than were written to the file', withFile(2, { rowCount: 5 })],
    ['with codes of more segments than were written to the file', withFile(2, { segmentCount: 2 })],
    ['with fields, where none are declared', { ...WITH_DOCUMENTS, fields: 0 }],
    ['without fields, where one is declared', { fields: 1 }],
    ['with fields in a file of payloads', withDocumentExtent('fields', { file: 6 })],
    ['with payloads in a file of fields', withDocumentExtent('payload', { file: 5 })],
    ['with payloads in a file that is missing', withDocumentExtent('payload', { file: 1 })],
    ['with payloads beside the start of a page', withDocumentExtent('payload', { offset: PAGE + 8 })],
    ['with payloads behind the end of the file', withDocumentExtent('payload', { byteLength: 2 ** 40 })],
    ['with fields on the page of others', withDocumentExtent('fields', { offset: PAGE * 2 })]
  ] satisfies [string, Changes][])('%s', (_, changes) => {
    expect(codeOf(() => check(changes))).toBe('ZGQ_CORRUPT')
  })

  it.each(u64Fields(SEGMENT_RECORD.fields))('with %s above 2^53 - 1', (name) => {
    const field = SEGMENT_RECORD.fields[name as keyof typeof SEGMENT_RECORD.fields]
    for (const value of [2n ** 53n, 2n ** 64n - 1n])
      expect(codeOf(() => check({ forge: (records) => forged(records, field, value) }))).toBe('ZGQ_CORRUPT')
  })

  it.each(['minNorm', 'maxNorm', 'radius', 'spread'] as const)('where %s is not a number', (name) => {
    const forge = (records: Uint8Array): Uint8Array => forgedDouble(records, SEGMENT_RECORD.fields[name], NaN)
    expect(codeOf(() => check({ forge }))).toBe('ZGQ_CORRUPT')
  })
})

describe('segments are unsupported', () => {
  it.each([
    ['flags', 1n],
    ['flags', 0x8000_0000n]
  ] as const)('with %s of %d', (name, value) => {
    const forge = (records: Uint8Array): Uint8Array => forged(records, SEGMENT_RECORD.fields[name], value)
    expect(codeOf(() => check({ forge }))).toBe('ZGQ_UNSUPPORTED')
  })
})

/** The same with a delta of two segments: all extents of each lie in its file, one after the other. */
function withDelta(change: Partial<SegmentRecord> = {}, facts: Partial<FileRecord> = {}): Changes {
  const delta: FileRecord = { ...FILE, file: 8, kind: 'delta', byteLength: PAGE * 12, segmentCount: 2, rowCount: 5 }
  const last = segmentOf({ segment: 11, zone: 4, rowCount: 2 }, { file: 8, rows: 4, columns: 5, codes: 6 })
  const inDelta = ({ codes, ...segment }: SegmentRecord): SegmentRecord => ({
    ...segment,
    codes: { ...codes, file: 8 }
  })
  return {
    meta: { count: 11, deltaZoneCount: 2, segmentCount: 5, fileCount: 4, nextSegment: 12, nextFile: 9 },
    files: [...FILES, { ...delta, ...facts }],
    segments: [
      ...SEGMENTS,
      inDelta(segmentOf({ segment: 10, zone: 3, rowCount: 3 }, { file: 8, rows: 1, columns: 2, codes: 3 })),
      { ...inDelta(last), ...change }
    ]
  }
}

describe('a delta', () => {
  it('has extents of all kinds in one file', () => {
    expect(() => {
      check(withDelta())
    }).not.toThrow()
  })

  const extent = (offset: number, file = 8): FileExtent => ({ file, offset: offset * PAGE, byteLength: 200, crc: 1 })
  it.each([
    ['whose codes are on the columns of another segment', withDelta({ codes: extent(2) })],
    ['whose columns are on its rows', withDelta({ columns: extent(4) })],
    ['whose codes are in the directory, behind the end', withDelta({ codes: extent(12) })],
    ['whose columns are in a vectors file', withDelta({ columns: extent(1, 4) })],
    ['of a zone that is not there', withDelta({ zone: 5 })],
    ['of more rows than were written', withDelta({}, { rowCount: 4 })],
    ['of more segments than were written', withDelta({}, { segmentCount: 1 })]
  ] satisfies [string, Changes][])('is corrupt with a segment %s', (_, changes) => {
    expect(codeOf(() => check(changes))).toBe('ZGQ_CORRUPT')
  })
})
