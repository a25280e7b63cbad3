// Forgeries of an index whose checksums all fit: what each changes, and what has to be said of it, where.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'

import { CATALOGUE, COLUMN, editSchema, forge, runSql, withDatabase, type Parts, type SqlValue } from './forge.ts'

/**
 * Who has to see it: `open` = whoever opens the index; `rows` = whoever reads the rows; `codes` = whoever reads the
 * codes; `check` = checks alone; `nobody` = it is legal.
 */
export type Seen = 'open' | 'rows' | 'codes' | 'check' | 'nobody'

export interface Forgery {
  readonly title: string
  readonly seen: Seen
  /** Codes that may be reported; where several rules are broken either may be met first. */
  readonly codes: readonly string[]
  readonly forge: (folder: string) => void
  /** The index that is forged. */
  readonly of?: 'cosine' | 'plain' | undefined
  /** Left out, with the reason in the title: commands that take longer than a test should. */
  readonly without?: readonly string[]
}

const CORRUPT = ['ZGQ_CORRUPT'] as const

function refused(title: string, change: (folder: string) => void, codes: readonly string[] = CORRUPT): Forgery {
  return { title, seen: 'open', codes, forge: change }
}

function parts(seen: Seen, title: string, change: (parts: Parts) => void, codes: readonly string[] = CORRUPT): Forgery {
  return {
    title,
    seen,
    codes: seen === 'nobody' ? [] : codes,
    forge: (folder) => {
      forge(folder, change)
    }
  }
}

const legal = (title: string, change: (folder: string) => void): Forgery => ({
  title,
  seen: 'nobody',
  codes: [],
  forge: change
})

const of = (kind: 'cosine' | 'plain', forgery: Forgery): Forgery => ({ ...forgery, of: kind })

const COLUMNS: Record<string, readonly string[]> = {
  meta: ['key', 'value', 'crc'],
  files: ['file', 'kind', 'name', 'byte_length', 'header_crc', 'crc'],
  centroids: ['first_zone', 'zone_count', 'vectors', 'crc'],
  zones: (
    'zone segment file row_count segment_offset columns_offset columns_byte_length columns_crc codes_file codes_offset ' +
    'codes_byte_length codes_crc min_norm max_norm radius crc'
  ).split(' ')
}

/** A view in the place of a table, whose rows never end. */
const endless = (table: string): Forgery =>
  refused(`a view without end in the place of table ${table}`, (folder) => {
    const [first, ...others] = COLUMNS[table]
    runSql(
      folder,
      `DROP TABLE ${table}`,
      `CREATE VIEW ${table} AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i AS ${first}, ` +
        `${others.map((name) => `0 AS ${name}`).join()} FROM n`
    )
  })

const statement = (title: string, ...statements: readonly string[]): Forgery =>
  refused(title, (folder) => {
    runSql(folder, ...statements)
  })

const schemaEdit = (title: string, ...statements: readonly string[]): Forgery =>
  refused(title, (folder) => {
    editSchema(folder, ...statements)
  })

const SCHEMAS: readonly Forgery[] = [
  ...Object.keys(COLUMNS).map(endless),
  statement(
    'a view that makes 1.9 GB in the place of table centroids',
    'ALTER TABLE centroids RENAME TO other',
    'CREATE VIEW centroids AS SELECT first_zone, zone_count, zeroblob(999999000) AS vectors, crc FROM other'
  ),
  statement(
    'a view that makes 1.9 GB in the place of table meta',
    'ALTER TABLE meta RENAME TO other',
    'CREATE VIEW meta AS SELECT key, zeroblob(999999000) AS value, crc FROM other'
  ),
  statement(
    'a trigger without end on table meta',
    'CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL ' +
      'SELECT i + 1 FROM n) SELECT i FROM n); END'
  ),
  statement('a trigger that clears table zones', 'CREATE TRIGGER t BEFORE INSERT ON meta BEGIN DELETE FROM zones; END'),
  statement('a virtual table beside ours', 'CREATE VIRTUAL TABLE more USING fts5(text)'),
  schemaEdit(
    'a virtual table in the place of table zones',
    "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE zones USING dbstat', rootpage = 0 WHERE name = 'zones'",
    "DELETE FROM sqlite_schema WHERE type = 'index'"
  ),
  schemaEdit(
    'a generated column that makes 1 GB',
    "UPDATE sqlite_schema SET sql = replace(sql, 'vectors BLOB NOT NULL', 'vectors BLOB AS (zeroblob(999999000))') " +
      "WHERE name = 'centroids'"
  ),
  statement('a table more', 'CREATE TABLE more (x)'),
  statement('statistics of ANALYZE', 'ANALYZE'),
  statement('an index more', 'CREATE INDEX more ON zones (row_count)'),
  statement('an index on an expression', 'CREATE INDEX more ON zones (abs(row_count))'),
  statement('a column more', 'ALTER TABLE zones ADD COLUMN more'),
  statement('a view beside ours', 'CREATE VIEW more AS SELECT 1'),
  schemaEdit(
    'a comment in the schema',
    "UPDATE sqlite_schema SET sql = sql || ' /* */' WHERE name = 'files' AND type = 'table'"
  ),
  schemaEdit(
    'a schema in small letters',
    "UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', 'not null') WHERE name = 'files'"
  ),
  schemaEdit(
    'a default in the schema',
    "UPDATE sqlite_schema SET sql = replace(sql, 'kind TEXT NOT NULL', 'kind TEXT NOT NULL DEFAULT 1') " +
      "WHERE name = 'files'"
  ),
  ...['tbl_name', 'type'].flatMap((column) =>
    [
      ['20 MB of bytes', 'zeroblob(20000000)'],
      ['20 MB of text', "replace(hex(zeroblob(10000000)), '0', 'x')"]
    ].map(([title, value]) =>
      schemaEdit(
        `${title} in column ${column} of an automatic index`,
        `UPDATE sqlite_schema SET ${column} = ${value} WHERE name = 'sqlite_autoindex_zones_1'`
      )
    )
  ),
  schemaEdit(
    'bytes in the place of NULL in the schema',
    "UPDATE sqlite_schema SET sql = x'00' WHERE name = 'sqlite_autoindex_zones_1'"
  ),
  schemaEdit('a schema of garbage', "UPDATE sqlite_schema SET sql = 'garbage' WHERE name = 'files'"),
  schemaEdit(
    'a name of control characters in the schema',
    "UPDATE sqlite_schema SET sql = 'x', name = char(27, 155, 10)"
  ),
  schemaEdit(
    'two tables exchanged',
    "UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema WHERE name IN ('files', 'centroids')) " +
      "- rootpage WHERE name IN ('files', 'centroids')"
  ),
  schemaEdit('a table that begins on no page', "UPDATE sqlite_schema SET rootpage = 99999999 WHERE name = 'files'"),
  refused(
    'a newer user_version and a view without end',
    (folder) => {
      endless('zones').forge(folder)
      runSql(folder, 'PRAGMA user_version = 9')
    },
    ['ZGQ_UNSUPPORTED']
  ),
  refused(
    'another application_id and a view without end',
    (folder) => {
      endless('meta').forge(folder)
      runSql(folder, 'PRAGMA application_id = 9')
    },
    ['ZGQ_NOT_AN_INDEX']
  )
]

