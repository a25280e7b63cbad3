// The public types that open and search share. What an index says of itself is in info-types.ts, changing it in
// change-types.ts; types of a build live with the build.

/**
 * How far two vectors are; smaller is nearer. `l2`: squared Euclidean; `cosine`: 1 - cos; `ip`: minus the inner
 * product.
 */
export type Metric = 'l2' | 'cosine' | 'ip'

/** Carries bytes of an index to the kernels: the system's mmap, the package mmap-io, or plain reads. */
export type ReaderKind = 'mmap' | 'mmap-io' | 'pread'

/** How bytes of an index reach the kernels; `auto` picks `mmap` where it is safe, else `pread`, and never `mmap-io`. */
export type Mapping = 'auto' | ReaderKind

/** When pages are checked against their checksums: at their first use, all at open, or never. */
export type Verify = 'touch' | 'open' | 'none'

/** Type of a declared field. */
export type FieldType = 'string' | 'number' | 'boolean' | 'string[]'

/** Declared fields: names and types of the parts of a payload that filters can use. */
export type Fields = Readonly<Record<string, FieldType>>

/** Value of a declared field in a row; a field may also be missing. */
export type FieldValue = string | number | boolean | readonly string[] | null

/** A value that a filter compares a field with. `null` stands for a field that is missing or null. */
export type FilterOperand = string | number | boolean | null

/** Conditions on one field; all must be true. On a `string[]` a condition is true if it is true for any element. */
export interface FilterOperators {
  /** Equal to the operand. */
  readonly $eq?: FilterOperand
  /** Not equal, or the field is missing. */
  readonly $ne?: FilterOperand
  readonly $gt?: string | number
  readonly $gte?: string | number
  readonly $lt?: string | number
  readonly $lte?: string | number
  /** Equal to one of the operands. */
  readonly $in?: readonly FilterOperand[]
  /** Equal to none of the operands, or the field is missing. */
  readonly $nin?: readonly FilterOperand[]
  /** A list that contains each of the operands. */
  readonly $all?: readonly FilterOperand[]
  /** Whether the row has the field; null counts as a value here. */
  readonly $exists?: boolean
  /** Not all of the conditions are true, or the field is missing. */
  readonly $not?: FilterOperators
  /** A string that begins with the operand, compared code point by code point. */
  readonly $startsWith?: string
  /** A string that contains the operand. */
  readonly $contains?: string
}

/**
 * Chooses rows by their declared fields: `{ draft: false, tags: { $in: ['zoo'] } }`. All entries must be true; `{}`
 * chooses every row.
 */
export interface Filter {
  /** All of them are true. */
  readonly $and?: readonly Filter[]
  /** At least one of them is true. */
  readonly $or?: readonly Filter[]
  /** None of them is true. */
  readonly $nor?: readonly Filter[]
  /** It is not true. */
  readonly $not?: Filter
  /** A condition on the declared field of that name; a plain value means `$eq`. */
  readonly [field: string]: FilterOperand | FilterOperators | Filter | readonly Filter[] | undefined
}

/** A query: `dim` values, rounded to float32. */
export type QueryVector = Float32Array | Float64Array | readonly number[]

/** The name of a row: a safe integer >= 0, or a string of 1 to 1,024 bytes of UTF-8. An index has one kind. */
export type Id = number | string

/** Kinds of ids: safe integers >= 0, or strings of 1 to 1,024 bytes of UTF-8. An index has one kind. */
export type IdType = 'integer' | 'string'

/** The data of a row besides its id and vector: a map that MessagePack can hold. */
export type Payload = Readonly<Record<string, unknown>>

/** A found vector. */
export interface Hit<I extends Id = number, P = Payload> {
  /** The caller's id, or the row number of the input. */
  readonly id: I
  /** Distance to the query under the metric of the index. */
  readonly distance: number
  /** The payload of the row, or the keys asked for, if payloads were asked for. Undefined: the row has none. */
  readonly payload?: P | undefined
}

/** A stored vector as a query: the search finds its neighbours, without the row itself. */
export interface IdQuery<I extends Id = number> {
  readonly id: I
}

/** A row as it was stored. */
export interface StoredDocument<I extends Id = number, P = Payload> {
  readonly id: I
  /** float32, `dim` values: a copy. */
  readonly vector: Float32Array
  /** Undefined: the row has none. */
  readonly payload: P | undefined
}

