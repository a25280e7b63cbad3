// The spec against the code: every table and number of format-spec/README.md that the code repeats. Section 12 has a
// test of its own.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { APPLICATION_ID, CATALOGUE_DDL } from '../src/format/catalogue.ts'
import { INDEX_META_KEYS } from '../src/format/catalogue-values.ts'
import {
  BLOCK_FACTOR_BYTES,
  blockBytes,
  CODE_BITS,
  REFINED_FACTOR_BYTES,
  refinedRowBytes
} from '../src/format/codes.ts'
import { COLUMN_ALIGNMENT, COLUMN_ENTRY, COLUMN_KINDS, COLUMNS_HEADER, COLUMNS_MAGIC } from '../src/format/columns.ts'
import { DIRECTORY_ENTRY, FOOTER } from '../src/format/directory.ts'
import { CODES_MAGIC, ELEMENT_TYPE_FLOAT32, HEADER, VECTORS_MAGIC } from '../src/format/header.ts'
import {
  CATALOGUE_NAME,
  FORMAT_VERSION,
  MAX_DIM,
  METRIC_CODES,
  PAGE_BYTES,
  SHARD_BYTES,
  dataFileName
} from '../src/format/layout.ts'
import { KERNEL_METRICS } from '../src/kernels/kernel.ts'
import { codeList, hexBytes, meaningOf, section, SPEC, tableRows } from './support/spec.ts'

const LAYOUTS = [
  { heading: 'Layout: header', layout: HEADER },
  { heading: 'Layout: columns header', layout: COLUMNS_HEADER },
  { heading: 'Layout: column entry', layout: COLUMN_ENTRY },
  { heading: 'Layout: directory entry', layout: DIRECTORY_ENTRY },
  { heading: 'Layout: footer', layout: FOOTER }
]

/** Bytes of a value of a type as the spec names it. */
function byteLengthOf(type: string): number {
  return { u32: 4, u64: 8, f64: 8 }[type] ?? Number(type.replace('bytes', ''))
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
    expect(hexBytes(meaningOf('Layout: header', 'magic'))[0]).toEqual([...VECTORS_MAGIC])
  })

  it('give the last byte of the magic of a codes file', () => {
    const [, [last]] = hexBytes(meaningOf('Layout: header', 'magic'))
    expect([...VECTORS_MAGIC.subarray(0, 7), last]).toEqual([...CODES_MAGIC])
  })

  it('give the length of a block of signs', () => {
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
    expect([0, ...(/With `bits` of (\d), (\d) or (\d)/.exec(section('8. Codes')) ?? []).slice(1).map(Number)]).toEqual(
      CODE_BITS
    )
  })

  it('give the magic of a columns extent', () => {
    expect(hexBytes(meaningOf('Layout: columns header', 'magic'))[0]).toEqual([...COLUMNS_MAGIC])
  })

  it.each(['Layout: header', 'Layout: footer'])('give the version in %s', (heading) => {
    expect(Number(meaningOf(heading, 'version'))).toBe(FORMAT_VERSION)
  })

  it('give the version in the title', () => {
    expect(/^# The ZGQ index format, version (\d+)$/m.exec(SPEC)?.[1]).toBe(String(FORMAT_VERSION))
  })

  it.each(['headerByteLength', 'alignment'])('give %s of the header as a page', (field) => {
    expect(Number(meaningOf('Layout: header', field))).toBe(PAGE_BYTES)
  })

  it('give the codes of the metrics, for files and for kernels', () => {
    const specified = codeList(meaningOf('Layout: header', 'metric'))
    expect({ files: METRIC_CODES, kernels: KERNEL_METRICS }).toEqual({ files: specified, kernels: specified })
  })

  it('give the code of the element type', () => {
    expect(codeList(meaningOf('Layout: header', 'elementType'))).toEqual({ float32: ELEMENT_TYPE_FLOAT32 })
  })

  it('give the kinds of columns', () => {
    expect(tableRows('Layout: column kinds').map(([kind, name]) => [name, Number(kind)])).toEqual(
      Object.entries(COLUMN_KINDS)
    )
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
    expect(/\(2\^(\d+) bytes of segments/.exec(section('3. Segments'))?.[1]).toBe(String(Math.log2(SHARD_BYTES)))
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

  it('has the keys of the index value, in order', () => {
    expect(tableRows('Layout: meta index').map(([key]) => key)).toEqual([...INDEX_META_KEYS])
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
