// The table of segments: records read when they are asked for, grouped by zone, and slots that outlive a snapshot.

import { describe, expect, it } from 'vitest'

import type { SegmentRecord } from '../src/format/segment-record.ts'
import type { SegmentTable } from '../src/format/segment-table.ts'
import { type Segment } from '../src/format/segment-table.ts'
import { randomFrom } from './support/random.ts'
import { tableOf } from './support/snapshot.ts'

const SEED = 120

/** A segment whose facts all differ from those of others. */
function recordOf(segment: number, zone: number, radius = 1): SegmentRecord {
  const extent = (kind: number): SegmentRecord['rows'] => ({
    file: (segment % 1000) * 8 + kind,
    offset: 4096 * (segment + kind),
    byteLength: segment * 100 + kind,
    crc: 2 ** 32 - 1 - (segment % 1000) * 8 - kind
  })
  return {
    segment,
    zone,
    rowCount: segment + 1,
    minNorm: segment / 8,
    maxNorm: segment + 0.1,
    radius,
    spread: radius / 2,
    rows: extent(1),
    columns: extent(2),
    codes: extent(3),
    fields: extent(4),
    payload: extent(5)
  }
}

function slotsOf(table: SegmentTable): Map<number, number> {
  return new Map(Array.from(table, ({ segment, slot }) => [segment, slot]))
}

function ofZone(table: SegmentTable, zone: number): Segment[] {
  const found: Segment[] = []
  table.ofZone(zone, (segment) => found.push(segment))
  return found
}

describe('a table of segments', () => {
  const records = [recordOf(3, 1), recordOf(4, 0), recordOf(9, 1), recordOf(2 ** 40, 3)]
  const table = tableOf(records, 5)

  it('reads every fact as it was written', () => {
    expect(Array.from(table)).toEqual(records.map((record, slot) => ({ ...record, slot })))
  })

  it('gives the same object each time', () => {
    expect(table.at(2)).toBe(table.at(2))
    expect(table.inSlot(2)).toBe(table.at(2))
    expect(ofZone(table, 0)[0]).toBe(table.at(1))
  })

  it('has the segments of each zone in ascending order, and none of a zone that is empty', () => {
    const numbers = [0, 1, 2, 3, 4].map((zone) => ofZone(table, zone).map(({ segment }) => segment))
    expect(numbers).toEqual([[4], [3, 9], [], [2 ** 40], []])
    expect([0, 1, 2].map((zone) => table.rowsOfZone(zone))).toEqual([5, 14, 0])
  })

  it('finds a segment by its number, and no other', () => {
    expect([3, 4, 9, 2 ** 40].map((segment) => table.find(segment))).toEqual([0, 1, 2, 3])
    expect([0, 5, 10, 2 ** 41].map((segment) => table.find(segment))).toEqual([-1, -1, -1, -1])
  })

  it('may be empty', () => {
    const empty = tableOf([], 3)
    expect([empty.count, empty.slotCount, Array.from(empty), ofZone(empty, 2), empty.find(0)]).toEqual([
      0,
      0,
      [],
      [],
      -1
    ])
  })

  it.each<readonly [string, readonly SegmentRecord[], number, boolean]>([
    ['a segment for each zone, in the order of zones', [recordOf(5, 0), recordOf(6, 1), recordOf(7, 2)], 3, true],
    ['no zones', [], 0, true],
    ['segments in another order', [recordOf(0, 1), recordOf(1, 0)], 2, false],
    ['two segments in a zone', [recordOf(0, 0), recordOf(1, 0)], 2, false],
    ['an empty zone', [recordOf(0, 0)], 2, false]
  ])('says whether each zone has one segment: %s', (_, some, zoneCount, isOnePerZone) => {
    const made = tableOf(some, zoneCount)
    expect(made.isOnePerZone).toBe(isOnePerZone)
    expect(Array.from({ length: zoneCount }, (_, zone) => ofZone(made, zone).map(({ segment }) => segment))).toEqual(
      Array.from({ length: zoneCount }, (_, zone) =>
        some.filter((record) => record.zone === zone).map(({ segment }) => segment)
      )
    )
  })
})

describe('slots', () => {
  const first = tableOf([recordOf(0, 0), recordOf(1, 1), recordOf(2, 2), recordOf(3, 3)], 4)

  it('are positions in a table without a previous one', () => {
    expect(Array.from(slotsOf(first))).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
      [3, 3]
    ])
    expect(first.slotCount).toBe(4)
  })

  it('stay with segments that stay, and so do their objects', () => {
    const next = tableOf([recordOf(1, 1), recordOf(3, 3)], 4, first)
    expect(slotsOf(next)).toEqual(
      new Map([
        [1, 1],
        [3, 3]
      ])
    )
    expect(next.at(0)).toBe(first.at(1))
    expect(next.inSlot(3)).toBe(first.at(3))
    expect(next.slotCount).toBe(4)
  })

  it('that became free are taken by new segments, the lowest first, then those beyond', () => {
    const next = tableOf([recordOf(1, 1), recordOf(7, 0), recordOf(8, 0), recordOf(9, 2), recordOf(12, 3)], 4, first)
    expect(slotsOf(next)).toEqual(
      new Map([
        [1, 1],
        [7, 0],
        [8, 2],
        [9, 3],
        [12, 4]
      ])
    )
    expect(next.slotCount).toBe(5)
  })

  it('are new for a segment whose record changed, whatever kept something of it', () => {
    const next = tableOf([recordOf(0, 0), recordOf(1, 1, 2), recordOf(2, 2)], 4, first)
    expect(next.at(0)).toBe(first.at(0))
    expect(next.at(1)).not.toBe(first.at(1))
    expect(next.at(1).radius).toBe(2)
    expect(next.at(2)).toBe(first.at(2))
  })

  it(`stay, are freed and are used again through any succession of tables (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    for (let run = 0; run < 40; run++) {
      let alive: SegmentRecord[] = []
      let next = 0
      let most = 0
      const zoneCount = 1 + Math.floor(random() * 6)
      let table = tableOf([], zoneCount)
      for (let step = 0; step < 30; step++) {
        const before = new Map(Array.from(table, (segment) => [segment.segment, segment]))
        const goes = random()
        alive = alive.filter(() => random() >= goes * 0.7)
        const stayed = alive.map(({ segment }) => segment)
        const fresh = Array.from({ length: Math.floor(random() * 5) }, () =>
          recordOf((next += 1 + Math.floor(random() * 3)), Math.floor(random() * zoneCount))
        )
        alive = [...alive, ...fresh]
        table = tableOf(alive, zoneCount, table)
        const at = `run ${run}, step ${step}`
        const segments = Array.from(table)
        expect(
          segments.map(({ slot: _, ...record }) => record),
          at
        ).toEqual(alive)
        const slots = segments.map(({ slot }) => slot)
        expect(new Set(slots).size, at).toBe(slots.length)
        expect(table.slotCount, at).toBe(Math.max(0, ...slots.map((slot) => slot + 1)))
        for (const segment of segments) {
          expect(table.inSlot(segment.slot), at).toBe(segment)
          if (stayed.includes(segment.segment)) expect(segment, at).toBe(before.get(segment.segment))
        }
        for (let zone = 0; zone < zoneCount; zone++)
          expect(ofZone(table, zone), at).toEqual(segments.filter((segment) => segment.zone === zone))
        // Slots never number more than the segments of two tables side by side.
        most = Math.max(most, before.size + fresh.length, alive.length)
        expect(table.slotCount, at).toBeLessThanOrEqual(most)
      }
    }
  })
})
