// One checkout of zgq in its own process: builds an index, or searches one over a list of settings. By its published
// entries only, and with its own index: checkouts may have different formats.

import { rmSync } from 'node:fs'

import type * as BuildEntryModule from '../src/build.ts'
import type * as Entry from '../src/index.ts'
import { entryOf } from './checkouts.ts'
import { stepInput, stepResult } from './child.ts'
import { folderBytes } from './page-cache.ts'
import { measureFastest, readQueries, summarize, thinQueries, type SearchKnob, type Summary } from './queries.ts'

export interface CompareBuildInput {
  readonly action: 'build'
  readonly checkout: string
  readonly base: string
  readonly metric: 'l2' | 'cosine'
  /** Zones to aim at; default: what the checkout takes. */
  readonly zones?: number
  readonly folder: string
}

export interface CompareSearchInput {
  readonly action: 'search'
  readonly checkout: string
  readonly folder: string
  readonly queries: string
  readonly truth: string
  readonly queryLimit: number
}

export interface CompareBuildResult {
  readonly seconds: number
  readonly bytes: number
}

export interface CompareSearchResult {
  /** By setting, in words: "nprobe 16", "recall 0.95", "default". */
  readonly rows: Readonly<Record<string, Summary>>
  /** What searched, as reports name it. */
  readonly facts: CompareFacts
}

export interface CompareFacts {
  readonly node: string
  readonly format: number
  readonly zones: number
  readonly bits: number
  readonly kernel: string
  readonly reader: string
  readonly sqlite: string
}

const EXACT_QUERIES = 100
/** Codes of the errors by which an index says that a recall cannot be asked of it. */
const NO_SUCH_RECALL: readonly unknown[] = ['ZGQ_RECALL', 'ZGQ_UNSUPPORTED']

const input = stepInput<CompareBuildInput | CompareSearchInput>()
stepResult(input.action === 'build' ? await build(input) : await search(input))

async function build({ checkout, base, metric, zones, folder }: CompareBuildInput): Promise<CompareBuildResult> {
  const { buildIndex }: typeof BuildEntryModule = await import(entryOf(checkout, 'build'))
  // What another version left is in the way, or would be resumed.
  for (const path of [folder, `${folder}.building`]) rmSync(path, { recursive: true, force: true })
  const startedAt = performance.now()
  await buildIndex({ input: base, output: folder, metric, zones })
  return { seconds: (performance.now() - startedAt) / 1000, bytes: folderBytes(folder) }
}

async function search({
  checkout,
  folder,
  queries,
  truth,
  queryLimit
}: CompareSearchInput): Promise<CompareSearchResult> {
  const { ZgqIndex }: typeof Entry = await import(entryOf(checkout, 'index'))
  const all = await readQueries(queries, truth, queryLimit)
  const index = ZgqIndex.open(folder)
  const rows: Record<string, Summary> = {}
  const knobs: [string, SearchKnob][] = [
    ['default', {}],
    ...[1, 4, 16, 64].map((nprobe): [string, SearchKnob] => [`nprobe ${nprobe}`, { nprobe }]),
    ...[0.9, 0.95, 0.99].map((recall): [string, SearchKnob] => [`recall ${recall}`, { recall }]),
    ['exact', { exact: true }]
  ]
  for (const [label, knob] of knobs) {
    const asked = knob.exact === true ? thinQueries(all, EXACT_QUERIES) : all
    try {
      rows[label] = summarize(measureFastest(index, asked, { k: 10, ...knob }))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && NO_SUCH_RECALL.includes(error.code))) throw error
    }
  }
  const { formatVersion, zones, bits, kernel, reader, sqlite } = index.info()
  index.close()
  return {
    rows,
    facts: {
      node: process.version,
      format: formatVersion,
      zones,
      bits,
      kernel,
      reader: reader.kind,
      sqlite: `${sqlite.driver} ${sqlite.version}`
    }
  }
}
