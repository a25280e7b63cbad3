// Builds that are killed before any of their renames, removals and syncs: the same call, made again, goes on or starts
// clean, makes the same index, and never begins before work that was finished.

import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, buildStage, type BuildOptions } from '../src/build.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { cutShards } from './support/artifacts.ts'
import { crashCopies, type CrashCopy } from './support/crash-copies.ts'
import { makeVectors } from './support/datasets.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { IS_TORTURE, step } from './support/torture.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('crash-build')
/** Where killed builds are repeated. */
const memory = useTempFolder('crash-build', IN_MEMORY)

const DIM = 4
const input = temp.fresh('input.fbin')
const queries = temp.fresh('queries.fbin')
/** With queries even a small index is calibrated: its catalogue is changed once more. */
const OPTIONS = { input, queries, zones: 3, bits: 1, workers: 0 } as const
const OTHER = { ...OPTIONS, seed: 2 } as const
const STAGES = ['read', 'sample', 'assign', 'write', 'calibrate', 'published']

/** Opens and searches an index; says in one line what it is: its seed, and a digest of its files and answers. */
function openedAs(path: string): string {
  const index = ZgqIndex.open(path)
  try {
    const query = new Float32Array(DIM).fill(0.5)
    const { calibration, build, path: folder } = index.info()
    const hits = [index.search(query, { k: 5, exact: true }), index.search(query, { k: 5 })]
    const facts = JSON.stringify([dataFileDigests(folder), calibration, hits])
    return `seed ${String(build['seed'])}, ${createHash('sha256').update(facts).digest('hex').slice(0, 12)}`
  } finally {
    index.close()
  }
}

/** What SQLite salts at random: two builds leave it different in the same state. */
const SALTED = /-(journal|wal|shm)$/

/** Names and contents of all that is below a folder, whoever's process wrote it. */
function contentOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    const name = entry.name.replace(/-\d+-0\b/, '-PID')
    if (entry.isDirectory()) return [`${name}/`, ...contentOf(path).map((below) => `${name}/${below}`)]
    const bytes = readFileSync(path)
    if (!IS_TORTURE && SALTED.test(name)) return [`${name} ${bytes.length}`]
    const content = name.startsWith('lock.json') ? bytes.toString().replace(/"(pid|start)":"?\d+"?/g, '') : bytes
    return [`${name} ${createHash('sha256').update(content).digest('hex')}`]
  })
}

const digestOf = (folder: string): string => contentOf(folder).sort().join('\n')

/** States of a folder that holds `index` and what builds it, on the way of a script. */
const statesOf = (folder: string, script: string): CrashCopy[] =>
  // What SQLite has half written it repairs, whoever is killed: those states are for `npm run torture`.
  crashCopies(temp, { folder, withWrites: IS_TORTURE }, `${script}; print(1)`)

/** Some of many states that are much alike. */
const oneIn = (many: number, states: readonly CrashCopy[]): CrashCopy[] => states.filter((_, i) => i % step(many) === 0)

const buildIn = (folder: string, options: object): string =>
  `await buildIndex(${JSON.stringify({ ...options, output: join(folder, 'index') })})`

function placeWith(copyOf?: string, under = temp): string {
  const folder = under.fresh('place')
  if (copyOf === undefined) mkdirSync(folder)
  else cpSync(copyOf, folder, { recursive: true, preserveTimestamps: true })
  return folder
}

interface Repeated {
  readonly call: string
  readonly from: string
  readonly found: unknown
}

/** Repeats a killed build in a copy of its folder; `from`: the stage that it went on from. */
async function repeat(copy: CrashCopy, options: Omit<BuildOptions, 'output'>): Promise<Repeated> {
  const folder = placeWith(copy.folder, memory)
  const output = join(folder, 'index')
  let from = 'read'
  try {
    await buildIndex({ ...options, output, onResume: (stage) => (from = stage) })
  } catch (error) {
    if (Object(error).code !== 'ZGQ_EXISTS' || options.force === true)
      return { call: copy.call, from, found: String(error) }
    from = 'published'
  }
  const strange = [
    ...readdirSync(folder).filter((name) => name !== 'index'),
    ...readdirSync(output).filter((name) => !/^(catalogue\.sqlite|(vectors|codes|ids)-.*\.zgq)$/.test(name))
  ]
  const found = strange.length > 0 ? strange : openedAs(output)
  rmSync(folder, { recursive: true })
  return { call: copy.call, from, found }
}

