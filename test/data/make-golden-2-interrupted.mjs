// How the golden index `interrupted` of format version 2 was made: node test/data/make-golden-2-interrupted.mjs, once.
// As a fold leaves an index that dies before it publishes: a row of `reservations`, and a file that no table names. The
// row is written here as the spec says (section 7.8), about a process of a host that does not exist.

import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'

import Database from 'better-sqlite3'

import { buildIndex } from '../../dist/build.js'
import { ZgqIndex } from '../../dist/index.js'
import { answersOf, QUERIES } from '../support/golden-answers.mjs'

const NAME = 'interrupted'
const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'golden-2')
const PATH = join(FOLDER, NAME)
const DIM = 8
if (existsSync(PATH)) throw new Error('the golden files are there: they are not made anew')

let state = 54321
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) / 2 ** 24
const vectors = (count) => Float32Array.from({ length: count * DIM }, () => Math.floor(random() * 3) + random())

await buildIndex({ input: vectors(150), output: PATH, dim: DIM, metric: 'l2', bits: 8, zones: 4 })

const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer)
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const withLength = (bytes) => Buffer.concat([u32(bytes.length), bytes])
const about = Buffer.from('{"pid":4194305,"host":"a-host.invalid","start":"1","since":1764500000000}')

const catalogue = new Database(join(PATH, 'catalogue.sqlite'))
catalogue.transaction(() => {
  const { value } = catalogue.prepare("SELECT value FROM meta WHERE key = 'index'").get()
  // generation, nextSegment, nextFile of the index record (section 7.1)
  for (const [offset, more] of [
    [56, 1],
    [112, 4],
    [120, 5]
  ])
    value.writeBigUInt64LE(value.readBigUInt64LE(offset) + BigInt(more), offset)
  const crc = crc32(Buffer.concat([withLength(Buffer.from('index')), withLength(value)]))
  catalogue.prepare("UPDATE meta SET value = ?, crc = ? WHERE key = 'index'").run(value, crc)
  const ofRow = crc32(Buffer.concat([u64(2), withLength(about)]))
  catalogue.prepare('INSERT INTO reservations VALUES (2, ?, ?)').run(about, ofRow)
})()
catalogue.close()
writeFileSync(join(PATH, 'vectors-000002-00000.zgq'), 'the beginning of a file')

const index = ZgqIndex.open(PATH)
const queries = Array.from({ length: QUERIES }, () => [...vectors(1)])
writeFileSync(
  join(FOLDER, `${NAME}.json`),
  `${JSON.stringify({ [NAME]: { queries, ...answersOf(index, queries) } })}\n`
)
index.close()
