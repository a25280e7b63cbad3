// Which pages passed their checksum: what is noted of one segment is never taken for another's.

import { describe, expect, it } from 'vitest'

import { PageLedger } from '../src/storage/page-ledger.ts'
import { randomFrom } from './support/random.ts'

const SEED = 140
const SLOTS = 6

describe('the ledger of pages', () => {
  it(`knows the pages that were added of each segment, while segments come and go (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    const ledger = new PageLedger(2) // more slots come later
    const pages = Array.from({ length: SLOTS }, () => 0)
    const passed = Array.from({ length: SLOTS }, () => new Set<number>())
    for (let step = 0; step < 4000; step++) {
      const slot = Math.floor(random() * SLOTS)
      if (random() < 0.05) {
        ledger.drop(slot)
        passed[slot].clear()
        pages[slot] = 0
      } else {
        if (pages[slot] === 0) pages[slot] = 1 + Math.floor(random() ** 3 * 2_000_000) // beyond a chunk of bits
        ledger.open(slot, pages[slot])
        const page = Math.floor(random() * pages[slot])
        ledger.add(slot, page)
        passed[slot].add(page)
      }
      const other = Math.floor(random() * SLOTS)
      const looked = [...passed[other]].slice(-3).concat(Math.floor(random() * Math.max(1, pages[other])))
      for (const page of looked) expect(ledger.hasAll(other, page, page + 1)).toBe(passed[other].has(page))
    }
  })

  it('has no page of a segment that was never opened', () => {
    const ledger = new PageLedger(2)
    ledger.open(0, 500)
    for (let page = 0; page < 500; page++) ledger.add(0, page)
    expect([ledger.hasAll(1, 0, 1), ledger.hasAll(1, 100, 101), ledger.hasAll(9, 100, 101)]).toEqual([
      false,
      false,
      false
    ])
    expect([ledger.hasAll(0, 0, 500), ledger.hasAll(0, 499, 501)]).toEqual([true, false])
  })
})
