// One checkout of zgq in its own process: builds an index, or searches one over a list of settings. By its published
// entries only.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import type * as BuildEntryModule from '../src/build.ts'
import type * as Entry from '../src/index.ts'
import { stepInput, stepResult } from './child.ts'
import { folderBytes } from './page-cache.ts'
import { measureSearch, readQueries, summarize, thinQueries, type SearchKnob, type Summary } from './queries.ts'

export interface CompareBuildInput {
  readonly action: 'build'
  readonly checkout: string
  readonly base: string
  readonly metric: 'l2' | 'cosine'
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
}

const EXACT_QUERIES = 100

const input = stepInput<CompareBuildInput | CompareSearchInput>()
stepResult(input.action === 'build' ? await build(input) : await search(input))

async function build({ checkout, base, metric, folder }: CompareBuildInput): Promise<CompareBuildResult> {
  const { buildIndex }: typeof BuildEntryModule = await import(entry(checkout, 'build'))
  const startedAt = performance.now()
  await buildIndex({ input: base, output: folder, metric, force: true })
  return { seconds: (performance.now() - startedAt) / 1000, bytes: folderBytes(folder) }
}

async function search({
  checkout,
  folder,
  queries,
  truth,
  queryLimit
}: CompareSearchInput): Promise<CompareSearchResult> {
  const { ZgqIndex }: typeof Entry = await import(entry(checkout, 'index'))
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
      measureSearch(index, asked, { k: 10, ...knob }) // unmeasured
    } catch (error) {
      // asked for what this checkout or index lacks
      if (error instanceof Error && 'code' in error && knob.recall !== undefined) continue
      throw error
    }
    rows[label] = summarize(measureSearch(index, asked, { k: 10, ...knob }))
  }
  index.close()
  return { rows }
}

function entry(checkout: string, name: string): string {
  return pathToFileURL(join(checkout, 'dist', `${name}.js`)).href
}
