// Holds every extent against its file and every count against the others, so that the rest of the code may trust them
// (spec, section 11.1).

import { ZgqError } from '../errors.ts'
import { columnsTableBytes } from '../format/columns.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { idTree } from '../format/id-tree.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { EXTENT_KINDS, type FileKind } from '../format/kinds.ts'
import { ELEMENT_BYTES, PAGE_BYTES, pageCount } from '../format/layout.ts'
import type { FileExtent } from '../format/segment-record.ts'
import { EXTENT_PART_WORDS, EXTENT_WORDS, SEGMENT_WORDS } from '../format/segment-record.ts'
import { RECORD_WORDS, type SegmentTable } from '../format/segment-table.ts'
import { MOST_ORDINAL_SLOTS } from '../format/ordinals.ts'
import { joinU64, MOST_HIGH_WORD } from '../format/u64.ts'
import { usesOrdinals } from './snapshot.ts'

/** Segments name files in 32 bits. */
const MOST_FILE = 2 ** 32 - 1
/** Rows of a segment are numbered in 31 bits. */
const MOST_SEGMENT_ROWS = 2 ** 31 - 1

type Damage = (what: string) => ZgqError

function damageOf(path: string): Damage {
  return (what) => new ZgqError('ZGQ_CORRUPT', `the catalogue contradicts itself: ${what}`, { path })
}

/** Throws ZGQ_CORRUPT where files contradict each other, ZGQ_MISMATCH for one that is newer than the index. */
export function checkFiles(of: { meta: IndexMeta; files: readonly FileRecord[] }, path: string): void {
  const damage = damageOf(path)
  const names = new Set<string>()
  let last = -1
  for (const file of of.files) {
    const name = fileNameOf(file)
    if (file.file <= last) throw damage(`file ${file.file} is listed after file ${last}`)
    if (file.file >= of.meta.nextFile)
      throw damage(`it has a file ${file.file}, and the next to come is ${of.meta.nextFile}`)
    if (file.file > MOST_FILE) throw damage(`it has a file ${file.file}, which no segment can name`)
    if (names.has(name)) throw damage(`two files are called ${name}`)
    if (file.generation > of.meta.generation)
      throw new ZgqError(
        'ZGQ_MISMATCH',
        `${name} is of generation ${file.generation}, newer than the index, which is of ${of.meta.generation}`,
        { path }
      )
    names.add(name)
    last = file.file
  }
}

/**
 * Ids files have the length that follows from the number of their entries, and together one for every row of the built
 * zones; more where segments went that they know.
 */
function expectIds(files: readonly FileRecord[], builtRows: number, damage: Damage): void {
  const ids = files.filter(({ kind }) => kind === 'ids')
  if (ids.length === 0) return
  for (const file of ids) {
    const name = fileNameOf(file)
    if (file.rowCount < 1) throw damage(`${name} has ${file.rowCount} ids`)
    if (file.segmentCount !== 0) throw damage(`${name} has ${file.segmentCount} segments, expected none`)
    const { byteLength } = idTree(file.rowCount)
    if (file.byteLength !== byteLength)
      throw damage(`${name} has ${file.byteLength} bytes, expected ${byteLength} for its ids`)
  }
  const entries = ids.reduce((sum, { rowCount }) => sum + rowCount, 0)
  if (entries < builtRows) throw damage(`its ids files have ${entries} ids, the built zones ${builtRows} rows`)
}

/**
 * Throws ZGQ_CORRUPT where segments contradict their files, each other or the index; ZGQ_UNSUPPORTED for new parts. An
 * index has thousands of segments, and opening does this with code that has not run before: it looks at the words of
 * the records and makes no objects (bench/README.md, "Open").
 */
export function checkSegments(
  of: { meta: IndexMeta; files: readonly FileRecord[]; segments: SegmentTable; fields: readonly unknown[] },
  path: string
): void {
  const { meta, segments, fields } = of
  const { words } = segments
  const damage = damageOf(path)
  const fail: Fail = (at, what) => damage(`${what} of segment ${joinU64(words[at], words[at + 1])}`)
  const layout = new FileLayout(segments, of.files, fail)
  let last = -1
  let [rows, builtRows] = [0, 0]
  for (let at = 0; at < words.length; at += RECORD_WORDS) {
    const number = joinU64(words[at], words[at + 1])
    if (number <= last) throw damage(`segment ${number} is listed after segment ${last}`)
    if (number >= meta.nextSegment)
      throw damage(`it has a segment ${number}, and the next to come is ${meta.nextSegment}`)
    last = number
    if (hasTooLarge(words, at)) throw fail(at, 'a number above 2^53 - 1')
    expectKnown(words, at, path)
    const rowCount = joinU64(words[at + W.rowCount], words[at + W.rowCount + 1])
    expectSound({ segments, meta, fail }, at, rowCount)
    layout.note(ROWS, at, rowCount)
    layout.note(COLUMNS, at, 0)
    if (meta.bits > 0) layout.note(CODES, at, rowCount)
    if (hasExtent(words, at + FIELDS_LENGTH) !== fields.length > 0)
      throw fail(at, `${fields.length > 0 ? 'no' : 'an'} extent of fields, where ${fields.length} are declared,`)
    if (fields.length > 0) layout.note(FIELDS, at, rowCount)
    if (hasExtent(words, at + PAYLOAD_LENGTH)) layout.note(PAYLOAD, at, rowCount)
    rows += rowCount
    if (words[at + W.zone] < meta.zoneCount) builtRows += rowCount
  }
  if (usesOrdinals(of) && segments.slotCount > MOST_ORDINAL_SLOTS)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `it has ${segments.count} segments, with documents at most ${MOST_ORDINAL_SLOTS}`,
      { path }
    )
  if (rows !== meta.count) throw damage(`the segments have ${rows} rows, the index ${meta.count}`)
  expectIds(of.files, builtRows, damage)
  layout.expectApart(damage)
}

