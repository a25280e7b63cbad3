// The app on ZGQ.
import { ZgqIndex } from 'zgq'
import { buildIndex } from 'zgq/build'

export async function load(folder, { vectors, dim, documents }) {
  const fields = { source: 'string', line: 'number' }
  const ids = documents.map(({ id }) => id)
  await buildIndex({ input: vectors, dim, ids, payloads: documents, fields, metric: 'cosine', output: folder })
}

export function open(folder) {
  const index = ZgqIndex.open(folder)
  const search = (query, filter) => index.search(query, { k: 10, filter, payload: ['text'] })
  const bySource = (query, source) => search(query, { source })
  return { search, bySource, byLine: (query, line) => search(query, { line }), close: () => index.close() }
}

export const textOf = (hit) => hit.payload.text
