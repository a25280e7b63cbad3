// Looks for rows in the turns of its event loop, one after the other, and notes when it saw each: the clock is the
// system's monotonic one, which all processes share.

import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { pathOf } from './engines/living-zgq.ts'
import { livingRows } from './living-rows.ts'
import { loadZgq, type ZgqIndex } from './packages.ts'

export type Looking = 'has, every turn' | 'has, every ms' | 'search, every turn'

export interface SeenReaderInput {
  readonly folder: string
  readonly looking: Looking
  /** Ids of the rows: [from, from + count). */
  readonly from: number
  readonly count: number
  readonly dim: number
  readonly data: string | undefined
}

const input = stepInput<SeenReaderInput>()
const { looking, from, count, dim, data } = input
const rows = await livingRows({ dim, from, count, data })
const { ZgqIndex: Index } = await loadZgq()
const index: ZgqIndex = Index.open(pathOf(input))
const seen: string[] = []
for (let i = 0; i < count; i++) {
  while (!isThere(from + i)) await (looking === 'has, every ms' ? wait(1) : turn())
  seen.push(String(process.hrtime.bigint()))
}
index.close()
stepResult(seen)

function isThere(id: number): boolean {
  if (looking !== 'search, every turn') return index.has(id)
  const query = rows.subarray((id - from) * dim, (id - from + 1) * dim) // the row itself
  return index.search(query, { k: 10 }).some((hit) => hit.id === id)
}
