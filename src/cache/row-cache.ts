// The bounded cache of zones in kernel memory. A zone is cached in parts of a fixed number of rows, each in a frame:
// float32 rows, then u64 ids, then float32 inverse norms. Frames are reused by the clock algorithm (second chance).

import type { CatalogueZone } from '../format/catalogue.ts'
import { alignUp, ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { ScanRun } from '../kernels/kernel.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { ZoneFiles } from '../storage/zone-files.ts'

/**
 * Bytes of rows that a frame aims at: big enough for the kernel to run, small enough that the last part of a zone
 * wastes little.
 */
const FRAME_ROW_BYTES = 64 * 1024
/**
 * Frames allocated at first; then as many again as there are. Growing kernel memory takes half a millisecond, whatever
 * the size.
 */
const FIRST_FRAMES = 32
const NONE = -1

export class RowCache {
  /** Rows of a part, the last of a zone excepted. */
  readonly rowsPerPart: number
  readonly #memory: KernelMemory
  readonly #files: ZoneFiles
  readonly #dim: number
  readonly #hasNorms: boolean
  /** Where ids start in a frame; inverse norms follow them. */
  readonly #idsOffset: number
  readonly #frameBytes: number
  readonly #capacity: number
  /** First part of each zone. */
  readonly #firstPart: Float64Array
  /** As many as there are frames at most: parts may be very many. */
  readonly #frameOfPart = new Map<number, number>()
  readonly #partOfFrame: Float64Array
  readonly #wasUsed: Uint8Array
  readonly #pointers: number[] = []
  #hand = 0
  #run: ScanRun = { rows: 0, ids: 0, inverseNorms: 0, mask: 0, count: 0 }

  constructor(snapshot: Snapshot, files: ZoneFiles, place: { memory: KernelMemory; cacheBytes: number }) {
    this.#memory = place.memory
    this.#files = files
    this.#dim = snapshot.meta.dim
    this.#hasNorms = snapshot.meta.metric === 'cosine'
    this.rowsPerPart = rowsPerPart(snapshot)
    this.#idsOffset = alignUp(this.rowsPerPart * this.#dim * ELEMENT_BYTES, 8)
    this.#frameBytes = alignUp(this.#idsOffset + this.rowsPerPart * (8 + (this.#hasNorms ? 4 : 0)), 64)
    this.#firstPart = new Float64Array(snapshot.zones.length)
    let parts = 0
    for (const zone of snapshot.zones) {
      this.#firstPart[zone.zone] = parts
      parts += this.partCount(zone)
    }
    this.#capacity = Math.min(parts, Math.max(1, Math.floor(place.cacheBytes / this.#frameBytes)))
    this.#partOfFrame = new Float64Array(this.#capacity).fill(NONE)
    this.#wasUsed = new Uint8Array(this.#capacity)
  }

  partCount(zone: CatalogueZone): number {
    return Math.ceil(zone.rowCount / this.rowsPerPart)
  }

  /** Tells whether all parts of a zone are in kernel memory. */
  holds(zone: CatalogueZone): boolean {
    const first = this.#firstPart[zone.zone]
    for (let part = first; part < first + this.partCount(zone); part++) {
      if (!this.#frameOfPart.has(part)) return false
    }
    return true
  }

  /**
   * Brings part `part` of a zone into kernel memory and returns where it lies.
   * The result is overwritten by the next call, and its frame may be reused by it.
   */
  load(zone: CatalogueZone, part: number): ScanRun {
    const number = this.#firstPart[zone.zone] + part
    const firstRow = part * this.rowsPerPart
    const count = Math.min(this.rowsPerPart, zone.rowCount - firstRow)
    let frame = this.#frameOfPart.get(number)
    if (frame === undefined) {
      frame = this.#freeFrame()
      this.#locate(frame, count)
      this.#files.readRows({
        zone,
        firstRow,
        rows: this.#memory.bytesAt(this.#run.rows, count * this.#dim * ELEMENT_BYTES),
        ids: this.#memory.bytesAt(this.#run.ids, count * 8),
        inverseNorms: this.#hasNorms ? this.#memory.bytesAt(this.#run.inverseNorms, count * 4) : undefined
      })
      // Entered only now: a read that failed must not leave a frame that looks filled.
      this.#frameOfPart.set(number, frame)
      this.#partOfFrame[frame] = number
    } else {
      this.#locate(frame, count)
    }
    this.#wasUsed[frame] = 1
    return this.#run
  }

  /** Bytes of kernel memory that frames take now. */
  get byteLength(): number {
    return this.#pointers.length * this.#frameBytes
  }

  #locate(frame: number, count: number): void {
    const rows = this.#pointers[frame]
    this.#run.rows = rows
    this.#run.ids = rows + this.#idsOffset
    this.#run.inverseNorms = this.#run.ids + this.rowsPerPart * 8
    this.#run.count = count
  }

  #freeFrame(): number {
    if (this.#hand === this.#pointers.length && this.#pointers.length < this.#capacity) this.#growFrames()
    for (;;) {
      const frame = this.#hand
      this.#hand = (frame + 1) % this.#capacity
      const part = this.#partOfFrame[frame]
      if (part === NONE) return frame
      if (this.#wasUsed[frame] === 0) {
        this.#frameOfPart.delete(part)
        this.#partOfFrame[frame] = NONE
        return frame
      }
      this.#wasUsed[frame] = 0
    }
  }

  #growFrames(): void {
    const frames = Math.min(Math.max(FIRST_FRAMES, this.#pointers.length), this.#capacity - this.#pointers.length)
    const start = this.#memory.allocate(frames * this.#frameBytes)
    for (let i = 0; i < frames; i++) this.#pointers.push(start + i * this.#frameBytes)
  }
}

/**
 * A multiple of 32 where a frame holds as many, so that a mask has whole words; never more than the largest zone needs.
 */
function rowsPerPart(snapshot: Snapshot): number {
  const fitting = Math.max(1, Math.floor(FRAME_ROW_BYTES / (snapshot.meta.dim * ELEMENT_BYTES)))
  const largest = snapshot.zones.reduce((most, zone) => Math.max(most, zone.rowCount), 1)
  return Math.min(fitting >= 32 ? fitting - (fitting % 32) : fitting, largest)
}