/** Writes bytes over the catalogue. */
function patchCatalogue(folder: string, change: (bytes: Buffer) => Uint8Array): void {
  const path = join(folder, CATALOGUE)
  writeFileSync(path, change(readFileSync(path)))
}

/** The page on which a table or index begins. */
function rootPage(folder: string, name: string): number {
  let page = 0
  withDatabase(folder, (database) => {
    page = Number(database.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(name))
  })
  return page
}

/** An interior page of a table, all of whose children are one page. */
function interiorPage(child: number, kind: number): Buffer {
  const page = Buffer.alloc(4096)
  const cells = 300
  const cellBytes = 5
  page[0] = kind
  page.writeUInt16BE(cells, 3)
  page.writeUInt16BE(4096 - cells * cellBytes, 5)
  page.writeUInt32BE(child, 8)
  for (let i = 0; i < cells; i++) {
    const at = 4096 - (i + 1) * cellBytes
    page.writeUInt16BE(at, 12 + i * 2)
    page.writeUInt32BE(child, at)
    page[at + 4] = 1
  }
  return page
}

/** Puts `levels` interior pages above a table, each with one child repeated: 300 times as many rows a level. */
const repeated = (table: string, levels: number): Forgery =>
  refused(`rows of table ${table} that are repeated without end`, (folder) => {
    const root = rootPage(folder, table)
    patchCatalogue(folder, (bytes): Uint8Array => {
      const last = bytes.byteLength / 4096
      const leaf = Buffer.alloc(4096, bytes.subarray((root - 1) * 4096, root * 4096))
      const pages: Uint8Array[] = [leaf]
      for (let i = 1; i < levels; i++) pages.push(interiorPage(last + i, 5))
      bytes.set(interiorPage(last + levels, 5), (root - 1) * 4096)
      bytes.writeUInt32BE(last + levels, 28)
      return Buffer.concat([bytes, ...pages])
    })
  })

const PAGES: readonly Forgery[] = [
  legal('pages of 65,536 bytes', (folder) => {
    runSql(folder, 'PRAGMA page_size = 65536', 'VACUUM')
  }),
  legal('pages of 512 bytes', (folder) => {
    runSql(folder, 'PRAGMA page_size = 512', 'VACUUM')
  }),
  legal('auto_vacuum', (folder) => {
    runSql(folder, 'PRAGMA auto_vacuum = FULL', 'VACUUM')
  }),
  legal('10 MB of free pages', (folder) => {
    runSql(
      folder,
      'CREATE TABLE more (x)',
      'INSERT INTO more SELECT zeroblob(1000000) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10))',
      'DROP TABLE more'
    )
  }),
  {
    ...legal('a catalogue that ends after 64 GiB of nothing', (folder) => {
      truncateSync(join(folder, CATALOGUE), 64 * 2 ** 30)
    }),
    without: ['check', 'calibrate']
  },
  refused('pages of garbage behind a good header', (folder) => {
    patchCatalogue(folder, (bytes) =>
      Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(bytes.byteLength - 100, 0xa7)])
    )
  }),
  refused(
    'a catalogue that is encrypted',
    (folder) => {
      patchCatalogue(folder, (bytes) => bytes.map((byte, i) => byte ^ (i * 31 + 7)))
    },
    ['ZGQ_NOT_AN_INDEX']
  ),
  repeated('zones', 12),
  repeated('files', 12),
  repeated('centroids', 12),
  refused('a chain of overflow pages that comes back to itself, as if it held 130 MB', (folder) => {
    forge(folder, (found) => {
      found.setMeta('quantizer', new Uint8Array(2_200_000))
    })
    patchCatalogue(folder, (bytes) => loopOverflow(bytes))
    truncateSync(join(folder, CATALOGUE), 2 ** 28)
  })
]

