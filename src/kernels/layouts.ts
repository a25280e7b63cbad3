// Where the parts of the kernels' structures lie. Both compilers read this file, AssemblyScript for assembly/*.ts and
// TypeScript for the rest, so it holds nothing but whole numbers. _AT: bytes from the start of the structure.

// Metrics, as headers of files have them (spec, section 2).
export const METRIC_L2 = 1
export const METRIC_COSINE = 2
export const METRIC_IP = 3

// A heap: u32 size, u32 capacity; then float64 distances, capacity; then u64 ids, capacity. A list is a sorted heap.
export const HEAP_SIZE_AT = 0
export const HEAP_CAPACITY_AT = 4
export const HEAP_HEADER_BYTES = 8
/** Of each distance. */
export const HEAP_DISTANCE_BYTES = 8
/** Of each id. */
export const HEAP_ID_BYTES = 8

// Candidates: u32 size, u32 capacity; then entries.
export const CANDIDATES_SIZE_AT = 0
export const CANDIDATES_CAPACITY_AT = 4
export const CANDIDATES_HEADER_BYTES = 8
/** float32: the lowest likely distance */
export const CANDIDATE_LOW_AT = 0
/** float32 */
export const CANDIDATE_ESTIMATE_AT = 4
/** u32: place in the segment table */
export const CANDIDATE_SEGMENT_AT = 8
/** u32 */
export const CANDIDATE_ROW_AT = 12
export const CANDIDATE_BYTES = 16

// An id of a list of segments: u32 place in the segment table, u32 address of the mask.
export const LIST_SEGMENT_AT = 0
/** A bit for each row that may be found, u32 a block of 32 rows; 0: all may. */
export const LIST_MASK_AT = 4

// An entry of the segment table. Addresses are u32; 4 bytes are free.
/** Blocks of sign planes; 0: the codes of the segment are not in kernel memory. */
export const SEGMENT_PLANES_AT = 0
/** Refined codes; 0: there are none. */
export const SEGMENT_REFINED_AT = 4
/** u64 ids */
export const SEGMENT_IDS_AT = 8
/** u32 CRCs of the pages of its rows */
export const SEGMENT_PAGE_CRCS_AT = 12
/** u32 */
export const SEGMENT_ROW_COUNT_AT = 16
/** float32 |c|^2 of the zone's centroid, for ip. */
export const SEGMENT_CENTROID_NORM2_AT = 20
/** u32: 1 if its codes were used since that was last asked. */
export const SEGMENT_USED_AT = 24
export const SEGMENT_ENTRY_BYTES = 32

// Factors of a code, three float32 (spec, section 8.3).
export const FACTOR_ADD_AT = 0
export const FACTOR_MULTIPLY_AT = 4
export const FACTOR_ERROR_AT = 8
/** Before each refined code. */
export const REFINED_FACTOR_BYTES = 12

// A block of sign planes: 4 bytes a dimension, then factors: float32 to add, then to multiply by, a row each, then the
// spread, 12 zero bytes (spec, section 8.3). Offsets count from the factors.
/** Rows whose sign planes are scanned together. */
export const BLOCK_ROWS = 32
export const BLOCK_MULTIPLY_AT = 128
export const BLOCK_SPREAD_AT = 256
export const BLOCK_FACTOR_BYTES = 272

// Scalars of a query, float32, with scratch behind them. The first five are written by `buildTables`.
/** Step of the tables. */
export const SCALAR_STEP_AT = 0
/** Offset of the tables: -sum |q_i| / 2. */
export const SCALAR_OFFSET_AT = 4
/** Variance of <u, q'> by the rounding of the tables. */
export const SCALAR_VARIANCE_AT = 8
export const SCALAR_INTEGER_STEP_AT = 12
export const SCALAR_INTEGER_SUM_AT = 16
/** Standard deviations within which estimates from sign planes are trusted. */
export const SCALAR_PLANES_CONFIDENCE_AT = 20
export const SCALAR_REFINED_CONFIDENCE_AT = 24
/** <q,q> */
export const SCALAR_QUERY_NORM2_AT = 28
export const SCALAR_SLACK_AT = 32
/** Squared distance of the query to the mean, and its product with it: written by `encodeQuery`. */
export const SCALAR_MEAN_DISTANCE2_AT = 44
export const SCALAR_MEAN_PRODUCT_AT = 48
/** Nobody reads it: the kernel writes what it touched ahead. */
export const SCALAR_TOUCHED_AT = 60
/** float32 sums of look-ups of the rows at hand, BLOCK_ROWS */
export const SCRATCH_SUMS_AT = 64
/** float32 lowest likely distances of the rows at hand, BLOCK_ROWS */
export const SCRATCH_LOWS_AT = 192
/** Rows that sign planes leave, CHUNK_ROWS: u32 row, float32 lowest likely distance. */
export const SCRATCH_LEFT_AT = 320
export const LEFT_ROW_AT = 0
export const LEFT_LOW_AT = 4
export const LEFT_BYTES = 8
/** Rows whose sign planes are scanned before the refined codes of those that are left. */
export const CHUNK_ROWS = 1024
/** Scalars and scratch. */
export const SCALARS_BYTES = SCRATCH_LEFT_AT + CHUNK_ROWS * LEFT_BYTES

