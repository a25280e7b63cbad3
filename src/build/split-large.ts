// Keeps the sizes of k-means clusters even: between two rounds, centroids of small clusters go to large ones.

/** A cluster above this many times the mean is split, as long as one below SMALL times the mean can be given up. */
const LARGE = 2
const SMALL = 0.25

/**
 * Gives the centroids of empty and small clusters to the largest ones: both then start a little apart and share the
 * members.
 */
export function splitLarge(centroids: Float32Array, sizes: Float64Array, random: () => number): void {
  const zones = sizes.length
  const dim = centroids.length / zones
  const mean = sizes.reduce((sum, size) => sum + size, 0) / zones
  const bySize = Array.from(sizes.keys()).sort((a, b) => sizes[a] - sizes[b] || a - b)
  const spread = standardDeviations(centroids, dim)
  for (let low = 0, high = zones - 1; low < high; low++, high--) {
    const small = bySize[low]
    const large = bySize[high]
    const isWorth = sizes[small] === 0 ? sizes[large] > 1 : sizes[small] < SMALL * mean && sizes[large] > LARGE * mean
    if (!isWorth) break
    for (let i = 0; i < dim; i++) {
      const shift = (random() - 0.5) * 0.1 * spread[i]
      centroids[small * dim + i] = centroids[large * dim + i] + shift
      centroids[large * dim + i] -= shift
    }
  }
}

function standardDeviations(centroids: Float32Array, dim: number): Float64Array {
  const deviations = new Float64Array(dim)
  const count = centroids.length / dim
  for (let i = 0; i < dim; i++) {
    let sum = 0
    let squares = 0
    for (let at = i; at < centroids.length; at += dim) {
      sum += centroids[at]
      squares += centroids[at] * centroids[at]
    }
    deviations[i] = Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2))
  }
  return deviations
}
