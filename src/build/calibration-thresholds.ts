// Thresholds on the scores of zones that reach a recall: the smallest whose recall has a lower bound above it.

/** Quantile of the normal distribution for a one-sided lower bound of 95 %. */
export const CONFIDENCE_LEVEL = 0.95
export const NORMAL_QUANTILE = 1.645

/**
 * Finds for each of `wanted`, ascending, the smallest threshold whose mean recall at k has a lower bound of at least
 * that; where none has, the largest score of all. Thresholds ascend with what is wanted. independent: the share of the
 * queries that are not copies of others.
 */
export function smallestThresholds(
  scores: readonly Float64Array[],
  wanted: readonly number[],
  { k, independent }: { k: number; independent: number }
): number[] {
  const keys = sortedKeys(scores, k)
  const queries = scores.filter(({ length }) => length > 0).length
  const found = new Float64Array(scores.length)
  const thresholds: number[] = []
  let [sum, squares, threshold] = [0, 0, 0]
  for (let at = 0; at < keys.length && thresholds.length < wanted.length;) {
    threshold = scoreOf(keys[at], scores.length)
    for (; at < keys.length && scoreOf(keys[at], scores.length) === threshold; at++) {
      const query = keys[at] % scores.length
      const of = Math.min(k, scores[query].length)
      const before = found[query]++ / of
      const now = found[query] / of
      sum += now - before
      squares += now * now - before * before
    }
    const mean = sum / queries
    const bound =
      mean - NORMAL_QUANTILE * Math.sqrt(Math.max(0, squares / queries - mean * mean) / (queries * independent))
    while (thresholds.length < wanted.length && bound >= wanted[thresholds.length]) thresholds.push(threshold)
  }
  // With rounding the sums may end a little below 1; and there may be no more finite scores.
  while (thresholds.length < wanted.length) thresholds.push(threshold)
  return thresholds
}

/** Mean recall at k, over the queries that have neighbours, of a threshold. */
export function recallAt(scores: readonly Float64Array[], k: number, threshold: number): number {
  let count = 0
  let sum = 0
  for (const ofQuery of scores) {
    const wanted = Math.min(k, ofQuery.length)
    if (wanted === 0) continue
    let found = 0
    for (let i = 0; i < wanted; i++) if (ofQuery[i] <= threshold) found++
    count++
    sum += found / wanted
  }
  return count === 0 ? 1 : sum / count
}

const single = new Float32Array(1)
const bits = new Uint32Array(single.buffer)

/**
 * Finite scores of the k nearest neighbours of all queries, ascending, each with the number of its query: the bits of
 * the score as float32, not below it, times the number of queries, plus that number. Exact for 2^21 queries.
 */
function sortedKeys(scores: readonly Float64Array[], k: number): Float64Array {
  const keys = new Float64Array(scores.reduce((sum, ofQuery) => sum + Math.min(k, ofQuery.length), 0))
  let count = 0
  for (const [query, ofQuery] of scores.entries()) {
    for (let i = 0; i < Math.min(k, ofQuery.length); i++) {
      if (!Number.isFinite(ofQuery[i])) continue
      single[0] = ofQuery[i]
      if (single[0] < ofQuery[i]) bits[0]++
      keys[count++] = bits[0] * scores.length + query
    }
  }
  return keys.subarray(0, count).sort()
}

function scoreOf(key: number, queries: number): number {
  bits[0] = Math.floor(key / queries)
  return single[0]
}
