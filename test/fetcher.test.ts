// What the asynchronous driver fetches: ranges joined, bytes handed on, no more of them at a time than memory allows.

import { describe, expect, it } from 'vitest'

import { Fetcher, mergeRanges, type Fetched, type Wanted } from '../src/search/fetcher.ts'
import type { AsyncReader } from '../src/storage/async-reader.ts'
import { FetchedBytes, type FetchedRange } from '../src/storage/fetched-bytes.ts'
import type { FileRange } from '../src/storage/reader.ts'
import { randomFrom } from './support/random.ts'
import { errorFrom, rejection } from './support/small-build.ts'

const SEED = 1010
const FILE_BYTES = 64

/** Ranges of some small files, which overlap, touch, contain each other or lie apart. */
function randomRanges(random: () => number, most: number): FileRange[] {
  return Array.from({ length: Math.floor(random() * (most + 1)) }, () => {
    const offset = Math.floor(random() * FILE_BYTES)
    const byteLength = 1 + Math.floor(random() ** 2 * (FILE_BYTES - offset))
    return { file: 3 * Math.floor(random() * 3), offset, byteLength }
  })
}

const bytesOf = ({ file, offset, byteLength }: FileRange): string[] =>
  Array.from({ length: byteLength }, (_, i) => `${file}:${offset + i}`)

