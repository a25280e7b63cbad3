// Forged records of segments: numbers that nothing fits, extents that overlap or lie where they must not.

import type { FieldValue } from '../forge/fields.ts'
import type { Parts, SegmentField, SegmentFields } from '../forge/parts.ts'
import { SEGMENT_RECORD } from '../forge/structures.ts'
import { CORRUPT, HUGE, of, parts, UNSUPPORTED, type Forgery } from './forgery.ts'

const EXTENTS = ['rows', 'columns', 'codes'] as const

const segments = (
  title: string,
  change: (segments: SegmentFields[], found: Parts) => void,
  codes: readonly string[] = CORRUPT
): Forgery =>
  parts(
    'open',
    `segments: ${title}`,
    (found) => {
      change(found.segments, found)
    },
    codes
  )

/** Sets fields of segment 1. */
const one = (
  title: string,
  changes: Partial<Record<SegmentField, FieldValue>>,
  codes: readonly string[] = CORRUPT
): Forgery =>
  segments(
    title,
    ([, record]) => {
      record.change(changes)
    },
    codes
  )

const ofType = (type: string): SegmentField[] =>
  (Object.keys(SEGMENT_RECORD.fields) as SegmentField[]).filter((name) => SEGMENT_RECORD.fields[name].type === type)

const isReserved = (name: string): boolean => /^(fields|payload)/.test(name)

const NUMBERS: readonly Forgery[] = [
  ...ofType('u64').flatMap((name) =>
    HUGE.map(([title, value]) =>
      one(`${name} of ${title}`, { [name]: value }, isReserved(name) ? [...CORRUPT, ...UNSUPPORTED] : CORRUPT)
    )
  ),
  ...ofType('f64').flatMap((name) =>
    [Infinity, -Infinity, NaN, -1].map((value) => one(`${name} of ${value}`, { [name]: value }))
  ),
  one('minNorm above maxNorm', { minNorm: 1e30 }),
  ...[0, 1, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 50].map((rowCount) => one(`rowCount of ${rowCount}`, { rowCount })),
  one('rowCount of 2^31 - 1, rows of as many bytes', { rowCount: 2 ** 31 - 1, rowsByteLength: (2 ** 31 - 1) * 32 }),
  one('rowCount of 0, rows of no bytes', { rowCount: 0, rowsByteLength: 0 }),
  ...[6, 2 ** 31, 2 ** 32 - 1].map((zone) => one(`zone ${zone} of 6`, { zone })),
  ...EXTENTS.flatMap((kind) =>
    [7, 2 ** 32 - 1, kind === 'codes' ? 0 : 1].map((file) =>
      one(`${kind} in file ${file}, which is none or of another kind`, { [`${kind}File`]: file })
    )
  ),
  one('rows and columns in the codes file', { rowsFile: 1, columnsFile: 1 }),
  one('columns in the codes file', { columnsFile: 1 }),
  one('codes in the vectors file', { codesFile: 0 }),
  ...EXTENTS.flatMap((kind) =>
    [0, 1, 23, 2 ** 40].map((byteLength) =>
      one(`${kind} of ${byteLength} bytes`, { [`${kind}ByteLength`]: byteLength })
    )
  ),
  segments('none', (all, { segments, index }) => {
    segments.length = 0
    all.length = 0
    index.set('segmentCount', 0)
  }),
  segments('a number twice', (all) => {
    all[2].set('segment', 1)
  }),
  segments('numbers out of order', (all) => {
    all[2].set('segment', 3)
    all[3].set('segment', 2)
  }),
  segments('a number that was never given', (all) => {
    all[5].set('segment', 6)
  }),
  segments('one that is left out', (all, { index }) => {
    all.splice(2, 1)
    index.set('segmentCount', 5)
  }),
  segments('the same once more, under a new number', (all, found) => {
    const other = all[1].copy()
    other.set('segment', 6)
    all.push(other)
    found.recount()
  }),
  segments('5,000 on one extent', (all, found) => {
    for (let i = 6; i < 5006; i++) {
      const other = all[1].copy()
      other.set('segment', i)
      all.push(other)
    }
    found.recount()
  }),
  segments('rows of two exchanged', ([, a, b]) => {
    for (const [record, other] of [
      [a, b.copy()],
      [b, a.copy()]
    ] as const)
      for (const name of ['rowCount', 'rowsByteLength'] as const) record.set(name, other.get(name))
    a.set('rowCount', a.get('rowCount') + 1)
    b.set('rowCount', b.get('rowCount') - 1)
  })
]