/** Makes the error about the segment whose record is at a word. */
type Fail = (at: number, what: string) => ZgqError

const W = SEGMENT_WORDS
const { byteLength: LENGTH, file: FILE } = EXTENT_PART_WORDS
// Where the lengths and files of extents are in a record.
const [ROWS_LENGTH, ROWS_FILE] = [EXTENT_WORDS.rows + LENGTH, EXTENT_WORDS.rows + FILE]
const [COLUMNS_LENGTH, COLUMNS_FILE] = [EXTENT_WORDS.columns + LENGTH, EXTENT_WORDS.columns + FILE]
const CODES_LENGTH = EXTENT_WORDS.codes + LENGTH
const [FIELDS_LENGTH, PAYLOAD_LENGTH] = [EXTENT_WORDS.fields + LENGTH, EXTENT_WORDS.payload + LENGTH]

/** Looks at the u64 that nothing else bounds: those that this version has no use for. */
function hasTooLarge(words: Uint32Array, at: number): boolean {
  const high =
    words[at + EXTENT_WORDS.fields + 1] |
    words[at + EXTENT_WORDS.payload + 1] |
    words[at + FIELDS_LENGTH + 1] |
    words[at + PAYLOAD_LENGTH + 1]
  return high >>> 0 > MOST_HIGH_WORD // all its bits are set: no bits of smaller ones together are above it
}

/** Throws ZGQ_UNSUPPORTED for what a newer version may have added to a segment. */
function expectKnown(words: Uint32Array, at: number, path: string): void {
  const flags = words[at + W.flags]
  if (flags === 0) return
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `this index needs a newer version of zgq: segment ${joinU64(words[at], words[at + 1])} has flags ${flags}`,
    { path }
  )
}

/** Tells whether there is an extent whose length is at a word. */
function hasExtent(words: Uint32Array, at: number): boolean {
  return (words[at] | words[at + 1]) !== 0
}

/** Checks one segment by itself. */
function expectSound(of: { segments: SegmentTable; meta: IndexMeta; fail: Fail }, at: number, rowCount: number): void {
  const { segments, meta, fail } = of
  const { words, doubles } = segments
  if (words[at + W.zone] >= segments.zoneCount) throw fail(at, `zone ${words[at + W.zone]} of ${segments.zoneCount}`)
  if (rowCount < 1 || rowCount > MOST_SEGMENT_ROWS) throw fail(at, `${rowCount} rows`)
  const minNorm = doubles[(at + W.minNorm) / 2]
  const maxNorm = doubles[(at + W.maxNorm) / 2]
  const radius = doubles[(at + W.radius) / 2]
  const spread = doubles[(at + W.spread) / 2]
  if (!(minNorm >= 0 && minNorm <= maxNorm && maxNorm < Infinity && radius >= 0 && radius < Infinity))
    throw fail(at, `norms from ${minNorm} to ${maxNorm} and radius ${radius}`)
  if (!(spread >= 0 && spread < Infinity)) throw fail(at, `a spread of ${spread}`)
  const rowBytes = rowCount * meta.dim * ELEMENT_BYTES
  const found = joinU64(words[at + ROWS_LENGTH], words[at + ROWS_LENGTH + 1])
  if (found !== rowBytes) throw fail(at, `${found} bytes of rows, expected ${rowBytes},`)
  if (words[at + COLUMNS_FILE] !== words[at + ROWS_FILE]) throw fail(at, 'columns in another file than the rows')
  // Ids and page CRCs at least, and in codes the planes' entry.
  const crcBytes = pageCount(rowBytes) * 4
  const idBytes = rowCount * (meta.idType === 'integer' ? 8 : LEAST_STRING_ID)
  const columnsBytes = joinU64(words[at + COLUMNS_LENGTH], words[at + COLUMNS_LENGTH + 1])
  if (columnsBytes < TWO_COLUMNS + crcBytes + idBytes) throw fail(at, `${columnsBytes} bytes of columns`)
  const codesBytes = joinU64(words[at + CODES_LENGTH], words[at + CODES_LENGTH + 1])
  const inCodes = meta.idType === 'integer' ? THREE_COLUMNS + idBytes : TWO_COLUMNS
  if (meta.bits === 0 ? codesBytes > 0 : codesBytes < inCodes + crcBytes)
    throw fail(at, `${codesBytes} bytes of codes with ${meta.bits} bits`)
}