describe('mergeRanges', () => {
  it(`covers the same bytes, each once, in as few ranges as there are runs (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    for (let round = 0; round < 3000; round++) {
      const ranges = randomRanges(random, 12)
      const before = JSON.stringify(ranges)
      const merged = mergeRanges(ranges)
      expect(JSON.stringify(ranges)).toBe(before)
      const covered = merged.flatMap(bytesOf)
      expect(new Set(covered).size).toBe(covered.length)
      const wanted = new Set(ranges.flatMap(bytesOf))
      expect(new Set(covered)).toEqual(wanted)
      const runs = [...wanted].filter((byte) => {
        const [file, offset] = byte.split(':').map(Number)
        return !wanted.has(`${file}:${offset - 1}`)
      })
      expect(merged).toHaveLength(runs.length)
    }
  })

  it('keeps nothing of a range but its place', () => {
    const range = { file: 1, offset: 2, byteLength: 3, crc: 4 }
    expect(mergeRanges([range])).toEqual([{ file: 1, offset: 2, byteLength: 3 }])
  })
})

describe('FetchedBytes', () => {
  it(`has what one of its ranges has, and copies it (seed ${SEED + 1})`, () => {
    const random = randomFrom(SEED + 1)
    for (let round = 0; round < 1500; round++) {
      const ranges = randomRanges(random, 8).map(({ file, offset, byteLength }): FetchedRange => {
        const bytes = Uint8Array.from({ length: byteLength }, (_, i) => (file + 1) * 7 + offset + i)
        return { file, offset, byteLength, bytes }
      })
      const fetched = new FetchedBytes(ranges)
      for (const { file, offset, byteLength } of randomRanges(random, 12)) {
        const isThere = ranges.some(
          (range) =>
            range.file === file && range.offset <= offset && range.offset + range.byteLength >= offset + byteLength
        )
        expect(fetched.has({ file, offset, byteLength })).toBe(isThere)
        const target = new Uint8Array(byteLength)
        expect(fetched.copy(file, offset, target)).toBe(isThere)
        expect([...target]).toEqual(
          Array.from({ length: byteLength }, (_, i) => (isThere ? (file + 1) * 7 + offset + i : 0))
        )
      }
    }
  })
})

/** Answers by hand; all bytes are the same ones. */
class ManualReader implements AsyncReader {
  readonly waiting: { byteLength: number; signal: AbortSignal | undefined; answer(): void }[] = []
  readonly #bytes = new Uint8Array(200 * 2 ** 20)

  async readAsync(ranges: readonly FileRange[], signal: AbortSignal | undefined): Promise<Uint8Array[]> {
    return await new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => {
        reject(signal.reason)
      })
      this.waiting.push({
        byteLength: ranges.reduce((sum, range) => sum + range.byteLength, 0),
        signal,
        answer: () => {
          resolve(ranges.map(({ byteLength }) => this.#bytes.subarray(0, byteLength)))
        }
      })
    })
  }

  close(): void {
    // Nothing is open.
  }
}

describe('a fetcher', () => {
  const MIB = 2 ** 20
  const wantedOf = (byteLength: number, file = 0): Wanted => ({ ranges: [{ file, offset: 0, byteLength }], held: [] })
  /** Fetches, uses what came and releases it. */
  async function use<Result>(fetching: Promise<Fetched>, work: (bytes: FetchedBytes) => Result): Promise<Result> {
    const { bytes, release } = await fetching
    try {
      return work(bytes)
    } finally {
      release()
    }
  }
  const turn = async (): Promise<void> => {
    await new Promise(setImmediate)
  }

  it('waits where more bytes would be under way than memory allows, and lets the next go on then', async () => {
    const reader = new ManualReader()
    const fetcher = new Fetcher(reader)
    const done: number[] = []
    const sizes = [60, 60, 60, 150, 1, 60]
    const all = sizes.map(async (size, i) => {
      await use(fetcher.fetch(wantedOf(size * MIB, i), undefined), () => done.push(i))
    })
    for (let i = 0; done.length < sizes.length; i++) {
      await turn()
      const outstanding = reader.waiting.slice(i)
      expect(outstanding.length).toBeGreaterThan(0)
      const bytes = outstanding.reduce((sum, { byteLength }) => sum + byteLength, 0)
      // One that is larger goes alone.
      expect(outstanding.length === 1 || bytes <= 128 * MIB).toBe(true)
      reader.waiting[i].answer()
      await turn()
    }
    await Promise.all(all)
    expect(done.sort()).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('lets a large fetch go on before small ones that came later', async () => {
    const reader = new ManualReader()
    const fetcher = new Fetcher(reader)
    const done: string[] = []
    const fetch = (name: string, size: number, file: number): Promise<unknown> =>
      use(fetcher.fetch(wantedOf(size * MIB, file), undefined), () => done.push(name))
    const all = [fetch('first', 100, 0), fetch('large', 120, 1), fetch('small', 1, 2), fetch('small', 1, 3)]
    await turn()
    expect(reader.waiting).toHaveLength(1)
    reader.waiting[0].answer()
    await turn()
    expect(reader.waiting.map(({ byteLength }) => byteLength / MIB)).toEqual([100, 120, 1, 1])
    for (const { answer } of reader.waiting) answer()
    await Promise.all(all)
    expect(done.slice(0, 1)).toEqual(['first'])
  })

  it('rejects who waits for memory with the reason of the signal at once, and gives it to others', async () => {
    const reader = new ManualReader()
    const fetcher = new Fetcher(reader)
    const controller = new AbortController()
    const first = use(fetcher.fetch(wantedOf(100 * MIB), undefined), () => 'first')
    const second = use(fetcher.fetch(wantedOf(100 * MIB), controller.signal), () => 'second')
    const third = use(fetcher.fetch(wantedOf(100 * MIB), undefined), () => 'third')
    await turn()
    expect(reader.waiting).toHaveLength(1)
    controller.abort('enough')
    expect(await rejection(second)).toBe('enough')
    reader.waiting[0].answer()
    expect(await first).toBe('first')
    await turn()
    reader.waiting[1].answer()
    expect(await third).toBe('third')
  })

  it('reads what several want at the same time once, until the last of them gives up', async () => {
    const reader = new ManualReader()
    const fetcher = new Fetcher(reader)
    const controllers = [new AbortController(), new AbortController()]
    const fetching = controllers.map(async ({ signal }) => await rejection(fetcher.fetch(wantedOf(10), signal)))
    const third = use(fetcher.fetch(wantedOf(10), undefined), (bytes) => bytes.has(wantedOf(10).ranges[0]))
    await turn()
    expect(reader.waiting).toHaveLength(1)
    for (const controller of controllers) controller.abort('enough')
    expect(await Promise.all(fetching)).toEqual(['enough', 'enough'])
    expect(reader.waiting[0].signal?.aborted).toBe(false)
    reader.waiting[0].answer()
    expect(await third).toBe(true)
    const last = new AbortController()
    const again = rejection(fetcher.fetch(wantedOf(10), last.signal))
    await turn()
    last.abort('enough')
    expect(await again).toBe('enough')
    expect(reader.waiting[1].signal?.aborted).toBe(true)
  })

  it('has what it was told to hold besides what was read, and says ZGQ_TRUNCATED of anything else', async () => {
    const reader: AsyncReader = {
      readAsync: async (ranges) => await Promise.resolve(ranges.map(({ offset }) => Uint8Array.of(offset, offset + 1))),
      close: () => undefined
    }
    const fetcher = new Fetcher(reader)
    const held = [{ file: 1, offset: 50, byteLength: 1, bytes: Uint8Array.of(9) }]
    const two = { file: 1, offset: 10, byteLength: 2 }
    const has = await use(fetcher.fetch({ ranges: [two], held }, undefined), (fetched) => [
      fetched.has(two),
      fetched.has({ file: 1, offset: 50, byteLength: 1 }),
      fetched.has({ file: 2, offset: 10, byteLength: 2 }),
      fetched.has({ file: 1, offset: 11, byteLength: 2 })
    ])
    expect(has).toEqual([true, true, false, false])
    for (const byteLength of [1, 3]) {
      const fetching = fetcher.fetch({ ranges: [{ ...two, byteLength }], held }, undefined)
      expect((await errorFrom(fetching)).code).toBe('ZGQ_TRUNCATED')
    }
  })
})
