// Descriptors of files that are opened when they are first read. A bounded number stays open: the least recently used
// is closed for a new one.

import { closeSync } from 'node:fs'

/** Opens files by number; must be closed. */
export class DescriptorPool {
  readonly #open: (file: number) => number
  readonly #most: number
  /** A Map keeps the order of insertion: the first key is the least recently used. */
  readonly #descriptors = new Map<number, number>()

  constructor(of: { readonly most: number; readonly open: (file: number) => number }) {
    this.#open = of.open
    this.#most = of.most
  }

  /** Returns the descriptor of a file; it may be closed by the next call for another file. */
  get(file: number): number {
    const known = this.#descriptors.get(file)
    if (known !== undefined) {
      // Which one was used when matters only where others are to be closed.
      if (this.#descriptors.size === this.#most) {
        this.#descriptors.delete(file)
        this.#descriptors.set(file, known)
      }
      return known
    }
    for (const [oldest, descriptor] of this.#descriptors) {
      if (this.#descriptors.size < this.#most) break
      closeSync(descriptor)
      this.#descriptors.delete(oldest)
    }
    const descriptor = this.#open(file)
    this.#descriptors.set(file, descriptor)
    return descriptor
  }

  /** Closes the descriptors of files that are not `kept`. */
  closeBut(kept: { has(file: number): boolean }): void {
    for (const [file, descriptor] of this.#descriptors) {
      if (kept.has(file)) continue
      closeSync(descriptor)
      this.#descriptors.delete(file)
    }
  }

  /** Calls `use` with each descriptor that is open. */
  forEach(use: (descriptor: number) => void): void {
    for (const descriptor of this.#descriptors.values()) use(descriptor)
  }

  /** Closes all that are open. */
  close(): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor)
    this.#descriptors.clear()
  }
}