/** Bytes of a string id in its column: where it starts, and one byte. */
const LEAST_STRING_ID = 5

const TWO_COLUMNS = columnsTableBytes(2)
const THREE_COLUMNS = columnsTableBytes(3)

const KINDS: readonly ['rows', 'columns', 'codes', 'fields', 'payload'] = [
  'rows',
  'columns',
  'codes',
  'fields',
  'payload'
]
// Their positions, and by them where extents are in a record and which files hold them.
const ROWS = 0
const COLUMNS = 1
const CODES = 2
const FIELDS = 3
const PAYLOAD = 4
const KIND_WORDS = KINDS.map((kind) => EXTENT_WORDS[kind])
const KIND_FILES: readonly FileKind[] = KINDS.map((kind) => EXTENT_KINDS[kind].file)

/** The extents that were seen in a file. */
interface FilledFile {
  readonly record: FileRecord
  /** Where extents of each kind begin and end: those that come in order need no sorting. */
  readonly starts: number[]
  readonly ends: number[]
  isInOrder: boolean
  segments: number
  rows: number
}

/** The extents of all files: each begins on a page behind the header, and shares none with another. */
class FileLayout {
  readonly #segments: SegmentTable
  readonly #words: Uint32Array
  readonly #fail: Fail
  readonly #files: ReadonlyMap<number, FilledFile>
  #last: FilledFile | undefined

  constructor(segments: SegmentTable, files: readonly FileRecord[], fail: Fail) {
    this.#segments = segments
    this.#words = segments.words
    this.#fail = fail
    this.#files = new Map(
      files.map((record) => [
        record.file,
        {
          record,
          starts: KINDS.map(() => Infinity),
          ends: KINDS.map(() => 0),
          isInOrder: true,
          segments: 0,
          rows: 0
        }
      ])
    )
  }

  /** Segments that follow each other are mostly in the same files. */
  #fileOf(number: number): FilledFile | undefined {
    if (this.#last?.record.file !== number) this.#last = this.#files.get(number)
    return this.#last
  }

  /**
   * Notes an extent of the segment whose record is at a word, and its rows if it is what counts them in its file;
   * throws where it is not in a file of its kind, or there are more than were written to it.
   */
  note(kind: number, at: number, rowCount: number): void {
    const words = this.#words
    const extent = at + KIND_WORDS[kind]
    const offset = joinU64(words[extent], words[extent + 1])
    const file = this.#fileOf(words[extent + FILE])
    if (file === undefined || (file.record.kind !== KIND_FILES[kind] && file.record.kind !== 'delta'))
      throw this.#fail(at, `${KINDS[kind]} in file ${words[extent + FILE]}, which is no ${KIND_FILES[kind]} file,`)
    if (offset < PAGE_BYTES || (words[extent] & (PAGE_BYTES - 1)) !== 0)
      throw this.#fail(at, `${KINDS[kind]} at byte ${offset}, where none may begin,`)
    const end = offset + pageCount(joinU64(words[extent + LENGTH], words[extent + LENGTH + 1])) * PAGE_BYTES
    if (!(end <= file.record.byteLength))
      throw this.#fail(at, `${KINDS[kind]} up to byte ${end} of ${file.record.byteLength}`)
    if (offset < file.ends[kind]) file.isInOrder = false
    if (offset < file.starts[kind]) file.starts[kind] = offset
    if (end > file.ends[kind]) file.ends[kind] = end
    // In a delta file, which has extents of all kinds, rows alone count.
    if (rowCount === 0 || (file.record.kind === 'delta' && kind !== ROWS)) return
    file.segments++
    file.rows += rowCount
    if (file.segments > file.record.segmentCount || file.rows > file.record.rowCount)
      throw this.#fail(at, `more segments or rows in ${fileNameOf(file.record)} than were written to it, at last`)
  }

  /** Throws where two extents share a page. */
  expectApart(damage: Damage): void {
    for (const [number, extents] of this.#extentsOutOfOrder()) {
      extents.sort((a, b) => a.offset - b.offset)
      for (const [i, { offset, byteLength }] of extents.entries()) {
        if (i + 1 < extents.length && extents[i + 1].offset < offset + pageCount(byteLength) * PAGE_BYTES)
          throw damage(`two extents of file ${number} overlap at byte ${extents[i + 1].offset}`)
      }
    }
  }

  /** Collects, in one pass, the extents of the files where they do not follow each other kind by kind. */
  #extentsOutOfOrder(): Map<number, FileExtent[]> {
    const found = new Map<number, FileExtent[]>()
    for (const [number, { record, starts, ends, isInOrder }] of this.#files) {
      const isMixed = record.kind === 'delta' || (record.kind === 'vectors' && ends[ROWS] > starts[COLUMNS])
      if (!isInOrder || isMixed) found.set(number, [])
    }
    if (found.size === 0) return found
    for (let position = 0; position < this.#segments.count; position++) {
      for (const kind of KINDS) {
        const extent = this.#segments.extent(position, kind)
        if (extent.byteLength > 0) found.get(extent.file)?.push(extent)
      }
    }
    return found
  }
}
