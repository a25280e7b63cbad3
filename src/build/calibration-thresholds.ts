// Thresholds on the scores of zones that reach a recall: the smallest whose recall has a lower bound above it.

/** Quantile of the normal distribution for a one-sided lower bound of 95 %. */
export const CONFIDENCE_LEVEL = 0.95
export const NORMAL_QUANTILE = 1.645

/** Bits of a key that one pass of sorting looks at. */
const PASS_BITS = 11

/** Finite scores of the zones of all queries' neighbours, ascending; equal ones in the order of queries and ranks. */
export interface SortedScores {
  /** The bits of the scores as float32, not below them. */
  readonly keys: Uint32Array
  /** Queries that the scores are of, and ranks of the neighbours, from 0. */
  readonly queries: Uint32Array
  readonly ranks: Uint32Array
  /** Of each query, how many neighbours it has, whatever their scores. */
  readonly neighbours: Uint32Array
}

const single = new Float32Array(1)
const bits = new Uint32Array(single.buffer)

/** Sorts scores, which are not negative; of each query, by the rank of its neighbours. */
export function sortScores(scores: readonly Float64Array[]): SortedScores {
  const neighbours = Uint32Array.from(scores, ({ length }) => length)
  const total = neighbours.reduce((sum, length) => sum + length, 0)
  const keys = new Uint32Array(total)
  const [queries, ranks] = [new Uint32Array(total), new Uint32Array(total)]
  let count = 0
  for (let query = 0; query < scores.length; query++) {
    const ofQuery = scores[query]
    for (let rank = 0; rank < ofQuery.length; rank++) {
      if (!Number.isFinite(ofQuery[rank])) continue
      single[0] = ofQuery[rank]
      if (single[0] < ofQuery[rank]) bits[0]++
      keys[count] = bits[0]
      queries[count] = query
      ranks[count++] = rank
    }
  }
  const order = orderOf(keys.subarray(0, count))
  const inOrder = (values: Uint32Array): Uint32Array => {
    const sorted = new Uint32Array(count)
    for (let i = 0; i < count; i++) sorted[i] = values[order[i]]
    return sorted
  }
  return { keys: inOrder(keys), queries: inOrder(queries), ranks: inOrder(ranks), neighbours }
}

/** Positions of keys in ascending order: a radix sort, which keeps equal ones as they stand. */
function orderOf(keys: Uint32Array): Uint32Array {
  let order = new Uint32Array(keys.length)
  for (let i = 0; i < order.length; i++) order[i] = i
  let next = new Uint32Array(keys.length)
  const starts = new Uint32Array(2 ** PASS_BITS + 1)
  for (let shift = 0; shift < 32; shift += PASS_BITS) {
    starts.fill(0)
    const mask = 2 ** PASS_BITS - 1
    for (let i = 0; i < keys.length; i++) starts[((keys[i] >>> shift) & mask) + 1]++
    for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1]
    for (let i = 0; i < keys.length; i++) next[starts[(keys[order[i]] >>> shift) & mask]++] = order[i]
    ;[order, next] = [next, order]
  }
  return order
}

/**
 * Finds for each of `wanted`, ascending, the smallest threshold whose mean recall at k has a lower bound of at least
 * that; where none has, the largest score of all. Thresholds ascend with what is wanted. independent: the share of the
 * queries that are not copies of others.
 */
export function smallestThresholds(
  { keys, queries, ranks, neighbours }: SortedScores,
  wanted: readonly number[],
  { k, independent }: { k: number; independent: number }
): number[] {
  const count = countQueries(neighbours)
  const found = new Float64Array(neighbours.length)
  const thresholds: number[] = []
  let [sum, squares, threshold] = [0, 0, 0]
  for (let at = 0; at < keys.length && thresholds.length < wanted.length;) {
    const key = keys[at]
    let isOfK = false
    for (; at < keys.length && keys[at] === key; at++) {
      if (ranks[at] >= k) continue
      isOfK = true
      const query = queries[at]
      const of = Math.min(k, neighbours[query])
      const before = found[query]++ / of
      const now = found[query] / of
      sum += now - before
      squares += now * now - before * before
    }
    if (!isOfK) continue
    threshold = scoreOf(key)
    const mean = sum / count
    const bound = mean - NORMAL_QUANTILE * Math.sqrt(Math.max(0, squares / count - mean * mean) / (count * independent))
    while (thresholds.length < wanted.length && bound >= wanted[thresholds.length]) thresholds.push(threshold)
  }
  // With rounding the sums may end a little below 1; and there may be no more finite scores.
  while (thresholds.length < wanted.length) thresholds.push(threshold)
  return thresholds
}

/** Mean recalls at k, over the queries that have neighbours, of ascending thresholds, each a float32. */
export function recallsAt(
  { keys, queries, ranks, neighbours }: SortedScores,
  thresholds: readonly number[],
  k: number
): number[] {
  const count = countQueries(neighbours)
  let at = 0
  let sum = 0
  return thresholds.map((threshold) => {
    single[0] = threshold
    const most = bits[0]
    for (; at < keys.length && keys[at] <= most; at++) {
      if (ranks[at] < k) sum += 1 / Math.min(k, neighbours[queries[at]])
    }
    return count === 0 ? 1 : Math.min(1, sum / count)
  })
}

function countQueries(neighbours: Uint32Array): number {
  return neighbours.reduce((count, length) => count + (length > 0 ? 1 : 0), 0)
}

function scoreOf(key: number): number {
  bits[0] = key
  return single[0]
}