/** A varint of SQLite of four bytes. */
const varint = (value: number): Uint8Array =>
  Uint8Array.of((value >> 21) | 0x80, (value >> 14) | 0x80, (value >> 7) | 0x80, value & 0x7f)

/** Lengthens the row of the quantizer to 130 MB and makes its last overflow page its own successor. */
function loopOverflow(bytes: Buffer): Uint8Array {
  const key = bytes.indexOf('quantizer') // before it: payload length, header length, types of key, value and CRC
  bytes.set(varint(130_000_020), key - 11)
  bytes.set(varint(130_000_000 * 2 + 12), key - 5)
  const nextOf = (page: number): number => bytes.readUInt32BE((page - 1) * 4096)
  const pages = Array.from({ length: bytes.byteLength / 4096 }, (_, i) => i + 1)
  for (const page of pages) {
    if (nextOf(page) === 0 && pages.some((other) => nextOf(other) === page)) {
      bytes.writeUInt32BE(page, (page - 1) * 4096)
      return bytes
    }
  }
  throw new Error('there is no last overflow page')
}

const index = (title: string, changes: object, codes?: readonly string[]): Forgery =>
  parts(
    'open',
    `meta index: ${title}`,
    (found) => {
      found.changeMeta('index', changes)
    },
    codes
  )

/** Bytes of MessagePack that stand where a map should. */
const packed = (key: string, title: string, bytes: Uint8Array): Forgery =>
  parts('open', `meta ${key}: ${title}`, (found) => {
    found.setMeta(key, bytes)
  })

const text = (value: string): number[] => [0xa0 + value.length, ...Buffer.from(value)]

