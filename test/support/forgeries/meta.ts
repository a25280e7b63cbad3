// Forged values of meta: the index record, facts of the build, quantizer, and keys that nobody knows.

import { runSql } from '../forge/catalogue.ts'
import type { FieldValue } from '../forge/fields.ts'
import type { IndexField } from '../forge/parts.ts'
import { CORRUPT, HUGE, parts, refused, UNSUPPORTED, type Forgery } from './forgery.ts'
import { MANY_MAPS, MESSAGE_PACK, MILLION_MAPS, emptyMaps } from './message-pack.ts'

const KEYS = ['index', 'build', 'quantizer', 'calibration']

const index = (title: string, changes: Partial<Record<IndexField, FieldValue>>, codes?: readonly string[]): Forgery =>
  parts(
    'open',
    `index record: ${title}`,
    (found) => {
      found.index.change(changes)
    },
    codes
  )

const U64: readonly IndexField[] = [
  'generation',
  'commit',
  'dim',
  'count',
  'zoneCount',
  'deltaZoneCount',
  'segmentCount',
  'fileCount',
  'nextSegment',
  'nextFile'
]

const INDEX: readonly Forgery[] = [
  ...U64.flatMap((name) => HUGE.map(([title, value]) => index(`${name} of ${title}`, { [name]: value }))),
  index('a dim of 0', { dim: 0 }),
  index('a dim of 2^31', { dim: 2 ** 31 }),
  index('a dim of 65,537', { dim: 65_537 }),
  index('another dim', { dim: 7 }),
  index('no rows at all', { count: 0 }),
  index('more rows than the segments have', { count: 301 }),
  ...(['zoneCount', 'segmentCount', 'fileCount'] as const).flatMap((name) => [
    index(`${name} of 2^50`, { [name]: 2 ** 50 }, name === 'zoneCount' ? [...CORRUPT, ...UNSUPPORTED] : CORRUPT),
    index(`${name} of 2^31`, { [name]: 2 ** 31 }, name === 'zoneCount' ? [...CORRUPT, ...UNSUPPORTED] : CORRUPT),
    index(`${name} of 0`, { [name]: 0 })
  ]),
  ...[1, 2 ** 31, 2 ** 50].map((deltaZoneCount) =>
    index(`deltaZoneCount of ${deltaZoneCount}`, { deltaZoneCount }, [...CORRUPT, ...UNSUPPORTED])
  ),
  index('a built zone that is called one of a delta', { zoneCount: 5, deltaZoneCount: 1 }),
  index('one zone too few', { zoneCount: 5 }),
  index('one zone too many', { zoneCount: 7 }),
  index('one segment too few', { segmentCount: 5 }),
  index('one segment too many', { segmentCount: 7 }),
  index('one file too few', { fileCount: 2 }),
  index('one file too many', { fileCount: 4 }),
  index('nextSegment that was given', { nextSegment: 5 }),
  index('nextSegment of 0', { nextSegment: 0 }),
  index('nextFile that was given', { nextFile: 1 }),
  index('nextFile of 0', { nextFile: 0 }),
  index('3 bits', { bits: 3 }, UNSUPPORTED),
  index('16 bits', { bits: 16 }, UNSUPPORTED),
  { ...index('8 bits, though codes have 2', { bits: 8 }), seen: 'codes' },
  index('no bits, though there are codes', { bits: 0 }),
  { ...index('4 bits, though codes have 2', { bits: 4 }), seen: 'codes' },
  { ...index('ids that are strings', { idType: 2 }), seen: 'rows' },
  index('ids of type 3', { idType: 3 }, UNSUPPORTED),
  index('ids of type 0', { idType: 0 }, UNSUPPORTED),
  index('reader features', { readerFeatures: 1n << 63n }, UNSUPPORTED),
  index('version 0', { version: 0 }, UNSUPPORTED),
  index('version 1', { version: 1 }, UNSUPPORTED),
  index('a newer version', { version: 3 }, UNSUPPORTED),
  index('metric 0', { metric: 0 }),
  index('metric 4', { metric: 4 }),
  index('element type 2', { elementType: 2 }, UNSUPPORTED),
  index('another index id', { indexId: new Uint8Array(16).fill(7) }, ['ZGQ_MISMATCH']),
  index('a generation below that of its files', { generation: 0 }, ['ZGQ_MISMATCH']),
  index('another digest', { digest: new Uint8Array(32) }),
  ...[167, 169, 8, 0].map((byteLength) =>
    parts('open', `index record: ${byteLength} bytes`, (found) => {
      const bytes = new Uint8Array(byteLength)
      bytes.set(found.index.bytes.subarray(0, byteLength))
      found.meta.set('index', bytes)
    })
  ),
  parts('open', 'index record: none', (found) => {
    found.meta.delete('index')
  }),
  {
    // Whoever changes the index refuses: test/damage.test.ts.
    ...parts('nobody', 'index record: writer features, which no reader minds', (found) => {
      found.index.set('writerFeatures', -1n)
    }),
    without: ['calibrate']
  },
  parts('nobody', 'index record: reserved fields, a later commit and generation, numbers kept free', (found) => {
    found.index.change({
      reserved: -1n,
      commit: 2 ** 40,
      generation: 9,
      nextSegment: 2 ** 52,
      nextFile: 2 ** 52
    })
  })
]

