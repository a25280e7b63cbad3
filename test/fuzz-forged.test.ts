// Indexes forged at random, with good checksums: each is refused, typed, or answers what an index can hold, within a
// second and 64 MB. ZGQ_SEED repeats a run; ZGQ_CASE one case of it.

import { cpSync, rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { makeVectors } from './support/datasets.ts'
import { forgeAtRandom } from './support/fuzz-forge.ts'
import { Parts } from './support/forge/parts.ts'
import { randomFrom } from './support/random.ts'
import { runForged } from './support/run-forged.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { IS_TORTURE, step } from './support/torture.ts'

const temp = useTempFolder('fuzz-forged', IN_MEMORY)
const SEED = Number(process.env['ZGQ_SEED'] ?? 20_261_129)
const ONE = process.env['ZGQ_CASE']
const CASES = step(30, 400)
const BATCH = 20
const MOST_BYTES = 64 * 2 ** 20
/** Of processor time, for one call. */
const MOST_MS = 1000
/** Enough for a search by recall; zones of some 40 rows. */
const [COUNT, DIM, ZONES] = [2400, 48, 60]

const METRICS = ['l2', 'cosine', 'ip'] as const
const SPECIMENS = METRICS.flatMap((metric, i) =>
  ([0, 1, 4, 8] as const)
    // One for each metric, of different bits, unless there is time for all.
    .filter((_, j) => IS_TORTURE || ONE !== undefined || j === 2 - i)
    .map((bits) => ({ metric, bits }))
)

interface Case {
  readonly number: number
  readonly folder: string
  readonly done: readonly string[]
}

describe.each(SPECIMENS)(`an index forged at random ($metric, $bits bits, seed ${SEED})`, ({ metric, bits }) => {
  function forgeCase(original: string, number: number): Case {
    const random = randomFrom(SEED + number * 1009 + bits * 31 + METRICS.indexOf(metric))
    const folder = temp.fresh('index')
    cpSync(original, folder, { recursive: true })
    const parts = new Parts(folder)
    const done = forgeAtRandom(parts, random)
    parts.save()
    return { number, folder, done }
  }

  it('is refused, or answers what an index can hold', { timeout: 3_600_000 }, async () => {
    const original = temp.fresh('original')
    const input = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
    await buildIndex({
      metric,
      bits,
      input,
      dim: DIM,
      zones: ZONES,
      output: original,
      queries: input.slice(0, 40 * DIM)
    })
    const numbers = ONE === undefined ? Array.from({ length: CASES }, (_, i) => i) : [Number(ONE)]
    const seen = new Map<string, number>()
    const wrong: unknown[] = []
    for (let start = 0; start < numbers.length; start += BATCH) {
      const cases = numbers.slice(start, start + BATCH).map((number) => forgeCase(original, number))
      const jobs = cases.map(({ folder }) => ({ folder, command: 'all' }))
      const outcomes = await runForged(jobs, temp.fresh('jobs.json'), { script: 'fuzz-commands.mjs' })
      for (const [i, { outcome, cpuMs, bytes }] of outcomes.entries()) {
        const { number, done, folder } = cases[i]
        const short = outcome.replace(/(fine,)+/g, 'fine,')
        seen.set(short, (seen.get(short) ?? 0) + 1)
        if (/wrong|no end|died/.test(outcome) || cpuMs > MOST_MS || bytes > MOST_BYTES)
          wrong.push({ ZGQ_SEED: SEED, ZGQ_CASE: number, done, outcome, cpuMs, megabytes: bytes / 2 ** 20 })
        rmSync(folder, { recursive: true })
      }
      expect(outcomes).toHaveLength(cases.length)
    }
    expect(wrong).toEqual([])
    // Some are legal, or seen by a check alone: else nothing is tried beyond opening.
    if (ONE === undefined) expect(seen.size).toBeGreaterThan(3)
  })
})
