// The pages of one column of a Parquet file, one after the other through all row groups. hyparquet reads the headers;
// the values of a page are decoded in parquet-numbers.ts and parquet-texts.ts. hyparquet's own reader is not used: it
// holds whole row groups as boxed numbers and gives short or empty lists where levels are damaged.

import { crc32 } from 'node:zlib'

import type { ColumnChunk, ColumnMetaData, FileMetaData, PageHeader, RowGroup, SchemaElement } from 'hyparquet'

import type { InputFile } from './input-file.ts'
import { inflate, type ParquetLibrary } from './parquet-library.ts'
import { bitWidth, decodeHybrid } from './parquet-values.ts'

/** Headers of pages of numbers have under 200 bytes. */
const HEADER_BYTES = 4096
const MAGIC_BYTES = 4

/** Where the bytes of a Parquet file are read. */
export type ParquetBytes = Pick<InputFile, 'path' | 'byteLength' | 'read'>

/** An open Parquet file. */
export interface ParquetFile {
  readonly file: ParquetBytes
  readonly library: ParquetLibrary
  readonly metadata: FileMetaData
}

/** A column of single values, or of lists of values. */
export interface LeafColumn {
  /** Name of the column in the table. */
  readonly name: string
  /** Names from the table's column down to the values. */
  readonly path: readonly string[]
  readonly element: SchemaElement
  /** 0: one value a row; 1: a list. */
  readonly maxRepetition: number
  /** Level of a value that is there; below it something is null or empty. */
  readonly maxDefinition: number
  /** Level from which on a list has an entry. */
  readonly entryDefinition: number
}

/**
 * A page of values. Missing repetition levels are all 0, missing definition levels all the highest; `values` has one
 * for each definition of the highest level, in pieces.
 */
export interface Page<Values> extends DecodedPage<Values> {
  /** Values of the row group before this page; those of pages that were passed over count. */
  readonly firstValue: number
  /** The page ends where a row ends, as in files with an index of pages. */
  readonly endsRow: boolean
  /** This page ends a row group of so many rows. */
  readonly endsGroupOf: number | undefined
}

/** What a page says of itself. */
interface DecodedPage<Values> {
  readonly count: number
  readonly repetitions: Uint8Array | undefined
  readonly definitions: Uint8Array | undefined
  readonly values: Iterable<Values>
}

/** Which pages of a row group are passed over. */
export interface PageSkip {
  /** Pages that end before this value of the row group; may rise while pages are read. */
  firstValue: number
  /** Where pages begin; undefined: their headers are read one after the other. */
  readonly index: PagePlaces | undefined
}

/** Where the pages of a row group begin, which is where rows begin. */
export interface PagePlaces {
  /** Returns the page that holds a value if it begins after `offset`, and no dictionary is to be read before. */
  jump(offset: number, value: number): { readonly offset: number; readonly firstValue: number } | undefined
  /** Throws unless so many values stand before the page that begins at `offset` or after it, or in all pages. */
  expect(offset: number, firstValue: number): void
}

/** Bytes of a file. */
export interface ByteRange {
  readonly offset: number
  readonly byteLength: number
}

/** A column in a row group, and its bytes: dictionary and pages. */
export interface PlacedChunk {
  readonly column: ColumnChunk
  readonly facts: ColumnMetaData
  readonly range: ByteRange
}

/** Decodes the values of a column chunk, and keeps its dictionary. Throws where bytes and count do not fit. */
export interface ValueDecoder<Values> {
  readDictionary(bytes: Uint8Array, count: number): void
  /** The pieces are read before the next page. */
  decode(bytes: Uint8Array, count: number, encoding: string): Iterable<Values>
}

/** Makes the decoder of a column chunk. */
export type DecoderMaker<Values> = (library: ParquetLibrary) => ValueDecoder<Values>

/** A column, and how its values are decoded. */
export interface DecodedColumn<Values> extends LeafColumn {
  readonly makeDecoder: DecoderMaker<Values>
}

/** Yields the pages of a column, from the first row to the last. */
export function* readPages<Values>(parquet: ParquetFile, column: DecodedColumn<Values>): Generator<Page<Values>> {
  for (const group of parquet.metadata.row_groups) {
    if (Number(group.num_rows) > 0) yield* readGroupPages(parquet, column, { group })
  }
}

/** Finds a column in a row group. Throws where it is not there, or where it cannot lie. */
export function placeChunk(parquet: ParquetFile, column: LeafColumn, group: RowGroup): PlacedChunk {
  const { chunk, facts } = findChunk(group, column)
  const starts = [facts.data_page_offset, facts.dictionary_page_offset].map(Number).filter((offset) => offset > 0)
  const offset = Math.min(...starts)
  const end = offset + Number(facts.total_compressed_size)
  if (!(offset >= MAGIC_BYTES && end <= parquet.file.byteLength))
    throw new Error(`the column ${column.name} lies outside the file, in bytes ${offset} to ${end}`)
  return { column: chunk, facts, range: { offset, byteLength: end - offset } }
}