/** What an index is opened for. `write` allows reading, too. */
export type OpenMode = 'read' | 'write'

/** Options of `ZgqIndex.open`. */
export interface OpenOptions {
  /** Default `read`. */
  readonly mode?: OpenMode | undefined
  /** Default `auto`. */
  readonly mapping?: Mapping | undefined
  /**
   * Memory for codes and rows that stay in memory between searches, in bytes. Default 256 MB. At least one part of a
   * zone is always kept. Decoded ids, fields, places of payloads and rows that filters matched may take up to 5/16 of
   * it in addition.
   */
  readonly cacheBytes?: number | undefined
  /** Default `touch`. */
  readonly verify?: Verify | undefined
  /**
   * Most worker threads that `searchAsync` and `searchBatch` may start, 0 to 64. Default: one for each core but one, 1
   * to 8. 0: these searches run on the calling thread alone. Threads are started on demand for larger jobs, and do not
   * keep the process alive. Their caches together have as many bytes as `cacheBytes`, in addition to the caller's
   * cache.
   */
  readonly threads?: number | undefined
  /**
   * The model that your queries and rows come from. Opening throws ZGQ_MISMATCH if the index names another model. If
   * the index names a model, opening it for writing needs this option.
   */
  readonly model?: string | undefined
  /**
   * When a write is synced to the disk: before it resolves (`full`, the default), or within a second after it
   * (`batch`).
   */
  readonly durability?: 'full' | 'batch' | undefined
  /** How long a write waits for other writers before it rejects with ZGQ_LOCKED, in milliseconds. Default 5,000. */
  readonly lockTimeoutMs?: number | undefined
  /**
   * Allow writing on a network file system, whose locks may not work. Default false: writing there throws
   * ZGQ_UNSUPPORTED.
   */
  readonly allowNetworkFileSystem?: boolean | undefined
  /**
   * Fold what was written into zones by itself, in a thread, once enough has come together: 2,000 rows and 4 % of the
   * zones' rows, or a fifth of all rows deleted. For `mode: 'write'`. Default true.
   */
  readonly autoOptimize?: boolean | undefined
}

/** Options of `search`. Give at most one of `nprobe`, `exact` and `recall`. */
export interface SearchOptions {
  /** Number of hits wanted. Default 10. Above the count of the index: all rows. */
  readonly k?: number | undefined
  /**
   * Number of zones to probe. Above the zone count: all zones. With a filter only zones with matching rows count, and
   * further ones are probed until `2 * k` matching rows were scanned.
   */
  readonly nprobe?: number | undefined
  /** Scan every zone: equal to brute force, ties included. */
  readonly exact?: boolean | undefined
  /**
   * Recall@k wanted, above 0 and below 1. The search probes as many zones as this query needs, by the calibration of
   * the index. Default 0.95. Throws ZGQ_RECALL above `info().calibration.highestRecall`.
   */
  readonly recall?: number | undefined
  /**
   * Least number of candidates to rerank by their exact distances. More are reranked if the estimates do not decide
   * which are nearest. Default 0; no effect without codes.
   */
  readonly rerank?: number | undefined
  /** Return `{ hits, explain }` instead of the hits. */
  readonly explain?: boolean | undefined
  /**
   * Find only rows that meet this filter on declared fields: k hits if k rows match, at the recall asked for. Throws
   * ZGQ_FILTER for an unknown field or operator, or a value of the wrong type.
   */
  readonly filter?: Filter | undefined
  /** Leave out hits that are farther away than this, in the metric of the index. */
  readonly maxDistance?: number | undefined
  /** Return payloads with the hits: `true`, or the keys wanted. Default false: payloads are not read. */
  readonly payload?: boolean | readonly string[] | undefined
}

/** Options of `searchAsync` and `searchBatch`: those of `search`, and a signal. */
export interface AsyncSearchOptions extends SearchOptions {
  /**
   * Aborts the search: its promise rejects at once with the reason of the signal. Queries that have not begun are
   * dropped; the result of a running one is ignored.
   */
  readonly signal?: AbortSignal | undefined
}

