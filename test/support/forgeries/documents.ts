// Forged documents: payloads, columns of fields, string ids, ids files, and what the catalogue declares.

import { COLUMN, type ExtentView } from '../forge/extent.ts'
import { mendIdsFile } from '../forge/ids.ts'
import type { Parts } from '../forge/parts.ts'
import { CORRUPT, parts, type Forgery, type Seen } from './forgery.ts'

/** Numbers of the fields of the index that is forged: support/document-index.ts. */
const FIELD = { path: 1, size: 2, draft: 3, tags: 4, kind: 5 } as const

const forged = (seen: Seen, title: string, change: (found: Parts) => void): Forgery => ({
  ...parts(seen, `documents: ${title}`, change, CORRUPT),
  of: 'documents',
  // The second reader does not print documents.
  without: ['python search', 'python check']
})

/** Changes the extent of fields or payloads of segment 1. */
const extent = (
  kind: 'fields' | 'payload' | 'vectors',
  title: string,
  change: (extent: ExtentView) => void,
  seen: Seen = 'documents'
): Forgery =>
  forged(seen, title, (found) => {
    change(found.extent(1, kind))
  })

/** The column of a field. */
function columnOf(found: ExtentView, kind: number, field: number): DataView {
  const entry = found.entries.find((one) => one.get('kind') === kind && one.get('field') === field)
  if (entry === undefined) throw new Error(`field ${field} has no column ${kind}`)
  return new DataView(found.view.buffer, found.view.byteOffset + entry.get('offset'), entry.get('byteLength'))
}

/** Puts bytes at the start of the longest payload of segment 1. */
const payload = (title: string, ...bytes: readonly number[]): Forgery =>
  extent('payload', `a payload ${title}`, (found) => {
    const offsets = found.column(COLUMN.payloadOffsets)
    const lengths = Array.from({ length: offsets.byteLength / 8 - 1 }, (_, row) =>
      Number(offsets.getBigUint64((row + 1) * 8, true) - offsets.getBigUint64(row * 8, true))
    )
    const start = Number(offsets.getBigUint64(lengths.indexOf(Math.max(...lengths)) * 8, true))
    const column = found.column(COLUMN.payloads)
    new Uint8Array(column.buffer, column.byteOffset + start).set(bytes)
  })

const text = (value: string): number[] => [0xa0 + Buffer.byteLength(value), ...Buffer.from(value)]

const PAYLOADS: readonly Forgery[] = [
  payload('that is a list', 0x91, 0xc0),
  payload('that is text', ...text('text')),
  payload('that is nil', 0xc0),
  payload('with an extension type', 0x81, ...text('a'), 0xd4, 1, 0),
  payload('with a time stamp', 0x81, ...text('a'), 0xd6, 0xff, 0, 0, 0, 0),
  payload('with a reserved type', 0x81, ...text('a'), 0xc1),
  payload('of 2^32 - 1 entries', 0xdf, 0xff, 0xff, 0xff, 0xff),
  payload('with a list of 2^32 - 1 elements', 0x81, ...text('a'), 0xdd, 0xff, 0xff, 0xff, 0xff),
  payload('with text of 2^32 - 1 bytes', 0x81, ...text('a'), 0xdb, 0xff, 0xff, 0xff, 0xff),
  payload('nested 100 deep', 0x81, ...text('a'), ...new Array<number>(100).fill(0x91)),
  payload('with a key that is a number', 0x81, 1, 2),
  payload('with a key twice', 0x82, ...text('a'), 1, ...text('a'), 2),
  payload('with __proto__ twice', 0x82, ...text('__proto__'), 0x80, ...text('__proto__'), 0x80),
  payload('with text that is not UTF-8', 0x81, ...text('a'), 0xa1, 0xff),
  payload('that ends before its bytes', 0x80),
  ...(
    [
      ['beyond the end', 2n ** 40n],
      ['beyond 2^53', 2n ** 53n + 2n],
      ['of 2^64 - 1', 2n ** 64n - 1n]
    ] as const
  ).map(([title, offset]) =>
    extent('payload', `an offset ${title}`, (found) => {
      found.column(COLUMN.payloadOffsets).setBigUint64(16, offset, true)
    })
  ),
  extent('payload', 'a first offset of 1', (found) => {
    found.column(COLUMN.payloadOffsets).setBigUint64(0, 1n, true)
  }),
  extent('payload', 'offsets that descend', (found) => {
    const offsets = found.column(COLUMN.payloadOffsets)
    offsets.setBigUint64(8, offsets.getBigUint64(24, true) + 1n, true)
  }),
  extent('payload', 'columns of payloads out of order', (found) => {
    found.entry(COLUMN.rowCrcs).set('kind', 48)
  }),
  extent('payload', 'offsets of a byte too few', (found) => {
    const entry = found.entry(COLUMN.payloadOffsets)
    entry.set('byteLength', entry.get('byteLength') - 1)
  }),
  extent(
    'payload',
    'a payload that says other values than the columns',
    (found) => {
      const column = found.column(COLUMN.payloads)
      const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
      const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('tag ')
      bytes[at + 4] ^= 1
    },
    'check'
  )
]

