// Descriptors of files that are opened when they are first read. A bounded number stays open: the least recently used
// is closed for a new one. A descriptor that somebody reads from is closed when those reads are done: under one that
// was closed before, the system may have opened another file.

import { closeSync } from 'node:fs'

interface Opened {
  readonly descriptor: number
  /** Reads that are under way. */
  uses: number
  /** To be closed with the last of them. */
  isRetired: boolean
}

/** A descriptor that stays open until it is released. */
export interface RetainedDescriptor {
  readonly descriptor: number
  readonly release: () => void
}

/** Opens files by number; must be closed. */
export class DescriptorPool {
  readonly #open: (file: number) => number
  readonly #most: number
  /** A Map keeps the order of insertion: the first key is the least recently used. */
  readonly #opened = new Map<number, Opened>()

  constructor(of: { readonly most: number; readonly open: (file: number) => number }) {
    this.#open = of.open
    this.#most = of.most
  }

  /** Returns the descriptor of a file; it may be closed by the next call for another file. */
  get(file: number): number {
    return this.#get(file).descriptor
  }

  /** Returns the descriptor of a file for reads that take their time. */
  retain(file: number): RetainedDescriptor {
    const opened = this.#get(file)
    opened.uses++
    return {
      descriptor: opened.descriptor,
      release: () => {
        opened.uses--
        if (opened.isRetired && opened.uses === 0) closeSync(opened.descriptor)
      }
    }
  }

  /** Closes the descriptors of files that are not `kept`. */
  closeBut(kept: { has(file: number): boolean }): void {
    for (const [file, opened] of this.#opened) if (!kept.has(file)) this.#retire(file, opened)
  }

  /** Calls `use` with each descriptor that is open. */
  forEach(use: (descriptor: number) => void): void {
    for (const { descriptor } of this.#opened.values()) use(descriptor)
  }

  /** Closes all that are open. */
  close(): void {
    for (const [file, opened] of this.#opened) this.#retire(file, opened)
  }

  #get(file: number): Opened {
    const known = this.#opened.get(file)
    if (known !== undefined) {
      // Which one was used when matters only where others are to be closed.
      if (this.#opened.size === this.#most) {
        this.#opened.delete(file)
        this.#opened.set(file, known)
      }
      return known
    }
    for (const [oldest, opened] of this.#opened) {
      if (this.#opened.size < this.#most) break
      this.#retire(oldest, opened)
    }
    const opened = { descriptor: this.#open(file), uses: 0, isRetired: false }
    this.#opened.set(file, opened)
    return opened
  }

  #retire(file: number, opened: Opened): void {
    this.#opened.delete(file)
    opened.isRetired = true
    if (opened.uses === 0) closeSync(opened.descriptor)
  }
}