// Queries that are searched together. A member: its scalars without the scratch, its limit, then tables and integers.
/** float32: what bounds of rows must be below; at least the limit that its search had reached by itself. */
export const MEMBER_LIMIT_AT = 40
export const MEMBER_TABLES_AT = 64
/** Of tables and integers, for each dimension. */
export const MEMBER_DIMENSION_BYTES = 6

// A visit: a segment of the list of a member, in the order of the list.
/** u32: place in the segment table */
export const VISIT_SEGMENT_AT = 0
/** u32: address of the mask, or 0 */
export const VISIT_MASK_AT = 4
/** float32: distance of the zone */
export const VISIT_DISTANCE_AT = 8
/** u32: number of the first of its records */
export const VISIT_START_AT = 12
/** u32: how many, or NOT_VISITED */
export const VISIT_COUNT_AT = 16
export const VISIT_BYTES = 20
export const NOT_VISITED = 0xffff_ffff

// A pair of a group: u32 number of a member, u32 number of its visit of a segment.
export const PAIR_MEMBER_AT = 0
export const PAIR_VISIT_AT = 4
export const PAIR_BYTES = 8

// Records, of rows that may be offered: u32 size, u32 capacity; then entries.
export const RECORDS_SIZE_AT = 0
export const RECORDS_CAPACITY_AT = 4
export const RECORDS_HEADER_BYTES = 8
/** float32: lowest likely distance by sign planes, less the part that the zone shares; -Infinity: was offered before */
export const RECORD_BOUND_AT = 0
/** float32: the same by the refined code, whole */
export const RECORD_LOW_AT = 4
/** float32 */
export const RECORD_ESTIMATE_AT = 8
/** u32 */
export const RECORD_ROW_AT = 12
export const RECORD_BYTES = 16

// A batch of candidates that are reranked together: how many were taken so far, how many are in the batch, a bit for
// each whose row is missing, then addresses of rows, u32, and ids, u64, RERANK_ROWS of each.
/** Rows that are reranked together: each batch has to wait for what it lacks. */
export const RERANK_ROWS = 8
export const BATCH_RERANKED_AT = 0
export const BATCH_COUNT_AT = 4
export const BATCH_MISSING_AT = 8
export const BATCH_ROWS_AT = 16
export const BATCH_IDS_AT = 48
export const BATCH_BYTES = 112
/** What `rerank` returns. */
export const RERANK_DONE = 0
export const RERANK_MISSING = 1
export const RERANK_PAUSED = 2

// An entry of the table of rows that are kept: u32 place in the segment table, u32 row, u32 address (0: no entry),
// u32 1 if it was used since that was last asked.
export const KEPT_SEGMENT_AT = 0
export const KEPT_ROW_AT = 4
export const KEPT_ADDRESS_AT = 8
export const KEPT_USED_AT = 12
export const KEPT_ENTRY_BYTES = 16

// Factors of a centroid in bytes, float32: its step, |c|^2 around the mean, its product with the mean, 4 free bytes.
export const PACKED_STEP_AT = 0
export const PACKED_NORM2_AT = 4
export const PACKED_CROSS_AT = 8
export const PACKED_FACTOR_BYTES = 16

