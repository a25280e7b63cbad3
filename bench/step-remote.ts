// Searches a packed index from afar, in a fresh process: opening and the first query, the queries after it, near copies
// of queries, and the memory that it takes.

import { stepInput, stepResult } from './child.ts'
import { loadZgqRemote } from './packages.ts'
import { ownMemory } from './process-memory.ts'
import { normalRows } from './random.ts'
import { readRemoteQueries, type SetFiles } from './remote-sets.ts'
import { K, measureRemote, inRowOf, use, type RemoteUse, type Traffic, type Use } from './remote-use.ts'

export interface RemoteInput {
  readonly url: string
  /** `SlowServer.control`. */
  readonly control: string
  readonly files: SetFiles
  readonly queries: number
  readonly recall: number
  readonly payload: boolean
  /** Queries whose near copies are asked. */
  readonly topics: number
}

export interface RemoteRow extends RemoteUse {
  readonly opening: Traffic
  /** Of each query, the first one too: as `explain` counts them, without waiting for their turn. */
  readonly rounds: readonly number[]
  /** Near copies, without the query of each topic that came first. */
  readonly near: readonly Use[]
  readonly nearRounds: readonly number[]
  /** Of the process: what it has more than before it opened the index. */
  readonly rss: number
  /** Of the kernel, which holds the cache: part of `rss`. */
  readonly wasm: number
}

interface Fetched {
  readonly startMs: number
  endMs: number | undefined
}

/** Distance of a near copy from its query, for each the length of the query. */
const NEAR = 0.1
const COPIES = 10

const input = stepInput<RemoteInput>()
const { url, control, payload, recall } = input
const { openRemote } = await loadZgqRemote()
const { vectors, truth } = await readRemoteQueries(input.files, input.queries)
const memories = watchMemories()
const fetches: Fetched[] = []
const rounds: number[] = []
type Index = Awaited<ReturnType<typeof openRemote>>
let index: Index | undefined
globalThis.gc?.()
const rssBefore = ownMemory().rss
const used = await measureRemote(
  {
    open: async () => {
      index = await openRemote(url, { fetch: watchedFetch })
    },
    search: (query) => search(opened(), query)
  },
  { queries: vectors, truth, control }
)
const { opening } = opened().info()
globalThis.gc?.()
const row: RemoteRow = {
  ...used,
  rounds: rounds.slice(),
  opening: { ...opening, inRow: inRowOf(fetches.slice(0, opening.requests)) },
  rss: ownMemory().rss - rssBefore,
  wasm: memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
  ...(await measureNear())
}
opened().close()
stepResult(row)
process.exit(0)

function opened(): Index {
  if (index === undefined) throw new Error('the index is not open')
  return index
}

async function search(on: Index, query: Float32Array): Promise<readonly number[]> {
  const { hits, explain } = await on.search(query, { k: K, recall, payload, explain: true })
  rounds.push(explain.network.rounds)
  return hits.map(({ id }) => Number(id))
}

async function watchedFetch(...[asked, init]: Parameters<typeof fetch>): Promise<Response> {
  const fetched: Fetched = { startMs: performance.now(), endMs: undefined }
  if (fetches.length < 10) fetches.push(fetched)
  const response = await fetch(asked, init)
  fetched.endMs = performance.now()
  return response
}

/** As much of WebAssembly as is used here: the repository compiles without DOM types. */
interface Assembly {
  Instance: new (...of: unknown[]) => { readonly exports: { readonly memory?: { readonly buffer: ArrayBuffer } } }
}

/** Catches the memories of WebAssembly modules that are started from now on. */
function watchMemories(): { readonly buffer: ArrayBuffer }[] {
  const found: { readonly buffer: ArrayBuffer }[] = []
  const assembly: Assembly = Reflect.get(globalThis, 'WebAssembly')
  assembly.Instance = new Proxy(assembly.Instance, {
    construct: (target, given: unknown[]) => {
      const instance = new target(...given)
      if (instance.exports.memory !== undefined) found.push(instance.exports.memory)
      return instance
    }
  })
  return found
}

/** Each topic with an index that was opened for it. */
async function measureNear(): Promise<Pick<RemoteRow, 'near' | 'nearRounds'>> {
  const uses: Use[] = []
  const nearRounds: number[] = []
  for (const [topic, query] of vectors.slice(0, input.topics).entries()) {
    const fresh = await openRemote(url)
    await use(control, async () => {
      await search(fresh, query)
    })
    const length = Math.hypot(...query)
    for (let copy = 1; copy <= COPIES; copy++) {
      const noise = normalRows(topic * COPIES + copy, query.length)
      const scale = (NEAR * length) / Math.hypot(...noise)
      const near = query.map((value, i) => value + scale * noise[i])
      uses.push(
        await use(control, async () => {
          await search(fresh, near)
        })
      )
      nearRounds.push(rounds[rounds.length - 1])
    }
    fresh.close()
  }
  return { near: uses, nearRounds }
}
