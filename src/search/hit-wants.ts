// What a caller wants of hits besides their distances, checked at the door.

import { describe } from '../describe.ts'
import type { CompiledFilter } from '../filter/compile-filter.ts'
import type { SearchOptions } from '../types.ts'
import type { Filters } from './filters.ts'

export interface HitWants {
  /** Undefined: all rows may be found. */
  readonly filter: CompiledFilter | undefined
  readonly maxDistance: number
  readonly payload: PayloadWish
}

/** None, whole payloads, or some of their keys. */
export type PayloadWish = false | true | ReadonlySet<string>

/** Checks the options of a search that say what of its hits is wanted; throws TypeError, RangeError or ZGQ_FILTER. */
export function checkWants(options: SearchOptions, filters: Filters): HitWants {
  const { filter, maxDistance = Infinity, payload = false } = options
  if (typeof maxDistance !== 'number')
    throw new TypeError(`maxDistance must be a number, found ${describe(maxDistance)}`)
  if (Number.isNaN(maxDistance)) throw new RangeError('maxDistance must be a number, found NaN')
  return {
    filter: filter === undefined ? undefined : filters.compile(filter),
    maxDistance,
    payload: checkPayload(payload)
  }
}

/** Checks which payloads are wanted; throws TypeError. */
export function checkPayload(payload: unknown): PayloadWish {
  if (typeof payload === 'boolean') return payload
  if (!Array.isArray(payload))
    throw new TypeError(`payload must be a boolean or an array of keys, found ${describe(payload)}`)
  const keys: readonly unknown[] = payload
  return new Set(
    keys.map((key, i) => {
      if (typeof key !== 'string') throw new TypeError(`payload[${i}] must be a key, found ${describe(key)}`)
      return key
    })
  )
}
