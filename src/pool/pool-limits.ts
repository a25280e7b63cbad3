// The pool's thresholds: how much work goes where. Measured in bench/README.md, "Batches".

/** Searches of one index that wait for bytes, or for their next turn, at a time. */
export const MOST_WAITING = 64
/** The same of a batch, before a thread has started. */
export const FEW_WAITING = 4
/** Indexes up to this size are read by the caller's thread at once: all of it takes some milliseconds. */
export const SMALL_INDEX_BYTES = 16 * 2 ** 20
/** Queries of a batch that the caller's thread takes at a time. */
export const MOST_HERE = 16
/** A query that is likely to take longer than this goes to a thread first, where one is ready, and is not repeated. */
export const LONG_MICROS = 4000
/** Hits of a query that take longer to be made objects of than the caller's thread should be held up. */
export const MANY_HITS = 20_000
/** Work that is worth messages to threads. */
export const WORTH_SENDING_MICROS = 3000
/** Work that deserves a thread: as much as starting one takes. */
export const WORTH_STARTING_MICROS = 60_000
/** Work that a chunk for a thread holds, at least and at most. */
export const LEAST_CHUNK_MICROS = 250
export const MOST_CHUNK_MICROS = 4000
/** Hits of a chunk at most: what they take as flat arrays stays below 4 MB. */
export const CHUNK_HITS = 2 ** 18
/** Share of a batch that a thread takes at once where it searches queries together: the more they are, the sooner. */
export const TOGETHER_SHARE = 0.4
/** More of them would hold a thread for too long, and gain nothing. */
export const MOST_TOGETHER = 1024
