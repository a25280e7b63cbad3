// Builds on a queue while everything else ends: workers, Redis, requests, coordinators. Each makes the index of
// buildIndex, to the byte, and nothing stays in Redis or the store.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildInProcess, type BuildCall, type BuildEnd } from './support/build-process.ts'
import {
  startCommandWorker,
  startProgramWorker,
  type CommandWorker,
  type ProgramWorker
} from './support/build-workers.ts'
import { makeVectors } from './support/datasets.ts'
import { buildOther, SMALL_PIECES } from './support/other-zgq.ts'
import { randomFrom } from './support/random.ts'
import { startRedis, type RedisServer } from './support/redis-server.ts'
import { fileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('queue-kills', IN_MEMORY)
vi.setConfig({ testTimeout: step(300_000, 1_800_000) })
const SEED = 4711
const SHAPE = { count: 30_000, dim: 48 }
const WORKERS = 4
const STALLED_MS = 1500

const files = join(temp.path, 'files')
const input = join(files, 'rows.fbin')
const BASIC = {
  input,
  queries: join(files, 'queries.fbin'),
  zones: 20,
  bits: 4,
  memoryBytes: 64 * 2 ** 20
}
let dist = ''
let redis: RedisServer
let wanted: Record<string, string> = {}
/** Ends what a failed test left. */
const closing: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  mkdirSync(files)
  writeFileSync(input, fbin(makeVectors('clustered', SHAPE, SEED), SHAPE.dim))
  writeFileSync(BASIC.queries, fbin(makeVectors('clustered', { ...SHAPE, count: 20 }, SEED + 1), SHAPE.dim))
  dist = await buildOther(join(temp.path, 'small-pieces'), SMALL_PIECES)
  redis = await startRedis({ appendOnly: true })
  const alone = temp.fresh('alone')
  expect((await buildInProcess({ options: { ...BASIC, output: alone }, dist })).outcome).toMatchObject({ path: alone })
  wanted = fileDigests(alone)
  const names = Object.keys(wanted)
  expect(names).toContain('catalogue.sqlite')
  expect(names.filter((name) => name.startsWith('vectors-')).length).toBeGreaterThan(3)
})

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Place {
  readonly store: string
  readonly endpoint?: string
}

function folderPlace(): Place {
  const store = temp.fresh('store')
  mkdirSync(store)
  return { store }
}

/** Names of the artifacts that a build has left so far. */
function artifactsIn({ store }: Place): string[] {
  return readdirSync(store).flatMap((build) => readdirSync(join(store, build)))
}

async function startProgram(place: Place): Promise<ProgramWorker> {
  const worker = await startProgramWorker({ dist, queue: redis.url, ...place, stalledMs: STALLED_MS })
  closing.push(() => worker.kill())
  return worker
}

async function startCommand(place: Place, from = dist): Promise<CommandWorker> {
  const log = temp.fresh('log')
  const worker = await startCommandWorker({ dist: from, queue: redis.url, ...place, log })
  closing.push(() => worker.end())
  return worker
}

function startSome<Worker>(start: (place: Place) => Promise<Worker>, place: Place, count = WORKERS): Promise<Worker[]> {
  return Promise.all(Array.from({ length: count }, () => start(place)))
}

interface RunningBuild {
  readonly output: string
  readonly isOver: boolean
  readonly ended: Promise<BuildEnd>
}

function startBuild(place: Place, call: Partial<BuildCall> = {}, output = temp.fresh('queued')): RunningBuild {
  let isOver = false
  const options = { ...BASIC, output, queue: redis.url, ...place }
  const ended = buildInProcess({ ...call, options, dist }).finally(() => {
    isOver = true
  })
  return {
    output,
    ended,
    get isOver() {
      return isOver
    }
  }
}

/** The build ends, with the same files as buildIndex. */
async function expectSame({ output, ended }: RunningBuild): Promise<void> {
  expect((await ended).outcome).toMatchObject({ path: output })
  expect(fileDigests(output)).toEqual(wanted)
  rmSync(output, { recursive: true })
  expect(temp.list().filter((name) => name.endsWith('.building'))).toEqual([])
}

async function expectNothingLeft(place: Place): Promise<void> {
  expect(await redis.keys()).toEqual([])
  expect(readdirSync(place.store)).toEqual([])
}

/** Waits for a random moment, and chooses a worker; one that is at a task by then, if it must be busy. */
async function findVictim(of: {
  readonly build: RunningBuild
  readonly workers: readonly ProgramWorker[]
  readonly random: () => number
  readonly isBusy: boolean
}): Promise<number> {
  const { build, workers, random, isBusy } = of
  const busy = (): number[] => workers.flatMap(({ active }, at) => (active.size > 0 ? [at] : []))
  await setTimeout(random() * 1000)
  while (isBusy && busy().length === 0 && !build.isOver) await setTimeout(1)
  const chosen = isBusy && !build.isOver ? busy() : workers.map((_, at) => at)
  return chosen[Math.floor(random() * chosen.length)]
}

describe('a worker', () => {
  const KILLS = step(5, 50)

  it(`that is killed, ${KILLS} times at random moments, changes nothing (seed ${SEED})`, async () => {
    const place = folderPlace()
    const random = randomFrom(SEED)
    const workers = await startSome(startProgram, place)
    let [builds, kills, hits] = [0, 0, 0]
    while (kills < KILLS) {
      const build = startBuild(place)
      while (kills < KILLS) {
        const at = await findVictim({ build, workers, random, isBusy: kills % 2 === 0 })
        if (build.isOver) break
        kills++
        if ((await workers[at].kill()).length > 0) hits++
        workers[at] = await startProgram(place)
      }
      await expectSame(build)
      expect(readdirSync(place.store)).toEqual([])
      builds++
    }
    console.log(`${kills} kills of workers in ${builds} builds, ${hits} of them at a task`)
    expect(hits).toBeGreaterThan(0)
    expect(await Promise.all(workers.map((worker) => worker.end()))).toEqual(workers.map(() => 0))
    await expectNothingLeft(place)
  })
})
