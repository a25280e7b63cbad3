// The rows of the app: vectors of use50k with their texts, or made-up ones where the file of texts is missing.

import { existsSync, readFileSync } from 'node:fs'

import { loadZgqBuild } from './packages.ts'
import { uniform } from './random.ts'

export interface AppDocument {
  readonly id: string
  readonly text: string
  /** One of 33: a filter for it passes 3 %. */
  readonly source: string
  readonly line: number
}

export interface AppRows {
  readonly dim: number
  readonly vectors: Float32Array
  readonly documents: readonly AppDocument[]
  readonly queries: readonly Float32Array[]
  /** Exact neighbours of a query among the documents that pass. */
  nearest(query: number, k: number, passes: (document: AppDocument) => boolean): AppDocument[]
}

export interface AppFiles {
  readonly base: string
  /** Lines of id, tab, text. */
  readonly texts: string
  readonly queries: string
  readonly queryFrom: number
  readonly queryCount: number
}

const SOURCES = 33
const SEED = 11

export async function appRows({ base, texts, queries, queryFrom, queryCount }: AppFiles): Promise<AppRows> {
  const { values: vectors, dim, count } = await readAll(base)
  const asked = await readAll(queries)
  const next = uniform(SEED)
  const lines = existsSync(texts) ? readFileSync(texts, 'utf8').split('\n') : []
  const documents = Array.from({ length: count }, (_, line) => {
    const [id, text] = (lines.at(line) ?? '').split('\t')
    const source = `source ${Math.floor(next() * SOURCES)}`
    return { id: id === '' ? `made-up-${line}` : id, text: text ?? `made-up text ${line}`, source, line }
  })
  const list = Array.from({ length: queryCount }, (_, i) =>
    asked.values.slice((queryFrom + i) * dim, (queryFrom + i + 1) * dim)
  )
  const cosine = (query: Float32Array, row: number): number => {
    let dot = 0
    let square = 0
    for (let j = 0; j < dim; j++) {
      const value = vectors[row * dim + j]
      dot += query[j] * value
      square += value * value
    }
    return dot / Math.sqrt(square)
  }
  return {
    dim,
    vectors,
    documents,
    queries: list,
    nearest(query, k, passes) {
      const scored = documents
        .filter(passes)
        .map((document) => ({ document, score: cosine(list[query], document.line) }))
      return scored
        .sort((a, b) => b.score - a.score)
        .slice(0, k)
        .map(({ document }) => document)
    }
  }
}

async function readAll(path: string): Promise<{ values: Float32Array; dim: number; count: number }> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(path)
  const { dim, count } = source
  const values = new Float32Array(count * dim)
  source.readRows(0, values)
  source.close()
  return { values, dim, count }
}