/** Facts about one search. */
export interface Explain {
  /** Zones probed, nearest first. */
  readonly zones: readonly number[]
  /** Rows whose distance to the query was computed. */
  readonly vectorsScanned: number
  /** Candidates that were reranked; 0 without codes. */
  readonly rowsReranked: number
  /** Rows whose distance was computed once more in double precision. */
  readonly rowsConfirmed: number
  /** Bytes of the segments and columns of the zones probed, cached or not. */
  readonly bytes: number
  /** Pages of 4,096 bytes that these bytes lie in. */
  readonly pages: number
  /** Bytes copied from files or mappings by this search; 0 if all were in the cache. */
  readonly bytesRead: number
  /** Pages that were checked against their checksums for the first time. */
  readonly pagesVerified: number
  /**
   * Rounds of reads, each of which waited for the one before: 0 if all was in the cache, 1 if all was asked for at
   * once; with `pread`, one for each zone that was read.
   */
  readonly ioRounds: number
  readonly probeMicros: number
  readonly scanMicros: number
  readonly rerankMicros: number
  /**
   * True if the search asked for a recall and its query is unlike those of the calibration. The calibration says
   * nothing of such a query, so the search probed further zones until they brought hardly a new hit.
   */
  readonly unlike: boolean
  /** Undefined without a filter. */
  readonly filter?: ExplainedFilter | undefined
}

/** Facts about the filter of a search. */
export interface ExplainedFilter {
  /** `matches`: all matching rows were ranked; `zones`: some zones were scanned; `exact`: all zones with matches. */
  readonly plan: 'matches' | 'zones' | 'exact'
  /** Rows of the index that match. */
  readonly rowsMatched: number
  /** Segments without a matching row, which were not scanned. */
  readonly segmentsSkipped: number
  /** Why the search ended. */
  readonly stopped:
    | 'nothing asked for'
    | 'no row matches'
    | 'all matches ranked'
    | 'no zone left'
    | 'no gain expected'
    | 'nprobe reached'
}

/** Result of a search with `explain: true`. */
export interface ExplainedHits<I extends Id = number, P = Payload> {
  readonly hits: Hit<I, P>[]
  readonly explain: Explain
}

/** A point of a calibration curve: one recall. */
export interface CalibrationPoint {
  /** Recall that is promised: the lower bound of the measured recall reaches it. */
  readonly recall: number
  /** Zones with a score up to this are probed (spec, section 7.6). */
  readonly threshold: number
  /** Mean of the measured recall. */
  readonly mean: number
  /** Mean number of zones that were probed. */
  readonly zones: number
  /** Standard deviations within which estimates from sign planes are trusted; undefined: by the recall alone. */
  readonly trust?: number | undefined
}

export interface CalibrationCurve {
  readonly k: number
  /** By ascending recall. */
  readonly points: readonly CalibrationPoint[]
}

/** Bounds of the distances of the calibration's queries, as the recall rule counts them (spec, section 7.6). */
export interface UsualQueries {
  /** Least distance to the nearest zone. */
  readonly nearestZone: number
  /** Largest distance to the nearest zone. */
  readonly farthestZone: number
  /** Largest distance to the nearest hit. */
  readonly farthestHit: number
}

/** How many zones searches must probe for a recall, as measured when the index was built or calibrated. */
export interface Calibration {
  /** `base`: rows of the index itself; `queries`: queries that were given. */
  readonly source: 'base' | 'queries'
  readonly queries: number
  /** Confidence of the lower bound: 0.95. */
  readonly confidence: number
  /** Highest recall that this number of queries can promise. */
  readonly highestRecall: number
  /** Unit of distances in the score. */
  readonly scale: number
  readonly curves: readonly CalibrationCurve[]
  /** Bounds that tell unlike queries; undefined in indexes that were calibrated before these were measured. */
  readonly usual?: UsualQueries | undefined
  /** Largest Euclidean norm of a row at the time of the calibration: `ip` counts distances from it. */
  readonly maxNorm?: number | undefined
  /** Share of the queries, 0 to 1, that have exact or near copies among the rows. */
  readonly copies?: number | undefined
  /** Deviation of the cosine of the angle at a centroid between query and row; for filters (spec, section 7.6). */
  readonly alignment?: number | undefined
  /** Factor, up to 1, for the gain at which searches with a filter stop; below 1 for vectors that need it. */
  readonly gain?: number | undefined
}
