// The spec against the code: every table and number of format-spec/README.md that the code repeats. Section 13 has a
// test of its own.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { APPLICATION_ID, CATALOGUE_DDL, SCHEMA_ROWS } from '../src/catalogue/tables.ts'
import { CALIBRATION_HEADER, CALIBRATION_POINT } from '../src/format/calibration-record.ts'
import { CHANGES_RECORD } from '../src/format/changes-record.ts'
import {
  CHUNK_RECORDS,
  CHUNK_TABLES,
  MOST_CHUNK_RECORDS,
  mostChunkBytes,
  ZONES_STEP,
  zonesPerChunk
} from '../src/format/chunks.ts'
import {
  BLOCK_FACTOR_BYTES,
  BLOCK_ROWS,
  blockBytes,
  CODE_BITS,
  REFINED_FACTOR_BYTES,
  refinedRowBytes
} from '../src/format/codes.ts'
import { COLUMN_ALIGNMENT, COLUMN_ENTRY, COLUMNS_HEADER, COLUMNS_MAGIC, MOST_COLUMNS } from '../src/format/columns.ts'
import { DIRECTORY_ENTRY, FOOTER } from '../src/format/directory.ts'
import { FILE_RECORD } from '../src/format/file-record.ts'
import { ELEMENT_TYPE_FLOAT32, HEADER, MAGICS } from '../src/format/header.ts'
import { SEED_HIGH, SEED_LOW } from '../src/format/id-hash.ts'
import { ID_INNER_ENTRY, ID_LEAF_ENTRY, ID_PAGE } from '../src/format/id-pages.ts'
import { ENTRIES_PER_PAGE, idTree } from '../src/format/id-tree.ts'
import { INDEX_RECORD } from '../src/format/index-record.ts'
import { COLUMN_KINDS, EXTENT_KINDS, FILE_KINDS, fileKindOf } from '../src/format/kinds.ts'
import {
  CATALOGUE_NAME,
  dataFileName,
  FORMAT_VERSION,
  ID_TYPES,
  MAX_DIM,
  METRIC_CODES,
  PAGE_BYTES,
  SHARD_BYTES
} from '../src/format/layout.ts'
import { PACKED_HEADER, PACKED_MAGIC } from '../src/format/packed-header.ts'
import { OPENED_RECORD, PART_RECORD } from '../src/format/packed-index.ts'
import { QUANTIZER_HEADER } from '../src/format/quantizer.ts'
import { EXTENT_PART_WORDS, EXTENT_WORDS, SEGMENT_RECORD, SEGMENT_WORDS } from '../src/format/segment-record.ts'
import { MOST_ID_BYTES } from '../src/format/string-ids.ts'
import { METRIC_COSINE, METRIC_IP, METRIC_L2 } from '../src/kernels/layouts.ts'
import { filesBelow, readSource } from './support/sources.ts'
import { codeList, hexBytes, meaningOf, section, SPEC, tableRows } from './support/spec.ts'

const LAYOUTS = [
  { heading: 'Layout: header', layout: HEADER },
  { heading: 'Layout: columns header', layout: COLUMNS_HEADER },
  { heading: 'Layout: column entry', layout: COLUMN_ENTRY },
  { heading: 'Layout: ids page', layout: ID_PAGE },
  { heading: 'Layout: ids leaf entry', layout: ID_LEAF_ENTRY },
  { heading: 'Layout: ids inner entry', layout: ID_INNER_ENTRY },
  { heading: 'Layout: directory entry', layout: DIRECTORY_ENTRY },
  { heading: 'Layout: footer', layout: FOOTER },
  { heading: 'Layout: file record', layout: FILE_RECORD },
  { heading: 'Layout: segment record', layout: SEGMENT_RECORD },
  { heading: 'Layout: index record', layout: INDEX_RECORD },
  { heading: 'Layout: quantizer header', layout: QUANTIZER_HEADER },
  { heading: 'Layout: calibration header', layout: CALIBRATION_HEADER },
  { heading: 'Layout: calibration point', layout: CALIBRATION_POINT },
  { heading: 'Layout: changes record', layout: CHANGES_RECORD },
  { heading: 'Layout: packed header', layout: PACKED_HEADER },
  { heading: 'Layout: opened lengths', layout: OPENED_RECORD },
  { heading: 'Layout: part record', layout: PART_RECORD }
]

