// Centroids that are fetched when a probe needs them: those of an index that is read from afar may be megabytes, and a
// query needs a few hundred of them. They come by pages, each held against its checksum.

import { ZgqError } from '../errors.ts'
import { checksum, ELEMENT_BYTES, PAGE_BYTES } from '../format/layout.ts'
import { areFinite } from '../format/row-values.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { FileRange } from '../storage/reader.ts'

/** Where centroids are fetched from. */
export interface CentroidSource {
  /** Number of the file that has them, from its first byte on. */
  readonly file: number
  /** As errors name it. */
  readonly path: string
  /** Of its pages. */
  readonly crcs: Uint32Array
}

export class PartialCentroids {
  readonly #source: CentroidSource
  readonly #memory: KernelMemory
  readonly #address: number
  readonly #zoneBytes: number
  readonly #byteLength: number
  /** 1: the page is in memory. */
  readonly #pages: Uint8Array
  #missing: number
  /** Called with each page that came. */
  onPage: (page: number) => void = () => undefined

  /** `address`: float32, zones * dim, in kernel memory. */
  constructor(
    source: CentroidSource,
    of: { readonly memory: KernelMemory; readonly address: number; readonly zones: number; readonly dim: number }
  ) {
    this.#source = source
    this.#memory = of.memory
    this.#address = of.address
    this.#zoneBytes = of.dim * ELEMENT_BYTES
    this.#byteLength = of.zones * this.#zoneBytes
    this.#pages = new Uint8Array(source.crcs.length)
    this.#missing = source.crcs.length
  }

  get areWhole(): boolean {
    return this.#missing === 0
  }

  /** Tells whether all of the zones are in memory whose numbers are at an address: u32. */
  haveAt(positions: number, count: number): boolean {
    const { words } = this.#memory
    for (let i = 0; i < count; i++) if (!this.has(words[positions / 4 + i])) return false
    return true
  }

  /** Tells whether the centroid of a zone is in memory. */
  has(zone: number): boolean {
    const { first, end } = this.#pagesOf(zone)
    for (let page = first; page < end; page++) if (this.#pages[page] === 0) return false
    return true
  }

  #pagesOf(zone: number): { readonly first: number; readonly end: number } {
    const start = zone * this.#zoneBytes
    return { first: Math.floor(start / PAGE_BYTES), end: Math.ceil((start + this.#zoneBytes) / PAGE_BYTES) }
  }

  /** The zones that lie in a page, if only with a part. */
  zonesOf(page: number): { readonly first: number; readonly end: number } {
    const end = Math.min(this.#byteLength, (page + 1) * PAGE_BYTES)
    return { first: Math.floor((page * PAGE_BYTES) / this.#zoneBytes), end: Math.ceil(end / this.#zoneBytes) }
  }

  /** The ranges of the pages that are not in memory, of some zones or of all. */
  rangesOf(zones: readonly number[] | 'all'): FileRange[] {
    const pages = new Set<number>()
    if (zones === 'all') for (let page = 0; page < this.#pages.length; page++) pages.add(page)
    else
      for (const zone of zones) {
        const { first, end } = this.#pagesOf(zone)
        for (let page = first; page < end; page++) pages.add(page)
      }
    return [...pages].filter((page) => this.#pages[page] === 0).map((page) => this.#rangeOf(page))
  }

  #rangeOf(page: number): FileRange {
    return { file: this.#source.file, offset: page * PAGE_BYTES, byteLength: PAGE_BYTES }
  }

  /**
   * Takes those pages that `copy` has: it tells whether it filled the target. Throws ZGQ_CORRUPT where one does not fit
   * its checksum.
   */
  take(copy: (range: FileRange, target: Uint8Array) => boolean): void {
    const bytes = new Uint8Array(PAGE_BYTES)
    for (let page = 0; page < this.#pages.length; page++) {
      if (this.#pages[page] !== 0 || !copy(this.#rangeOf(page), bytes)) continue
      this.#expectPage(page, bytes)
      const offset = page * PAGE_BYTES
      const length = Math.min(PAGE_BYTES, this.#byteLength - offset)
      this.#memory.bytesAt(this.#address + offset, length).set(bytes.subarray(0, length))
      this.#pages[page] = 1
      this.#missing--
      this.onPage(page)
    }
  }

  #expectPage(page: number, bytes: Uint8Array): void {
    const { path, crcs } = this.#source
    const place = { path, offset: page * PAGE_BYTES }
    const computed = checksum(bytes)
    if (computed !== crcs[page])
      throw new ZgqError('ZGQ_CORRUPT', `a page of centroids has CRC ${computed}, expected ${crcs[page]}`, place)
    if (!areFinite(bytes)) throw new ZgqError('ZGQ_CORRUPT', 'a centroid is not finite', place)
  }
}
