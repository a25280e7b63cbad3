// npm run remote-peers -- --data DIR --hypvector CHECKOUT: hypvector and LanceDB on what ZGQ is measured with in
// `npm run remote`: the same sets, the same distance, one query at a time. The server counts for all of them.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

import { startBucket, type TestBucket } from '../test/support/s3-proxy.ts'
import { startStaticServer } from '../tools/static-server.ts'
import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { endReport, mean, printTable, quantile, startReport } from './report.ts'
import { QUICK_REMOTE_SETS, REMOTE_SETS, type SetFiles } from './remote-sets.ts'
import type { RemoteUse } from './remote-use.ts'
import { startSlowServer } from './slow-server.ts'
import type { HypvectorInput } from './step-remote-hypvector.ts'
import type { LanceRemoteInput, LanceRemoteKind } from './step-remote-lancedb.ts'
import type { Prepared } from './step-remote-prepare.ts'
import type { RemoteInput, RemoteRow } from './step-remote.ts'

interface Row extends RemoteUse {
  readonly set: string
  readonly engine: string
  readonly knob: string
}

/** Asked for one after the other, until a recall is reached. */
const HYPVECTOR_KNOBS = [
  { probe: 0.06, rerankFactor: 10 },
  { probe: 0.12, rerankFactor: 10 },
  { probe: 0.25, rerankFactor: 10 },
  { probe: 0.25, rerankFactor: 20 },
  { probe: 0.4, rerankFactor: 40 },
  { probe: 0.6, rerankFactor: 80 }
]
const LANCE_KNOBS: Readonly<Record<LanceRemoteKind, readonly { readonly probes: number; readonly refine: number }[]>> =
  {
    ivfPq: [
      { probes: 10, refine: 5 },
      { probes: 20, refine: 5 },
      { probes: 20, refine: 10 },
      { probes: 40, refine: 20 },
      { probes: 80, refine: 40 }
    ],
    hnswSq: [
      { probes: 5, refine: 2 },
      { probes: 10, refine: 2 },
      { probes: 20, refine: 2 },
      { probes: 40, refine: 2 },
      { probes: 80, refine: 4 }
    ]
  }
const BUCKET = 'bench'

const options = readOptions(
  ['data', 'sets', 'engines', 'hypvector', 'latency', 'queries', 'recall', 'megabits'],
  ['quick', 'prepare']
)
const isQuick = options.flags.has('quick')
const isOnlyMade = options.flags.has('prepare')
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const wanted = options.text['sets']?.split(';') ?? (isQuick ? ['mixed384-5k'] : ['use50k', 'mixed384-200k'])
const engines = (options.text['engines'] ?? 'zgq,hypvector,ivfPq,hnswSq').split(',')
const latencyMs = Number(options.text['latency'] ?? 20)
const megabits = readCount(options, 'megabits', 50)
const queries = readCount(options, 'queries', isQuick ? 5 : 50)
const recall = Number(options.text['recall'] ?? 0.95)
const { work } = options
mkdirSync(join(work, 's3'), { recursive: true })
const machine = startReport('Engines from a web server and from a bucket')
console.log(`${latencyMs} ms away, ${megabits} Mbit/s, ${queries} queries\n`)
const rows: Row[] = []
const bucket = await startBucket(join(work, 's3'), BUCKET)
try {
  for (const set of (isQuick ? QUICK_REMOTE_SETS : REMOTE_SETS).filter(({ name }) => wanted.includes(name))) {
    const { value } = await runStep<Prepared>('step-remote-prepare.ts', { set, data, work })
    const at = { set: set.name, files: value.files, bucket }
    if (engines.includes('zgq') && !isOnlyMade) await measureZgq(at)
    if (engines.includes('hypvector')) await measureHypvector(at, options.text['hypvector'])
    for (const kind of ['ivfPq', 'hnswSq'] as const) if (engines.includes(kind)) await measureLance(at, kind)
  }
} finally {
  await bucket.close()
}
printTable(
  [
    'set, engine',
    'settings',
    'recall@10',
    'open and first query: requests, KB, ms',
    'in a row',
    'requests',
    'KB',
    'ms',
    'last 10: KB'
  ],
  rows.map(({ set, engine, knob, recall: found, start, queries: uses }) => [
    `${set}, ${engine}`,
    knob,
    found.toFixed(3),
    `${start.requests}, ${kb(start.bytes)}, ${start.ms.toFixed(0)}`,
    mean(uses.map(({ inRow }) => inRow)).toFixed(1),
    mean(uses.map(({ requests }) => requests)).toFixed(1),
    kb(mean(uses.map(({ bytes }) => bytes))),
    quantile(
      uses.map(({ ms }) => ms),
      0.5
    ).toFixed(0),
    kb(mean(uses.slice(-10).map(({ bytes }) => bytes)))
  ])
)
endReport(machine, { latencyMs, megabits, queries, rows }, options.json)

