// The seam between the library and its arithmetic: one interface, two implementations (WebAssembly SIMD, scalar
// TypeScript) with equal results. All pointers are byte offsets in the kernel's memory; KernelMemory lays that out.

export interface ScanRun {
  /** float32, count * dim */
  rows: number
  /** u64, count */
  ids: number
  /** float32, count; only read for cosine */
  inverseNorms: number
  /** A bit for each row of the segment, u32 words, or 0: all rows are live */
  mask: number
  /** Number of the first of these rows in its segment. */
  firstRow: number
  count: number
}

/** Shared by all calls of `scan` in one search. */
export interface ScanQuery {
  metric: number
  dim: number
  /** float32, dim */
  query: number
  /** <q,q> */
  queryNorm2: number
  /** A row is ruled out if its float32 distance is above `worst kept * (1 + relative) + absolute`. */
  relative: number
  absolute: number
  heap: number
}

/** Rows against centroids, for `assign`. */
export interface AssignRun {
  /** i16, count * width, of units (float32, count) */
  rows: number
  units: number
  count: number
  /** Dimensions rounded up to 8. */
  width: number
  /** i16, zoneCount * width, of units (float32, zoneCount) */
  centroids: number
  centroidUnits: number
  /** float32, zoneCount: |c|^2 / 2 */
  halfNorms: number
  zoneCount: number
  /** u32, count: written */
  zones: number
  /** float32, count: written */
  scores: number
}

/** Rows against many queries, for `scanQueries`. */
export interface QueriesRun {
  /** Minus inner products; else squared Euclidean distances. */
  isProduct: boolean
  /** float32, count * dim */
  rows: number
  count: number
  dim: number
  /** float32, queryCount * dim */
  queries: number
  queryCount: number
  /** float32, queryCount: values above do not enter each heap. Infinity at first; kept up to date. */
  limits: number
  /** A heap for each query, `heapBytes` apart. */
  heaps: number
  heapBytes: number
  /** Words of the first row's id; the others follow. */
  low: number
  high: number
}

/** The rows of one block, for `encodeBlock`. */
export interface EncodeRun {
  /** float32, count * width, rotated */
  residuals: number
  /** float32, count: <residual, centroid>; ip only */
  crosses: number
  /** float32, width, rotated */
  centroid: number
  /** At most 32. */
  count: number
  width: number
  bits: number
  metric: number
  /** Sign planes with their factors: written. */
  block: number
  /** Refined codes, one row after the other: written with more than one bit. */
  refined: number
  /** u8, 32 * width: scratch */
  codes: number
}

/** A query for a scan of codes, for `encodeQuery`. */
export interface QueryRun {
  /** float32, dim */
  query: number
  dim: number
  /** float32, dim */
  mean: number
  /** float32, width: written */
  rotated: number
  width: number
  /** The rotation; see assembly/rotate.ts. */
  flips: number
  rounds: number
  window: number
  scale: number
  /** Written; see assembly/tables.ts. */
  tables: number
  integers: number
  scalars: number
  /** <q,q> */
  norm2: number
  /** How far estimates are trusted: see `Confidence`. */
  planes: number
  refined: number
  slack: number
}

/** Pointers of a scan of codes; layouts are in layouts.ts. */
export interface CodeScan {
  metric: number
  bits: number
  width: number
  tables: number
  integers: number
  scalars: number
  /** Segment table, SEGMENT_ENTRY_BYTES each. */
  segments: number
  /** Sorted heap of places in the segment table and masks, with their zones' distances to the query. */
  list: number
  /** Heap of the smallest estimates. */
  heap: number
  candidates: number
}

/** Pointers of a scan of codes for a group of queries; layouts are in layouts.ts. */
export interface TogetherScan {
  metric: number
  /** 2, 4 or 8 */
  bits: number
  width: number
  /** Segment table, SEGMENT_ENTRY_BYTES each. */
  segments: number
  members: number
  visits: number
  records: number
  /** SCALARS_BYTES */
  scratch: number
}

/** What was recorded for one query of a group, and where it goes; layouts are in layouts.ts. */
export interface RecordedVisits {
  metric: number
  slack: number
  /** The first of `count` visits. */
  visits: number
  count: number
  records: number
  /** Heap of the smallest estimates. */
  heap: number
  candidates: number
}

/** Centroids in bytes against a query, for `packedDistances`; see assembly/centroids.ts. */
export interface PackedRun {
  metric: number
  /** i8, zones * width */
  packed: number
  factors: number
  /** u32, count: which zones; 0: the first */
  positions: number
  count: number
  width: number
  integers: number
  scalars: number
  /** float32, zones * dim */
  centroids: number
  dim: number
  /** The query as the probe sees it: float32, dim */
  query: number
  /** float32, count: written */
  out: number
}

/** A rerank of sorted candidates; layouts are in layouts.ts. */
export interface RerankRun {
  /** Of the candidates to rerank at least. */
  wanted: number
  candidates: number
  /** Segment table. */
  segments: number
  /** Table of rows that are kept, of 2^keptBits entries; 0: none are. */
  kept: number
  keptBits: number
  batch: number
  /** float32, RERANK_ROWS * dim */
  slots: number
}