const dictionary = (title: string, change: (column: DataView) => void): Forgery =>
  extent('fields', `a dictionary ${title}`, (found) => {
    change(columnOf(found, COLUMN.fieldDictionary, FIELD.path))
  })

const HUGE_U32 = 2 ** 32 - 1

const FIELDS: readonly Forgery[] = [
  dictionary('of 2^32 - 1 strings', (column) => {
    column.setUint32(0, HUGE_U32, true)
  }),
  dictionary('of one string more', (column) => {
    column.setUint32(0, column.getUint32(0, true) + 1, true)
  }),
  dictionary('with a start beyond its bytes', (column) => {
    column.setUint32(8, HUGE_U32, true)
  }),
  dictionary('that descends', (column) => {
    const end = 4 + 4 * (column.getUint32(0, true) + 1)
    new Uint8Array(column.buffer, column.byteOffset)[end] = 0x7a
  }),
  dictionary('that is not UTF-8', (column) => {
    new Uint8Array(column.buffer, column.byteOffset)[column.byteLength - 1] = 0xff
  }),
  extent('fields', 'a code beyond the dictionary', (found) => {
    columnOf(found, COLUMN.fieldStrings, FIELD.kind).setUint32(0, 1000, true)
  }),
  extent('fields', 'a start of lists beyond them', (found) => {
    columnOf(found, COLUMN.fieldLists, FIELD.tags).setUint32(4, HUGE_U32, true)
  }),
  extent('fields', 'starts of lists that do not begin at 0', (found) => {
    columnOf(found, COLUMN.fieldLists, FIELD.tags).setUint32(0, 1, true)
  }),
  extent('fields', 'a number that is NaN', (found) => {
    const column = columnOf(found, COLUMN.fieldNumbers, FIELD.size)
    for (let at = 0; at < column.byteLength; at += 8) column.setFloat64(at, NaN, true)
  }),
  extent('fields', 'a row that is null and missing', (found) => {
    const column = columnOf(found, COLUMN.fieldPresence, FIELD.size)
    for (let at = 0; at < column.byteLength / 2; at += 4) column.setUint32(at, 0, true)
    column.setUint32(column.byteLength / 2, 1, true)
  }),
  extent('fields', 'bits behind the last row', (found) => {
    const column = columnOf(found, COLUMN.fieldBits, FIELD.draft)
    column.setUint32(column.byteLength - 4, HUGE_U32, true)
  }),
  extent('fields', 'a column of field 0', (found) => {
    found.entries[0].set('field', 0)
  }),
  extent('fields', '2^32 - 1 columns of fields', (found) => {
    found.header.set('columnCount', HUGE_U32)
  }),
  extent('fields', 'a column of 2^40 bytes', (found) => {
    found.entries[0].set('byteLength', 2 ** 40)
  }),
  extent('fields', 'a column of a field that is not declared', (found) => {
    found.entries[0].set('field', 77)
  }),
  extent(
    'fields',
    'a number that the payload does not have',
    (found) => {
      const column = columnOf(found, COLUMN.fieldNumbers, FIELD.size)
      for (let at = 0; at < column.byteLength; at += 8)
        if (column.getFloat64(at, true) !== 0) column.setFloat64(at, column.getFloat64(at, true) + 1, true)
    },
    'check'
  )
]

/** Changes the string ids of segment 1. */
const ids = (
  title: string,
  change: (column: DataView, starts: Uint32Array) => void,
  seen: Seen = 'documents'
): Forgery =>
  extent(
    'vectors',
    `string ids: ${title}`,
    (found) => {
      const column = found.column(COLUMN.stringIds)
      const { rowCount } = { rowCount: found.header.get('rowCount') }
      change(
        column,
        Uint32Array.from({ length: rowCount + 1 }, (_, row) => column.getUint32(row * 4, true))
      )
    },
    seen
  )

