// What the kernels are held against: plain loops over float32 arrays, and rows in kernel memory to run them on.

// The kernel is internal: no public entry leads to it without a search around it, so the sources are imported directly.
import { KernelMemory } from '../src/kernels/kernel-memory.ts'
import type { Kernel } from '../src/kernels/kernel.ts'
import { createWasmKernel } from '../src/kernels/wasm-kernel.ts'
import { uniform } from './random.ts'

export type Loop = (rows: Float32Array, count: number, query: Float32Array, out: Float32Array) => void

export const METRICS = ['l2', 'ip'] as const
export type Metric = (typeof METRICS)[number]
export const DIMS = [100, 128, 384, 768, 1536]
export const LARGEST_DIM = 1536

/** The loop that anyone would write first: bound by the latency of one chain of additions. */
export const PLAIN_LOOPS: Readonly<Record<Metric, Loop>> = {
  l2(rows, count, query, out) {
    const dim = query.length
    for (let row = 0; row < count; row++) {
      const at = row * dim
      let sum = 0
      for (let i = 0; i < dim; i++) {
        const difference = rows[at + i] - query[i]
        sum += difference * difference
      }
      out[row] = sum
    }
  },
  ip(rows, count, query, out) {
    const dim = query.length
    for (let row = 0; row < count; row++) {
      const at = row * dim
      let sum = 0
      for (let i = 0; i < dim; i++) sum += rows[at + i] * query[i]
      out[row] = sum
    }
  }
}

/** The loop of someone who knows: four sums. All dims here are multiples of four. */
export const FOUR_SUM_LOOPS: Readonly<Record<Metric, Loop>> = {
  l2(rows, count, query, out) {
    const dim = query.length
    for (let row = 0; row < count; row++) {
      const at = row * dim
      let a = 0,
        b = 0,
        c = 0,
        d = 0
      for (let i = 0; i < dim; i += 4) {
        const p = rows[at + i] - query[i]
        const q = rows[at + i + 1] - query[i + 1]
        const r = rows[at + i + 2] - query[i + 2]
        const s = rows[at + i + 3] - query[i + 3]
        a += p * p
        b += q * q
        c += r * r
        d += s * s
      }
      out[row] = a + b + (c + d)
    }
  },
  ip(rows, count, query, out) {
    const dim = query.length
    for (let row = 0; row < count; row++) {
      const at = row * dim
      let a = 0,
        b = 0,
        c = 0,
        d = 0
      for (let i = 0; i < dim; i += 4) {
        a += rows[at + i] * query[i]
        b += rows[at + i + 1] * query[i + 1]
        c += rows[at + i + 2] * query[i + 2]
        d += rows[at + i + 3] * query[i + 3]
      }
      out[row] = a + b + (c + d)
    }
  }
}

/** Rows and a query, in kernel memory. */
export interface KernelData {
  readonly memory: KernelMemory
  readonly rows: number
  readonly query: number
  readonly out: number
}

/** Allocates `rowBytes` of rows, a query of up to LARGEST_DIM values and room for a result for each 16 values. */
export function allocateKernelData(rowBytes: number): KernelData {
  const kernel = createWasmKernel()
  if (kernel === undefined) throw new Error('WebAssembly SIMD does not load here')
  const memory = new KernelMemory(kernel)
  const data = {
    memory,
    rows: memory.allocate(rowBytes),
    query: memory.allocate(LARGEST_DIM * 4),
    out: memory.allocate(rowBytes / 64)
  }
  // Whole numbers from 0 to 15: sums are exact in any order, and no byte is 0xff.
  const next = uniform(1)
  const pattern = Float32Array.from({ length: 65_537 }, () => Math.floor(next() * 16))
  const values = memory.float32At(data.rows, rowBytes / 4)
  for (let at = 0; at < values.length; at += pattern.length) values.set(pattern.subarray(0, values.length - at), at)
  memory.float32At(data.query, LARGEST_DIM).set(pattern.subarray(7, 7 + LARGEST_DIM))
  return data
}

export function kernelCall(kernel: Kernel, metric: Metric): Kernel['l2Distances'] {
  return metric === 'l2' ? kernel.l2Distances : kernel.innerProducts
}

export function elapsedMicros(run: () => void): number {
  const startedAt = performance.now()
  run()
  return (performance.now() - startedAt) * 1000
}