export interface Kernel {
  readonly kind: 'wasm' | 'scalar'
  /** The memory as it is now; growing replaces it, so never keep a view across `grow`. */
  readonly buffer: ArrayBuffer
  /** Makes the memory at least `byteLength` long. */
  grow(byteLength: number): void
  // Four or five plain numbers a call: an object for each would cost more than the arithmetic on small runs.
  /** Writes squared distances of `count` rows to the query: out is float32, count. */
  l2Distances(rows: number, count: number, dim: number, query: number, out: number): void
  /** Writes inner products: out is float32, count. */
  innerProducts(rows: number, count: number, dim: number, query: number, out: number): void
  /** Writes squared norms in double precision: out is float64, count. */
  squaredNorms(rows: number, count: number, dim: number, out: number): void
  heapInit(heap: number, capacity: number): void
  /** Sorts the heap, best first; returns its size. */
  heapSort(heap: number): number
  /** Writes squared distances of the rows at `count` positions (u32): out is float32, count. */
  l2DistancesAt(rows: number, positions: number, count: number, dim: number, query: number, out: number): void
  innerProductsAt(rows: number, positions: number, count: number, dim: number, query: number, out: number): void
  /**
   * Puts the `wanted` smallest of `count` float32 values, as (value, position) ascending, into a list with room for
   * `count`; returns `wanted`, which is 1 to count. `names` (u32, count; 0: none) stand for the positions. scratch:
   * SELECT_SCRATCH_BYTES.
   */
  selectNearest(values: number, count: number, wanted: number, names: number, list: number, scratch: number): number
  /**
   * Writes the positions (u32, room for `count`) of at least `wanted` of the smallest float32 values, ascending, and
   * few more; returns how many. scratch: SELECT_SCRATCH_BYTES.
   */
  selectSmallest(values: number, count: number, wanted: number, out: number, scratch: number): number
  /** Offers rows to the heap of the query; returns how many needed double precision. */
  scan(query: ScanQuery, run: ScanRun): number
  /** Writes rows as 16-bit integers (count * dim rounded up to 8) and their units; see assembly/assign.ts. */
  quantizeRows(rows: number, count: number, dim: number, out: number, units: number): void
  assign(run: AssignRun): void
  /** Offers every row to the heap of every query; see assembly/scan-queries.ts. */
  scanQueries(run: QueriesRun): void
  /** Rotates rows in place; see assembly/rotate.ts. */
  rotateRows(
    rows: number,
    count: number,
    width: number,
    flips: number,
    rounds: number,
    window: number,
    scale: number
  ): void
  /** Quantises up to 32 rotated residuals. */
  encodeBlock(run: EncodeRun): void
  /**
   * Writes a query (float32, dim) as the probe sees it: of unit length for cosine, negated for ip. Returns <q,q>, which
   * is not finite if a value is not.
   */
  scaleQuery(metric: number, dim: number, query: number, probeQuery: number): number
  /** Rotates a query around the mean, builds its tables and writes its scalars; see assembly/query.ts. */
  encodeQuery(run: QueryRun): void
  /** Writes tables, integers and the first five scalars of a rotated query. */
  buildTables(query: number, width: number, tables: number, integers: number, scalars: number): void
  /**
   * Writes estimates of the distances of `count` rows in blocks around one centre: out is float32, count rounded up to
   * 32. See assembly/sign-blocks.ts.
   */
  estimateBlocks(
    blocks: number,
    count: number,
    width: number,
    tables: number,
    scalars: number,
    base: number,
    out: number
  ): void
  /**
   * Scans the segments of the list from position `first` to before `end`; returns the position of the first that is not
   * in kernel memory, or `end`.
   */
  scanCodes(scan: CodeScan, first: number, end: number): number
  /**
   * Scans the segment in place `segment` of the table for the members of `count` pairs, and records rows below their
   * limits; returns how many pairs there was room for.
   */
  scanTogether(scan: TogetherScan, segment: number, pairs: number, count: number): number
  /**
   * Offers what was recorded in visits, in their order, to heap and candidates; returns how many visits there were
   * before the first that was not made.
   */
  offerRecorded(recorded: RecordedVisits): number
  /** Drops candidates above `limit`, sorts the others by lowest likely distance; returns how many there are. */
  sortCandidates(candidates: number, limit: number): number
  /**
   * Searches in one call what is laid out at `search`; returns SEARCH_DONE and so on. See assembly/search.ts. The
   * scalar kernel leaves all to the stages, which compute the same.
   */
  searchCodes(search: number): number
  /** Packs a rotated centroid (float32, width) into bytes; writes all factors but its product with the mean. */
  packCentroid(rotated: number, width: number, packed: number, factors: number): void
  /** Writes the distances by which zones are ordered, from their centroids in bytes. */
  packedDistances(run: PackedRun): void
  /**
   * Goes on with a rerank for at most `most` batches; returns RERANK_DONE, RERANK_MISSING or RERANK_PAUSED. See
   * assembly/rerank.ts.
   */
  rerank(query: ScanQuery, run: RerankRun, most: number): number
  /** Scales rows to unit length in place. */
  normalizeRows(rows: number, count: number, dim: number): void
  /** Adds each row to the sum of its zone (u32, count): sums are float64, dim for each zone. */
  addRows(rows: number, count: number, dim: number, zones: number, sums: number): void
  /** Subtracts one row from each row in place. */
  subtractRow(rows: number, count: number, dim: number, row: number): void
}