const quantizer = (title: string, change: (bytes: Uint8Array, mean: Float32Array) => Uint8Array): Forgery =>
  parts('open', `quantizer: ${title}`, (found) => {
    found.meta.set('quantizer', change(found.quantizer.header.bytes, found.quantizer.mean))
  })

/** A quantizer of so many rounds, with the mean that it has. */
const withRounds =
  (rounds: number, flipBytes = rounds * 2) =>
  (_: Uint8Array, mean: Float32Array): Uint8Array => {
    const bytes = Buffer.alloc(8 + mean.byteLength + flipBytes)
    bytes.writeUInt32LE(rounds)
    bytes.set(new Uint8Array(mean.slice().buffer), 8)
    return bytes
  }

const QUANTIZERS: readonly Forgery[] = [
  quantizer('flips of 40 MB', withRounds(4, 40_000_000)),
  quantizer('17 rounds', withRounds(17)),
  quantizer('no rounds', withRounds(0)),
  quantizer('2^32 - 1 rounds', withRounds(2 ** 32 - 1, 8)),
  quantizer('2^29 rounds, whose bytes are 2^30', withRounds(2 ** 29, 0)),
  quantizer('a byte too few', withRounds(4, 7)),
  quantizer('a byte too many', withRounds(4, 9)),
  quantizer('7 bytes', (bytes) => bytes.slice(0, 7)),
  ...[NaN, Infinity].map((value) =>
    parts('open', `quantizer: a mean with a value of ${value}`, (found) => {
      found.quantizer.mean[3] = value
    })
  ),
  parts('open', 'quantizer: none, though there are codes', (found) => {
    found.meta.delete('quantizer')
  }),
  parts('nobody', 'quantizer: its reserved field', (found) => {
    found.quantizer.header.set('reserved', -1n)
  }),
  parts('nobody', 'quantizer: a mean of 3e38', (found) => {
    found.quantizer.mean.fill(3e38)
  })
]

/** Bytes that stand where a value should. */
const bytes = (key: string, title: string, value: Uint8Array): Forgery =>
  parts('open', `meta ${key}: ${title}`, (found) => {
    found.meta.set(key, value)
  })

/** Facts of the build are for people: whoever shows or checks them has to look. */
const facts = (title: string, value: Uint8Array): Forgery => ({
  ...bytes('build', title, value),
  seen: 'build'
})

const BUILDS: readonly Forgery[] = [
  facts('a million empty maps', MILLION_MAPS),
  facts('a list of maps', emptyMaps(3)),
  facts('one item too many', Buffer.concat([Uint8Array.of(0x82, 0xa0, 0xc0), MANY_MAPS.subarray(1)])),
  parts('nobody', 'meta build: as many items as there may be', (found) => {
    found.meta.set('build', MANY_MAPS)
  }),
  ...MESSAGE_PACK.map(([title, value]) => facts(title, value)),
  parts('nobody', 'meta build: none', (found) => {
    found.meta.delete('build')
  }),
  parts('nobody', 'control characters in the facts of the build', (found) => {
    found.setBuild({
      seed: '\u001b[2J\u001b]52;c;aGVsbG8=\u0007\r\n\u009b31m',
      '\u001b[31m': '\u202egnp.exe <script>alert(1)</script>',
      '\0': [{ '\u0090': '\u007f' }],
      __proto__: { a: 1 }
    })
  })
]

const ROWS: readonly Forgery[] = [
  ...KEYS.map((key) => bytes(key, '40 MB', new Uint8Array(40_000_000))),
  ...KEYS.filter((key) => key !== 'build').flatMap((key) => [
    bytes(key, 'a million empty maps', MILLION_MAPS),
    bytes(key, 'nothing', new Uint8Array(0)),
    bytes(key, 'a MiB of zeros', new Uint8Array(2 ** 20))
  ]),
  parts('nobody', 'twelve keys of meta that nobody knows, with a million bytes each', (found) => {
    for (let i = 0; i < 12; i++) found.meta.set(`other ${i}`, emptyMaps(1_000_000))
  }),
  parts('nobody', 'a key of meta that nobody knows', (found) => {
    found.meta.set('other', new Uint8Array(400_000))
  }),
  bytes('other', '40 MB under a key that nobody knows', new Uint8Array(40_000_000)),
  parts('open', 'very many keys of meta', (found) => {
    for (let i = 0; i < 5000; i++) found.meta.set(`other ${i}`, Uint8Array.of(i))
  }),
  parts('open', 'a key of meta of 20 MB', (found) => {
    found.meta.set('a'.repeat(20_000_000), Uint8Array.of(1))
  }),
  ...KEYS.map((key) =>
    refused(`text where the value of meta ${key} is`, (folder) => {
      runSql(folder, `UPDATE meta SET value = 'text' WHERE key = '${key}'`)
    })
  ),
  refused('a number where a value of meta is', (folder) => {
    runSql(folder, "UPDATE meta SET value = 7 WHERE key = 'quantizer'")
  }),
  refused('bytes where a key of meta is', (folder) => {
    runSql(folder, "UPDATE meta SET key = x'696e646578' WHERE key = 'index'")
  }),
  refused('text where a CRC of meta is', (folder) => {
    runSql(folder, "UPDATE meta SET crc = 'text' WHERE key = 'build'")
  })
]

export const META: readonly Forgery[] = [...INDEX, ...QUANTIZERS, ...BUILDS, ...ROWS]
