// Sets of byte ranges, against a set that knows each byte.

import { describe, expect, it } from 'vitest'

import { planPieces, RangeSet } from '../src/artifacts/range-set.ts'
import type { ByteRange } from '../src/input/row-source.ts'
import { randomFrom } from './support/random.ts'

const LENGTH = 200

function everyByte({ offset, byteLength }: ByteRange): number[] {
  return Array.from({ length: byteLength }, (_, i) => offset + i)
}

describe('a set of ranges', () => {
  it.each(Array.from({ length: 50 }, (_, i) => i))('knows what is missing, byte by byte (seed %d)', (seed) => {
    const random = randomFrom(seed)
    const pick = (most: number): ByteRange => {
      const offset = Math.floor(random() * LENGTH)
      return { offset, byteLength: Math.floor(random() * Math.min(most, LENGTH - offset)) }
    }
    const [set, bytes] = [new RangeSet(), new Set<number>()]
    for (let round = 0; round < 40; round++) {
      const added = pick(20)
      set.add(added)
      everyByte(added).forEach((byte) => bytes.add(byte))
      const asked = pick(LENGTH)
      const missing = set.missing(asked)
      expect(missing.flatMap(everyByte)).toEqual(everyByte(asked).filter((byte) => !bytes.has(byte)))
      missing.slice(1).forEach(({ offset }, i) => {
        expect(offset).toBeGreaterThan(missing[i].offset + missing[i].byteLength)
      })
    }
    set.clear()
    expect(set.missing({ offset: 0, byteLength: LENGTH })).toEqual([{ offset: 0, byteLength: LENGTH }])
  })
})

describe('pieces', () => {
  it.each([
    [
      'join over small gaps',
      [
        [0, 10],
        [14, 6]
      ],
      [[0, 20]]
    ],
    [
      'stay apart over large ones',
      [
        [0, 10],
        [15, 5]
      ],
      [
        [0, 10],
        [15, 5]
      ]
    ],
    [
      'come in order, whatever overlaps',
      [
        [30, 10],
        [0, 5],
        [3, 10],
        [30, 2]
      ],
      [
        [0, 13],
        [30, 10]
      ]
    ],
    [
      'are cut',
      [[5, 45]],
      [
        [5, 20],
        [25, 20],
        [45, 5]
      ]
    ],
    ['are none of nothing', [[5, 0]], []]
  ])('%s', (_, ranges, expected) => {
    const toRanges = (pairs: number[][]): ByteRange[] => pairs.map(([offset, byteLength]) => ({ offset, byteLength }))
    expect(planPieces(toRanges(ranges), { gapBytes: 4, pieceBytes: 20 })).toEqual(toRanges(expected))
  })
})
