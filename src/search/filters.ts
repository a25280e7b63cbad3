// The filters of an open index: compiled at the door, evaluated when they are first asked with, and kept by their value
// within bounds.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { FilterCache } from '../filter/filter-cache.ts'
import type { Fetcher } from './fetcher.ts'
import { FilterMasks, type FilterContext } from './filter-masks.ts'
import { unlessAborted } from '../storage/async-reader.ts'
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
  /** Lets others have their turn. */
  readonly turn: () => Promise<void>
}

export class Filters {
  #context: FilterContext
  readonly #compiled: FilterCache
  readonly #mostBytes: number
  /** By key, in the order of their use. */
  readonly #masks = new Map<string, FilterMasks>()
  /** Evaluations under way, by key. */
  readonly #pending = new Map<string, Promise<void>>()
  /** Of all masks that are kept. */
  #bytes = 0
  /** Masks in use of fewer segments than there are by now. */
  readonly #retired = new Set<FilterMasks>()

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
    const masks = this.#begin(filter)
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
    await unlessAborted(signal, () => evaluated)
    // It may have had to go already, where there is hardly any room.
    return this.take(filter)
  }

  async #evaluateLater(filter: CompiledFilter, later: LaterEvaluation): Promise<void> {
    const masks = this.#begin(filter)
    try {
      while (!masks.isWhole) await evaluateWindow(masks, later)
    } catch (error) {
      masks.close()
      throw error
    }
    // A search that could not wait may have been as far.
    if (this.#masks.get(filter.key)?.isFor(this.#context.segments) === true) masks.close()
    else this.giveBack(this.#keep(masks))
  }

  giveBack(masks: FilterMasks): void {
    masks.giveBack()
    if (this.#retired.has(masks) && !masks.isInUse) {
      this.#retired.delete(masks)
      masks.close()
    }
    this.#evict()
  }

  /** Goes on with more segments of deltas: what was evaluated of the others is kept. */
  extend(segments: FilterContext['segments']): void {
    this.#context = { ...this.#context, segments }
  }

  /** Begins to evaluate a filter, where that is known for some segments after them. */
  #begin(filter: CompiledFilter): FilterMasks {
    return new FilterMasks(this.#context, filter, this.#masks.get(filter.key))
  }

  /** Forgets all masks, none of which is in use. */
  clear(): void {
    for (const masks of this.#masks.values()) masks.close()
    this.#masks.clear()
    this.#bytes = 0
  }

  #find({ key }: CompiledFilter): FilterMasks | undefined {
    const masks = this.#masks.get(key)
    if (masks?.isFor(this.#context.segments) !== true) return undefined
    this.#masks.delete(key)
    this.#masks.set(key, masks)
    masks.take()
    return masks
  }

  #keep(masks: FilterMasks): FilterMasks {
    const before = this.#masks.get(masks.filter.key)
    if (before !== undefined) {
      this.#bytes -= before.byteLength
      if (before.isInUse) this.#retired.add(before)
      else before.close()
    }
    this.#masks.delete(masks.filter.key)
    this.#masks.set(masks.filter.key, masks)
    this.#bytes += masks.byteLength
    masks.take()
    this.#evict()
    return masks
  }

  /** The last one stays, however large it is. */
  #evict(): void {
    for (const [key, masks] of this.#masks) {
      if (this.#masks.size === 1 || (this.#masks.size <= MOST_FILTERS && this.#bytes <= this.#mostBytes)) return
      if (masks.isInUse) continue
      this.#masks.delete(key)
      this.#bytes -= masks.byteLength
      masks.close()
    }
  }
}

async function evaluateWindow(masks: FilterMasks, later: LaterEvaluation): Promise<void> {
  const { fetcher, files, turn } = later
  const window = masks.upcoming(WINDOW_BYTES)
  const ranges = window.filter((segment) => !masks.isAtHand(segment)).map(({ fields }) => fields)
  const fetched = await fetcher.fetch({ ranges, held: [] }, undefined)
  try {
    for (let done = 0; done < window.length;) {
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