/** States that were built on before, and with what options. */
const repeatedBefore = new Set<string>()

/** Repeats a build in all states, equal ones once, which must make `wanted`. */
async function repeatAll(
  copies: readonly CrashCopy[],
  options: Omit<BuildOptions, 'output'>,
  wanted: string
): Promise<Repeated[]> {
  const all: Repeated[] = []
  for (const copy of copies) {
    const state = JSON.stringify([options, digestOf(copy.folder)])
    if (!repeatedBefore.has(state)) all.push(await repeat(copy, options))
    repeatedBefore.add(state)
  }
  expect(all.filter(({ found }) => found !== wanted)).toEqual([])
  return all
}

/** Stages that were gone on from may only rise with the calls. */
function expectNothingLost(repeated: readonly Repeated[]): void {
  const ranks = repeated.map(({ from }) => STAGES.indexOf(from))
  const lost = repeated.filter((_, i) => ranks[i] < Math.max(...ranks.slice(0, i)))
  expect(lost.map(({ call, from }) => ({ call, from }))).toEqual([])
}

describe.runIf(process.platform === 'linux')('a build that is killed at any call', () => {
  let wanted: string
  let other: string
  let otherWhole: string
  let fresh: CrashCopy[]

  beforeAll(async () => {
    writeFileSync(input, fbin(makeVectors('clustered', { count: 100, dim: DIM }, 1), DIM))
    writeFileSync(queries, fbin(makeVectors('clustered', { count: 8, dim: DIM }, 2), DIM))
    const [place, otherPlace] = [placeWith(), placeWith()]
    fresh = statesOf(place, buildIn(place, OPTIONS))
    await buildIndex({ ...OTHER, output: join(otherPlace, 'index') })
    otherWhole = otherPlace
    wanted = openedAs(join(place, 'index'))
    other = openedAs(join(otherPlace, 'index'))
  })

  const placeBefore = (call: RegExp, states = fresh): string => {
    const found = states.find((copy) => call.test(copy.call))
    if (found === undefined) throw new Error(`no call is ${String(call)}`)
    return placeWith(found.folder)
  }

  it('goes on from the last stage that was done, and makes the same index', async () => {
    const repeated = await repeatAll(fresh, OPTIONS, wanted)
    expectNothingLost(repeated)
    expect(new Set(repeated.map(({ from }) => from))).toEqual(new Set(STAGES))
  })

  it.each([/^rename .*codes-\d+-\d+\.zgq/, /^fsync .*-journal/])(
    'goes on once more after it had gone on where it was killed first before %s',
    async (call) => {
      const place = placeBefore(call)
      expectNothingLost(await repeatAll(statesOf(place, buildIn(place, OPTIONS)), OPTIONS, wanted))
    }
  )

  it('goes on from the shard, and from the file of a shard, that was done last', async () => {
    const prepared = placeWith()
    const options = { ...OPTIONS, output: join(prepared, 'index') }
    await buildStage({ ...options, stage: 'read' })
    await buildStage({ ...options, stage: 'train' })
    // Trained zones are a file between two stages: changed, it gives a small input several shards.
    cutShards(join(prepared, 'index.building'), [0, 1, 3])
    const [place, whole] = [placeWith(prepared), placeWith(prepared)]
    await buildIndex({ ...OPTIONS, output: join(whole, 'index') })
    expect(Object.keys(dataFileDigests(join(whole, 'index')))).toHaveLength(5)
    const states = statesOf(place, buildIn(place, OPTIONS))
    expectNothingLost(await repeatAll(states, OPTIONS, openedAs(join(whole, 'index'))))
  })

  it('goes on, or starts clean, with rows and ids that came as arrays', async () => {
    const [place, whole] = [placeWith(), placeWith()]
    const vectors = makeVectors('clustered', { count: 100, dim: DIM }, 1)
    const options = { ...OPTIONS, input: vectors, dim: DIM, ids: Array.from({ length: 100 }, (_, i) => 1000 - i) }
    await buildIndex({ ...options, output: join(whole, 'index') })
    const told = JSON.stringify({ ...options, input: Array.from(vectors), output: join(place, 'index') })
    const states = statesOf(
      place,
      `const options = ${told}
       await buildIndex({ ...options, input: Float32Array.from(options.input) })`
    )
    const read = states.findIndex(({ call }) => call.includes('/sample-'))
    const some = [...states.slice(0, read + 1), ...oneIn(5, states.slice(read + 1))]
    expectNothingLost(await repeatAll(some, options, openedAs(join(whole, 'index'))))
  })

  it('goes on stage by stage', async () => {
    const stages = ['read', 'train', 'assign', 'write', 'publish'] as const
    const place = placeWith()
    const told = JSON.stringify({ ...OPTIONS, output: join(place, 'index') })
    const states = statesOf(
      place,
      `for (const stage of ${JSON.stringify(stages)}) await buildStage({ ...${told}, stage })`
    )
    const found: unknown[] = []
    for (const { call, folder } of oneIn(4, states)) {
      const again = placeWith(folder, memory)
      const output = join(again, 'index')
      for (const stage of stages) if (!existsSync(output)) await buildStage({ ...OPTIONS, output, stage })
      found.push({ call, found: openedAs(output) })
    }
    expect(found).toEqual(found.map((one) => ({ ...Object(one), found: wanted })))
  })

  it('makes what it is told to, where it goes on after one that was told what to calibrate with', async () => {
    const place = placeWith()
    const { queries: _, ...options } = OPTIONS
    await buildIndex({ ...options, output: join(place, 'index') })
    const calibrating = fresh.filter(({ call }) => /catalogue\.sqlite-(journal|wal)$/.test(call))
    await repeatAll(calibrating, options, openedAs(join(place, 'index')))
  })

  it('starts clean, or goes on, where it was clearing away what another build had done', async () => {
    const place = placeBefore(/^rename .*codes-\d+-\d+\.zgq/)
    const states = statesOf(place, buildIn(place, OTHER))
    const cleared = states.findIndex(({ call }) => /^rename .*recipe\.json\.new/.test(call))
    await repeatAll([...states.slice(0, cleared + 1), ...oneIn(5, states.slice(cleared + 1))], OTHER, other)
    await repeatAll(oneIn(3, states.slice(0, cleared + 1)), OPTIONS, wanted)
  })

  it('starts clean, or goes on, where it was discarding what it had done', async () => {
    const place = placeWith()
    const states = statesOf(
      place,
      `const controller = new AbortController()
       const options = ${JSON.stringify({ ...OPTIONS, output: join(place, 'index') })}
       const onProgress = ({ stage, done }) => { if (stage === 'write' && done > 0) controller.abort() }
       await buildIndex({ ...options, onProgress, signal: controller.signal }).catch(() => undefined)`
    )
    // Node 24 removes a folder by descriptors, from the one that holds it.
    expect(states.at(-1)?.call).toMatch(/^(rmdir|unlinkat) .*-dead/)
    await repeatAll(states, OPTIONS, wanted)
  })

  describe('and is to replace an index', () => {
    const FORCE = { ...OPTIONS, force: true } as const
    let states: CrashCopy[] = []

    beforeAll(() => {
      const place = placeWith(otherWhole)
      states = statesOf(place, buildIn(place, FORCE))
    })

    it('leaves the old one or the new one to be opened', () => {
      const found = states.map(({ call, folder }) => ({ call, found: openedAs(join(folder, 'index')) }))
      expect(found.filter((one) => one.found !== other && one.found !== wanted)).toEqual([])
      const isNew = found.map((one) => one.found === wanted)
      expect(isNew).toEqual(isNew.map((_, i) => i >= isNew.indexOf(true)))
      expect(new Set(isNew).size).toBe(2)
    })

    it('goes on, and replaces it', async () => {
      await repeatAll(states, FORCE, wanted)
    })

    it('leaves either of them where the next build may not replace it', async () => {
      const before = states.map(({ folder }) => openedAs(join(folder, 'index')))
      const after: string[] = []
      for (const { folder } of states) {
        const place = placeWith(folder, memory)
        const output = join(place, 'index')
        await expect(buildIndex({ ...OPTIONS, output })).rejects.toMatchObject({ code: 'ZGQ_EXISTS' })
        after.push(openedAs(output))
      }
      expect(after).toEqual(before)
    })

    it('goes on once more after it had gone on where neither stood in the place', async () => {
      const place = placeBefore(/^rename \/index\.building$/, states.slice(10))
      const again = statesOf(place, buildIn(place, FORCE))
      for (const { folder } of again) expect([other, wanted]).toContain(openedAs(join(folder, 'index')))
      await repeatAll(again, FORCE, wanted)
    })
  })
})
