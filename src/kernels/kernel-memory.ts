// Lays out the memory of a kernel: hands regions out and takes them back. The memory itself never shrinks.

import type { Kernel } from './kernel.ts'
import { Regions } from './regions.ts'

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
  readonly #regions = new Regions()
  /** Where the bytes start that no region ever had. */
  #freshFrom = 0
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

  /** Allocates a region of zeros, aligned to 64 bytes; throws RangeError where the 4 GiB of wasm32 end. */
  allocate(byteLength: number): number {
    const place = this.#regions.place(byteLength)
    const { start, end } = place
    if (end > KERNEL_MEMORY_LIMIT)
      throw new RangeError(
        `kernel memory is limited to 4 GiB; cache, centroids and hits need ${end} bytes: lower cacheBytes or k`
      )
    // A quarter more than asked for: growing has a price of its own, and pages that nobody touches cost nothing.
    if (end > this.#bytes.byteLength) this.#grow(end)
    this.#regions.take(place)
    // What was never used is zero already, and its pages are best left untouched.
    this.#bytes.fill(0, start, Math.max(start, Math.min(end, this.#freshFrom)))
    this.#freshFrom = Math.max(this.#freshFrom, end)
    return start
  }

  /**
   * Gives a region back for others to use; 0, which is none, is left alone. Throws RangeError if it is not allocated.
   */
  free(pointer: number): void {
    if (pointer !== 0) this.#regions.release(pointer)
  }

  /** Allocates a region in place of another, whose contents are lost. The other one stays where there is no room. */
  replace(pointer: number, byteLength: number): number {
    const start = this.allocate(byteLength)
    this.free(pointer)
    return start
  }

  /** Bytes of all regions that are allocated now. */
  get usedByteLength(): number {
    return this.#regions.usedByteLength
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
