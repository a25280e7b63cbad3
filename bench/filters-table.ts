// Tables of filtered searches: what was asked and reached, and the cost against the search without a filter.

import { shareName } from './filter-cases.ts'
import { printTable } from './report.ts'
import type { FilterRow } from './step-filters.ts'

/** The recall whose times are shown; of others, the ratio. */
const SHOWN = 0.95

export function printFilterRows(rows: readonly FilterRow[]): void {
  for (const k of new Set(rows.map((row) => row.k))) printOfK(rows.filter((row) => row.k === k))
  const low = rows.filter(isLow)
  for (const { name, k, asked, recall, standardError, short } of low)
    console.log(
      `BELOW what was asked: ${name}, k ${k}, ${asked}: ${recall.toFixed(4)}, standard error ` +
        `${standardError.toFixed(4)}; ${short} queries with too few hits`
    )
  console.log(`${rows.length} cells, ${low.length} of them more than two standard errors below what was asked.\n`)
}

/** More than two standard errors below what was asked, or hits are missing. */
export function isLow({ recall, standardError, asked, short }: FilterRow): boolean {
  return recall + 2 * standardError < asked || short > 0
}

function printOfK(rows: readonly FilterRow[]): void {
  const asked = [...new Set(rows.map((row) => row.asked))]
  const list = asked.join(', ')
  printTable(
    [
      `recall@${rows[0].k}`,
      'passes',
      `recall, asked ${list}`,
      'time / no filter',
      `us at ${SHOWN}`,
      'no filter us',
      'fresh filter us',
      'zones'
    ],
    [...new Set(rows.map(({ name }) => name))].map((name) => {
      const own = rows.filter((row) => row.name === name)
      const shown = own.find((row) => row.asked === SHOWN) ?? own[0]
      return [
        name,
        shareName(own[0].passing),
        own.map(({ recall }) => recall.toFixed(3)).join(', '),
        own.map(({ cachedUs, plainUs }) => (cachedUs / plainUs).toFixed(2)).join(', '),
        shown.cachedUs.toFixed(0),
        shown.plainUs.toFixed(0),
        shown.freshUs.toFixed(0),
        shown.plan === 'zones' ? shown.zones.toFixed(0) : shown.plan
      ]
    })
  )
}