interface At {
  readonly set: string
  readonly files: SetFiles
  readonly bucket: TestBucket
}

async function measureZgq({ set, files }: At): Promise<void> {
  for (const asked of [recall - 0.05, recall])
    await beside(dirname(files.packed), async (url, control) => {
      const input: RemoteInput = {
        url: url + basename(files.packed),
        control,
        files,
        queries,
        recall: asked,
        payload: false,
        topics: 0
      }
      const { value } = await runStep<RemoteRow>('step-remote.ts', input)
      rows.push({ ...value, set, engine: 'zgq', knob: `recall ${asked.toFixed(2)}` })
    })
}

async function measureHypvector({ set, files }: At, given: string | undefined): Promise<void> {
  if (given === undefined) throw new Error('--hypvector is missing: a checkout with its packages, see README.md')
  const checkout = resolve(given)
  const file = `${files.index}.parquet`
  await runStep<null>('step-remote-hypvector.ts', { checkout, file, files, read: undefined } satisfies HypvectorInput)
  for (const knob of isOnlyMade ? [] : HYPVECTOR_KNOBS) {
    const found = await beside(dirname(file), async (url, control) => {
      const read = { url: url + basename(file), control, queries, ...knob }
      const input: HypvectorInput = { checkout, file, files, read }
      return (await runStep<RemoteUse>('step-remote-hypvector.ts', input)).value
    })
    rows.push({ ...found, set, engine: 'hypvector', knob: `probe ${knob.probe}, rerankFactor ${knob.rerankFactor}` })
    if (found.recall >= recall) break
  }
}

async function measureLance({ set, files, bucket: { endpoint } }: At, kind: LanceRemoteKind): Promise<void> {
  const table = basename(files.index).replace(/\W/g, '-') + kind
  const shared = { kind, bucket: BUCKET, table, files }
  const mark = join(work, `${table}.made`)
  if (!existsSync(mark)) {
    await runStep<null>('step-remote-lancedb.ts', { ...shared, endpoint, read: undefined } satisfies LanceRemoteInput)
    writeFileSync(mark, '')
  }
  for (const knob of isOnlyMade ? [] : LANCE_KNOBS[kind]) {
    const slow = await startSlowServer(endpoint, { latencyMs, megabits })
    try {
      const read = { control: slow.control, queries, ...knob }
      const input: LanceRemoteInput = { ...shared, endpoint: slow.url, read }
      const { value } = await runStep<RemoteUse>('step-remote-lancedb.ts', input)
      rows.push({ ...value, set, engine: `lancedb ${kind}`, knob: `nprobes ${knob.probes}, refine ${knob.refine}` })
      if (value.recall >= recall) break
    } finally {
      await slow.close()
    }
  }
}

/** Works beside a server of a folder that is far away. */
async function beside<Result>(
  folder: string,
  work: (url: string, control: string) => Promise<Result>
): Promise<Result> {
  const server = await startStaticServer({ path: folder, host: '127.0.0.1', port: 0 })
  const slow = await startSlowServer(server.url, { latencyMs, megabits })
  try {
    return await work(slow.url, slow.control)
  } finally {
    await slow.close()
    await server.close()
  }
}

function kb(bytes: number): string {
  return (bytes / 1024).toFixed(0)
}
