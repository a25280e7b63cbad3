// Conditions as filters of ZGQ.

import type { Condition } from './filter-cases.ts'
import type { ZgqIndex } from './packages.ts'

export type Filter = NonNullable<NonNullable<Parameters<ZgqIndex['search']>[1]>['filter']>

/** With a number: a filter of another value that passes the same rows. */
export function filterOf({ below, fine, coarse, prefix, paths }: Condition, number = 0): Filter {
  const isEmpty = below === undefined && fine === undefined && coarse === undefined && prefix === undefined
  return {
    ...(below === undefined ? {} : { r: { $lt: below + number * 1e-15 } }),
    ...(fine === undefined
      ? {}
      : { fine: number === 0 && fine.length === 1 ? fine[0] : { $in: listOf(fine, number) } }),
    ...(coarse === undefined ? {} : { coarse: number === 0 ? coarse : { $in: [coarse, -number] } }),
    ...(prefix === undefined
      ? {}
      : { path: number === 0 ? { $startsWith: prefix } : { $startsWith: prefix, $ne: `${number}` } }),
    ...(paths === undefined ? {} : { path: { $in: number === 0 ? paths : [...paths, `${number}`] } }),
    ...(isEmpty && paths === undefined && number > 0 ? { r: { $gte: -number } } : {})
  }
}

function listOf(values: readonly number[], number: number): readonly number[] {
  return number === 0 ? values : [...values, -number]
}
