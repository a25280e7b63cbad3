// How much gain searches with a filter must expect of a zone (search/masked-rule.ts): the rule's own share of the hits
// keeps a recall on most vectors, and is lowered here for those where it does not. Queries of the calibration are
// searched among all rows and among a tenth of them, without themselves and their copies.

import { ordinalOf, rowOf, slotOf } from '../format/ordinals.ts'
import { confidenceFor } from '../search/confidence.ts'
import { leastGain } from '../search/masked-rule.ts'
import type { CountedMasks } from '../search/row-masks.ts'
import type { SearchContext } from '../search/search-context.ts'
import { search } from '../search/search.ts'
import { thresholdFor } from '../format/calibration.ts'
import type { Calibration } from '../types.ts'
import type { LossQuery } from './calibration-losses.ts'
import { evenly } from './calibration-lists.ts'

/** Parts of the rule's share that are tried, until recalls are kept. */
const SCALES = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32]
const RECALLS = [0.9, 0.97]
const KS = [1, 10, 100]
const MOST_QUERIES = 100
/** One row of so many passes the second filter. */
const SPARSE = 10
/** What a mean of so few queries may lie below the recall, in its standard errors. */
const TOLERANCE = 1
/** Distances are compared with those of another order of summation. */
const EQUAL = 1 + 1e-6

/** Finds the largest part of the rule's share that keeps recalls; the least one where none does. */
export async function measureGain(
  context: SearchContext,
  of: { readonly queries: readonly LossQuery[]; readonly calibration: Calibration; readonly alignment: number },
  turn: () => Promise<void>
): Promise<number> {
  const queries = evenly(of.queries, MOST_QUERIES)
  const families = [new SampleMasks(context, () => true), new SampleMasks(context, isSampled)]
  try {
    let at = 0
    for (const masks of families) {
      for (const k of KS) {
        for (const recall of RECALLS) {
          while (at < SCALES.length - 1 && !keeps(context, { ...of, queries, masks, k, recall, scale: SCALES[at] }))
            at++
          await turn()
        }
      }
    }
    return SCALES[at]
  } finally {
    for (const masks of families) masks.close()
  }
}

/** By bits of the ordinal that have nothing to do with where rows came from. */
function isSampled(ordinal: number): boolean {
  const mixed = Math.imul((slotOf(ordinal) * 0x9e3779b1) ^ Math.imul(rowOf(ordinal), 0x85ebca6b), 0xc2b2ae35)
  return (mixed >>> 8) % SPARSE === 0
}

/** Tells whether searches with a filter keep a recall. */
function keeps(
  context: SearchContext,
  of: {
    readonly queries: readonly LossQuery[]
    readonly calibration: Calibration
    readonly alignment: number
    readonly masks: SampleMasks
    readonly k: number
    readonly recall: number
    readonly scale: number
  }
): boolean {
  const { masks, k, recall, alignment } = of
  const { trust, zones } = thresholdFor(of.calibration, recall, k)
  let [sum, squares, count] = [0, 0, 0]
  for (const { vector, leftOut, ordinals, distances } of of.queries) {
    const farthest = kthDistance(masks, { ordinals, distances, k })
    if (farthest === undefined) continue
    masks.hide(leftOut)
    try {
      const filter = { masks, nprobe: undefined, meanZones: zones, leastGain: leastGain(recall) * of.scale, alignment }
      const { hits } = search(context, vector, {
        k,
        probe: { nprobe: 1 },
        explain: false,
        isExact: false,
        rerank: 0,
        confidence: confidenceFor(recall, trust),
        filter
      })
      const found = hits.filter(({ distance }) => distance <= farthest * EQUAL || distance <= farthest).length / k
      sum += found
      squares += found * found
      count++
    } finally {
      masks.show(leftOut)
    }
  }
  if (count === 0) return true
  const mean = sum / count
  const error = Math.sqrt(Math.max(0, squares / count - mean * mean) / count)
  return mean + TOLERANCE * error >= recall
}

/** Distance of the k-th neighbour that passes; undefined where neighbours are too few to tell. */
function kthDistance(
  masks: SampleMasks,
  of: { readonly ordinals: Float64Array; readonly distances: Float64Array; readonly k: number }
): number | undefined {
  const passing = of.distances.filter((_, i) => masks.passes(of.ordinals[i]))
  return passing.length < of.k ? undefined : passing[of.k - 1]
}

/** Masks of rows by their ordinals, of which some can be hidden for a while. */
class SampleMasks implements CountedMasks {
  readonly passes: (ordinal: number) => boolean
  matchCount = 0
  segmentCount = 0
  readonly zones: CountedMasks['zones']
  readonly #context: SearchContext
  readonly #address: number
  readonly #masks: Uint32Array
  readonly #counts: Uint32Array

  constructor(context: SearchContext, passes: (ordinal: number) => boolean) {
    const { segments, memory, zoneCount } = context.workspace
    this.#context = context
    this.passes = passes
    this.#masks = new Uint32Array(segments.slotCount)
    this.#counts = new Uint32Array(segments.slotCount)
    this.zones = { positions: 0, count: zoneCount }
    let words = 0
    for (const { rowCount } of segments) words += Math.ceil(rowCount / 32)
    this.#address = memory.allocate(words * 4)
    let at = this.#address
    for (const { slot, rowCount } of segments) {
      const mask = memory.uint32At(at, Math.ceil(rowCount / 32)).fill(0)
      for (let row = 0; row < rowCount; row++) {
        if (!passes(ordinalOf(slot, row))) continue
        mask[row >>> 5] |= 1 << (row & 31)
        this.#counts[slot]++
      }
      this.#masks[slot] = at
      this.matchCount += this.#counts[slot]
      if (this.#counts[slot] > 0) this.segmentCount++
      at += mask.byteLength
    }
  }

  addressOf(slot: number): number {
    return this.#masks[slot]
  }

  isEmpty(slot: number): boolean {
    return this.#counts[slot] === 0
  }

  countOf(slot: number): number {
    return this.#counts[slot]
  }

  eachMatch(take: (slot: number, row: number) => void): void {
    const { segments, memory } = this.#context.workspace
    for (const { slot, rowCount } of segments) {
      for (let row = 0; row < rowCount; row++) {
        if (((memory.words[this.#masks[slot] / 4 + (row >>> 5)] >>> (row & 31)) & 1) === 1) take(slot, row)
      }
    }
  }

  hide(ordinals: readonly number[]): void {
    this.#set(ordinals, 0)
  }

  show(ordinals: readonly number[]): void {
    this.#set(ordinals, 1)
  }

  #set(ordinals: readonly number[], bit: 0 | 1): void {
    const { words } = this.#context.workspace.memory
    for (const ordinal of ordinals) {
      if (!this.passes(ordinal)) continue
      const [slot, row] = [slotOf(ordinal), rowOf(ordinal)]
      const word = this.#masks[slot] / 4 + (row >>> 5)
      words[word] = bit === 1 ? words[word] | (1 << (row & 31)) : words[word] & ~(1 << (row & 31))
      this.#counts[slot] += bit === 1 ? 1 : -1
      this.matchCount += bit === 1 ? 1 : -1
    }
  }

  close(): void {
    this.#context.workspace.memory.free(this.#address)
  }
}
