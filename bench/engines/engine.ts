// The seam between the benchmark and the engines under it: build an index in a folder, open it, search with one query
// at a time.

import type { RowSource } from '../../src/build.ts'

export type PeerMetric = 'l2' | 'cosine'

export interface BuildInput {
  readonly rows: RowSource
  /** The file that `rows` reads. */
  readonly path: string
  readonly metric: PeerMetric
  /** Empty; all files of the index go into it, and nothing else. */
  readonly folder: string
  /** Threads, for engines that can be told; default: `buildThreads`. */
  readonly threads?: number | undefined
}

export interface OpenInput {
  readonly folder: string
  readonly metric: PeerMetric
  readonly count: number
  readonly dim: number
  readonly queries: readonly Float32Array[]
  readonly k: number
  /** Every query will find the files outside of memory: map instead of loading, and warm nothing up. */
  readonly isCold: boolean
}

/** One setting of an engine's own knob. */
export interface Knob {
  readonly label: string
  /** Knobs of one sweep rise in effort: once recall no longer rises, the rest of the sweep is skipped. */
  readonly sweep: string
}

/** An open index with its queries, converted beforehand to what costs the engine least. */
export interface OpenEngine {
  readonly knobs: readonly Knob[]
  /** Chooses a knob; not timed. */
  select(knob: number): void | Promise<void>
  /** Searches with one query; this is what is timed. Must not give a promise where the engine does not. */
  search(query: number): void | Promise<void>
  /** Ids that the last search found, nearest first; not timed. */
  found(): number[]
  /** Dependent rounds of input of the last search, where the engine tells. */
  ioRounds?(): number
  close(): void | Promise<void>
}

export interface Engine {
  readonly name: string
  /** Package whose version is reported. */
  readonly packageName: string
  /** What the index is built with, in words. */
  readonly settings: string
  readonly buildThreads: number
  /** Answers from its files, so that it can be measured cold; else the reason why not. */
  readonly cold: true | string
  build(input: BuildInput): Promise<void>
  open(input: OpenInput): Promise<OpenEngine>
}

/** Builds may use both cores of the machine that this was written on, where an engine can. */
export const BUILD_THREADS = 2

/** Reads a source in batches: `visit(values, from, count)`, values float32, count * dim, row-major, reused. */
export async function eachBatch(
  rows: RowSource,
  batchRows: number,
  visit: (values: Float32Array, from: number, count: number) => void | Promise<void>
): Promise<void> {
  const buffer = new Float32Array(batchRows * rows.dim)
  for (let from = 0; from < rows.count; from += batchRows) {
    const count = Math.min(batchRows, rows.count - from)
    const values = buffer.subarray(0, count * rows.dim)
    rows.readRows(from, values)
    await visit(values, from, count)
  }
}

/** Labels of one sweep: "ef 10", "ef 20", ... */
export function sweepOf(name: string, values: readonly number[]): Knob[] {
  return values.map((value) => ({ label: `${name} ${value}`, sweep: name }))
}

/** Efforts of graph searches, all of at least k = 10. */
export const GRAPH_EFFORTS = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896, 1280] as const

/** Lists to probe: powers of two and their middles, up to all. */
export function probesUpTo(lists: number): number[] {
  const probes = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024].filter(
    (value) => value < lists
  )
  return [...probes, lists]
}

/** What every step that searches an engine is told. */
export interface EngineStepInput {
  readonly engine: string
  readonly folder: string
  readonly metric: PeerMetric
  readonly count: number
  readonly queries: string
  readonly truth: string
  readonly queryLimit: number
}
