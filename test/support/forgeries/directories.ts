// Forged directories and footers: only checks look at them.

import { Fields, type FieldValue } from '../forge/fields.ts'
import { splitSegment } from '../forge/legal.ts'
import type { FOOTER } from '../forge/structures.ts'
import { CORRUPT, EITHER, HUGE, MISMATCH, parts, UNSUPPORTED, type Forgery } from './forgery.ts'

const footer = (
  title: string,
  changes: Partial<Record<keyof typeof FOOTER.fields, FieldValue>>,
  codes: readonly string[] = CORRUPT
): Forgery =>
  parts(
    'check',
    `footer: ${title}`,
    (found) => {
      found.file('vectors').changeFooter((fields) => {
        fields.change(changes)
      })
    },
    codes
  )

const LONG = ['directoryOffset', 'directoryByteLength', 'segmentCount', 'supersededCount'] as const
const ENTRY = [
  'segment',
  'flags',
  'rowCount',
  'rowsOffset',
  'columnsOffset',
  'columnsByteLength',
  'minNorm',
  'maxNorm',
  'radius',
  'columnsCrc'
] as const

const FOOTERS: readonly Forgery[] = [
  ...LONG.flatMap((name) => [
    ...HUGE.map(([title, value]) => footer(`${name} of ${title}`, { [name]: value })),
    footer(`${name} of 2^40`, { [name]: 2 ** 40 })
  ]),
  footer('a directory off its page', { directoryOffset: 4100 }),
  footer('no segments', { segmentCount: 0 }),
  footer('no segments, no directory', { segmentCount: 0, directoryByteLength: 0 }),
  footer('numbers instead of segments', { segmentCount: 5, supersededCount: 14 }),
  footer('superseded numbers that are not there', { supersededCount: 1 }),
  footer('another index id', { indexId: new Uint8Array(16) }, MISMATCH),
  footer('another magic', { magic: new Uint8Array(8) }),
  footer('version 1', { version: 1 }, UNSUPPORTED),
  footer('a newer version', { version: 3 }, UNSUPPORTED),
  footer('another CRC of the directory', { directoryCrc: 7 })
]

export const DIRECTORIES: readonly Forgery[] = [
  ...FOOTERS,
  ...ENTRY.map((name) =>
    parts('check', `directory: another ${name} than in the catalogue`, (found) => {
      const { fields } = found.file('vectors').directory.entries[1]
      fields.set(name, fields.get(name) + 1)
    })
  ),
  parts('nobody', 'directory: another zone than in the catalogue', (found) => {
    const { fields } = found.file('vectors').directory.entries[1]
    fields.set('zone', fields.get('zone') + 1)
  }),
  parts('check', 'directory: a segment of the catalogue that was superseded', (found) => {
    found.file('vectors').directory.superseded = [77n, BigInt(found.segments[1].get('segment'))]
  }),
  parts('check', 'directory: another centroid than in the catalogue', (found) => {
    found.file('vectors').directory.entries[1].centroid[3] += 1
  }),
  parts('check', 'directory: two entries exchanged', (found) => {
    const { entries } = found.file('vectors').directory
    entries.splice(1, 2, entries[2], entries[1])
  }),
  parts('check', 'directory: a segment twice, another one not at all', (found) => {
    const { entries } = found.file('vectors').directory
    entries.splice(2, 1, entries[1])
  }),
  parts('check', 'directory: a segment that is left out', (found) => {
    found.file('vectors').directory.entries.splice(2, 1)
  }),
  parts(
    'check',
    'directory: a segment more than the header says',
    (found) => {
      const { entries } = found.file('vectors').directory
      const [{ fields, centroid }] = entries
      const other = new Fields(fields.structure, fields.bytes.slice())
      other.set('segment', 77)
      entries.push({ fields: other, centroid })
    },
    EITHER
  ),
  parts('nobody', 'footer: its reserved field', (found) => {
    found.file('vectors').changeFooter((fields) => {
      fields.set('reserved', 7)
    })
  }),
  parts('nobody', 'directory: superseded numbers, a page and more of them', (found) => {
    const { directory } = found.file('vectors')
    directory.superseded = Array.from({ length: 20_000 }, (_, i) => BigInt(i + 100))
  }),
  parts('nobody', 'directory: a segment of a zone more', (found) => {
    splitSegment(found, 1)
  }),
  parts('nobody', 'directory: a segment that the catalogue has no more', (found) => {
    found.dropIds()
    found.segments.splice(2, 1)
    const { nextSegment } = { nextSegment: found.index.get('nextSegment') }
    found.recount()
    found.index.set('nextSegment', nextSegment)
  })
]
