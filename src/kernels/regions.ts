// The book of what is taken of a memory: offsets only, no bytes. A region is taken at the smallest free block that
// holds it, or at the end; what is given back joins its free neighbours, and at the end lowers the end.

/** Regions start on multiples of this and take multiples of it, at least one. */
const GRANULE = 64

/** A free block below the end. */
interface Block {
  start: number
  end: number
}

export class Regions {
  /** Where the regions that are taken end, by their starts. */
  readonly #taken = new Map<number, number>()
  /** In order; no two touch, and none touches the end. */
  readonly #free: Block[] = []
  // The first bytes stay free so that no region has address 0, which means "none".
  #end = GRANULE
  #usedByteLength = 0

  /** Where the last region ends: all that is above was given back or never taken. */
  get end(): number {
    return this.#end
  }

  /** Bytes of all regions that are taken, as they were rounded up. */
  get usedByteLength(): number {
    return this.#usedByteLength
  }

  /** Finds where a region of `byteLength` bytes would lie, without taking it. */
  place(byteLength: number): { start: number; end: number } {
    const size = Math.max(1, Math.ceil(byteLength / GRANULE)) * GRANULE
    let start = this.#end
    let least = Infinity
    for (const block of this.#free) {
      const blockBytes = block.end - block.start
      if (blockBytes < size || blockBytes >= least) continue
      least = blockBytes
      start = block.start
    }
    return { start, end: start + size }
  }

  /** Takes a region where `place` found it; nothing may have been taken or given back since. */
  take({ start, end }: { readonly start: number; readonly end: number }): void {
    if (start === this.#end) {
      this.#end = end
    } else {
      const at = this.#free.findIndex((block) => block.start === start)
      if (this.#free[at].end === end) this.#free.splice(at, 1)
      else this.#free[at].start = end
    }
    this.#taken.set(start, end)
    this.#usedByteLength += end - start
  }

  /** Gives a region back; throws RangeError where none starts at `start`. */
  release(start: number): void {
    const end = this.#taken.get(start)
    if (end === undefined) throw new RangeError(`no region of kernel memory starts at ${start}, or it was given back`)
    this.#taken.delete(start)
    this.#usedByteLength -= end - start
    const next = this.#free.findIndex((block) => block.start > start)
    const at = next === -1 ? this.#free.length : next
    this.#free.splice(at, 0, { start, end })
    this.#join(at)
    if (at > 0) this.#join(at - 1)
    const last = this.#free.at(-1)
    if (last?.end !== this.#end) return
    this.#end = last.start
    this.#free.pop()
  }

  /** Joins the free block at position `at` with the one behind it where they touch. */
  #join(at: number): void {
    if (at + 1 === this.#free.length || this.#free[at].end !== this.#free[at + 1].start) return
    this.#free[at].end = this.#free[at + 1].end
    this.#free.splice(at + 1, 1)
  }
}