function findChunk(group: RowGroup, column: LeafColumn): { chunk: ColumnChunk; facts: ColumnMetaData } {
  for (const chunk of group.columns) {
    const { file_path: elsewhere, meta_data: facts } = chunk
    if (
      facts === undefined ||
      facts.path_in_schema.length !== column.path.length ||
      !facts.path_in_schema.every((name, i) => name === column.path[i])
    )
      continue
    if (elsewhere !== undefined && elsewhere !== '')
      throw new Error(`the column ${column.name} lies in another file, ${elsewhere}`)
    return { chunk, facts }
  }
  throw new Error(`a row group does not have the column ${column.name}, or it is encrypted`)
}

/** Yields the pages of a column in one row group, apart from those that are passed over. */
export function* readGroupPages<Values>(
  parquet: ParquetFile,
  column: DecodedColumn<Values>,
  of: { readonly group: RowGroup; readonly skip?: PageSkip }
): Generator<Page<Values>> {
  const { group, skip } = of
  const { facts, range } = placeChunk(parquet, column, group)
  const end = range.offset + range.byteLength
  const expected = Number(facts.num_values)
  const pages = new PageReader(parquet.library, column, facts)
  const endsRow = skip?.index !== undefined
  let { offset } = range
  let count = 0
  do {
    const jump = skip?.index?.jump(offset, skip.firstValue)
    if (jump !== undefined) ({ offset, firstValue: count } = jump)
    if (offset >= end) throw new Error(`the column ${column.name} has ${count} values, expected ${expected}`)
    const found = readHeader(parquet, offset, end)
    offset = found.bytes.offset + found.bytes.byteLength
    const passed = skip === undefined ? 0 : valuesBefore(found.header, skip.firstValue - count)
    const page = passed > 0 ? undefined : pages.decode(found.header, readBytes(parquet.file, found))
    const firstValue = count
    count += page?.count ?? passed
    if (count > expected)
      throw new Error(`the column ${column.name} has more than the ${expected} values that its row group says`)
    if (page === undefined) continue
    yield { ...page, firstValue, endsRow, endsGroupOf: count === expected ? Number(group.num_rows) : undefined }
    skip?.index?.expect(offset, count)
  } while (count !== expected)
}

/** Counts the values of a page of data that is to be passed over: all of them stand before a value; else 0. */
function valuesBefore(header: PageHeader, firstValue: number): number {
  const values = (header.data_page_header ?? header.data_page_header_v2)?.num_values ?? 0
  return values <= firstValue ? Math.max(0, values) : 0
}

interface FoundPage {
  readonly header: PageHeader
  /** The page after its header. */
  readonly bytes: ByteRange
}

/** Reads the header at `offset` of a column that ends at `end`. */
function readHeader({ file, library }: ParquetFile, offset: number, end: number): FoundPage {
  const head = new Uint8Array(Math.min(HEADER_BYTES, end - offset))
  file.read(head, offset)
  const position = { view: new DataView(head.buffer), offset: 0 }
  const header = library.readHeader(position)
  const bytes = { offset: offset + position.offset, byteLength: header.compressed_page_size }
  if (!(bytes.byteLength >= 0 && bytes.offset + bytes.byteLength <= end))
    throw new Error(`a page of ${bytes.byteLength} bytes at byte ${bytes.offset} leaves its column`)
  return { header, bytes }
}

function readBytes(file: ParquetBytes, page: FoundPage): Uint8Array {
  const { offset, byteLength } = page.bytes
  const bytes = new Uint8Array(byteLength)
  file.read(bytes, offset)
  const { crc } = page.header
  if (crc !== undefined && crc >>> 0 !== crc32(bytes))
    throw new Error(`the page at byte ${offset} does not fit its checksum`)
  return bytes
}

/** Decodes the pages of a column chunk. */
class PageReader<Values> {
  readonly #library: ParquetLibrary
  readonly #column: LeafColumn
  readonly #decoder: ValueDecoder<Values>
  readonly #chunk: ColumnMetaData

  constructor(library: ParquetLibrary, column: DecodedColumn<Values>, chunk: ColumnMetaData) {
    this.#library = library
    this.#column = column
    this.#decoder = column.makeDecoder(library)
    this.#chunk = chunk
  }