it('has no layout that the code does not know', () => {
  const headings = [...SPEC.matchAll(/^### (Layout: .*)$/gm)].map(([, heading]) => heading)
  const tables = ['Layout: column kinds', 'Layout: file kinds']
  expect(headings.toSorted()).toEqual([...LAYOUTS.map(({ heading }) => heading), ...tables].toSorted())
})

/** Bytes of a value of a type as the spec names it. */
function byteLengthOf(type: string): number {
  return { u32: 4, u64: 8, flags64: 8, f64: 8 }[type] ?? Number(type.replace('bytes', ''))
}

describe.each(LAYOUTS)('$heading', ({ heading, layout }) => {
  const specified = tableRows(heading).map(([offset, type, name]) => ({ offset: Number(offset), type, name }))

  it('has the fields of the code, with their offsets and types, in order', () => {
    expect(Object.entries(layout.fields).map(([name, { offset, type }]) => ({ offset, type, name }))).toEqual(specified)
  })

  it('ends where the record of the code ends', () => {
    const last = specified[specified.length - 1]
    expect(last.offset + byteLengthOf(last.type)).toBe(layout.byteLength)
  })

  it('has no fields that overlap', () => {
    const overlapping = specified.filter(
      ({ offset }, i) => i > 0 && offset < specified[i - 1].offset + byteLengthOf(specified[i - 1].type)
    )
    expect(overlapping).toEqual([])
  })
})

describe('numbers in the spec', () => {
  it('give the magic of a vectors file', () => {
    expect(hexBytes(meaningOf('Layout: header', 'magic'))[0]).toEqual([...MAGICS.vectors])
  })

  it('give the magic of a packed index', () => {
    expect(hexBytes(meaningOf('Layout: packed header', 'magic'))[0]).toEqual([...PACKED_MAGIC])
  })

  it('give the kinds of files, with the letters that end their magic', () => {
    const specified = tableRows('Layout: file kinds').map(([code, name, letter]) => [
      name,
      { code: Number(code), letter }
    ])
    expect(specified).toEqual(Object.entries(FILE_KINDS))
    for (const [name, { code }] of Object.entries(FILE_KINDS)) expect(fileKindOf(code)).toBe(name)
    for (const kind of ['vectors', 'codes', 'fields', 'payload', 'ids', 'delta'] as const) {
      const start = MAGICS.vectors.subarray(0, 7)
      expect(MAGICS[kind]).toEqual(Uint8Array.of(...start, FILE_KINDS[kind].letter.charCodeAt(0)))
    }
  })

  it('give the extents of a segment, in order, each of four fields', () => {
    const names = tableRows('Layout: segment record').map(([, , name]) => name)
    const parts = Object.keys(EXTENT_KINDS).flatMap((kind) =>
      ['Offset', 'ByteLength', 'File', 'Crc'].map((part) => `${kind}${part}`)
    )
    expect(names.slice(-parts.length)).toEqual(parts)
  })

  it('give the places of fields that are read word by word', () => {
    const offsets = Object.fromEntries(
      tableRows('Layout: segment record').map(([offset, , name]) => [name, Number(offset) / 4])
    )
    expect(offsets).toMatchObject(SEGMENT_WORDS)
    for (const [kind, start] of Object.entries(EXTENT_WORDS)) {
      const { offset, byteLength, file, crc } = EXTENT_PART_WORDS
      expect(['Offset', 'ByteLength', 'File', 'Crc'].map((part) => offsets[`${kind}${part}`])).toEqual(
        [offset, byteLength, file, crc].map((part) => start + part)
      )
    }
  })

  it('give the records of a chunk', () => {
    const { files, segments, zones } = Object.fromEntries(
      tableRows('7.1 Chunks').map(([table, , , chunks]) => [table, chunks])
    )
    expect([files, segments]).toEqual([`${CHUNK_RECORDS} records`, `${CHUNK_RECORDS} records`])
    const [, mib, step, least, most] =
      /into (\d+) MiB, a multiple of (\d+), at least (\d+) and at most (\d+)/.exec(zones) ?? []
    expect([step, least].map(Number)).toEqual([ZONES_STEP, BLOCK_ROWS])
    const fitting = (dim: number): number => Math.floor((Number(mib) * 2 ** 20) / (dim * 4))
    for (const dim of [1, 3, 128, 511, 512, 513, 768, 1000, 4096, 8191, 8193, MAX_DIM]) {
      const multiple = fitting(dim) - (fitting(dim) % Number(step))
      expect(zonesPerChunk(dim)).toBe(Math.min(Number(most), Math.max(Number(least), multiple)))
    }
  })

  it('give what a reader takes in a chunk', () => {
    const [, records, power, most] =
      /A chunk has 1 to ([\d,]+) records, and not more than 2\^(\d+) bytes unless (\d+) of/.exec(SPEC) ?? []
    expect(Number(records.replace(',', ''))).toBe(MOST_CHUNK_RECORDS)
    for (const bytes of [4, 176, 2 ** 15, 2 ** 18])
      expect(mostChunkBytes(bytes)).toBe(Math.max(2 ** Number(power), Number(most) * bytes))
  })

  it('give the rows of a block of planes, and of zone codes', () => {
    expect(/\*\*planes\*\*: a block for each (\d+) rows/.exec(SPEC)?.[1]).toBe(String(BLOCK_ROWS))
    expect(/\(`planes`\), (\d+) zones a block/.exec(SPEC)?.[1]).toBe(String(BLOCK_ROWS))
  })

  it('give the columns that an extent may have', () => {
    expect(/A columns extent has at most ([\d,]+) columns/.exec(SPEC)?.[1]).toBe(MOST_COLUMNS.toLocaleString('en-US'))
  })

  it('give the bytes of a string id', () => {
    const numbers = [...SPEC.matchAll(/1 to ([\d,]+) bytes(?: of UTF-8|, each of them UTF-8)/g)].map(([, most]) => most)
    expect(numbers).toEqual(Array(2).fill(MOST_ID_BYTES.toLocaleString('en-US')))
  })

  it('give the seeds of the hash of ids, and the entries of a page of an ids file', () => {
    const [, high, low] = /with seed (\d+), its low word the same with seed (0x\w+),/.exec(SPEC) ?? []
    expect([Number(high), Number(low)]).toEqual([SEED_HIGH, SEED_LOW])
    expect(/A page has up to (\d+) entries/.exec(section('4.1 Ids files'))?.[1]).toBe(String(ENTRIES_PER_PAGE))
    const { count } = ID_PAGE.fields
    expect(ENTRIES_PER_PAGE * ID_LEAF_ENTRY.byteLength).toBe(count.offset)
    expect(ID_INNER_ENTRY.byteLength).toBe(ID_LEAF_ENTRY.byteLength)
    const [, rows, leaves, above] =
      /([\d,]+) entries have ([\d,]+) leaves, (\d+) pages above them and a root/.exec(SPEC) ?? []
    const numberOf = (text: string): number => Number(text.replaceAll(',', ''))
    expect(idTree(numberOf(rows)).levels.map(({ pageCount }) => pageCount)).toEqual([
      numberOf(leaves),
      Number(above),
      1
    ])
  })

  it('give the types of ids', () => {
    expect(codeList(meaningOf('Layout: index record', 'idType'))).toEqual(ID_TYPES)
  })

  it('give the length of a block of planes', () => {
    const rows = tableRows('8.3 Codes files').map(([offset, bytes]) => ({
      offset: /^width \* 4(?: \+ (\d+))?$/.exec(offset),
      bytes: Number(bytes)
    }))
    const factors = rows
      .filter(({ offset }) => offset !== null)
      .map(({ offset, bytes }) => ({ start: Number(offset?.[1] ?? 0), bytes }))
    factors.forEach(({ start }, i) => {
      expect(start).toBe(i === 0 ? 0 : factors[i - 1].start + factors[i - 1].bytes)
    })
    expect(factors.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(BLOCK_FACTOR_BYTES)
    expect([blockBytes(16), blockBytes(17)]).toEqual([16 * 4 + BLOCK_FACTOR_BYTES, 32 * 4 + BLOCK_FACTOR_BYTES])
  })

  it('give the length of a refined row', () => {
    const [, factors] = /for each row (\d+) \+ width \* bits \/ 8 bytes/.exec(SPEC) ?? []
    expect([Number(factors), refinedRowBytes(20, 2)]).toEqual([REFINED_FACTOR_BYTES, REFINED_FACTOR_BYTES + 8])
  })

  it('give the bits that codes may have', () => {
    expect([
      0,
      ...(/With `bits` of (\d), (\d), (\d) or (\d)/.exec(section('8. Codes')) ?? []).slice(1).map(Number)
    ]).toEqual(CODE_BITS)
  })

  it('give the magic of a columns extent', () => {
    expect(hexBytes(meaningOf('Layout: columns header', 'magic'))[0]).toEqual([...COLUMNS_MAGIC])
  })

  it.each(['Layout: header', 'Layout: footer', 'Layout: index record'])('give the version in %s', (heading) => {
    expect(Number(meaningOf(heading, 'version').replace('format version, ', ''))).toBe(FORMAT_VERSION)
  })

  it('give the version in the title', () => {
    expect(/^# The ZGQ index format, version (\d+)$/m.exec(SPEC)?.[1]).toBe(String(FORMAT_VERSION))
  })

  it.each(['headerByteLength', 'alignment'])('give %s of the header as a page', (field) => {
    expect(Number(meaningOf('Layout: header', field))).toBe(PAGE_BYTES)
  })

  it('give the codes of the metrics, which kernels share', () => {
    expect(METRIC_CODES).toEqual(codeList(meaningOf('Layout: header', 'metric')))
    expect(METRIC_CODES).toEqual({ l2: METRIC_L2, cosine: METRIC_COSINE, ip: METRIC_IP })
  })

  it('give the code of the element type', () => {
    expect(codeList(meaningOf('Layout: header', 'elementType'))).toEqual({ float32: ELEMENT_TYPE_FLOAT32 })
  })

  it('give the kinds of columns', () => {
    const rows = tableRows('Layout: column kinds')
    expect(rows.map(([code, name]) => [name, Number(code)])).toEqual(
      Object.entries(COLUMN_KINDS).map(([name, { code }]) => [name, code])
    )
    const reserved = Object.entries(COLUMN_KINDS).flatMap(([name, { in: extents }]) =>
      extents.length === 0 ? name : []
    )
    expect(rows.flatMap(([, name, values]) => (values.startsWith('reserved') ? name : []))).toEqual(reserved)
    const inCodesAlone = Object.entries(COLUMN_KINDS).flatMap(([name, { in: extents }]) =>
      extents.join() === 'codes' ? name : []
    )
    expect(rows.flatMap(([, name, , present]) => (present.startsWith('codes files') ? name : []))).toEqual(inCodesAlone)
  })

  it('give the alignment of columns', () => {
    expect(/starting on a multiple of (\d+) bytes/.exec(section('4. Columns extents'))?.[1]).toBe(
      String(COLUMN_ALIGNMENT)
    )
  })

  it('give the length of a columns header with its entries', () => {
    const [, fixed, each] = /`(\d+) \+ (\d+) \* columnCount` bytes/.exec(SPEC) ?? []
    expect([Number(fixed), Number(each)]).toEqual([COLUMNS_HEADER.byteLength, COLUMN_ENTRY.byteLength])
  })

  it('give the length of the footer', () => {
    expect(/The footer is the last (\d+) bytes/.exec(SPEC)?.[1]).toBe(String(FOOTER.byteLength))
  })

  it('give the length of a shard', () => {
    expect(/\(2\^(\d+) bytes of rows/.exec(section('3. Segments'))?.[1]).toBe(String(Math.log2(SHARD_BYTES)))
  })

  it('give the most values that a vector may have', () => {
    expect(/`dim` is 1 to ([\d,]+)\./.exec(SPEC)?.[1].replace(',', '')).toBe(String(MAX_DIM))
  })
})

describe('the catalogue in the spec', () => {
  const catalogue = section('7. The catalogue')
  const words = (sql: string): string => sql.replace(/\s+/g, ' ').trim()

  it('has the tables that the code creates', () => {
    expect(words(/```sql\n([^`]+)```/.exec(catalogue)?.[1] ?? '')).toBe(words(CATALOGUE_DDL))
  })

  it('has the application_id of the code, in decimal, in hex and as text', () => {
    const [, decimal, hex, text] = /= (\d+) \((0x[0-9A-F]+), "(\w+)"\)/.exec(catalogue) ?? []
    expect([Number(decimal), Number(hex), Buffer.from(text).readUInt32BE()]).toEqual([
      APPLICATION_ID,
      APPLICATION_ID,
      APPLICATION_ID
    ])
  })

  it('has the rows of sqlite_schema that those statements make', () => {
    const statements = [...catalogue.matchAll(/CREATE TABLE (\w+) \([^;]+/g)].map(([sql, name]) => [
      'table',
      name,
      name,
      sql.trim()
    ])
    expect(SCHEMA_ROWS).toEqual(statements)
  })

  it('has the tables of chunks in the order of the digest', () => {
    expect(tableRows('7.1 Chunks').map(([table]) => table)).toEqual([...CHUNK_TABLES])
    const named =
      /tables ((?:`\w+`,? ?)+), each by `first`/.exec(meaningOf('Layout: index record', 'digest'))?.[1] ?? ''
    expect([...named.matchAll(/`(\w+)`/g)].map(([, table]) => table)).toEqual([...CHUNK_TABLES])
  })
})

describe('names in the spec', () => {
  it('are those of the files that the code writes', () => {
    expect(SPEC).toContain(`  ${CATALOGUE_NAME} `)
    const pattern = /vectors-G+-N+\.zgq/.exec(SPEC)?.[0] ?? ''
    expect(
      pattern
        .replace(/G+/, (digits) => '12'.padStart(digits.length, '0'))
        .replace(/N+/, (digits) => '3'.padStart(digits.length, '0'))
    ).toBe(dataFileName('vectors', 12, 3))
    expect(SPEC).toContain(`  ${pattern.replace('vectors', 'codes')} `)
  })

  it('of errors are codes of ZgqErrorCode', () => {
    const source = readFileSync(new URL('../src/errors.ts', import.meta.url), 'utf8')
    const known = [...source.matchAll(/^ {2}\| '(ZGQ_\w+)'$/gm)].map(([, code]) => code)
    const named = tableRows('11. What a reader MUST reject').map(([, code]) => code)
    expect(named.length).toBeGreaterThan(0)
    expect(known).toEqual(expect.arrayContaining(named))
  })
})

it('has the sections that the code cites', () => {
  const numbers = new Set([...SPEC.matchAll(/^##+ (\d+(?:\.\d+)?)\.? /gm)].map(([, number]) => number))
  const cited = filesBelow('src', ['.ts']).flatMap((path) =>
    [...readSource(path).matchAll(/spec(?:\/README\.md)?,\s*(?:\/\/\s*)?sections? ([\d., and]+)/g)].flatMap(
      ([, list]) => [...list.matchAll(/\d+(?:\.\d+)?/g)].map(([number]) => ({ path, number }))
    )
  )
  expect(cited.length).toBeGreaterThan(20)
  expect(cited.filter(({ number }) => !numbers.has(number))).toEqual([])
})
