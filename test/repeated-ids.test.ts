// The search for an id that two rows have, in portions.

import { describe, expect, it } from 'vitest'

import { findRepeatedId, type IdsToCompare } from '../src/check/repeated-ids.ts'
import { randomFrom } from './support/random.ts'

const SEED = 550
const COUNT = 5000

/** Hands ids over in pieces; counts how often they were read. */
function readerOf(ids: Float64Array | readonly Uint8Array[]): {
  reads: number
  read: (take: (ids: IdsToCompare) => void) => Promise<void>
} {
  const of = {
    reads: 0,
    read: async (take: (ids: IdsToCompare) => void) => {
      of.reads++
      for (let at = 0; at < ids.length; at += 999) {
        await Promise.resolve()
        take(ids.slice(at, at + 999))
      }
    }
  }
  return of
}

const random = randomFrom(SEED)
const integers = Float64Array.from({ length: COUNT }, (_, row) => row * 2 ** 40 + Math.floor(random() * 2 ** 40))
const texts = Array.from({ length: COUNT }, (_, row) => Buffer.from(`note ${row} ${random()}`))

describe(`ids of rows (seed ${SEED})`, () => {
  it.each([COUNT, 5 * COUNT, 700])('are all different, compared %d at a time', async (idsAtATime) => {
    for (const ids of [integers, texts]) {
      const of = readerOf(ids)
      expect(await findRepeatedId(COUNT, of.read, idsAtATime)).toBeUndefined()
      expect(of.reads).toBe(Math.ceil(COUNT / idsAtATime))
    }
  })

  it.each([COUNT, 700])('are found where two rows have one, compared %d at a time', async (idsAtATime) => {
    const twice = integers.slice()
    twice[4999] = twice[17]
    expect(await findRepeatedId(COUNT, readerOf(twice).read, idsAtATime)).toBe(integers[17])
    const texts2 = texts.with(4000, texts[3])
    expect(await findRepeatedId(COUNT, readerOf(texts2).read, idsAtATime)).toBe(texts[3].toString())
    const many = texts.map((_, row) => Buffer.from(row < 2 ? `${row}` : 'many'))
    expect(await findRepeatedId(COUNT, readerOf(many).read, idsAtATime)).toBe('many')
  })

  it('may differ in Unicode normal form only', async () => {
    const ids = ['\u00e9', 'e\u0301', 'E\u0301'].map((text) => Buffer.from(text))
    expect(await findRepeatedId(3, readerOf(ids).read)).toBeUndefined()
  })

  it('are not read where there are none', async () => {
    const of = readerOf([])
    expect(await findRepeatedId(0, of.read)).toBeUndefined()
    expect(of.reads).toBe(0)
  })
})