const PLACES: readonly Forgery[] = [
  ...EXTENTS.flatMap((kind) => {
    const [offset, byteLength] = [`${kind}Offset`, `${kind}ByteLength`] as const
    return [
      segments(`${kind} that two share`, ([, a, b]) => {
        b.set(offset, a.get(offset))
      }),
      segments(`${kind} over the header`, ([, a]) => {
        a.set(offset, 0)
      }),
      segments(`${kind} off their page`, ([, a]) => {
        a.set(offset, a.get(offset) + 4)
      }),
      segments(`${kind} behind the end of the file`, ([, a], found) => {
        a.set(offset, found.file(kind === 'codes' ? 'codes' : 'vectors').bytes.byteLength)
      }),
      segments(`${kind} of ${2 ** 50} bytes`, ([, a]) => {
        a.set(byteLength, 2 ** 50)
      })
    ]
  }),
  ...(['columns', 'codes'] as const).map((kind) =>
    segments(`${kind} that reach into those of the next`, ([, a, b]) => {
      a.set(`${kind}ByteLength`, b.get(`${kind}Offset`) - a.get(`${kind}Offset`) + 1)
    })
  ),
  segments('rows that reach into those of the next, all numbers fitting', ([, a], found) => {
    const more = 200 - a.get('rowCount')
    a.change({ rowCount: 200, rowsByteLength: 200 * 32, columnsByteLength: 4096, codesByteLength: 4096 })
    for (const { record, header } of found.data)
      for (const fields of [record, header] as {
        get(name: 'rowCount'): number
        set(name: 'rowCount', to: number): void
      }[])
        fields.set('rowCount', fields.get('rowCount') + more)
    found.recount()
  }),
  segments('columns on the rows', ([, a]) => {
    a.set('columnsOffset', a.get('rowsOffset'))
  }),
  segments('columns on the rows of another', ([, a, b]) => {
    a.set('columnsOffset', b.get('rowsOffset'))
  }),
  segments('columns that reach from the rows on', ([, a, b]) => {
    a.change({ columnsOffset: b.get('rowsOffset'), columnsByteLength: 3 * 4096 })
  }),
  // Places that are apart, but not those of the segment: what lies there is another one's.
  ...(['columns', 'codes'] as const).map((kind): Forgery => ({
    ...segments(`${kind} of two exchanged`, ([, a, b]) => {
      const [x, y] = [a.get(`${kind}Offset`), b.get(`${kind}Offset`)]
      a.set(`${kind}Offset`, y)
      b.set(`${kind}Offset`, x)
    }),
    seen: kind === 'codes' ? 'codes' : 'rows'
  })),
  {
    ...segments('places of the rows of two exchanged', ([, a, b]) => {
      const [x, y] = [a.get('rowsOffset'), b.get('rowsOffset')]
      a.set('rowsOffset', y)
      b.set('rowsOffset', x)
    }),
    seen: 'rows'
  }
]

const RESERVED: readonly Forgery[] = [
  ...[1, 2, 2 ** 31, 2 ** 32 - 1].map((flags) => one(`flags ${flags}`, { flags }, UNSUPPORTED)),
  ...(['fields', 'payload'] as const).flatMap((kind) => [
    one(`${kind} of 100 bytes`, { [`${kind}ByteLength`]: 100, [`${kind}Offset`]: 4096 })
  ]),
  of('plain', one('codes without bits', { codesByteLength: 300, codesOffset: 4096, codesFile: 1 })),
  parts('nobody', 'segments: reserved fields that are not 0', (found) => {
    for (const record of found.segments) record.change({ rowsCrc: 7 })
  })
]

export const SEGMENTS: readonly Forgery[] = [...NUMBERS, ...PLACES, ...RESERVED]
