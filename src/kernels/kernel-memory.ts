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

  constructor(kernel: Kernel) {
    this.kernel = kernel
    this.#bytes = new Uint8Array(kernel.buffer)
    this.#words = new Uint32Array(kernel.buffer)
  }

  /** Allocates a region aligned to 64 bytes; throws RangeError where the 4 GiB of wasm32 end. */
  allocate(byteLength: number): number {
    const start = this.#end
    const end = start + Math.ceil(byteLength / 64) * 64
    if (end > KERNEL_MEMORY_LIMIT) throw new RangeError(`kernel memory is limited to 4 GiB; ${end} bytes were asked for by cache, centroids and hits`)
    // A quarter more than asked for: growing has a price of its own, and pages that nobody touches cost nothing.
    if (end > this.kernel.buffer.byteLength) this.#grow(end)
    this.#end = end
    return start
  }

  #grow(end: number): void {
    try {
      this.kernel.grow(Math.min(KERNEL_MEMORY_LIMIT, Math.ceil(end * 1.25)))
    } catch {
      this.kernel.grow(end) // the quarter was too much: what is needed may still fit
    }
  }

  /** All of the memory as bytes. */
  get bytes(): Uint8Array {
    // A detached view has length 0; growing always detaches.
    if (this.#bytes.byteLength === 0 || this.#bytes.buffer !== this.kernel.buffer) this.#bytes = new Uint8Array(this.kernel.buffer)
    return this.#bytes
  }

  /** All of the memory as 32-bit words. */
  get words(): Uint32Array {
    if (this.#words.length === 0 || this.#words.buffer !== this.kernel.buffer) this.#words = new Uint32Array(this.kernel.buffer)
    return this.#words
  }

  bytesAt(pointer: number, byteLength: number): Uint8Array {
    return this.bytes.subarray(pointer, pointer + byteLength)
  }

  float32At(pointer: number, length: number): Float32Array {
    return new Float32Array(this.kernel.buffer, pointer, length)
  }

  float64At(pointer: number, length: number): Float64Array {
    return new Float64Array(this.kernel.buffer, pointer, length)
  }

  uint32At(pointer: number, length: number): Uint32Array {
    return new Uint32Array(this.kernel.buffer, pointer, length)
  }
}
