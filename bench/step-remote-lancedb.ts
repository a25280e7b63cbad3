// LanceDB on a bucket that is far away: a table with an IVF index, made through the same bucket when it is near.

import { stepInput, stepResult } from './child.ts'
import { arrowTable, COLUMN, load, type Connection } from './engines/lancedb.ts'
import { loadZgqBuild } from './packages.ts'
import { readRemoteQueries, type SetFiles } from './remote-sets.ts'
import { measureRemote, type RemoteUse } from './remote-use.ts'

/** IVF_PQ and IVF_HNSW_SQ. */
export type LanceRemoteKind = 'ivfPq' | 'hnswSq'

export interface LanceRemoteInput {
  readonly kind: LanceRemoteKind
  readonly bucket: string
  readonly table: string
  /** Of the bucket, near to make the table or far to read it. */
  readonly endpoint: string
  readonly files: SetFiles
  /** Undefined: only make the table. */
  readonly read:
    | {
        readonly control: string
        readonly queries: number
        readonly probes: number
        /** Candidates that are compared with their vectors, a multiple of k; 0: none. */
        readonly refine: number
      }
    | undefined
}

interface Remote {
  connect(uri: string, options: { storageOptions: Record<string, string> }): Promise<Connection>
  Index: Record<LanceRemoteKind, (options: Record<string, unknown>) => unknown>
}

const { kind, bucket, table, endpoint, files, read } = stepInput<LanceRemoteInput>()
const { metric } = files
const lancedb: Remote = Object(load())
stepResult(read === undefined ? await makeTable() : await measure(read))
process.exit(0)

async function connect(): Promise<Connection> {
  return await lancedb.connect(`s3://${bucket}/lance`, {
    storageOptions: {
      endpoint: endpoint.replace(/\/$/, ''),
      allowHttp: 'true',
      virtualHostedStyleRequest: 'false',
      region: 'us-east-1',
      awsAccessKeyId: 'S3RVER',
      awsSecretAccessKey: 'S3RVER'
    }
  })
}

async function makeTable(): Promise<null> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(files.base)
  const made = await (await connect()).createTable(table, await arrowTable(source, {}))
  const numPartitions = Math.round(Math.sqrt(source.count))
  await made.createIndex(COLUMN, {
    config: lancedb.Index[kind]({
      distanceType: metric,
      numPartitions,
      // Eight dimensions a byte, its default where that is a whole number.
      ...(kind === 'ivfPq' ? { numSubVectors: source.dim / 8 } : {})
    })
  })
  source.close()
  return null
}

async function measure(of: NonNullable<LanceRemoteInput['read']>): Promise<RemoteUse> {
  const { vectors, truth } = await readRemoteQueries(files, of.queries)
  let opened: Awaited<ReturnType<Connection['openTable']>> | undefined
  return await measureRemote(
    {
      open: async () => {
        opened = await (await connect()).openTable(table)
      },
      search: async (vector, k) => {
        if (opened === undefined) throw new Error('the table is not open')
        const query = opened.query().nearestTo(vector).column(COLUMN).distanceType(metric).limit(k).nprobes(of.probes)
        if (of.refine > 0) query.refineFactor(of.refine)
        const found = (await query.withRowId().select(['_rowid', '_distance']).toArrow()).getChild('_rowid')
        return found === null ? [] : Array.from(found.toArray(), Number)
      }
    },
    { queries: vectors, truth, control: of.control }
  )
}
