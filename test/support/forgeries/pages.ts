// Forged pages of the catalogue: a tree that repeats its rows, chains without end, sizes that are legal.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { CATALOGUE, runSql, withDatabase } from '../forge/catalogue.ts'
import { forge } from '../forge/parts.ts'
import { legal, refused, type Forgery } from './forgery.ts'

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
export function repeatRows(folder: string, table: string, levels: number): void {
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
}

const repeated = (table: string, levels: number): Forgery =>
  refused(`rows of table ${table} that are repeated without end`, (folder) => {
    repeatRows(folder, table, levels)
  })

export const PAGES: readonly Forgery[] = [
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
  repeated('segments', 12),
  repeated('zone_codes', 12),
  refused('a chain of overflow pages that comes back to itself, as if it held 130 MB', (folder) => {
    forge(folder, (found) => {
      found.meta.set('quantizer', new Uint8Array(2_200_000))
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
