// Lays out the memory of a kernel: regions are handed out once and live as long as the kernel.

import type { Kernel } from './kernel.ts'

const WASM_PAGE_BYTES = 65_536
/** wasm32 ends here. */
const KERNEL_MEMORY_LIMIT = 65_536 * WASM_PAGE_BYTES

/** Counts the WebAssembly pages that a memory of `have` bytes lacks for `want` bytes. */
export function growBy(have: number, want: number): number {
  return Math.max(0, Math.ceil((want - have) / WASM_PAGE_BYTES))
}

/** Hands out regions of kernel memory. Views go stale whenever a region is allocated: take them anew after it. */
export class KernelMemory {
  readonly kernel: Kernel
  // The first bytes stay free so that no region has address 0, which means "none".
  #end = 64
  #bytes: Uint8Array
  #words: Uint32Array
  #floats: Float32Array
  #doubles: Float64Array

  constructor(kernel: Kernel) {
    this.kernel = kernel
    const { buffer } = kernel
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#floats = new Float32Array(buffer)
    this.#doubles = new Float64Array(buffer)
  }

  /** Allocates a region aligned to 64 bytes; throws RangeError where the 4 GiB of wasm32 end. */
  allocate(byteLength: number): number {
    const start = this.#end
    const end = start + Math.ceil(byteLength / 64) * 64
    if (end > KERNEL_MEMORY_LIMIT)
      throw new RangeError(
        `kernel memory is limited to 4 GiB; cache, centroids and hits need ${end} bytes: lower cacheBytes or k`
      )
    // A quarter more than asked for: growing has a price of its own, and pages that nobody touches cost nothing.
    if (end > this.#bytes.byteLength) this.#grow(end)
    this.#end = end
    return start
  }

  #grow(end: number): void {
    try {
      this.kernel.grow(Math.min(KERNEL_MEMORY_LIMIT, Math.ceil(end * 1.25)))
    } catch {
      this.kernel.grow(end) // the quarter was too much: what is needed may still fit
    }
    const { buffer } = this.kernel
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#floats = new Float32Array(buffer)
    this.#doubles = new Float64Array(buffer)
  }

  /** All of the memory as bytes. The four views cost nothing to take, unlike those of regions. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** All of the memory as 32-bit words. */
  get words(): Uint32Array {
    return this.#words
  }

  /** All of the memory as float32. */
  get floats(): Float32Array {
    return this.#floats
  }

  /** All of the memory as float64. */
  get doubles(): Float64Array {
    return this.#doubles
  }

  bytesAt(pointer: number, byteLength: number): Uint8Array {
    return this.#bytes.subarray(pointer, pointer + byteLength)
  }

  float32At(pointer: number, length: number): Float32Array {
    return this.#floats.subarray(pointer / 4, pointer / 4 + length)
  }

  float64At(pointer: number, length: number): Float64Array {
    return this.#doubles.subarray(pointer / 8, pointer / 8 + length)
  }

  uint32At(pointer: number, length: number): Uint32Array {
    return this.#words.subarray(pointer / 4, pointer / 4 + length)
  }
}
