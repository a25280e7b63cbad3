// The bounded cache of segments' rows in kernel memory. A segment is cached in parts of a fixed number of rows, each in
// a frame: float32 rows, then u64 ids, then float32 inverse norms. Frames are reused by the clock algorithm (second
// chance).

import { alignUp, ELEMENT_BYTES } from '../format/layout.ts'
import type { Segment, SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { ScanRun } from '../kernels/kernel.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'

/**
 * Bytes of rows that a frame aims at: big enough for the kernel to run, small enough that the last part of a segment
 * wastes little.
 */
const FRAME_ROW_BYTES = 64 * 1024
/**
 * Frames allocated at first; then as many again as there are. Growing kernel memory takes half a millisecond, whatever
 * the size.
 */
const FIRST_FRAMES = 32
const NONE = -1
/** Parts are numbered by slot, then in it; a segment has fewer rows than this, and so parts. */
const PARTS_OF_SLOT = 2 ** 31

export class RowCache {
  readonly #memory: KernelMemory
  readonly #files: SegmentFiles
  readonly #dim: number
  readonly #hasNorms: boolean
  /** Where ids start in a frame; inverse norms follow them. */
  #idsOffset = 0
  #frameBytes = 0
  #rowsPerPart = 0
  #cacheBytes: number
  #capacity = 0
  /** As many as there are frames at most: parts may be very many. */
  readonly #frameOfPart = new Map<number, number>()
  #partOfFrame = new Float64Array(0)
  #wasUsed = new Uint8Array(0)
  readonly #pointers: number[] = []
  /** Regions of kernel memory that frames were made of. */
  readonly #regions: number[] = []
  #hand = 0
  #run: ScanRun = { rows: 0, ids: 0, inverseNorms: 0, mask: 0, firstRow: 0, count: 0 }

  constructor(snapshot: Snapshot, files: SegmentFiles, options: { memory: KernelMemory; cacheBytes: number }) {
    this.#memory = options.memory
    this.#files = files
    this.#dim = snapshot.meta.dim
    this.#hasNorms = snapshot.meta.metric === 'cosine'
    this.#cacheBytes = options.cacheBytes
    this.#layOut(snapshot.segments)
  }

  /** Rows of a part, the last of a segment excepted. */
  get rowsPerPart(): number {
    return this.#rowsPerPart
  }

  /** Starts with no frames, as these segments want them. */
  #layOut(segments: SegmentTable): void {
    this.#rowsPerPart = rowsPerPart(segments, this.#dim)
    this.#idsOffset = alignUp(this.#rowsPerPart * this.#dim * ELEMENT_BYTES, 8)
    this.#frameBytes = alignUp(this.#idsOffset + this.#rowsPerPart * (8 + (this.#hasNorms ? 4 : 0)), 64)
    this.#capacity = this.#capacityFor(segments)
    this.#partOfFrame = new Float64Array(this.#capacity).fill(NONE)
    this.#wasUsed = new Uint8Array(this.#capacity)
  }

  #giveBackFrames(): void {
    for (const region of this.#regions.splice(0)) this.#memory.free(region)
    this.#pointers.length = 0
    this.#frameOfPart.clear()
    this.#hand = 0
  }

  /** Frames for all parts, or as many as may be cached; one at least. */
  #capacityFor({ count, totals }: SegmentTable): number {
    const mostParts = count + Math.ceil(totals.rows / this.rowsPerPart)
    return Math.max(1, Math.min(mostParts, this.#mostFrames()))
  }

  #mostFrames(): number {
    return Math.max(1, Math.floor(this.#cacheBytes / this.#frameBytes))
  }

  /**
   * Takes another snapshot: rows of segments in `dropped` slots go, those of all others stay. `keepsParts`: searches
   * are under way, which count in parts.
   */
  adopt(
    segments: SegmentTable,
    of: { readonly dropped: readonly number[]; readonly cacheBytes: number; readonly keepsParts: boolean }
  ): void {
    this.#cacheBytes = of.cacheBytes
    // Frames of the few rows of a small index, or of an empty one, would cost a call of the kernel each.
    const isTooNarrow = rowsPerPart(segments, this.#dim) > this.#rowsPerPart
    if (!of.keepsParts && (isTooNarrow || this.#pointers.length > this.#mostFrames())) {
      this.#giveBackFrames()
      this.#layOut(segments)
      return
    }
    const slots = new Set(of.dropped)
    for (const [part, frame] of this.#frameOfPart) {
      if (!slots.has(Math.floor(part / PARTS_OF_SLOT))) continue
      this.#frameOfPart.delete(part)
      this.#partOfFrame[frame] = NONE
    }
    // Frames that are there stay, though fewer would do: rows that were read lie in them.
    const capacity = Math.max(this.#capacityFor(segments), this.#pointers.length)
    const kept = Math.min(capacity, this.#capacity)
    const [partOfFrame, wasUsed] = [new Float64Array(capacity).fill(NONE), new Uint8Array(capacity)]
    partOfFrame.set(this.#partOfFrame.subarray(0, kept))
    wasUsed.set(this.#wasUsed.subarray(0, kept))
    if (this.#hand >= capacity) this.#hand = 0
    this.#partOfFrame = partOfFrame
    this.#wasUsed = wasUsed
    this.#capacity = capacity
  }

  /** Parts that there is room for. */
  get capacity(): number {
    return this.#capacity
  }

  partCount(segment: Segment): number {
    return Math.ceil(segment.rowCount / this.rowsPerPart)
  }

  /** Tells whether all parts of a segment are in kernel memory. */
  holds(segment: Segment): boolean {
    const first = segment.slot * PARTS_OF_SLOT
    for (let part = first; part < first + this.partCount(segment); part++) {
      if (!this.#frameOfPart.has(part)) return false
    }
    return true
  }

  /**
   * Returns where a part of a segment lies, or undefined if it is not in kernel memory. The result is overwritten by
   * the next call.
   */
  find(segment: Segment, part: number): ScanRun | undefined {
    const frame = this.#frameOfPart.get(segment.slot * PARTS_OF_SLOT + part)
    return frame === undefined ? undefined : this.#use(frame, segment, part)
  }

  /**
   * Brings part `part` of a segment into kernel memory and returns where it lies.
   * The result is overwritten by the next call, and its frame may be reused by it.
   */
  load(segment: Segment, part: number): ScanRun {
    const found = this.find(segment, part)
    if (found !== undefined) return found
    const number = segment.slot * PARTS_OF_SLOT + part
    const frame = this.#freeFrame()
    const { rows, ids, inverseNorms, firstRow, count } = this.#use(frame, segment, part)
    this.#files.readRows({
      segment,
      firstRow,
      rows: this.#memory.bytesAt(rows, count * this.#dim * ELEMENT_BYTES),
      ids: this.#memory.bytesAt(ids, count * 8),
      inverseNorms: this.#hasNorms ? this.#memory.bytesAt(inverseNorms, count * 4) : undefined
    })
    // Entered only now: a read that failed must not leave a frame that looks filled.
    this.#frameOfPart.set(number, frame)
    this.#partOfFrame[frame] = number
    return this.#run
  }

  /** Bytes of kernel memory that frames take now. */
  get byteLength(): number {
    return this.#pointers.length * this.#frameBytes
  }

  #use(frame: number, segment: Segment, part: number): ScanRun {
    const rows = this.#pointers[frame]
    this.#wasUsed[frame] = 1
    this.#run.rows = rows
    this.#run.ids = rows + this.#idsOffset
    this.#run.inverseNorms = this.#run.ids + this.rowsPerPart * 8
    this.#run.mask = 0
    this.#run.firstRow = part * this.rowsPerPart
    this.#run.count = Math.min(this.rowsPerPart, segment.rowCount - this.#run.firstRow)
    return this.#run
  }

  #freeFrame(): number {
    for (;;) {
      // Here, not before the loop: after a snapshot that needs more frames the hand may pass over all that there are.
      if (this.#hand === this.#pointers.length && this.#pointers.length < this.#capacity) this.#growFrames()
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
    this.#regions.push(start)
    for (let i = 0; i < frames; i++) this.#pointers.push(start + i * this.#frameBytes)
  }
}

/** As many as fill a frame, never more than the largest segment needs. */
function rowsPerPart(segments: SegmentTable, dim: number): number {
  const fitting = Math.max(1, Math.floor(FRAME_ROW_BYTES / (dim * ELEMENT_BYTES)))
  const largest = Math.max(1, segments.totals.mostRows)
  return Math.min(fitting, largest)
}
