// Forged chunks: rows of files, segments, zones and codes of zones that overlap, leave gaps, lie about themselves.

import { CHUNK_TABLES, type Chunk, type ChunkTable, type Chunks } from '../forge/catalogue.ts'
import { rechunk } from '../forge/legal.ts'
import { HUGE, parts, refused, type Forgery, CORRUPT } from './forgery.ts'
import { runSql } from '../forge/catalogue.ts'

const NUMBERED = ['files', 'segments'] as const
/** Tables that an index without deltas has chunks in. */
const FILLED = CHUNK_TABLES.filter((table) => table !== 'delta_zones')

/** Changes the one chunk of a table. */
const each = (
  title: string,
  change: (chunk: Chunk, chunks: Chunk[]) => void,
  tables: readonly ChunkTable[] = FILLED
): readonly Forgery[] =>
  tables.map((table) =>
    parts('open', `chunks of ${table}: ${title}`, (found) => {
      found.changeChunks((chunks) => {
        change(chunks[table][0], chunks[table])
      })
    })
  )

const bytesOf = ({ records }: Chunk): Buffer => Buffer.from(records as Uint8Array)

/** Makes a chunk of each record. */
const apart = (title: string, change: (chunks: Chunks) => void): Forgery =>
  parts('open', `chunks: ${title}`, (found) => {
    rechunk(found, 32, 1)
    found.changeChunks(change)
  })

const recordBytes = (chunk: Chunk): number => bytesOf(chunk).byteLength / Number(chunk.count)

export const CHUNKS: readonly Forgery[] = [
  ...each('none', (_, chunks) => {
    chunks.length = 0
  }),
  ...each('a first of 1', (chunk) => {
    chunk.first = 1
  }),
  ...each(
    'a first of 1, and its first record too',
    (chunk) => {
      chunk.first = 3
      const bytes = bytesOf(chunk)
      bytes.writeBigUInt64LE(3n)
      chunk.records = bytes
    },
    NUMBERED
  ),
  ...each('a first below 0', (chunk) => {
    chunk.first = -1
  }),
  ...each('a first of 2^53 + 2', (chunk) => {
    chunk.first = 2n ** 53n + 2n
  }),
  ...each('no records', (chunk) => {
    chunk.count = 0
    chunk.records = new Uint8Array(0)
  }),
  ...each('a count of 0', (chunk) => {
    chunk.count = 0
  }),
  ...each('a count of 2^31', (chunk) => {
    chunk.count = 2 ** 31
  }),
  ...each('a count of 2^63 - 1', (chunk) => {
    chunk.count = 2n ** 63n - 1n
  }),
  ...each('a count below 0', (chunk) => {
    chunk.count = -1
  }),
  ...each('a count of text', (chunk) => {
    chunk.count = 'text'
  }),
  ...each('a count of 1.5', (chunk) => {
    chunk.count = 1.5
  }),
  ...each('one record more than it has', (chunk) => {
    chunk.count = Number(chunk.count) + 1
  }),
  ...each('one record fewer than it has', (chunk) => {
    chunk.count = Number(chunk.count) - 1
  }),
  ...each('a byte too few', (chunk) => {
    chunk.records = bytesOf(chunk).subarray(0, -1)
  }),
  ...each('a byte too many', (chunk) => {
    chunk.records = Buffer.concat([bytesOf(chunk), Uint8Array.of(0)])
  }),
  ...each('40 MB', (chunk) => {
    chunk.records = new Uint8Array(40_000_000)
  }),
  ...each('text', (chunk) => {
    chunk.records = 'text'
  }),
  ...each('40 MB of text', (chunk) => {
    chunk.records = 'x'.repeat(40_000_000)
  }),
  ...each('a number where records are', (chunk) => {
    chunk.records = 7
  }),
  ...each('another CRC', (chunk) => {
    chunk.crc = 7
  }),
  ...each('a CRC of text', (chunk) => {
    chunk.crc = 'text'
  }),
  ...each('a CRC below 0', (chunk) => {
    chunk.crc = -1
  }),
  ...each('all of it twice', (chunk, chunks) => {
    chunks.push({ ...chunk, first: Number(chunk.first) + Number(chunk.count) })
  }),
  ...each(
    '5,000 records',
    (chunk) => {
      const whole = bytesOf(chunk)
      chunk.records = Buffer.concat(Array.from({ length: 5000 }, () => whole.subarray(0, recordBytes(chunk))))
      chunk.count = 5000
    },
    [...NUMBERED, 'zones']
  ),
  ...each(
    '10,000 more of one record each',
    (chunk, chunks) => {
      const record = bytesOf(chunk).subarray(0, recordBytes(chunk))
      for (let i = 0; i < 10_000; i++) {
        const next = Buffer.from(record)
        const first = Number(chunk.first) + Number(chunk.count) + i
        next.writeBigUInt64LE(BigInt(first))
        chunks.push({ first, count: 1, records: next })
      }
    },
    NUMBERED
  ),
  ...HUGE.map(([title, value]) =>
    apart(`a segment numbered ${title}, in the last`, ({ segments }) => {
      const last = segments[segments.length - 1]
      const bytes = bytesOf(last)
      bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
      last.records = bytes
    })
  ),
  apart('a first that is not that of its record', ({ segments }) => {
    segments[5].first = 6
  }),
  apart('segments out of order', ({ segments }) => {
    ;[segments[2].records, segments[3].records] = [segments[3].records, segments[2].records]
  }),
  apart('segments that overlap', ({ segments }) => {
    segments[2].records = Buffer.concat([bytesOf(segments[2]), bytesOf(segments[3])])
    segments[2].count = 2
  }),
  apart('a segment that is left out', ({ segments }) => {
    segments.splice(3, 1)
  }),
  apart('a file that is left out', ({ files }) => {
    files.splice(1, 1)
  }),
  apart('zones with a gap', ({ zones }) => {
    const [whole] = zones
    const bytes = bytesOf(whole)
    const one = recordBytes(whole)
    zones.splice(0, 1, { first: 0, count: 2, records: bytes.subarray(0, 2 * one) })
    zones.push({ first: 3, count: 4, records: bytes.subarray(2 * one) })
  }),
  apart('zones that overlap', ({ zones }) => {
    const [whole] = zones
    const bytes = bytesOf(whole)
    const one = recordBytes(whole)
    zones.splice(0, 1, { first: 0, count: 4, records: bytes.subarray(0, 4 * one) })
    zones.push({ first: 3, count: 3, records: bytes.subarray(3 * one) })
  }),
  parts('open', 'chunks of zone_codes: a zone each, with a block each', (found) => {
    found.changeChunks((chunks) => {
      const records = bytesOf(chunks.zone_codes[0])
      chunks.zone_codes = Array.from({ length: 6 }, (_, first) => ({ first, count: 1, records }))
    })
  }),
  ...(['crc', 'count'] as const).map((name) =>
    refused(
      `chunks: a ${name} of bytes`,
      (folder) => {
        runSql(folder, `UPDATE segments SET ${name} = x'00'`)
      },
      CORRUPT
    )
  ),
  parts('nobody', 'chunks of one record', (found) => {
    rechunk(found, 32, 1)
  })
]
