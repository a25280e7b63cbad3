// The filters of an open index: compiled at the door, evaluated when they are first asked with, and kept by their value
// within bounds.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { FilterCache } from '../filter/filter-cache.ts'
import type { Fetcher } from './fetcher.ts'
import { FilterMasks, type FilterContext } from './filter-masks.ts'
import { unlessAborted } from '../storage/async-reader.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import { nowMicros } from '../clock.ts'
import type { Lease } from './search-states.ts'

/** Filters that are kept, and bytes of their masks beyond the last. */
const MOST_FILTERS = 512
/** Bytes of fields that are fetched at a time. */
const WINDOW_BYTES = 4 * 2 ** 20
/** How long the caller's thread evaluates before others have their turn. */
const SLICE_MICROS = 2000
/** Segments that are evaluated between two looks at the clock. */
const SEGMENTS_PER_LOOK = 16

/** What evaluating without blocking takes. */
export interface LaterEvaluation {
  readonly fetcher: Pick<Fetcher, 'fetch'>
  readonly files: SegmentFiles
  /** Lets others have their turn. */
  readonly turn: () => Promise<void>
  /** Holds the generation of the index: it goes on where those who asked have left. */
  readonly lease: () => Lease
}

export class Filters {
  readonly #context: FilterContext
  readonly #compiled: FilterCache
  readonly #mostBytes: number
  /** By key, in the order of their use. */
  readonly #masks = new Map<string, FilterMasks>()
  /** Evaluations under way, by key. */
  readonly #pending = new Map<string, Promise<FilterMasks>>()
  /** Masks that they are at. */
  readonly #unfinished = new Set<FilterMasks>()
  /** Of all masks that are kept. */
  #bytes = 0

  constructor(context: FilterContext, mostBytes: number) {
    this.#context = context
    this.#compiled = new FilterCache(context.fields)
    this.#mostBytes = mostBytes
  }

  /** Checks a filter; throws TypeError or ZGQ_FILTER. */
  compile(filter: unknown): CompiledFilter {
    return this.#compiled.compile(filter)
  }

