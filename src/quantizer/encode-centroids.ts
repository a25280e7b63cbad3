// Codes of the centroids (spec, section 7.5): as codes of rows of one zone around the mean, one bit a dimension.

import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { Metric } from '../types.ts'
import { ZoneEncoder, type Quantizer } from './zone-encoder.ts'

/** Encodes centroids (float32, zones * dim) in blocks of 32. */
export function encodeCentroids(
  memory: KernelMemory,
  centroids: Float32Array,
  of: { dim: number; metric: Metric; quantizer: Pick<Quantizer, 'flips' | 'mean'> }
): Uint8Array {
  const { dim, metric, quantizer } = of
  const { flips, mean } = quantizer
  // Zones are near in Euclidean distance for cosine too: centroids are not of unit length.
  const encoder = new ZoneEncoder(memory, { dim, metric: metric === 'ip' ? 'ip' : 'l2', bits: 1, flips, mean })
  return encoder.encode(mean, centroids.length / dim, [centroids]).planes
}
