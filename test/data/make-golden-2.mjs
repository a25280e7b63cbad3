// How the golden files of format version 2 were made: node test/data/make-golden-2.mjs, once. They are never made anew:
// every later version must read the indexes as they are, and give the answers that stand beside them.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { buildIndex } from '../../dist/build.js'
import { ZgqIndex } from '../../dist/index.js'
import { answersOf, QUERIES } from '../support/golden-answers.mjs'

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'golden-2')
if (existsSync(FOLDER)) throw new Error('the golden files are there: they are not made anew')
mkdirSync(FOLDER)

let state = 12345
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) / 2 ** 24
/** Rows in clumps. */
const vector = (dim) => {
  const clump = Math.floor(random() * 8)
  return Float32Array.from({ length: dim }, (_, i) => ((clump * (i + 3)) % 5) + random())
}
const FIELDS = { n: 'number', tags: 'string[]', name: 'string', odd: 'boolean' }
const payload = (n) => ({
  n,
  tags: ['a', 'b', 'c'].filter((_, i) => (n >> i) & 1),
  name: `name ${n % 7}`,
  odd: n % 2 === 1,
  text: `text of row ${n}`
})
const rows = (first, count, dim, idOf) =>
  Array.from({ length: count }, (_, i) => ({ id: idOf(first + i), vector: vector(dim), payload: payload(first + i) }))

async function build(name, of) {
  const { dim, count, idOf = (n) => n, hasDocuments = false, ...options } = of
  const some = rows(0, count, dim, idOf)
  await buildIndex({
    input: (async function* () {
      yield {
        vectors: Float32Array.from(some.flatMap((row) => [...row.vector])),
        ids: some.map(({ id }) => id),
        ...(hasDocuments ? { payloads: some.map((row) => row.payload) } : {})
      }
    })(),
    output: join(FOLDER, name),
    dim,
    ...(hasDocuments ? { fields: FIELDS } : {}),
    ...options
  })
}

const open = (name, options = {}) => ZgqIndex.open(join(FOLDER, name), { mode: 'write', autoOptimize: false, ...options })

// As a build publishes it.
await build('built', { dim: 12, count: 300, metric: 'l2', bits: 4, zones: 6 })
await build('documents', {
  dim: 20,
  count: 200,
  idOf: (n) => `doc ${n}`,
  hasDocuments: true,
  metric: 'cosine',
  bits: 1,
  zones: 4,
  model: 'a-model@1',
  note: { from: 'the golden files', numbers: [1, 2.5, null] }
})
// Written to: fresh rows, a delta, deleted rows, patches.
await build('written', { dim: 8, count: 200, hasDocuments: true, metric: 'ip', bits: 2, zones: 5 })
{
  const index = open('written')
  await index.add(rows(200, 520, 8, (n) => n)) // enough for a delta
  await index.add(rows(1000, 9, 8, (n) => n))
  await index.delete([3, 4, 205, 1001])
  await index.upsert(rows(7, 2, 8, (n) => n))
  await index.update({ n: { $gt: 190, $lt: 210 } }, { name: 'updated' })
  index.close()
}
// Folded twice: zones with two segments, several ids files, a file that was superseded; then written to once more.
await build('folded', { dim: 32, count: 1400, hasDocuments: true, metric: 'l2', bits: 4 })
{
  const index = open('folded')
  for (const first of [2000, 3000]) {
    await index.add(rows(first, 60, 32, (n) => n))
    await index.optimize()
  }
  await index.delete([0, 1, 2010, 3010])
  await index.update([5, 2005], { name: 'updated' })
  await index.add(rows(4000, 4, 32, (n) => n))
  index.close()
}
// Empty.
;(await ZgqIndex.create(join(FOLDER, 'empty'), { dim: 5, ids: 'string', metric: 'cosine', fields: { a: 'number' } })).close()

const answers = {}
for (const name of ['built', 'documents', 'written', 'folded', 'empty']) {
  const index = ZgqIndex.open(join(FOLDER, name))
  const queries = Array.from({ length: QUERIES }, () => [...vector(index.info().dim)])
  answers[name] = { queries, ...answersOf(index, queries) }
  index.close()
}
writeFileSync(join(FOLDER, 'answers.json'), `${JSON.stringify(answers)}\n`)