  /**
   * Returns the masks of a filter, evaluated where they are not kept; who takes them gives them back. Throws as reads
   * of fields do.
   */
  take(filter: CompiledFilter): FilterMasks {
    const kept = this.#find(filter)
    if (kept !== undefined) return kept
    const masks = new FilterMasks(this.#context, filter)
    try {
      while (!masks.isWhole) masks.evaluateNext()
    } catch (error) {
      masks.close()
      throw error
    }
    return this.#keep(masks)
  }

  /**
   * The same without blocking: what is lacking is fetched, and evaluated in slices. Searches that ask for the same at
   * the same time wait for one evaluation, which goes on if `signal` ends the wait of one of them.
   */
  async takeLater(filter: CompiledFilter, later: LaterEvaluation, signal?: AbortSignal): Promise<FilterMasks> {
    const kept = this.#find(filter)
    if (kept !== undefined) return kept
    let pending = this.#pending.get(filter.key)
    if (pending === undefined) {
      pending = this.#evaluateLater(filter, later).finally(() => this.#pending.delete(filter.key))
      this.#pending.set(filter.key, pending)
      pending.catch(() => undefined) // who waits is told; nobody may
    }
    const evaluated = pending
    const masks = await unlessAborted(signal, () => evaluated)
    // Of rows that changed meanwhile they are brought up to date where they are used.
    masks.take()
    return masks
  }

  /** Resolves to masks that stay until those who wait for them have taken them. */
  async #evaluateLater(filter: CompiledFilter, later: LaterEvaluation): Promise<FilterMasks> {
    const lease = later.lease()
    const masks = new FilterMasks(this.#context, filter)
    this.#unfinished.add(masks)
    try {
      for (let trustsKept = true; !masks.isWhole;) trustsKept = await evaluateWindow(masks, later, trustsKept)
    } catch (error) {
      masks.close()
      lease.end()
      throw error
    } finally {
      this.#unfinished.delete(masks)
    }
    // A search that could not wait may have been as far.
    const found = this.#find(filter)
    if (found !== undefined) masks.close()
    const held = found ?? this.#keep(masks)
    void later.turn().then(() => {
      this.giveBack(held)
      lease.end()
    })
    return held
  }

  giveBack(masks: FilterMasks): void {
    masks.giveBack()
    this.#evict()
  }

  /** Forgets all masks, none of which is in use. */
  clear(): void {
    for (const masks of this.#masks.values()) masks.close()
    this.#masks.clear()
    this.#bytes = 0
  }

  /**
   * Takes what changed: rows in these slots, and where some came, other segments. Searches under way keep the masks
   * that they began with.
   */
  expire(slots: ReadonlySet<number>, segments: SegmentTable): void {
    const isSame = slots.size === 0 && this.#context.segments === segments
    this.#context.segments = segments
    if (isSame) return
    for (const masks of this.#unfinished) masks.expire(slots)
    for (const masks of this.#masks.values()) {
      masks.expire(slots)
      if (masks.isInUse) this.#drop(masks)
    }
  }

  /** Forgets masks, which are closed once nobody uses them. */
  #drop(masks: FilterMasks): void {
    this.#masks.delete(masks.filter.key)
    this.#bytes -= masks.byteLength
    masks.close()
  }

  #find({ key }: CompiledFilter): FilterMasks | undefined {
    const masks = this.#masks.get(key)
    if (masks === undefined) return undefined
    if (!masks.isCurrent && !this.#update(masks)) return undefined
    this.#masks.delete(key)
    this.#masks.set(key, masks)
    masks.take()
    return masks
  }

  /** Brings masks up to date; tells whether it could. Throws as `take` does. */
  #update(masks: FilterMasks): boolean {
    const before = masks.byteLength
    if (masks.isInUse) {
      this.#drop(masks)
      return false
    }
    try {
      masks.update()
    } catch (error) {
      this.#drop(masks)
      throw error
    }
    this.#bytes += masks.byteLength - before
    return true
  }

  #keep(masks: FilterMasks): FilterMasks {
    this.#masks.set(masks.filter.key, masks)
    this.#bytes += masks.byteLength
    masks.take()
    this.#evict()
    return masks
  }

  /** The last one stays, however large it is. */
  #evict(): void {
    for (const masks of this.#masks.values()) {
      if (this.#masks.size === 1 || (this.#masks.size <= MOST_FILTERS && this.#bytes <= this.#mostBytes)) return
      if (!masks.isInUse) this.#drop(masks)
    }
  }
}

/**
 * Evaluates the next segments; tells whether all fields were at hand that had been when it began. Where not, the next
 * call fetches those, too (`trustsKept`).
 */
async function evaluateWindow(masks: FilterMasks, later: LaterEvaluation, trustsKept: boolean): Promise<boolean> {
  const { fetcher, files, turn } = later
  const window = masks.upcoming(WINDOW_BYTES)
  // Rows changed meanwhile.
  if (window.length === 0) masks.evaluateNext()
  const ranges = window.filter((segment) => !trustsKept || !masks.isAtHand(segment)).map(({ fields }) => fields)
  const fetched = await fetcher.fetch({ ranges, held: [] }, undefined)
  try {
    let hasGone = false
    for (let done = 0; done < window.length;) {
      const end = nowMicros() + SLICE_MICROS
      files.withFetched(fetched.bytes, () => {
        do {
          for (let i = 0; i < SEGMENTS_PER_LOOK && done < window.length; i++, done++) {
            // What was kept when the window began may have had to go.
            hasGone = !masks.isAtHand(window[done]) && !fetched.bytes.has(window[done].fields)
            if (hasGone) return
            masks.evaluateNext()
          }
        } while (done < window.length && nowMicros() < end)
      })
      if (hasGone) return false
      if (done < window.length) await turn()
    }
    return true
  } finally {
    fetched.release()
  }
}