const MESSAGE_PACK: readonly (readonly [string, Uint8Array])[] = [
  ['a timestamp extension', Uint8Array.of(0x81, ...text('seed'), 0xd6, 0xff, 0, 0, 0, 1)],
  ['an extension of 4 GB', Uint8Array.of(0x81, ...text('seed'), 0xc9, 0xff, 0xff, 0xff, 0xff, 1)],
  ['a record of msgpackr', Uint8Array.of(0xd4, 0x72, 0x40, 0x91, ...text('seed'), 1)],
  ['an undefined of msgpackr', Uint8Array.of(0x81, ...text('seed'), 0xd4, 0, 0)],
  ['lists in lists, 100,000 deep', new Uint8Array(100_000).fill(0x91)],
  [
    'maps in maps, 200 deep',
    Uint8Array.from([
      ...Array(200)
        .fill([0x81, ...text('a')])
        .flat(),
      1
    ])
  ],
  ['a list of 2^32 - 1', Uint8Array.of(0x81, ...text('seed'), 0xdd, 0xff, 0xff, 0xff, 0xff)],
  ['a map of 2^32 - 1', Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
  ['a string of 4 GB', Uint8Array.of(0x81, ...text('seed'), 0xdb, 0xff, 0xff, 0xff, 0xff, 65)],
  ['bytes of 4 GB', Uint8Array.of(0x81, ...text('seed'), 0xc6, 0xff, 0xff, 0xff, 0xff, 65)],
  ['a key twice', Uint8Array.of(0x82, ...text('seed'), 1, ...text('seed'), 2)],
  ['a key that is a number', Uint8Array.of(0x81, 7, 1)],
  ['bytes behind the map', Uint8Array.of(0x81, ...text('seed'), 1, 1)],
  ['a string that is not UTF-8', Uint8Array.of(0x81, ...text('seed'), 0xa2, 0xc3, 0x28)],
  ['the type that is never used', Uint8Array.of(0x81, ...text('seed'), 0xc1)],
  ['nothing', new Uint8Array(0)],
  ['a list', Uint8Array.of(0x91, 1)],
  ['a map that is cut short', Uint8Array.of(0x82, ...text('seed'), 1)]
]

/** A list of very many empty maps: a byte each. */
function emptyMaps(count: number): Uint8Array {
  const bytes = Buffer.alloc(5 + count, 0x80)
  bytes[0] = 0xdd
  bytes.writeUInt32BE(count, 1)
  return bytes
}

const MILLION_MAPS = Buffer.concat([Uint8Array.of(0x81, ...text('seed')), emptyMaps(1_000_000)])
const MANY_MAPS = Buffer.concat([Uint8Array.of(0x81, ...text('seed')), emptyMaps(8191)])

const META: readonly Forgery[] = [
  ...['index', 'build', 'quantizer', 'calibration'].map((key) => packed(key, 'a million empty maps', MILLION_MAPS)),
  ...['index', 'build', 'quantizer', 'calibration'].map((key) => packed(key, 'a list', emptyMaps(3))),
  packed('build', 'one item too many', Buffer.concat([Uint8Array.of(0x82, 0xa0, 0xc0), MANY_MAPS.subarray(1)])),
  parts('nobody', 'meta build: as many items as there may be', (found) => {
    found.setMeta('build', MANY_MAPS)
  }),
  parts('nobody', 'twelve keys of meta that nobody knows, with a million empty maps each', (found) => {
    for (let i = 0; i < 12; i++) found.setMeta(`other ${i}`, emptyMaps(1_000_000))
  }),
  index('a dim of 0', { dim: 0 }),
  index('a dim of 2^31', { dim: 2 ** 31 }),
  index('a dim of 1.5', { dim: 1.5 }),
  index('a dim that is not a number', { dim: NaN }),
  index('a count beyond 2^53', { count: 2 ** 60 }),
  index('a count of 1e300', { count: 1e300 }),
  index('a count below 0', { count: -1 }),
  index('no rows at all', { count: 0 }),
  index('more rows than the zones have', { count: 301 }),
  index('2^50 zones', { zoneCount: 2 ** 50 }),
  index('2^31 zones', { zoneCount: 2 ** 31 }),
  index('2^50 files', { fileCount: 2 ** 50 }),
  index('3 bits', { bits: 3 }, ['ZGQ_UNSUPPORTED']),
  index('reader features', { readerFeatures: 2 ** 53 - 1 }, ['ZGQ_UNSUPPORTED']),
  index('a version that is text', { version: '1' }),
  index('a newer version', { version: 2 }, ['ZGQ_UNSUPPORTED', 'ZGQ_CORRUPT']),
  index('a metric of control characters', { metric: 'l2\u001b[31m\u009b' }),
  index('an element type of control characters', { elementType: '\u001b]0;title\u0007' }, ['ZGQ_UNSUPPORTED']),
  index('an index id that is text', { indexId: '0123456789abcdef' }),
  index('a digest of 31 bytes', { digest: new Uint8Array(31) }),
  index('a generation beyond 2^53', { generation: 2 ** 60 }),
  ...['index', 'build', 'quantizer', 'calibration'].map((key) =>
    parts('open', `meta ${key}: 40 MB`, (found) => {
      found.changeMeta(key, { more: new Uint8Array(40_000_000) })
    })
  ),
  ...MESSAGE_PACK.flatMap(([title, bytes]) => [packed('build', title, bytes), packed('calibration', title, bytes)]),
  ...MESSAGE_PACK.slice(0, 5).flatMap(([title, bytes]) => [
    packed('index', title, bytes),
    packed('quantizer', title, bytes)
  ]),
  parts('open', 'meta without index', (found) => {
    found.meta.delete('index')
  }),
  parts('open', 'quantizer: signs of 40 MB', (found) => {
    found.changeMeta('quantizer', { signs: new Uint8Array(40_000_000) })
  }),
  parts('open', 'quantizer: 17 rounds of signs', (found) => {
    found.changeMeta('quantizer', { signs: new Uint8Array(34) })
  }),
  parts('open', 'quantizer: a mean that is not a number', (found) => {
    found.changeMeta('quantizer', { mean: new Uint8Array(32).fill(0xff) })
  }),
  parts('open', 'quantizer: signs that are text', (found) => {
    found.changeMeta('quantizer', { signs: '000000' })
  }),
  parts('nobody', 'a key of meta that nobody knows', (found) => {
    found.setMeta('other', { more: new Uint8Array(400_000) })
  }),
  parts('open', 'a key of meta that nobody knows, with 40 MB', (found) => {
    found.setMeta('other', new Uint8Array(40_000_000))
  }),
  parts('open', 'very many keys of meta', (found) => {
    for (let i = 0; i < 5000; i++) found.setMeta(`other ${i}`, { i })
  }),
  parts('open', 'a key of meta of 20 MB', (found) => {
    found.setMeta('a'.repeat(20_000_000), { i: 1 })
  }),
  parts('nobody', 'control characters in the facts of the build', (found) => {
    found.changeMeta('build', {
      seed: '\u001b[2J\u001b]52;c;aGVsbG8=\u0007\r\n\u009b31m',
      '\u001b[31m': '\u202egnp.exe <script>alert(1)</script>',
      '\0': [{ '\u0090': '\u007f' }],
      __proto__: { a: 1 }
    })
  }),
  refused('text where a value of meta is', (folder) => {
    runSql(folder, "UPDATE meta SET value = 'text' WHERE key = 'index'")
  }),
  refused('a number where a value of meta is', (folder) => {
    runSql(folder, "UPDATE meta SET value = 7 WHERE key = 'quantizer'")
  })
]

/** A calibration, as a program of three curves would write it. */
function calibrationWith(change: (calibration: Calibrated) => void): (parts: Parts) => void {
  return (found) => {
    const calibration: Calibrated = structuredClone(Object(found.meta.get('calibration')))
    change(calibration)
    found.setMeta('calibration', calibration)
  }
}

interface Calibrated {
  [key: string]: unknown
  curves: { k: number; points: Record<string, unknown>[] }[]
}

const EVERY_FIELD = ['queries', 'confidence', 'highestRecall', 'scale'] as const
const EVERY_POINT = ['recall', 'threshold', 'mean', 'zones'] as const
const NO_NUMBERS = [NaN, Infinity, -1, '1'] as const

const CALIBRATIONS: readonly Forgery[] = [
  ...EVERY_FIELD.flatMap((field) =>
    NO_NUMBERS.map((value) =>
      parts(
        'open',
        `calibration: ${field} of ${typeof value === 'string' ? 'text' : value}`,
        calibrationWith((calibration) => {
          calibration[field] = value
        })
      )
    )
  ),
  ...EVERY_POINT.flatMap((field) =>
    NO_NUMBERS.map((value) =>
      parts(
        'open',
        `calibration: ${field} of ${typeof value === 'string' ? 'text' : value} in a point`,
        calibrationWith(({ curves }) => {
          curves[1].points[0][field] = value
        })
      )
    )
  ),
  ...['recall', 'zones'].map((field) =>
    parts(
      'open',
      `calibration: ${field} of 1e-20`,
      calibrationWith(({ curves }) => {
        for (const { points } of curves) points[0][field] = 1e-20
      })
    )
  ),
  parts(
    'open',
    'calibration: everything 1e-20',
    calibrationWith((calibration) => {
      for (const field of EVERY_FIELD) calibration[field] = 1e-20
      for (const { points } of calibration.curves) {
        points.length = 1
        for (const field of EVERY_POINT) points[0][field] = 1e-20
      }
    })
  ),
  ...(
    [
      ['highestRecall of 1', (calibration) => (calibration['highestRecall'] = 1)],
      ['no queries', (calibration) => (calibration['queries'] = 0)],
      ['a confidence of 2', (calibration) => (calibration['confidence'] = 2)],
      ['no curves', (calibration) => (calibration.curves = [])],
      ['a curve of no points', ({ curves }) => (curves[0].points = [])],
      ['a k of 0', ({ curves }) => (curves[0].k = 0)],
      ['a k of 1.5', ({ curves }) => (curves[0].k = 1.5)],
      ['a k beyond 2^53', ({ curves }) => (curves[2].k = 2 ** 60)],
      ['a k twice', ({ curves }) => (curves[1].k = curves[0].k)],
      ['curves out of order', ({ curves }) => curves.reverse()],
      ['points out of order', ({ curves }) => curves[1].points.reverse()],
      ['a threshold that falls', ({ curves }) => (curves[1].points[0]['threshold'] = 1e30)],
      ['more zones than there are', ({ curves }) => (curves[1].points[0]['zones'] = 1e9)],
      ['a mean recall of 2', ({ curves }) => (curves[1].points[0]['mean'] = 2)],
      ['a trust that is not a number', ({ curves }) => (curves[1].points[0]['trust'] = NaN)],
      ['a trust of 1e300', ({ curves }) => (curves[1].points[0]['trust'] = 1e300)],
      ['a source of control characters', (calibration) => (calibration['source'] = '\u001b[31m')],
      ['curves that are a map', (calibration) => Object.assign(calibration, { curves: { length: 1 } })],
      [
        '20,000 points',
        ({ curves }) => {
          const [last] = curves[0].points.slice(-1)
          curves[0].points = Array.from({ length: 20_000 }, (_, i) => ({ ...last, recall: 0.1 + i * 1e-5 }))
        }
      ]
    ] satisfies readonly (readonly [string, (calibration: Calibrated) => unknown])[]
  ).map(([title, change]) => parts('open', `calibration: ${title}`, calibrationWith(change)))
]

/** Sets a value of a row. */
const cell = (
  table: 'files' | 'zones' | 'centroids',
  place: readonly [number, string],
  value: SqlValue,
  codes?: readonly string[]
): Forgery =>
  parts(
    'open',
    `${table}: ${place[1]} of ${typeof value === 'string' ? JSON.stringify(value).slice(0, 60) : value instanceof Uint8Array ? `${value.byteLength} bytes` : String(value)}`,
    (found) => {
      found.tables[table][place[0]][place[1]] = value
    },
    codes
  )

const INTEGERS = COLUMNS['zones'].slice(1, 12)
const HUGE = [2n ** 53n + 2n, 2n ** 63n - 1n, -4096n] as const

const ROWS: readonly Forgery[] = [
  ...INTEGERS.flatMap((name) => HUGE.map((value) => cell('zones', [1, name], value))),
  ...INTEGERS.slice(0, 4).map((name) => cell('zones', [1, name], 'text')),
  ...['min_norm', 'max_norm', 'radius'].flatMap((name) => [
    cell('zones', [1, name], Infinity),
    cell('zones', [1, name], -1),
    cell('zones', [1, name], 'text')
  ]),
  cell('zones', [1, 'min_norm'], 1e30),
  cell('zones', [1, 'row_count'], 0),
  cell('zones', [1, 'row_count'], 1),
  cell('zones', [1, 'row_count'], 2 ** 40),
  cell('zones', [5, 'zone'], 6),
  cell('zones', [0, 'zone'], -1n),
  cell('zones', [1, 'file'], 1),
  cell('zones', [1, 'codes_file'], 0),
  cell('zones', [1, 'columns_byte_length'], 0),
  cell('zones', [1, 'columns_byte_length'], 2 ** 40),
  cell('zones', [1, 'codes_byte_length'], 0),
  cell('zones', [1, 'codes_byte_length'], 2 ** 40),
  parts(
    'open',
    'zones: the rows of two exchanged',
    ({ tables }) => {
      const [a, b] = [tables.zones[1], tables.zones[2]]
      ;[a['row_count'], b['row_count']] = [b['row_count'] ?? 0, a['row_count'] ?? 0]
      a['row_count'] = Number(a['row_count']) + 1
      b['row_count'] = Number(b['row_count']) - 1
    },
    ['ZGQ_CORRUPT', 'ZGQ_MISMATCH']
  ),
  ...(['segment_offset', 'columns_offset', 'codes_offset'] as const).flatMap((name) => [
    parts('open', `zones: a ${name} that two zones share`, ({ tables }) => {
      tables.zones[2][name] = tables.zones[1][name]
    }),
    parts('open', `zones: ${name}s exchanged`, ({ tables }) => {
      const [a, b] = [tables.zones[1], tables.zones[2]]
      ;[a[name], b[name]] = [b[name], a[name]]
    }),
    parts('open', `zones: a ${name} over the header`, ({ tables }) => {
      tables.zones[0][name] = 0
    }),
    parts('open', `zones: a ${name} off its page`, ({ tables }) => {
      tables.zones[1][name] = Number(tables.zones[1][name]) + 4
    })
  ]),
  parts('open', 'zones: columns over the segment', ({ tables }) => {
    tables.zones[1]['columns_offset'] = tables.zones[1]['segment_offset']
  }),
  cell('centroids', [0, 'first_zone'], 1),
  cell('centroids', [0, 'zone_count'], 0),
  cell('centroids', [0, 'zone_count'], 5),
  cell('centroids', [0, 'zone_count'], 2 ** 40),
  cell('centroids', [0, 'vectors'], 'text'),
  cell('centroids', [0, 'vectors'], 7),
  cell('zones', [1, 'segment'], new Uint8Array(40_000_000)),
  cell('zones', [1, 'radius'], 'x'.repeat(40_000_000)),
  cell('files', [0, 'name'], 'x'.repeat(40_000_000)),
  cell('centroids', [0, 'vectors'], new Uint8Array(40_000_000)),
  parts('open', 'centroids: none', ({ tables }) => {
    tables.centroids.length = 0
  }),
  parts('open', 'centroids: rows of no zones, very many', ({ tables }) => {
    for (let i = 0; i < 10; i++)
      tables.centroids.push({ first_zone: 6 + i, zone_count: 0, vectors: new Uint8Array(0), crc: 0 })
  }),
  ...[NaN, Infinity].map((value) =>
    parts('open', `centroids: a value of ${value}`, (found) => {
      found.changeCentroids((values) => {
        values[9] = value
      })
    })
  ),
  cell('files', [0, 'file'], 7),
  cell('files', [0, 'kind'], 'codes'),
  cell('files', [0, 'kind'], '\u001b[31m', ['ZGQ_UNSUPPORTED', 'ZGQ_CORRUPT']),
  cell('files', [0, 'byte_length'], 0, ['ZGQ_CORRUPT', 'ZGQ_TRUNCATED']),
  cell('files', [0, 'byte_length'], 2 ** 40, ['ZGQ_CORRUPT', 'ZGQ_TRUNCATED']),
  cell('files', [0, 'byte_length'], 2n ** 63n - 1n),
  cell('files', [0, 'byte_length'], -1n),
  cell('files', [0, 'header_crc'], 2n ** 53n),
  cell('files', [0, 'header_crc'], 7, ['ZGQ_CORRUPT', 'ZGQ_MISMATCH']),
  ...[
    '../vectors-000001-00000.zgq',
    '/etc/passwd',
    '/dev/zero',
    '.',
    '..',
    '',
    'catalogue.sqlite',
    'lock.json',
    'vectors-000001-00001.zgq',
    'codes-000001-00000.zgq',
    'vectors-000001-00000.zgq\0',
    'vectors-000001-00000.zgq\n\u001b[31m',
    'VECTORS-000001-00000.ZGQ'
  ].map((name) => cell('files', [0, 'name'], name)),
  parts('open', 'files: the same file twice', ({ tables }) => {
    tables.files[1]['name'] = tables.files[0]['name']
    tables.files[1]['kind'] = 'vectors'
  }),
  parts('open', 'files: 5,000 more that are not there', (found) => {
    for (let i = 2; i < 5002; i++) found.tables.files.push({ ...found.tables.files[1], file: i })
    found.changeMeta('index', { fileCount: 5002 })
  })
]

/** Puts something else in the place of a data file. */
const instead = (title: string, make: (path: string) => void, codes: readonly string[] = CORRUPT): readonly Forgery[] =>
  (['vectors', 'codes'] as const).map((kind) =>
    refused(
      `${title} in the place of the ${kind} file`,
      (folder) => {
        const path = join(folder, `${kind}-000001-00000.zgq`)
        renameSync(path, `${path}.old`)
        make(path)
      },
      codes
    )
  )

const FILES: readonly Forgery[] = [
  ...instead('a FIFO', (path) => {
    execFileSync('mkfifo', [path])
  }),
  ...instead('a symbolic link to the file', (path) => {
    symlinkSync(`${path}.old`, path)
  }),
  ...instead('a symbolic link to a device', (path) => {
    symlinkSync('/dev/zero', path)
  }),
  ...instead('a symbolic link to itself', (path) => {
    symlinkSync(path, path)
  }),
  ...instead('a folder', (path) => {
    mkdirSync(path)
  }),
  ...instead('nothing', () => undefined),
  ...instead(
    'the file without its last byte',
    (path) => {
      writeFileSync(path, readFileSync(`${path}.old`).subarray(0, -1))
    },
    ['ZGQ_TRUNCATED']
  ),
  ...instead('the file and a page more', (path) => {
    writeFileSync(path, readFileSync(`${path}.old`))
    appendFileSync(path, Buffer.alloc(4096))
  }),
  ...instead('a file that ends after 64 GiB', (path) => {
    writeFileSync(path, readFileSync(`${path}.old`))
    truncateSync(path, 64 * 2 ** 30)
  }),
  ...(['mkfifo', 'link', 'folder'] as const).map((kind) =>
    refused(
      `no file in the place of the catalogue: ${kind}`,
      (folder) => {
        const path = join(folder, CATALOGUE)
        rmSync(path)
        if (kind === 'mkfifo') execFileSync('mkfifo', [path])
        else if (kind === 'link') symlinkSync('/dev/zero', path)
        else mkdirSync(path)
      },
      ['ZGQ_NOT_AN_INDEX']
    )
  ),
  ...['-wal', '-shm', '-journal'].flatMap((ending) =>
    ['', '/etc/passwd', '/nowhere'].map((target) =>
      refused(`a symbolic link beside the catalogue: ${ending} to ${target === '' ? 'a file' : target}`, (folder) => {
        const outside = `${folder}${ending}`
        if (target === '') writeFileSync(outside, 'a secret')
        symlinkSync(target === '' ? outside : target, join(folder, CATALOGUE + ending))
      })
    )
  )
]

const MISMATCH = ['ZGQ_MISMATCH', 'ZGQ_CORRUPT'] as const
const UNSUPPORTED = ['ZGQ_UNSUPPORTED'] as const

const header = (
  title: string,
  change: (header: DataView) => void,
  codes: readonly string[] = CORRUPT
): readonly Forgery[] =>
  (['vectors', 'codes'] as const).map((kind) =>
    parts(
      'open',
      `header of the ${kind} file: ${title}`,
      (found) => {
        change(found.header(kind))
      },
      codes
    )
  )

const u64 = (at: number, value: bigint) => (view: DataView) => {
  view.setBigUint64(at, value, true)
}

const HEADERS: readonly Forgery[] = [
  ...header('another index id', u64(32, 7n), ['ZGQ_MISMATCH']),
  ...header('another generation', u64(48, 2n), ['ZGQ_MISMATCH']),
  ...header('another shard', u64(56, 1n), ['ZGQ_MISMATCH']),
  ...header('another dim', u64(64, 9n), ['ZGQ_MISMATCH']),
  ...header('a dim beyond 2^53', u64(64, 2n ** 60n), MISMATCH),
  ...header('another length', u64(88, 4096n), MISMATCH),
  ...header('another zone count', u64(96, 7n), MISMATCH),
  ...header('another row count', u64(104, 2n ** 50n), MISMATCH),
  ...header('a row count beyond 2^53', u64(104, 2n ** 63n)),
  ...header('another magic', u64(0, 7n)),
  ...header(
    'a newer version',
    (view) => {
      view.setUint32(8, 2, true)
    },
    UNSUPPORTED
  ),
  ...header('reader features', u64(16, 1n << 63n), UNSUPPORTED),
  ...header('another alignment', u64(80, 8192n), ['ZGQ_UNSUPPORTED', 'ZGQ_CORRUPT'])
]

/** Changes an extent of zone 1: beside its rows, or its codes. */
const extent = (
  title: string,
  change: (found: Parts, kind: 'vectors' | 'codes') => void,
  codes = CORRUPT as readonly string[]
): readonly Forgery[] =>
  (['vectors', 'codes'] as const).map((kind) =>
    parts(
      kind === 'vectors' ? 'rows' : 'codes',
      `columns in the ${kind} file: ${title}`,
      (found) => {
        change(found, kind)
      },
      codes
    )
  )

/** Changes a field of the entry of the ids: u64. */
const entryOf = (title: string, at: number, value: bigint): readonly Forgery[] =>
  extent(title, (found, kind) => {
    found.extent(1, kind).setBigUint64(found.entry(1, kind, COLUMN.ids) + at, value, true)
  })

const EXTENTS: readonly Forgery[] = [
  ...extent('another magic', (found, kind) => {
    found.extent(1, kind).setUint32(0, 7, true)
  }),
  ...extent('2^32 - 1 columns', (found, kind) => {
    found.extent(1, kind).setUint32(4, 2 ** 32 - 1, true)
  }),
  ...extent('no columns', (found, kind) => {
    found.extent(1, kind).setUint32(4, 0, true)
  }),
  ...extent('another segment', (found, kind) => {
    found.extent(1, kind).setBigUint64(8, 2n, true)
  }),
  ...extent('another row count', (found, kind) => {
    found.extent(1, kind).setBigUint64(16, 2n ** 50n, true)
  }),
  ...extent('a row count beyond 2^53', (found, kind) => {
    found.extent(1, kind).setBigUint64(16, 2n ** 63n, true)
  }),
  ...entryOf('an offset beyond 2^53', 8, 2n ** 63n),
  ...entryOf('an offset beyond the extent', 8, 2n ** 40n),
  ...entryOf('an offset over the entries', 8, 0n),
  ...entryOf('an offset off its boundary', 8, 131n),
  ...entryOf('no length', 16, 0n),
  ...entryOf('a length beyond 2^53', 16, 2n ** 63n),
  ...entryOf('a length beyond the extent', 16, 2n ** 40n),
  ...extent('a kind twice', (found, kind) => {
    found.extent(1, kind).setUint32(found.entry(1, kind, COLUMN.pageCrcs), COLUMN.ids, true)
  }),
  ...extent(
    'a required kind that nobody knows',
    (found, kind) => {
      found.extent(1, kind).setUint32(found.entry(1, kind, kind === 'codes' ? 17 : 3), 99, true)
    },
    ['ZGQ_UNSUPPORTED', 'ZGQ_CORRUPT']
  ),
  ...extent('two columns in one place', (found, kind) => {
    const view = found.extent(1, kind)
    const ids = found.entry(1, kind, COLUMN.ids)
    view.setBigUint64(found.entry(1, kind, COLUMN.pageCrcs) + 8, view.getBigUint64(ids + 8, true), true)
  }),
  ...(
    [
      ['an id beyond 2^53', 2n ** 53n],
      ['an id of 2^64 - 1', 2n ** 64n - 1n]
    ] as const
  ).flatMap(([title, id]) =>
    extent(title, (found, kind) => {
      const ids = found.column(1, kind, COLUMN.ids)
      ids.setBigUint64(ids.byteLength - 8, id, true)
    })
  ),
  parts('rows', 'ids that do not ascend', (found) => {
    for (const kind of ['vectors', 'codes'] as const) {
      const ids = found.column(1, kind, COLUMN.ids)
      ids.setBigUint64(8, ids.getBigUint64(0, true), true)
    }
  }),
  parts('check', 'an id in two zones', (found) => {
    const first = found.column(0, 'vectors', COLUMN.ids).getBigUint64(0, true)
    for (const kind of ['vectors', 'codes'] as const) {
      const ids = found.column(1, kind, COLUMN.ids)
      const own = Array.from({ length: ids.byteLength / 8 }, (_, i) => ids.getBigUint64(i * 8, true))
      ;[...own.slice(1), first]
        .sort((a, b) => (a < b ? -1 : 1))
        .forEach((id, i) => {
          ids.setBigUint64(i * 8, id, true)
        })
    }
  }),
  parts('check', 'ids of codes that are not those of the rows', (found) => {
    const ids = found.column(1, 'codes', COLUMN.ids)
    ids.setBigUint64(ids.byteLength - 8, 100_000n, true)
  })
]

const setRow =
  (value: number, zones: readonly number[]): ((found: Parts) => void) =>
  (found) => {
    for (const zone of zones) found.rows(zone)[3] = value
  }

const ALL = [0, 1, 2, 3, 4, 5]

const VALUES: readonly Forgery[] = [
  ...[NaN, Infinity, -Infinity].flatMap((value) => [
    parts('rows', `rows: a value of ${value}`, setRow(value, [1])),
    of('cosine', parts('rows', `rows under cosine: a value of ${value}`, setRow(value, ALL))),
    of('plain', parts('rows', `rows without codes: a value of ${value}`, setRow(value, ALL)))
  ]),
  parts('rows', 'rows: nothing but NaN', (found) => {
    for (const zone of ALL) found.rows(zone).fill(NaN)
  }),
  parts('check', 'rows: values of 3e38', (found) => {
    for (const zone of ALL) found.rows(zone).fill(3e38)
  }),
  of(
    'cosine',
    parts('rows', 'rows under cosine: one of length zero', (found) => {
      for (const zone of ALL) found.rows(zone).fill(0, 0, 8)
    })
  ),
  ...[NaN, 0, Infinity, -1].map((value) =>
    of(
      'cosine',
      parts('check', `inverse norms of ${value}`, (found) => {
        for (const zone of ALL) {
          const norms = found.column(zone, 'vectors', COLUMN.inverseNorms)
          for (let at = 0; at < norms.byteLength; at += 4) norms.setFloat32(at, value, true)
        }
      })
    )
  ),
  parts('check', 'norms in the catalogue that are not those of the rows', ({ tables }) => {
    for (const zone of tables.zones) {
      zone['min_norm'] = 0.001
      zone['max_norm'] = 1e6
    }
  }),
  ...[NaN, -Infinity].flatMap((value) => [
    parts('check', `signs: factors of ${value}`, (found) => {
      for (const zone of ALL) {
        const signs = found.column(zone, 'codes', COLUMN.signs)
        for (let at = 16 * 4; at + 260 <= signs.byteLength; at += 16 * 4 + 272)
          for (let i = 0; i < 4; i++) signs.setFloat32(at + i * 4, value, true)
      }
    }),
    parts('check', `refined codes: factors of ${value}`, (found) => {
      for (const zone of ALL) {
        const codes = found.column(zone, 'codes', COLUMN.refinedCodes)
        for (let at = 0; at + 12 <= codes.byteLength; at += 12 + 4)
          for (let i = 0; i < 3; i++) codes.setFloat32(at + i * 4, value, true)
      }
    })
  ]),
  parts('check', 'signs: spreads of NaN', (found) => {
    for (const zone of ALL) {
      const signs = found.column(zone, 'codes', COLUMN.signs)
      for (let at = 16 * 4; at + 260 <= signs.byteLength; at += 16 * 4 + 272) signs.setFloat32(at + 256, NaN, true)
    }
  }),
  of(
    'plain',
    parts('nobody', 'centroids of 3e38 under ip', (found) => {
      found.changeCentroids((values) => {
        for (let i = 0; i < values.length; i++) values[i] = i % 2 === 0 ? 3e38 : -3e38
      })
    })
  ),
  parts('nobody', 'a quantizer with a mean of 3e38', (found) => {
    found.changeMeta('quantizer', { mean: new Uint8Array(new Float32Array(8).fill(3e38).buffer) })
  }),
  parts('check', 'a directory that is not the catalogue', (found) => {
    const name = found.nameOf('vectors')
    const bytes = found.fileBytes(name)
    new DataView(bytes.buffer).setBigUint64(bytes.byteLength - 64 + 16, 9n, true)
  })
]

/** By what is forged. */
export const GROUPS: readonly (readonly [string, readonly Forgery[]])[] = [
  ['schemas', SCHEMAS],
  ['pages of the catalogue', PAGES],
  ['values of meta', META],
  ['calibrations', CALIBRATIONS],
  ['rows of the catalogue', ROWS],
  ['things that are no files', FILES],
  ['headers', HEADERS],
  ['extents', EXTENTS],
  ['values', VALUES]
]
