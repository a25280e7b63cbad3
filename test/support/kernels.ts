// Kernels and their memory for tests: values in, values out.

import { heapDistances, heapIds } from '../../src/kernels/addresses.ts'
import { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import { createScalarKernel } from '../../src/kernels/scalar-kernel.ts'
import { createWasmKernel } from '../../src/kernels/wasm-kernel.ts'

export const KERNEL_KINDS = ['wasm', 'scalar'] as const

export type KernelKind = (typeof KERNEL_KINDS)[number]

/** Creates a kernel of one kind with its memory; fails where WebAssembly SIMD does not load. */
export function memoryOf(kind: KernelKind): KernelMemory {
  const kernel = kind === 'wasm' ? createWasmKernel() : createScalarKernel()
  if (kernel === undefined) throw new Error('WebAssembly SIMD does not load here')
  return new KernelMemory(kernel)
}

/** Copies values into a new region. */
export function put(memory: KernelMemory, values: Float32Array | Uint32Array): number {
  return putBytes(memory, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
}

export function putBytes(memory: KernelMemory, bytes: Uint8Array): number {
  const pointer = memory.allocate(bytes.byteLength)
  memory.bytesAt(pointer, bytes.byteLength).set(bytes)
  return pointer
}

/** Copies ids, as u64, into a new region. */
export function putIds(memory: KernelMemory, ids: readonly number[]): number {
  return put(memory, Uint32Array.from(ids.flatMap((id) => [id % 2 ** 32, Math.floor(id / 2 ** 32)])))
}

export interface Found {
  readonly distance: number
  readonly id: number
}

/** Reads the first `size` entries of a heap of `capacity`. */
export function heapEntries(memory: KernelMemory, heap: { pointer: number; capacity: number; size: number }): Found[] {
  const distances = memory.float64At(heapDistances(heap.pointer), heap.size)
  const ids = memory.uint32At(heapIds(heap.pointer, heap.capacity), heap.size * 2)
  return Array.from({ length: heap.size }, (_, i) => ({
    distance: distances[i],
    id: ids[i * 2] + ids[i * 2 + 1] * 2 ** 32
  }))
}

/**
 * Describes the first place where two lists of numbers differ, signs of zero included; undefined where they are equal.
 */
export function difference(found: ArrayLike<number>, expected: ArrayLike<number>): string | undefined {
  if (found.length !== expected.length) return `${found.length} values, expected ${expected.length}`
  for (let i = 0; i < found.length; i++) {
    if (!Object.is(found[i], expected[i])) return `value ${i} is ${found[i]}, expected ${expected[i]}`
  }
  return undefined
}
