// The bounded cache of zones' codes in kernel memory. Each entry is the codes extent of a zone as it lies in its file;
// the kernel finds entries through the table of zones. Memory is a ring of one piece: a hand goes round, passes over
// entries that were used since it came by last (second chance), and takes the place of the others.

import type { CatalogueZone } from '../format/catalogue.ts'
import { alignUp, PAGE_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { ZONE_ENTRY_BYTES } from '../kernels/kernel.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { ZoneFiles } from '../storage/zone-files.ts'

/** Entries start on multiples of this, as columns do in their extent. */
const ALIGNMENT = 64

interface Entry {
  readonly zone: number
  readonly start: number
  readonly end: number
  wasUsed: boolean
  /** The entry behind it in memory. */
  next: Entry | undefined
}

export class CodesCache {
  /** Table of zones as the kernel reads it. */
  readonly table: number
  readonly #memory: KernelMemory
  readonly #files: ZoneFiles
  /** Bytes of kernel memory that the ring takes once something is in it. */
  readonly capacity: number
  readonly #entryOfZone: (Entry | undefined)[]
  /** Address of the ring; 0 before the first entry. */
  #ring = 0
  #first: Entry | undefined
  /** The entry before the hand; undefined: the hand is at the start of the ring. */
  #before: Entry | undefined

  constructor(snapshot: Snapshot, files: ZoneFiles, place: { memory: KernelMemory; cacheBytes: number }) {
    const { zones } = snapshot
    this.#memory = place.memory
    this.#files = files
    const needed = zones.reduce((sum, zone) => sum + alignUp(zone.codesByteLength, ALIGNMENT), 0)
    const largest = zones.reduce((most, zone) => Math.max(most, alignUp(zone.codesByteLength, ALIGNMENT)), 0)
    this.capacity = Math.max(largest, Math.min(needed, place.cacheBytes))
    this.#entryOfZone = new Array<Entry | undefined>(zones.length)
    this.table = place.memory.allocate(zones.length * ZONE_ENTRY_BYTES)
    const words = place.memory.uint32At(this.table, (zones.length * ZONE_ENTRY_BYTES) / 4)
    const floats = place.memory.float32At(this.table, words.length)
    for (const zone of zones) {
      const at = (zone.zone * ZONE_ENTRY_BYTES) / 4
      words[at + 4] = zone.rowCount
      if (snapshot.meta.metric === 'ip') floats[at + 5] = squaredNorm(zone.centroid) // what l2 and cosine know already
    }
  }

  holds(zone: CatalogueZone): boolean {
    return this.#entryOfZone[zone.zone] !== undefined
  }

  /** Address of a zone's ids (u64 a row), or 0 if its codes are not in kernel memory. */
  idsOf(zone: CatalogueZone): number {
    const words = this.#memory.words
    const at = (this.table + zone.zone * ZONE_ENTRY_BYTES) / 4
    return words[at] === 0 ? 0 : words[at + 2]
  }

  /** Notes that a zone is in use, so that the hand passes over it once. */
  touch(zone: CatalogueZone): void {
    const entry = this.#entryOfZone[zone.zone]
    if (entry !== undefined) entry.wasUsed = true
  }

  /** Brings the codes of a zone into kernel memory. Others may have to leave. */
  load(zone: CatalogueZone): void {
    if (this.holds(zone)) return
    // All at once: untouched pages cost nothing, and growing kernel memory has a price of its own.
    if (this.#ring === 0) this.#ring = this.#startRing()
    const byteLength = alignUp(zone.codesByteLength, ALIGNMENT)
    const start = this.#makeRoom(byteLength)
    const layout = this.#files.readCodes(zone, this.#memory.bytesAt(start, zone.codesByteLength))
    // Entered only now: a read that failed must not leave an entry that looks filled.
    const entry = { zone: zone.zone, start, end: start + byteLength, wasUsed: true, next: this.#next }
    this.#link(entry)
    this.#before = entry
    this.#entryOfZone[zone.zone] = entry
    const words = this.#memory.uint32At(this.table + zone.zone * ZONE_ENTRY_BYTES, 3)
    words[0] = start + (layout.signs?.offset ?? 0)
    words[1] = layout.refinedCodes === undefined ? 0 : start + layout.refinedCodes.offset
    words[2] = start + layout.ids.offset
  }

  #startRing(): number {
    const start = this.#memory.allocate(this.capacity)
    const firstPage = alignUp(start, PAGE_BYTES)
    // 1.1 times as fast with 100 MB of codes (bench/README.md).
    if (start + this.capacity > firstPage)
      this.#files.largePages(this.#memory.bytesAt(firstPage, start + this.capacity - firstPage))
    return start
  }

  /** The entry behind the hand. */
  get #next(): Entry | undefined {
    return this.#before === undefined ? this.#first : this.#before.next
  }

  #link(next: Entry | undefined): void {
    if (this.#before === undefined) this.#first = next
    else this.#before.next = next
  }

  /** Moves the hand until `byteLength` bytes behind it are free; returns where they start. */
  #makeRoom(byteLength: number): number {
    for (;;) {
      const next = this.#next
      const free = this.#before?.end ?? this.#ring
      if ((next?.start ?? this.#ring + this.capacity) - free >= byteLength) return free
      if (next === undefined) {
        this.#before = undefined
      } else if (next.wasUsed) {
        next.wasUsed = false
        this.#before = next
      } else {
        this.#link(next.next)
        this.#entryOfZone[next.zone] = undefined
        this.#memory.uint32At(this.table + next.zone * ZONE_ENTRY_BYTES, 1)[0] = 0
      }
    }
  }
}

function squaredNorm(vector: Float32Array): number {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += vector[i] * vector[i]
  return sum
}
