// Forged extents of columns: headers, entries, ids.

import type { FileKind } from '../forge/data-file.ts'
import { COLUMN, type EntryFields, type ExtentView } from '../forge/extent.ts'
import type { FieldValue } from '../forge/fields.ts'
import { splitSegment } from '../forge/legal.ts'
import { CORRUPT, HUGE, parts, UNSUPPORTED, type Forgery } from './forgery.ts'

/** Changes an extent of segment 1: beside its rows, or its codes. */
const extent = (
  title: string,
  change: (extent: ExtentView, kind: FileKind) => void,
  codes: readonly string[] = CORRUPT
): readonly Forgery[] =>
  (['vectors', 'codes'] as const).map((kind) =>
    parts(
      kind === 'vectors' ? 'rows' : 'codes',
      `columns in the ${kind} file: ${title}`,
      (found) => {
        change(found.extent(1, kind), kind)
      },
      codes
    )
  )

const headerOf = (
  title: string,
  changes: Partial<Record<'magic' | 'columnCount' | 'segment' | 'rowCount', FieldValue>>
): readonly Forgery[] =>
  extent(title, ({ header }) => {
    header.change(changes)
  })

/** Changes the entry of the ids. */
const entryOf = (title: string, changes: Parameters<EntryFields['change']>[0]): readonly Forgery[] =>
  extent(title, (found) => {
    found.entry(COLUMN.ids).change(changes)
  })

const RESERVED = [4, 18, 19, 32, 33, 34, 35, 36, 37, 48, 49, 99, 2 ** 32 - 1]

/** The last column of either extent, in whose place another kind may stand. */
const lastOf = (found: ExtentView): EntryFields => found.entries[found.entries.length - 1]

const bigIds = (found: ExtentView): DataView => found.column(COLUMN.ids)

const IDS: readonly Forgery[] = [
  ...(
    [
      ['an id beyond 2^53', 2n ** 53n],
      ['an id of 2^64 - 1', 2n ** 64n - 1n]
    ] as const
  ).flatMap(([title, id]) =>
    extent(title, (found) => {
      const ids = bigIds(found)
      ids.setBigUint64(ids.byteLength - 8, id, true)
    })
  ),
  parts('check', 'an id twice in a segment', (found) => {
    for (const kind of ['vectors', 'codes'] as const) {
      const ids = bigIds(found.extent(1, kind))
      ids.setBigUint64(8, ids.getBigUint64(0, true), true)
    }
  }),
  parts('check', 'an id in two zones', (found) => {
    const first = bigIds(found.extent(0, 'vectors')).getBigUint64(0, true)
    for (const kind of ['vectors', 'codes'] as const) bigIds(found.extent(1, kind)).setBigUint64(8, first, true)
  }),
  parts('check', 'an id in two segments of a zone', (found) => {
    splitSegment(found, 1)
    const first = bigIds(found.extent(1, 'vectors')).getBigUint64(0, true)
    for (const kind of ['vectors', 'codes'] as const) bigIds(found.extent(6, kind)).setBigUint64(0, first, true)
  }),
  parts('check', 'ids of codes that are not those of the rows', (found) => {
    const ids = bigIds(found.extent(1, 'codes'))
    ids.setBigUint64(ids.byteLength - 8, 100_000n, true)
  }),
  parts('nobody', 'an id of 2^53 - 1', (found) => {
    found.dropIds()
    for (const kind of ['vectors', 'codes'] as const)
      bigIds(found.extent(1, kind)).setBigUint64(0, 2n ** 53n - 1n, true)
  })
]

export const EXTENTS: readonly Forgery[] = [
  ...headerOf('another magic', { magic: new Uint8Array(4) }),
  ...headerOf('2^32 - 1 columns', { columnCount: 2 ** 32 - 1 }),
  ...headerOf('65 columns', { columnCount: 65 }),
  ...headerOf('no columns', { columnCount: 0 }),
  ...headerOf('one column', { columnCount: 1 }),
  ...headerOf('another segment', { segment: 2 }),
  ...HUGE.flatMap(([title, segment]) => headerOf(`segment ${title}`, { segment })),
  ...headerOf('another row count', { rowCount: 2 ** 50 }),
  ...HUGE.flatMap(([title, rowCount]) => headerOf(`a row count of ${title}`, { rowCount })),
  ...HUGE.flatMap(([title, offset]) => entryOf(`an offset of ${title}`, { offset })),
  ...entryOf('an offset beyond the extent', { offset: 2n ** 40n }),
  ...entryOf('an offset over the entries', { offset: 0 }),
  ...entryOf('an offset off its boundary', { offset: 131 }),
  ...entryOf('no length', { byteLength: 0 }),
  ...HUGE.flatMap(([title, byteLength]) => entryOf(`a length of ${title}`, { byteLength })),
  ...entryOf('a length beyond the extent', { byteLength: 2n ** 40n }),
  ...entryOf('a byte too few', { byteLength: 7 }),
  ...extent('a kind twice', (found) => {
    found.entry(COLUMN.pageCrcs).set('kind', COLUMN.ids)
  }),
  ...extent('kinds out of order', (found) => {
    const [a, b] = [found.entry(COLUMN.ids), found.entry(COLUMN.pageCrcs)]
    a.set('kind', COLUMN.pageCrcs)
    b.set('kind', COLUMN.ids)
  }),
  ...RESERVED.flatMap((kind) =>
    extent(
      `kind ${kind}, required`,
      (found) => {
        lastOf(found).change({ kind, flags: 1 })
      },
      [...UNSUPPORTED, ...CORRUPT]
    )
  ),
  ...extent(
    'a known kind in the place of another',
    (found, kind) => {
      lastOf(found).set('kind', kind === 'vectors' ? COLUMN.planes : 18)
    },
    [...UNSUPPORTED, ...CORRUPT]
  ),
  ...extent('two columns in one place', (found) => {
    found.entry(COLUMN.pageCrcs).set('offset', found.entry(COLUMN.ids).get('offset'))
  }),
  parts('nobody', 'columns: flags that nobody knows', (found) => {
    for (const kind of ['vectors', 'codes'] as const)
      for (const entry of found.extent(1, kind).entries) entry.change({ flags: 3 })
  }),
  ...IDS
]