// A whole search of codes, for `searchCodes`: what it works with, and what it says.
/** u32 from here on, most of them addresses */
export const SEARCH_METRIC_AT = 0
export const SEARCH_DIM_AT = 4
export const SEARCH_WIDTH_AT = 8
export const SEARCH_BITS_AT = 12
export const SEARCH_QUERY_AT = 16
export const SEARCH_PROBE_QUERY_AT = 20
export const SEARCH_MEAN_AT = 24
export const SEARCH_ROTATED_AT = 28
export const SEARCH_FLIPS_AT = 32
export const SEARCH_ROUNDS_AT = 36
export const SEARCH_WINDOW_AT = 40
/** float32 */
export const SEARCH_ROTATION_SCALE_AT = 44
export const SEARCH_TABLES_AT = 48
export const SEARCH_INTEGERS_AT = 52
export const SEARCH_SCALARS_AT = 56
export const SEARCH_ZONE_COUNT_AT = 60
export const SEARCH_CENTROIDS_AT = 64
export const SEARCH_ZONE_DISTANCES_AT = 68
export const SEARCH_ZONE_LIST_AT = 72
export const SEARCH_SELECT_SCRATCH_AT = 76
/** Sign codes of the centroids; 0: there are none. */
export const SEARCH_SIGNS_AT = 80
export const SEARCH_ESTIMATES_AT = 84
export const SEARCH_POSITIONS_AT = 88
/** Centroids in bytes; 0: there are none. */
export const SEARCH_PACKED_AT = 92
export const SEARCH_FACTORS_AT = 96
/** 0: as many as the rule says. */
export const SEARCH_NPROBE_AT = 100
export const SEARCH_SEGMENTS_AT = 104
export const SEARCH_HEAP_AT = 108
export const SEARCH_K_AT = 112
export const SEARCH_SCAN_HEAP_AT = 116
export const SEARCH_ESTIMATE_COUNT_AT = 120
export const SEARCH_CANDIDATES_AT = 124
/** Room for candidates to use at least, and that there is. */
export const SEARCH_CANDIDATES_LEAST_AT = 128
export const SEARCH_CANDIDATES_ROOM_AT = 132
/** Candidates to rerank at least. */
export const SEARCH_RERANK_AT = 136
export const SEARCH_KEPT_AT = 140
export const SEARCH_KEPT_BITS_AT = 144
export const SEARCH_BATCH_AT = 148
export const SEARCH_SLOTS_AT = 152
/** float32: how far estimates are trusted, as in the scalars of a query */
export const SEARCH_PLANES_AT = 156
export const SEARCH_REFINED_AT = 160
export const SEARCH_SLACK_AT = 164
/** Written: zones that are probed, and hits. */
export const SEARCH_PROBED_AT = 168
export const SEARCH_HITS_AT = 172
/** float64 from here on: of the rule for zones */
export const SEARCH_THRESHOLD_AT = 176
/** Part of the unit that every query has. */
export const SEARCH_FLOOR_AT = 184
export const SEARCH_RULE_NORM_AT = 192
/** Zones to list at first. */
export const SEARCH_FIRST_LOOK_AT = 200
/** Zones whose distances are computed, for each wanted. */
export const SEARCH_SURPLUS_AT = 208
/** Between which distances the nearest zone must be. */
export const SEARCH_NEAREST_AT = 216
export const SEARCH_FARTHEST_AT = 224
/** Largest norm of a row, and between which squares of norms estimates can be trusted. */
export const SEARCH_MAX_NORM_AT = 232
export const SEARCH_SMALLEST_NORM2_AT = 240
export const SEARCH_LARGEST_NORM2_AT = 248
/** Written: <q,q> */
export const SEARCH_NORM2_AT = 256
/** u32 from here on. A list for the segments that are scanned, where it is not that of the zones; 0: it is. */
export const SEARCH_LIST_AT = 264
/** Zones of deltas, numbered after the others: float32 centroids, and room for a float32 distance of each. */
export const SEARCH_DELTA_COUNT_AT = 268
export const SEARCH_DELTA_CENTROIDS_AT = 272
export const SEARCH_DELTA_DISTANCES_AT = 276
/** Addresses of masks by place in the segment table: u32 each, as in a list, or MASK_OF_NONE; 0: there are none. */
export const SEARCH_MASKS_AT = 280
/** u32: where the slots of each zone start among all, one number more; 0: the slot of a zone is its number. */
export const SEARCH_ZONE_STARTS_AT = 284
/** u32: slots of segments, zone by zone, in the order of their numbers. */
export const SEARCH_ZONE_SLOTS_AT = 288
export const SEARCH_BYTES = 296
/** In the place of the address of a mask: no row of the segment may be found. */
export const MASK_OF_NONE = 0xffff_ffff
/** What `searchCodes` returns. */
export const SEARCH_DONE = 0
export const SEARCH_NO_QUERY = 1
export const SEARCH_PROBE = 2
export const SEARCH_FAR = 3
export const SEARCH_SCAN = 4
export const SEARCH_RERANK = 5
/** How many times as many zones are listed at each look. */
export const LOOK_GROWTH = 4
/** Zones whose distances are computed beyond the surplus. */
export const LEAST_SURPLUS = 16
/**
 * Candidates that there is always room for, if so many rows are scanned: where one bit says little of a row nearly all
 * of them are candidates, and those that there is no room for are lost.
 */
export const CANDIDATES_AMPLE = 1_048_576

// Choice of the smallest of many values.
/** Bins of the histogram of values: u32 each, in scratch. */
export const SELECT_BINS = 512
/** Of scratch that `selectNearest` and `selectSmallest` need. */
export const SELECT_SCRATCH_BYTES = SELECT_BINS * 4
