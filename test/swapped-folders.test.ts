// Folders that are renamed while somebody opens the index in them: what is read is of one index, whole, or there is
// none; it is never called damage. And damage is still called so.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { calibrateIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqError } from '../src/errors.ts'
import type { OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { codeOf } from './support/errors.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { MAPPINGS } from './support/mappings.ts'
import { answerOf, buildSmall, DIM, errorFrom, SMALL } from './support/small-build.ts'
import { fileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

vi.mock('node:fs', async (importOriginal) =>
  (await import('./support/failing-fs.ts')).failingFs(await importOriginal())
)
afterEach(resetFaults)

const temp = useTempFolder('swapped', IN_MEMORY)
const first = temp.fresh('first')
/** Vectors mirrored at the origin: files of the same lengths. */
const mirrored = temp.fresh('mirrored')
/** Fewer vectors: files of other lengths. */
const shorter = temp.fresh('shorter')
const names = new Map<string, string>()

/** Opens and searches; says which index answered, or what was thrown. */
function foundAt(path: string, options: OpenOptions = {}): string {
  try {
    return names.get(answerOf(path, options)) ?? 'a wrong answer'
  } catch (error) {
    return error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND' ? error.code : String(error)
  }
}

beforeAll(async () => {
  await buildSmall(first)
  await buildSmall(mirrored, { input: SMALL.map((value) => -value) })
  await buildSmall(shorter, { input: SMALL.subarray(0, 100 * DIM), zones: 3, seed: 2 })
  for (const [path, name] of [
    [first, 'first'],
    [mirrored, 'second'],
    [shorter, 'second']
  ])
    names.set(answerOf(path), name)
})

/** Puts an index at PLACE/index and another one beside it. */
function placeWith(other: string): string {
  const place = temp.fresh('place')
  mkdirSync(place)
  cpSync(first, join(place, 'index'), { recursive: true })
  cpSync(other, join(place, 'other'), { recursive: true })
  return place
}

const others = [
  ['of the same lengths', mirrored],
  ['shorter', shorter]
] as const

/** Renames an index away and another one into its place, and back, for ever; stays for up to 2 ms where it is. */
const SWAPPER = `
  import { renameSync } from 'node:fs'
  process.chdir(process.argv[1])
  let state = Number(process.argv[2])
  const pause = new Int32Array(new SharedArrayBuffer(4))
  const stay = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    if (state % 4 > 0) Atomics.wait(pause, 0, 0, (state >>> 8) / 2 ** 23)
  }
  process.stdout.write('begun')
  for (;;) {
    renameSync('index', 'away'), renameSync('other', 'index'), stay()
    renameSync('index', 'other'), renameSync('away', 'index'), stay()
  }`

/** Calls \`work\` while another process swaps the folders. */
async function whileSwapped(place: string, seed: number, work: (index: string) => Promise<void>): Promise<void> {
  const swapper = spawn(process.execPath, ['--input-type=module', '--eval', SWAPPER, place, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  try {
    await once(swapper.stdout, 'data')
    await work(join(place, 'index'))
  } finally {
    swapper.kill('SIGKILL')
    await once(swapper, 'close')
  }
}

describe.runIf(process.platform !== 'win32')('an index that is swapped for another by a process', () => {
  const OPENS = 200

  it.each(others)('(%s) answers as one of them, or is not there', async (_, other) => {
    const seed = 11
    const found = new Map<string, number>()
    await whileSwapped(placeWith(other), seed, async (index) => {
      for (let open = 0; open < OPENS; open++) {
        const one = foundAt(index, { mapping: MAPPINGS[open % MAPPINGS.length] })
        found.set(one, (found.get(one) ?? 0) + 1)
      }
    })
    expect({ seed, found: [...found.keys()].filter((one) => one !== 'ZGQ_NOT_FOUND').sort() }).toEqual({
      seed,
      found: ['first', 'second']
    })
  })

  it('is checked without damage, or is not there', async () => {
    const seed = 12
    const codes = new Set<string>()
    await whileSwapped(placeWith(shorter), seed, async (index) => {
      for (let check = 0; check < OPENS / 5; check++)
        codes.add(
          await checkIndex(index).then(
            () => 'sound',
            (error: unknown) => String(Object(error).code)
          )
        )
    })
    codes.delete('ZGQ_NOT_FOUND')
    expect({ seed, codes: [...codes] }).toEqual({ seed, codes: ['sound'] })
  })
})

describe.runIf(process.platform !== 'win32')(
  'an index that is swapped for another between two calls of a reader',
  () => {
    const CALLS = 16

    /** Opens an index; another one is in its place from after one call of the reader's to after a later one. */
    const foundWhile = (place: string, when: { away: number; back: number }, options: OpenOptions): string => {
      const [index, away, other] = ['index', 'away', 'other'].map((name) => join(place, name))
      let isAway = false
      resetFaults()
      faults.afterCall = (call) => {
        if (call === when.away) {
          renameSync(index, away)
          renameSync(other, index)
          isAway = true
        }
        if (call !== when.back || !isAway) return
        isAway = false
        renameSync(index, other)
        renameSync(away, index)
      }
      try {
        return foundAt(index, options)
      } finally {
        resetFaults()
        if (isAway) {
          renameSync(index, other)
          renameSync(away, index)
        }
      }
    }

    it.each(others)('(%s) answers as one of them, whether it comes back or not', (_, other) => {
      const place = placeWith(other)
      const found = Array.from({ length: CALLS * 6 }, (__, i) => {
        const away = Math.floor(i / 6)
        const when = { away, back: i % 6 === 5 ? Infinity : away + (i % 6) }
        return { ...when, found: foundWhile(place, when, { mapping: MAPPINGS[i % MAPPINGS.length] }) }
      })
      expect(found.filter((one) => one.found !== 'first' && one.found !== 'second')).toEqual([])
      expect(new Set(found.map((one) => one.found)).size).toBe(2)
    })

    it('is ZGQ_NOT_FOUND where it does not come back', () => {
      const place = placeWith(shorter)
      const [index, away] = ['index', 'away'].map((name) => join(place, name))
      for (let leave = 0; leave < CALLS; leave++) {
        let isAway = false
        faults.afterCall = (call) => {
          if (call !== leave) return
          renameSync(index, away)
          isAway = true
        }
        expect(['first', 'ZGQ_NOT_FOUND']).toContain(foundAt(index))
        resetFaults()
        if (isAway) renameSync(away, index)
      }
    })
  }
)

describe('an index that is moved away while it is checked', () => {
  it('is not found', async () => {
    const place = placeWith(shorter)
    const index = join(place, 'index')
    const onProgress = ({ done, total }: { done: number; total: number }): void => {
      if (done === total) renameSync(index, join(place, 'away'))
    }
    expect((await errorFrom(checkIndex(index, { onProgress }))).code).toBe('ZGQ_NOT_FOUND')
  })
})

describe('a damaged index', () => {
  it('is called damaged, whenever its folder was made or renamed last', () => {
    const place = placeWith(shorter)
    const [index, away] = ['index', 'away'].map((name) => join(place, name))
    truncateSync(join(index, 'vectors-000001-00000.zgq'), 4096)
    renameSync(index, away)
    expect(codeOf(() => ZgqIndex.open(away))).toBe('ZGQ_TRUNCATED')
    expect(codeOf(() => ZgqIndex.open(away))).toBe('ZGQ_TRUNCATED')
    rmSync(join(away, 'vectors-000001-00000.zgq'))
    expect(codeOf(() => ZgqIndex.open(away))).toBe('ZGQ_CORRUPT')
  })
})

describe('an index that is calibrated', () => {
  it('is not given the calibration of the one that was in its place', async () => {
    const place = placeWith(shorter)
    const [index, away, other] = ['index', 'away', 'other'].map((name) => join(place, name))
    const before = fileDigests(other)
    let isSwapped = false
    const onProgress = (): void => {
      if (isSwapped) return
      renameSync(index, away)
      renameSync(other, index)
      isSwapped = true
    }
    const error = await errorFrom(calibrateIndex(index, { queries: SMALL.subarray(0, 20 * DIM), onProgress }))
    expect([error.code, isSwapped]).toEqual(['ZGQ_MISMATCH', true])
    expect(fileDigests(index)).toEqual(before)
  })
})
