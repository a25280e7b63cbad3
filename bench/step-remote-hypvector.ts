// hypvector on a Parquet file that is far away: its file is opened once and its footer is kept, as it recommends for
// several queries.

import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { stepInput, stepResult } from './child.ts'
import { loadZgqBuild } from './packages.ts'
import { readRemoteQueries, type SetFiles } from './remote-sets.ts'
import { measureRemote, type RemoteUse } from './remote-use.ts'

export interface HypvectorInput {
  /** A checkout with its packages installed. */
  readonly checkout: string
  /** The Parquet file; made if it is not there. */
  readonly file: string
  readonly files: SetFiles
  /** Undefined: only make the file. */
  readonly read:
    | {
        readonly url: string
        readonly control: string
        readonly queries: number
        readonly probe: number
        readonly rerankFactor: number
      }
    | undefined
}

interface Hypvector {
  writeVectors(options: Record<string, unknown>): Promise<void>
  searchVectors(options: Record<string, unknown>): Promise<readonly { readonly id: string | number }[]>
}
interface Hyparquet {
  asyncBufferFromUrl(options: { url: string }): Promise<unknown>
  cachedAsyncBuffer(buffer: unknown): unknown
  parquetMetadataAsync(buffer: unknown): Promise<unknown>
}
interface HyparquetWriter {
  fileWriter(path: string): unknown
}

const BATCH_ROWS = 4096

const { checkout, file, files, read } = stepInput<HypvectorInput>()
const load = async <Module>(path: string): Promise<Module> => await import(pathToFileURL(join(checkout, path)).href)
const hypvector = await load<Hypvector>('src/index.js')
if (!existsSync(file)) await makeFile()
stepResult(read === undefined ? null : await measure(read))
process.exit(0)

async function makeFile(): Promise<void> {
  const { fileWriter } = await load<HyparquetWriter>('node_modules/hyparquet-writer/src/node.js')
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(files.base)
  function* rows(): Generator<{ id: string; vector: Float32Array }> {
    for (let from = 0; from < source.count; from += BATCH_ROWS) {
      const count = Math.min(BATCH_ROWS, source.count - from)
      const values = new Float32Array(count * source.dim)
      source.readRows(from, values)
      for (let i = 0; i < count; i++)
        yield { id: String(from + i), vector: values.slice(i * source.dim, (i + 1) * source.dim) }
    }
  }
  const metric = files.metric === 'cosine' ? 'cosine' : 'euclidean'
  await hypvector.writeVectors({
    writer: fileWriter(`${file}.new`),
    dimension: source.dim,
    metric,
    normalize: metric === 'cosine',
    vectors: rows()
  })
  source.close()
  renameSync(`${file}.new`, file)
}

async function measure(of: NonNullable<HypvectorInput['read']>): Promise<RemoteUse> {
  const hyparquet = await load<Hyparquet>('node_modules/hyparquet/src/node.js')
  const { vectors, truth } = await readRemoteQueries(files, of.queries)
  const { probe, rerankFactor } = of
  let source: unknown
  let metadata: unknown
  return await measureRemote(
    {
      open: async () => {
        source = hyparquet.cachedAsyncBuffer(await hyparquet.asyncBufferFromUrl({ url: of.url }))
        metadata = await hyparquet.parquetMetadataAsync(source)
      },
      search: async (query, k) => {
        const found = await hypvector.searchVectors({ source, metadata, query, topK: k, probe, rerankFactor })
        return found.map(({ id }) => Number(id))
      }
    },
    { queries: vectors, truth, control: of.control }
  )
}
