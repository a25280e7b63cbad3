// Forged records of files, and headers that contradict them.

import type { FileFields } from '../forge/data-file.ts'
import type { Fields, FieldValue } from '../forge/fields.ts'
import { moveToGeneration } from '../forge/legal.ts'
import type { Parts } from '../forge/parts.ts'
import type { HEADER } from '../forge/structures.ts'
import { CORRUPT, EITHER, HUGE, MISMATCH, parts, UNSUPPORTED, type Forgery } from './forgery.ts'

const files = (
  title: string,
  change: (files: FileFields[], found: Parts) => void,
  codes: readonly string[] = CORRUPT
): Forgery =>
  parts(
    'open',
    `files: ${title}`,
    (found) => {
      change(found.files, found)
    },
    codes
  )

const LONG = ['file', 'generation', 'shard', 'byteLength', 'segmentCount', 'rowCount'] as const
const MORE = [...CORRUPT, 'ZGQ_TRUNCATED', 'ZGQ_MISMATCH'] as const

export const FILES: readonly Forgery[] = [
  ...LONG.flatMap((name) =>
    HUGE.map(([title, value]) =>
      files(`${name} of ${title}`, ([record]) => {
        record.set(name, value)
      })
    )
  ),
  ...[0, 7, 8, 2 ** 32 - 1].map((kind) =>
    files(
      `kind ${kind}`,
      ([record]) => {
        record.set('kind', kind)
      },
      UNSUPPORTED
    )
  ),
  files('vectors that are called codes', ([record]) => {
    record.set('kind', 2)
  }),
  files('kinds exchanged', ([a, b]) => {
    a.set('kind', 2)
    b.set('kind', 1)
  }),
  files('a shard that is not there', ([record]) => {
    record.set('shard', 1)
  }),
  files('a shard of 2^50', ([record]) => {
    record.set('shard', 2 ** 50)
  }),
  files('a generation that is not there', ([record]) => {
    record.set('generation', 0)
  }),
  files(
    'a generation above that of the catalogue, that is not there',
    ([record]) => {
      record.set('generation', 2)
    },
    MISMATCH
  ),
  ...(['vectors', 'codes'] as const).map((kind) =>
    files(
      `a ${kind} file of a generation above that of the catalogue`,
      (_, found) => {
        moveToGeneration(found, kind, 2)
      },
      MISMATCH
    )
  ),
  ...[0, 4096, 2 ** 40].map((byteLength) =>
    files(
      `a length of ${byteLength}`,
      ([record]) => {
        record.set('byteLength', byteLength)
      },
      MORE
    )
  ),
  ...(['segmentCount', 'rowCount'] as const).flatMap((name) => [
    ...[0, 1].map((value) =>
      files(`${name} of ${value}`, ([record]) => {
        record.set(name, value)
      })
    ),
    files(
      `${name} of 2^50`,
      ([record]) => {
        record.set(name, 2 ** 50)
      },
      MISMATCH
    )
  ]),
  files(
    'another CRC of the header',
    ([record]) => {
      record.set('headerCrc', 7)
    },
    EITHER
  ),
  files('a number twice', ([, record]) => {
    record.set('file', 0)
  }),
  files('numbers out of order', ([a, b]) => {
    a.set('file', 1)
    b.set('file', 0)
  }),
  files('a number that no segment names', ([, record], { index }) => {
    record.set('file', 2)
    index.set('nextFile', 3)
  }),
  files('a number that was never given', ([, record]) => {
    record.set('file', 2)
  }),
  files('the same file twice', (all, found) => {
    const other = all[0].copy()
    other.set('file', 2)
    all.push(other)
    found.recount()
  }),
  files('3,000 more that are not there', (all, found) => {
    for (let i = 2; i < 3002; i++) {
      const other = all[1].copy()
      other.change({ file: i, shard: i })
      all.push(other)
    }
    found.recount()
  }),
  files('one too few', (all, found) => {
    all.pop()
    found.index.set('fileCount', 1)
  }),
  parts('nobody', 'files: a reserved field that is not 0', (found) => {
    for (const record of found.files) record.set('reserved', 5)
  })
]

type HeaderField = keyof typeof HEADER.fields

const header = (
  title: string,
  changes: Partial<Record<HeaderField, FieldValue>>,
  codes: readonly string[] = MISMATCH
): readonly Forgery[] =>
  (['vectors', 'codes'] as const).map((kind) =>
    parts(
      'open',
      `header of the ${kind} file: ${title}`,
      (found) => {
        const fields: Fields<HeaderField> = found.file(kind).header
        fields.change(changes)
      },
      codes
    )
  )

export const HEADERS: readonly Forgery[] = [
  ...header('another index id', { indexId: new Uint8Array(16) }),
  ...header('another generation', { generation: 2 }),
  ...header('another shard', { shard: 1 }),
  ...header('another dim', { dim: 9 }),
  ...header('another metric', { metric: 3 }),
  ...header('another length', { fileByteLength: 4096 }),
  ...header('another segment count', { segmentCount: 7 }),
  ...header('another row count', { rowCount: 2 ** 50 }),
  ...(['generation', 'shard', 'dim', 'fileByteLength', 'segmentCount', 'rowCount'] as const).flatMap((name) =>
    header(`${name} beyond 2^53`, { [name]: 2n ** 63n }, EITHER)
  ),
  ...header('another magic', { magic: new Uint8Array(8) }, CORRUPT),
  ...header('a reserved letter in the magic', { magic: Buffer.from('ZGQ\r\n\x1a\nD') }, [...CORRUPT, ...UNSUPPORTED]),
  ...header('version 1', { version: 1 }, UNSUPPORTED),
  ...header('a newer version', { version: 3 }, UNSUPPORTED),
  ...header('reader features', { readerFeatures: 1n << 63n }, UNSUPPORTED),
  ...header('another element type', { elementType: 2 }, UNSUPPORTED),
  ...header('another alignment', { alignment: 8192 }, [...UNSUPPORTED, ...CORRUPT]),
  ...header('another length of the header', { headerByteLength: 8192 }, [...UNSUPPORTED, ...CORRUPT]),
  ...(['vectors', 'codes'] as const).map((kind) =>
    parts('nobody', `header of the ${kind} file: writer features, which no reader minds`, (found) => {
      found.file(kind).header.set('writerFeatures', -1n)
    })
  )
]
