// The filters of an open index: compiled at the door, evaluated when they are first asked with, and kept by their value
// within bounds.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { FilterCache } from '../filter/filter-cache.ts'
import type { Fetcher } from './fetcher.ts'
import { FilterMasks, type FilterContext } from './filter-masks.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import { nowMicros } from '../clock.ts'

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
  readonly fetcher: Fetcher
  readonly files: SegmentFiles
  readonly signal: AbortSignal | undefined
  /** Lets others have their turn. */
  readonly turn: () => Promise<void>
}

export class Filters {
  readonly #context: FilterContext
  readonly #compiled: FilterCache
  readonly #mostBytes: number
  /** By key, in the order of their use. */
  readonly #masks = new Map<string, FilterMasks>()

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

  /** The same without blocking: what is lacking is fetched, and evaluated in slices. */
  async takeLater(filter: CompiledFilter, later: LaterEvaluation): Promise<FilterMasks> {
    const kept = this.#find(filter)
    if (kept !== undefined) return kept
    const masks = new FilterMasks(this.#context, filter)
    try {
      while (!masks.isWhole) await evaluateWindow(masks, later)
    } catch (error) {
      masks.close()
      throw error
    }
    // Another search may have been as far with the same filter.
    const other = this.#find(filter)
    if (other === undefined) return this.#keep(masks)
    masks.close()
    return other
  }

  giveBack(masks: FilterMasks): void {
    masks.users--
    this.#evict()
  }

  /** Forgets all masks, none of which is in use. */
  clear(): void {
    for (const masks of this.#masks.values()) masks.close()
    this.#masks.clear()
  }

  #find({ key }: CompiledFilter): FilterMasks | undefined {
    const masks = this.#masks.get(key)
    if (masks === undefined) return undefined
    this.#masks.delete(key)
    this.#masks.set(key, masks)
    masks.users++
    return masks
  }

  #keep(masks: FilterMasks): FilterMasks {
    this.#masks.set(masks.filter.key, masks)
    masks.users++
    this.#evict()
    return masks
  }

  /** The last one stays, however large it is. */
  #evict(): void {
    let bytes = 0
    for (const masks of this.#masks.values()) bytes += masks.byteLength
    for (const [key, masks] of this.#masks) {
      if (this.#masks.size === 1 || (this.#masks.size <= MOST_FILTERS && bytes <= this.#mostBytes)) return
      if (masks.users > 0) continue
      this.#masks.delete(key)
      bytes -= masks.byteLength
      masks.close()
    }
  }
}

async function evaluateWindow(masks: FilterMasks, later: LaterEvaluation): Promise<void> {
  const { fetcher, files, signal, turn } = later
  const window = masks.upcoming(WINDOW_BYTES)
  const ranges = window.filter((segment) => !masks.isAtHand(segment)).map(({ fields }) => fields)
  const fetched = await fetcher.fetch({ ranges, held: [] }, signal)
  try {
    for (let done = 0; done < window.length;) {
      signal?.throwIfAborted()
      const end = nowMicros() + SLICE_MICROS
      files.withFetched(fetched.bytes, () => {
        do {
          for (let i = 0; i < SEGMENTS_PER_LOOK && done < window.length; i++, done++) masks.evaluateNext()
        } while (done < window.length && nowMicros() < end)
      })
      if (done < window.length) await turn()
    }
  } finally {
    fetched.release()
  }
}
