// Splitting a zone that is too large: pieces of bounded size on any rows, without going deep.

import { describe, expect, it } from 'vitest'

import { splitZone, type ZoneRows } from '../src/build/split-zone.ts'
import { randomFrom } from './support/random.ts'

const DIM = 2

function rowsFrom(value: (position: number, axis: number) => number, count: number): ZoneRows {
  return {
    count,
    dim: DIM,
    readRow(position, target) {
      for (let axis = 0; axis < DIM; axis++) target[axis] = value(position, axis)
    }
  }
}

const random = randomFrom(7)
const noise = Float32Array.from({ length: 40_000 }, random)
const KINDS: Record<string, (position: number, axis: number) => number> = {
  'equal rows': () => 3,
  'noise (seed 7)': (position, axis) => noise[position * DIM + axis],
  'rows that double': (position) => 2 ** (position % 60),
  'one outlier': (position) => (position === 0 ? 1e6 : 0),
  'a line': (position, axis) => position * (axis + 1)
}

describe.each(Object.entries(KINDS))('%s', (_, value) => {
  it.each([
    [100, 2, 60],
    [1000, 20, 100],
    [12_000, 6000, 4],
    [9999, 99, 202],
    [7, 7, 1]
  ])('%d rows in %d pieces give none above %d, none empty, every row once, in order', (count, pieces, largest) => {
    const found = splitZone(rowsFrom(value, count), pieces, largest)
    expect(found.length).toBe(pieces)
    expect(found.every((piece) => piece.length >= 1 && piece.length <= largest)).toBe(true)
    expect(found.every((piece) => piece.every((position, i) => i === 0 || position > piece[i - 1]))).toBe(true)
    expect(Array.from(found.flatMap((piece) => Array.from(piece))).sort((a, b) => a - b)).toEqual(
      Array.from({ length: count }, (__, i) => i)
    )
  })
})

it('cuts equal rows into pieces of about the same size', () => {
  const sizes = splitZone(
    rowsFrom(() => 3, 10_000),
    200,
    100
  ).map((piece) => piece.length)
  expect(Math.min(...sizes)).toBeGreaterThanOrEqual(25)
})

it('reads each row a few times only, though every cut peels off one outlier', () => {
  let reads = 0
  const rows = rowsFrom((position) => 2 ** (position % 60), 4000)
  splitZone(
    {
      ...rows,
      readRow: (position, target) => {
        reads++
        rows.readRow(position, target)
      }
    },
    1000,
    8
  )
  expect(reads).toBeLessThan(4000 * 60)
})
