// The public types of what an open index says of itself.

import type { Calibration, Fields, Metric, OpenMode, ReaderKind, Verify } from './types.ts'

/** How a search without options works. */
export interface SearchPlan {
  /**
   * `exact`: all rows are scanned, because that costs hardly more; `recall`: each query probes as many zones as the
   * calibration says; `nprobe`: a fixed number of zones is probed, and no recall is promised.
   */
  readonly kind: 'exact' | 'recall' | 'nprobe'
  /** One sentence. */
  readonly reason: string
}

/** Queries that an open index searched, by `search`, `searchAsync` and `searchBatch`, in worker threads too. */
export interface SearchedQueries {
  /** Those whose zones were chosen for a recall. */
  readonly byRecall: number
  /** Those among them that were unlike the queries of the calibration. */
  readonly unlike: number
}

/** Facts about an open index. */
export interface IndexInfo {
  readonly path: string
  readonly formatVersion: number
  /** 32 hex digits. */
  readonly indexId: string
  readonly count: number
  readonly dim: number
  readonly metric: Metric
  readonly zones: number
  /** Length of all files of the index. */
  readonly bytes: number
  /** What `zgq pack` made of an index. Null: it is an index that can be changed. */
  readonly packed: PackedInfo | null
  readonly generation: number
  readonly mode: OpenMode
  /** Changes that are not folded into zones yet. */
  readonly changes: ChangesInfo
  /** Bits of the codes per dimension; 0 = no codes. */
  readonly bits: number
  /** How many zones a recall needs, and how that was measured. Null: the index is not calibrated. */
  readonly calibration: Calibration | null
  /** How a search without options works, for 10 hits. */
  readonly plan: SearchPlan
  /** Searches since the index was opened. */
  readonly queries: SearchedQueries
  /** Reasons why the recall may be lower than promised: one sentence for each. */
  readonly warnings: readonly string[]
  readonly reader: { readonly kind: ReaderKind; readonly reason: string }
  /** The SQLite that reads the catalogue; a packed index needs none. */
  readonly sqlite: SqliteInfo
  /** `wasm`, or `scalar` if WebAssembly SIMD does not load. */
  readonly kernel: 'wasm' | 'scalar'
  readonly cacheBytes: number
  readonly verify: Verify
  readonly threads: ThreadsInfo
  readonly files: readonly { readonly name: string; readonly kind: string; readonly bytes: number }[]
  readonly zoneRows: ZoneSizes
  /** Facts of the build: seed, zones asked for, input digest, rows trained on. */
  readonly build: Readonly<Record<string, unknown>>
  readonly ids: 'integer' | 'string'
  /** Declared fields, which filters can use. */
  readonly fields: Fields
  /** Name of the model that made the vectors; undefined: none was given. */
  readonly model: string | undefined
  /** Data of the app, as it was given; undefined: none was given. */
  readonly note: unknown
}

/** How an index was packed. */
export interface PackedInfo {
  /** SHA-256 of all that it says, in hex: equal for equal indexes, whatever the layout. */
  readonly digest: string
  /** One file, or a folder of parts with a manifest. */
  readonly layout: 'file' | 'folder'
}

/** What was written to an index since its zones were made. */
export interface ChangesInfo {
  /** Number of the last change; 0: no change yet. */
  readonly commit: number
  /** Rows in the catalogue; every search scans them exactly. */
  readonly freshRows: number
  /** Rows in delta files, deleted ones included; every search scans their codes. */
  readonly deltaRows: number
  /** Deleted rows that are still in the files of zones and deltas; no search finds them. */
  readonly deletedRows: number
  /** Rows whose payload was updated. */
  readonly patchedRows: number
}

/** Names the SQLite that reads and writes the catalogue: the package better-sqlite3, or Node's own module. */
export type SqliteDriverName = 'better-sqlite3' | 'node:sqlite'

/** The SQLite of this process: chosen at the first use, for all its threads. */
export interface SqliteInfo {
  /** `none` for a packed index. */
  readonly driver: SqliteDriverName | 'none'
  /** Version of SQLite itself, such as `3.54.1`; empty where there is none. */
  readonly version: string
  /** Why this driver was chosen. */
  readonly reason: string
}

/** Worker threads of `searchAsync` and `searchBatch`. */
export interface ThreadsInfo {
  readonly most: number
  /** Open at this moment. */
  readonly running: number
  /** Cache of each thread, in addition to `cacheBytes` of the calling thread. */
  readonly cacheBytes: number
  /**
   * Why a thread could not be started. No further start is tried: searches use the threads that run, and the calling
   * thread. The most common reason: the index was replaced on disk since it was opened.
   */
  readonly failure: string | undefined
}

/** How many rows the zones have. */
export interface ZoneSizes {
  readonly min: number
  readonly mean: number
  readonly max: number
  /** Zones by size: `from` (included) to `to` (excluded) rows. */
  readonly histogram: readonly { readonly from: number; readonly to: number; readonly zones: number }[]
}

/** A zone, as `ZgqIndex.zones` describes it. */
export interface ZoneInfo {
  /** Its number, as in `Explain.zones`. */
  readonly zone: number
  readonly rows: number
  /** Largest Euclidean distance of a row to the centroid; for `cosine`, of rows scaled to length 1. */
  readonly radius: number
  /** Euclidean length of its shortest row. */
  readonly minNorm: number
  /** Euclidean length of its longest row. */
  readonly maxNorm: number
  /** float32, `dim` values: a copy. */
  readonly centroid: Float32Array
}
