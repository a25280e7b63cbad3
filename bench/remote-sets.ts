// The sets that are searched from afar, and their indexes: built, packed, and with exact neighbours.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { findDataSet } from './data-sets.ts'
import { makeMixed, MIXED_SET } from './mixed-sets.ts'
import { loadZgq, loadZgqBuild, loadZgqPack } from './packages.ts'
import { readQueries, type Queries } from './queries.ts'
import { K } from './remote-use.ts'

export interface RemoteSet {
  readonly name: string
  /** Name of the data set. */
  readonly source: string
  readonly bits: number
  /** File of texts beside the vectors, which go into payloads. */
  readonly texts?: string
  /** The first queries, which are of another kind than the rows; else the last. */
  readonly isOtherKind?: boolean
}

export const REMOTE_SETS: readonly RemoteSet[] = [
  { name: 'use50k', source: 'use50k', bits: 4, texts: 'base.texts.txt' },
  { name: 'use50k, other queries', source: 'use50k', bits: 4, texts: 'base.texts.txt', isOtherKind: true },
  { name: MIXED_SET.name, source: MIXED_SET.name, bits: 4 },
  { name: 'sift1m-1m', source: 'sift1m-1m', bits: 4 },
  { name: 'sift1m-1m, bits 2', source: 'sift1m-1m', bits: 2 }
]
export const QUICK_REMOTE_SETS: readonly RemoteSet[] = [
  { name: 'wordnet', source: 'wordnet', bits: 4, texts: 'wordnet.base.txt' },
  { name: 'sift10k', source: 'sift10k', bits: 4 },
  { name: 'mixed384-5k', source: 'mixed384-5k', bits: 4 }
]

export interface SetFiles {
  readonly metric: 'l2' | 'cosine'
  readonly base: string
  readonly queries: string
  readonly truth: string
  /** Folder of the index; the packed file is beside it. */
  readonly index: string
  readonly packed: string
  readonly isOtherKind: boolean
}

const BUILD_MEMORY = 2 ** 30

/** Finds a set, makes what is missing, in `work`. */
export async function prepareSet(set: RemoteSet, data: string | undefined, work: string): Promise<SetFiles> {
  const files = await findFiles(set.source, data, work)
  const index = join(work, `${set.source}-b${set.bits}.zgq`)
  const packed = `${index}p`
  const { buildIndex } = await loadZgqBuild()
  const { packIndex } = await loadZgqPack()
  const { base, metric } = files
  if (!existsSync(index)) {
    const shared = { output: index, metric, bits: set.bits, memoryBytes: BUILD_MEMORY } as const
    if (set.texts === undefined) await buildIndex({ ...shared, input: base })
    else await buildIndex({ ...shared, ...(await readDocuments(base, join(dirname(base), set.texts))) })
  }
  if (!existsSync(packed)) await packIndex({ index, output: packed })
  const { isOtherKind = false } = set
  return { ...files, index, packed, isOtherKind, truth: files.truth ?? (await writeExact(index, files.queries)) }
}

/** The queries of a set with their exact neighbours. */
export async function readRemoteQueries(files: SetFiles, limit: number): Promise<Queries> {
  const { vectors, truth } = await readQueries(files.queries, files.truth, Infinity)
  const from = files.isOtherKind ? 0 : Math.max(0, vectors.length - limit)
  return { vectors: vectors.slice(from, from + limit), truth: truth.slice(from, from + limit) }
}

async function findFiles(
  name: string,
  data: string | undefined,
  work: string
): Promise<Pick<SetFiles, 'metric' | 'base' | 'queries'> & { readonly truth: string | undefined }> {
  if (!name.startsWith('mixed384')) return await findDataSet(name, data, work)
  const isQuick = name !== MIXED_SET.name
  const from = await findDataSet(isQuick ? 'wordnet' : 'use50k', data, work)
  return {
    metric: MIXED_SET.metric,
    ...(await makeMixed(from.base, work, isQuick ? 5000 : undefined)),
    truth: undefined
  }
}

async function readDocuments(
  base: string,
  texts: string
): Promise<{ readonly input: Float32Array; readonly dim: number; readonly payloads: { readonly text: string }[] }> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(base)
  const input = new Float32Array(source.count * source.dim)
  source.readRows(0, input)
  source.close()
  const lines = readFileSync(texts, 'utf8').split('\n').slice(0, source.count)
  return { input, dim: source.dim, payloads: lines.map((text) => ({ text })) }
}

/** Writes the neighbours that an exact search of the index finds, as .ivecs; returns its path. */
async function writeExact(index: string, queries: string): Promise<string> {
  const to = `${index}.truth.ivecs`
  if (existsSync(to)) return to
  const { openVectorFile } = await loadZgqBuild()
  const { ZgqIndex } = await loadZgq()
  const source = openVectorFile(queries)
  const opened = ZgqIndex.open(index)
  const query = new Float32Array(source.dim)
  const lines = Array.from({ length: source.count }, (_, row) => {
    source.readRows(row, query)
    return Int32Array.of(K, ...opened.search(query, { k: K, exact: true }).map(({ id }) => id))
  })
  opened.close()
  source.close()
  writeFileSync(`${to}.new`, Buffer.concat(lines.map((line) => Buffer.from(line.buffer))))
  renameSync(`${to}.new`, to)
  return to
}
