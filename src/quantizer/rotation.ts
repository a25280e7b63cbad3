// The random rotation that all vectors go through before they are quantised: what it is made of, and a rotator that
// applies it in kernel memory. The arithmetic is in kernels/assembly/rotate.ts.

import { codeWidth } from '../format/codes.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'

/** Rounds that spread one coordinate over all: 3 where the window is all there is, 4 where two windows overlap. */
const ROUNDS_WHOLE = 3
const ROUNDS_WINDOWS = 4
const SIGN_BIT = 0x80000000

/**
 * Draws which values a rotation flips, for vectors of `dim` values: one bit a coordinate and round, lowest bit first.
 */
export function drawFlips(dim: number, random: () => number): Uint8Array {
  const width = codeWidth(dim)
  const flips = new Uint8Array(((largestWindow(width) === width ? ROUNDS_WHOLE : ROUNDS_WINDOWS) * width) / 8)
  for (let i = 0; i < flips.length * 8; i++) if (random() < 0.5) flips[i >> 3] |= 1 << (i & 7)
  return flips
}

/** The largest power of two that is not above `width`. */
function largestWindow(width: number): number {
  return 2 ** Math.floor(Math.log2(width))
}

export class Rotator {
  /** Values of a rotated vector: dim, padded to a multiple of 16. */
  readonly width: number
  /** Address of the flips, as words of the sign bit, and the rest of what the kernel asks for. */
  readonly flips: number
  readonly rounds: number
  readonly window: number
  readonly scale: number
  readonly #memory: KernelMemory

  /** `flips` as `drawFlips` makes them. */
  constructor(memory: KernelMemory, dim: number, flips: Uint8Array) {
    this.width = codeWidth(dim)
    this.#memory = memory
    this.rounds = (flips.length * 8) / this.width
    this.window = largestWindow(this.width)
    this.scale = 1 / Math.sqrt(this.window)
    const count = this.rounds * this.width
    this.flips = memory.allocate(count * 4)
    const words = memory.uint32At(this.flips, count)
    for (let i = 0; i < count; i++) words[i] = (flips[i >> 3] >> (i & 7)) & 1 ? SIGN_BIT : 0
  }

  /** Rotates rows in place: float32, count * width. */
  rotate(rows: number, count: number): void {
    const { width, flips, rounds, window, scale } = this
    this.#memory.kernel.rotateRows(rows, count, width, flips, rounds, window, scale)
  }
}