  /** Returns undefined for what is no page of data. */
  decode(header: PageHeader, bytes: Uint8Array): DecodedPage<Values> | undefined {
    switch (header.type) {
      case 'DICTIONARY_PAGE':
        this.#readDictionary(header, bytes)
        return undefined
      case 'DATA_PAGE':
        return this.#readDataPage(header, bytes)
      case 'DATA_PAGE_V2':
        return this.#readDataPageV2(header, bytes)
      default:
        return undefined
    }
  }

  #readDictionary(header: PageHeader, bytes: Uint8Array): void {
    const count = header.dictionary_page_header?.num_values ?? 0
    this.#decoder.readDictionary(this.#inflate(bytes, header.uncompressed_page_size), count)
  }

  /** Levels come first, inside what is compressed, each after a u32 byte length. */
  #readDataPage(header: PageHeader, bytes: Uint8Array): DecodedPage<Values> {
    const facts = header.data_page_header
    if (facts === undefined) throw new Error('a page without its header')
    const count = this.#checkCount(facts.num_values)
    let rest = this.#inflate(bytes, header.uncompressed_page_size)
    const take = (encoding: string, most: number): Uint8Array | undefined => {
      if (most === 0) return undefined
      if (encoding !== 'RLE') throw new Error(`levels in the encoding ${encoding}, which is not supported`)
      if (rest.length < 4) throw new Error('a page that ends before its levels')
      const byteLength = new DataView(rest.buffer, rest.byteOffset).getUint32(0, true)
      const levels = this.#levels(rest.subarray(4, 4 + byteLength), count, most)
      rest = rest.subarray(4 + byteLength)
      return levels
    }
    const repetitions = take(facts.repetition_level_encoding, this.#column.maxRepetition)
    const definitions = take(facts.definition_level_encoding, this.#column.maxDefinition)
    return this.#assemble({ count, repetitions, definitions, bytes: rest, encoding: facts.encoding })
  }

  /** Levels come first, never compressed, as long as the header says. */
  #readDataPageV2(header: PageHeader, bytes: Uint8Array): DecodedPage<Values> {
    const facts = header.data_page_header_v2
    if (facts === undefined) throw new Error('a page without its header')
    const { repetition_levels_byte_length: repetitionBytes, definition_levels_byte_length: definitionBytes } = facts
    const count = this.#checkCount(facts.num_values)
    const levelBytes = repetitionBytes + definitionBytes
    if (!(repetitionBytes >= 0 && definitionBytes >= 0 && levelBytes <= bytes.length))
      throw new Error('a page that ends before its levels')
    const { maxRepetition, maxDefinition } = this.#column
    const repetitions =
      maxRepetition === 0 ? undefined : this.#levels(bytes.subarray(0, repetitionBytes), count, maxRepetition)
    const definitions =
      maxDefinition === 0 ? undefined : this.#levels(bytes.subarray(repetitionBytes, levelBytes), count, maxDefinition)
    const packed = bytes.subarray(levelBytes)
    const values =
      facts.is_compressed === false ? packed : this.#inflate(packed, header.uncompressed_page_size - levelBytes)
    return this.#assemble({ count, repetitions, definitions, bytes: values, encoding: facts.encoding })
  }

  #checkCount(count: number): number {
    if (!(count >= 0 && count <= Number(this.#chunk.num_values)))
      throw new Error(`a page of ${count} values in a column of ${this.#chunk.num_values}`)
    return count
  }

  #levels(bytes: Uint8Array, count: number, most: number): Uint8Array {
    const levels = new Uint8Array(count)
    decodeHybrid(bytes, bitWidth(most), levels)
    for (let i = 0; i < count; i++)
      if (levels[i] > most) throw new Error(`a level of ${levels[i]}, expected at most ${most}`)
    return levels
  }

  #assemble(page: Omit<DecodedPage<Values>, 'values'> & { bytes: Uint8Array; encoding: string }): DecodedPage<Values> {
    const { count, repetitions, definitions, bytes, encoding } = page
    const { maxDefinition } = this.#column
    let present = count
    if (definitions !== undefined) for (let i = 0; i < count; i++) if (definitions[i] < maxDefinition) present--
    const values = this.#decoder.decode(bytes, present, encoding)
    return { count, repetitions, definitions, values }
  }

  #inflate(bytes: Uint8Array, byteLength: number): Uint8Array {
    const { codec, total_uncompressed_size: most } = this.#chunk
    if (!(byteLength >= 0 && byteLength <= Number(most)))
      throw new Error(`a page of ${byteLength} bytes in a column of ${most}`)
    const inflated =
      codec === 'UNCOMPRESSED' || byteLength === 0 ? bytes : inflate(this.#library, codec, { bytes, byteLength })
    if (inflated.length !== byteLength)
      throw new Error(`a page inflates to ${inflated.length} bytes, expected ${byteLength}`)
    return inflated
  }
}