const IDS: readonly Forgery[] = [
  ids('a start of 2^32 - 1', (column) => {
    column.setUint32(4, HUGE_U32, true)
  }),
  ids('a first start of 1', (column) => {
    column.setUint32(0, 1, true)
  }),
  ids('one that is empty', (column, starts) => {
    column.setUint32(4, starts[2], true)
  }),
  ids('starts that descend', (column, starts) => {
    column.setUint32(8, starts[1] - 1, true)
  }),
  ids('one that is not UTF-8', (column) => {
    new Uint8Array(column.buffer, column.byteOffset)[column.byteLength - 1] = 0xff
  }),
  ids('a last start before the end', (column, starts) => {
    column.setUint32((starts.length - 1) * 4, starts[starts.length - 1] - 1, true)
  }),
  ids(
    'one that another row has too',
    (column, starts) => {
      const bytes = Buffer.from(column.buffer, column.byteOffset + starts.length * 4)
      const lengths = Array.from(starts.subarray(1), (end, row) => end - starts[row])
      const row = lengths.findIndex((length, i) => lengths.indexOf(length) < i)
      const other = lengths.indexOf(lengths[row])
      bytes.copy(bytes, starts[row], starts[other], starts[other + 1])
    },
    'check'
  )
]

/** Changes the ids file, whose pages get checksums that fit. */
const idsFile = (title: string, change: (page: (number: number) => DataView, pageCount: number) => void): Forgery =>
  forged('derived', `ids file: ${title}`, (found) => {
    const file = found.file('ids')
    change((number) => new DataView(file.bytes.buffer, number * 4096, 4096), file.bytes.byteLength / 4096)
    mendIdsFile(file.bytes)
  })

const IDS_FILE: readonly Forgery[] = [
  idsFile('rows that are not there', (page) => {
    for (let at = 0; at < 200 * 16; at += 16) page(1).setUint32(at + 8, HUGE_U32 - at, true)
  }),
  idsFile('segments that are not there', (page) => {
    for (let at = 0; at < 200 * 16; at += 16) page(1).setUint32(at + 12, HUGE_U32, true)
  }),
  idsFile('rows of other ids', (page) => {
    const leaf = page(1)
    for (let at = 0; at < 200 * 16; at += 32) {
      const [row, segment] = [leaf.getUint32(at + 8, true), leaf.getUint32(at + 12, true)]
      leaf.setUint32(at + 8, leaf.getUint32(at + 24, true), true)
      leaf.setUint32(at + 12, leaf.getUint32(at + 28, true), true)
      leaf.setUint32(at + 24, row, true)
      leaf.setUint32(at + 28, segment, true)
    }
  }),
  idsFile('hashes out of order', (page) => {
    page(1).setUint32(4, HUGE_U32, true)
  }),
  idsFile('a count of 2^32 - 1', (page) => {
    page(1).setUint32(4080, HUGE_U32, true)
  }),
  idsFile('a leaf of level 1', (page) => {
    page(1).setUint32(4084, 1, true)
  }),
  idsFile('a root that leads to itself', (page, pageCount) => {
    page(pageCount - 1).setUint32(8, pageCount - 1, true)
  }),
  idsFile('a root that leads beyond the file', (page, pageCount) => {
    page(pageCount - 1).setUint32(8, HUGE_U32, true)
  }),
  idsFile('other hashes in the root than in the leaves', (page, pageCount) => {
    page(pageCount - 1).setUint32(16, 0, true)
  })
]

const meta = (title: string, key: string, bytes: readonly number[], seen: Seen = 'open'): Forgery =>
  forged(seen, `meta ${key}: ${title}`, (found) => {
    found.meta.set(key, Uint8Array.from(bytes))
  })

const DECLARED: readonly Forgery[] = [
  meta('a field twice', 'fields', [0x82, ...text('a'), ...text('string'), ...text('a'), ...text('number')]),
  meta('a type that nobody knows', 'fields', [0x81, ...text('a'), ...text('date')]),
  meta('a type that is a number', 'fields', [0x81, ...text('a'), 1]),
  meta('a name that begins with $', 'fields', [0x81, ...text('$a'), ...text('string')]),
  meta('a name that is empty', 'fields', [0x81, ...text(''), ...text('string')]),
  meta('no fields', 'fields', [0x80]),
  meta('a list', 'fields', [0x90]),
  meta('2^32 - 1 fields', 'fields', [0xdf, 0xff, 0xff, 0xff, 0xff]),
  meta('bytes behind it', 'fields', [0x81, ...text('a'), ...text('string'), 0]),
  meta('text that is not UTF-8', 'model', [0xff]),
  meta('a list of 2^32 - 1 elements', 'note', [0xdd, 0xff, 0xff, 0xff, 0xff], 'derived'),
  meta('an extension type', 'note', [0x81, ...text('note'), 0xd4, 1, 0], 'derived'),
  forged('open', 'meta: no fields, though segments have them', (found) => {
    found.meta.delete('fields')
  })
]

export const DOCUMENTS: readonly Forgery[] = [...PAYLOADS, ...FIELDS, ...IDS, ...IDS_FILE, ...DECLARED]
