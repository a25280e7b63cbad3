// What is asked of the golden files, by who made them and by their test.

import { createHash } from 'node:crypto'

export const QUERIES = 4
const FILTERS = [{ n: { $gte: 150 } }, { tags: { $in: ['a'] }, odd: true }, { name: 'updated' }]

/** A digest of a row as a caller sees it. */
function digestOf({ id, vector, payload }) {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
  return createHash('sha256')
    .update(JSON.stringify([id, bytes.toString('hex'), payload ?? null]))
    .digest('hex')
    .slice(0, 16)
}

const hitsOf = (hits) => hits.map(({ id, distance }) => [id, distance])

/** Everything that an index answers, as plain JSON. */
export function answersOf(index, queries) {
  const { count, dim, metric, bits, ids, fields, model, note, zones, changes } = index.info()
  const hasFields = Object.keys(fields).includes('n')
  const rows = [...index.documents()].map((row) => [row.id, digestOf(row)])
  rows.sort(([a], [b]) => (a < b ? -1 : 1))
  const answers = {
    facts: { count, dim, metric, bits, ids, fields, model, note, zones, changes },
    rows,
    exact: queries.map((query) => hitsOf(index.search(query, { k: 10, exact: true }))),
    coded: queries.map((query) => hitsOf(index.search(query, { k: 10, nprobe: 2 }))),
    counts: hasFields ? FILTERS.map((filter) => index.count(filter)) : [],
    filtered: hasFields
      ? queries.map((query) => hitsOf(index.search(query, { k: 5, exact: true, filter: FILTERS[1] })))
      : []
  }
  return JSON.parse(JSON.stringify(answers))
}
