// The pool's thresholds: how much work goes where. Measured in bench/README.md, "Batches".

import { availableParallelism } from 'node:os'

export const CORES = availableParallelism()

/** How long the caller's thread searches in one turn of its event loop. */
export const TURN_MICROS = 2000
/** A query that is likely to take longer than this is not for the caller's thread. */
export const MOST_MICROS_HERE = 4000
/**
 * Work that is worth messages to threads: so much at least, and so many times what threads took lately to begin. Where
 * cores are busy that is much.
 */
export const WORTH_SENDING_MICROS = 2000
export const WORTH_SENDING_DELAYS = 5
/** Delay that is taken for granted before one was measured. */
export const FIRST_DELAY_MICROS = 100
/** Threads that take so long to begin share their cores with others: the caller's thread then goes on with its part. */
export const LONG_DELAY_MICROS = 1000
/** How far one measurement moves that. */
export const DELAY_SHARE = 0.2
/** Decay applied each time work stays on this thread, because idle threads are not measured. */
export const DELAY_FADES = 0.98
/** A task that is likely to take no longer is measured now and then only: two looks at the clock would be 3 % of it. */
export const BRIEF_MICROS = 100
export const BRIEF_TASKS = 8
/** Work that a chunk holds at least. */
export const LEAST_CHUNK_MICROS = 250
/** Work that deserves a thread: as much as starting one takes. */
export const WORTH_STARTING_MICROS = 60_000
/**
 * How long the caller's thread searches before it believes that so much is to come: the first queries of an index take
 * longer.
 */
export const MEASURED_MICROS = 10_000
/**
 * Work that the caller's thread sees through to its end, in its turns: waiting for threads to finish it would take
 * longer.
 */
export const LAST_MICROS = 50_000
/** Hits of a chunk at most: what they take as flat arrays stays below 4 MB. */
export const CHUNK_HITS = 2 ** 18
/**
 * Indexes up to this size the caller's thread may read itself: that takes some milliseconds, less than starting a
 * thread.
 */
export const SMALL_INDEX_BYTES = 16 * 2 ** 20
