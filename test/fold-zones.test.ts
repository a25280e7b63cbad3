// Which zones there are after a step of a fold, and what they are numbered.

import { describe, expect, it } from 'vitest'

import { FoldRows } from '../src/fold/fold-rows.ts'
import { numberZones } from '../src/fold/number-zones.ts'
import { assignAmong, assignAnew, type AssignedZone } from '../src/fold/assign-rows.ts'
import { seededRandom } from '../src/quantizer/random.ts'

function rowsAround(centres: readonly (readonly number[])[], each: number): FoldRows {
  const random = seededRandom(7)
  const rows = new FoldRows({ dim: centres[0].length, idType: 'integer' })
  let id = 0
  for (const centre of centres)
    for (let i = 0; i < each; i++) {
      const vector = Float32Array.from(centre, (value) => value + random() - 0.5)
      rows.takeFresh(id, { id: id++, vector, payload: undefined })
    }
  return rows
}

const booked = (zone: number) => ({
  zone,
  segments: [],
  rowCount: 0,
  deletedCount: 0,
  patchedRows: 0,
  byteLength: 0,
  isInPoorFile: false
})

const assigned = (before: number | undefined, around?: Float32Array): AssignedZone => ({
  before,
  members: Uint32Array.of(0),
  around
})

describe('numbers of zones', () => {
  it('stay for zones that stay, and new zones fill the gaps first', () => {
    const { zoneCount, kept, written } = numberZones(
      [assigned(undefined), assigned(2)],
      4,
      (zone) => zone === 0 || zone === 3
    )
    expect(zoneCount).toBe(4)
    expect([...kept]).toEqual([
      [0, 0],
      [3, 3]
    ])
    expect(written.map(({ zone, before }) => [zone, before])).toEqual([
      [1, undefined],
      [2, 2]
    ])
  })

  it('leave no gap where zones go: zones from the end move there', () => {
    const { zoneCount, kept, written } = numberZones([assigned(4, new Float32Array(1))], 6, (zone) => zone > 2)
    expect(zoneCount).toBe(3)
    expect([...kept.values()].sort()).toEqual([0, 1, 2])
    expect(written[0].zone).toBe(kept.get(4)) // a further segment goes with its zone
  })

  it('go on behind the others where there are more new zones than gaps', () => {
    const { zoneCount, written } = numberZones(
      [assigned(1), assigned(undefined), assigned(undefined)],
      2,
      (zone) => zone === 0
    )
    expect(zoneCount).toBe(4)
    expect(written.map(({ zone }) => zone)).toEqual([1, 2, 3])
  })
})

describe('zones of a fold', () => {
  const metric = 'l2'

  it('are trained on all rows where there were none', () => {
    const rows = rowsAround(
      [
        [0, 0],
        [20, 0],
        [0, 20],
        [20, 20]
      ],
      50
    )
    const { zones } = assignAnew(rows, { zones: 4, rowsPerZone: 50, metric, seed: 1 }, () => undefined)
    expect(zones.map(({ members }) => members.length)).toEqual([50, 50, 50, 50])
    for (const { members } of zones)
      expect(new Set(Array.from(members, (index) => Math.floor(index / 50))).size).toBe(1)
  })

  it('are split where they grew, and lose no row', () => {
    const rows = rowsAround(
      [
        [0, 0],
        [20, 0],
        [0, 20]
      ],
      40
    )
    const all = Array.from({ length: rows.count }, (_, index) => index)
    const zones = assignAmong(
      rows,
      { metric, rowsPerZone: 40, centroids: Float32Array.of(5, 5, 90, 90), zoneCount: 2 },
      { rewritten: [{ booked: booked(0), members: all }], joining: new Map() }
    )
    expect(zones.length).toBe(3)
    expect(zones.flatMap(({ members }) => [...members]).sort((a, b) => a - b)).toEqual(all)
    expect(zones.filter(({ before }) => before === 0).length).toBe(1)
  })

  it('are given up where few rows are left, which go to the nearest of the others', () => {
    const rows = rowsAround([[0, 0]], 3)
    const zones = assignAmong(
      rows,
      { metric, rowsPerZone: 40, centroids: Float32Array.of(0, 0, 90, 90, 5, 5), zoneCount: 3 },
      { rewritten: [{ booked: booked(0), members: [0, 1, 2] }], joining: new Map() }
    )
    expect(zones.map(({ before, members }) => [before, members.length])).toEqual([[2, 3]])
    expect(zones[0].around).toEqual(Float32Array.of(5, 5)) // it keeps its segments
  })

  it('keep rows where all that there are are small', () => {
    const rows = rowsAround([[0, 0]], 3)
    const zones = assignAmong(
      rows,
      { metric, rowsPerZone: 40, centroids: Float32Array.of(0, 0), zoneCount: 1 },
      { rewritten: [{ booked: booked(0), members: [0, 1, 2] }], joining: new Map() }
    )
    expect(zones.map(({ members }) => members.length)).toEqual([3])
  })
})
