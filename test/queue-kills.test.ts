// Builds on a queue while everything else ends: workers, Redis, requests, coordinators. Each makes the index of
// buildIndex, to the byte, and nothing stays in Redis or the store.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
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
import { buildOther, OTHER_VERSION, SMALL_PIECES } from './support/other-zgq.ts'
import { randomFrom } from './support/random.ts'
import { objectsIn, startBucket, type TestBucket } from './support/s3-proxy.ts'
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
let bucket: TestBucket
const programs: ProgramWorker[] = []
const commands: CommandWorker[] = []

beforeAll(async () => {
  mkdirSync(files)
  writeFileSync(input, fbin(makeVectors('clustered', SHAPE, SEED), SHAPE.dim))
  writeFileSync(BASIC.queries, fbin(makeVectors('clustered', { ...SHAPE, count: 20 }, SEED + 1), SHAPE.dim))
  dist = await buildOther(join(temp.path, 'small-pieces'), SMALL_PIECES)
  redis = await startRedis({ appendOnly: true })
  bucket = await startBucket(join(temp.path, 'bucket'))
  const alone = temp.fresh('alone')
  expect((await buildInProcess({ options: { ...BASIC, output: alone }, dist })).outcome).toMatchObject({ path: alone })
  wanted = fileDigests(alone)
  const names = Object.keys(wanted)
  expect(names).toContain('catalogue.sqlite')
  expect(names.filter((name) => name.startsWith('vectors-')).length).toBeGreaterThan(3)
})

afterAll(() => bucket.close())

/** Ends what a failed test left. */
afterEach(async () => {
  await Promise.all(programs.splice(0).map((worker) => worker.kill()))
  await Promise.all(commands.splice(0).map((worker) => worker.end()))
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
  programs.push(worker)
  return worker
}

async function startCommand(place: Place & { readonly scratch?: string }, from = dist): Promise<CommandWorker> {
  const log = temp.fresh('log')
  const worker = await startCommandWorker({ dist: from, queue: redis.url, ...place, log })
  commands.push(worker)
  return worker
}

function startSome(place: Place): Promise<ProgramWorker[]> {
  return Promise.all(Array.from({ length: WORKERS }, () => startProgram(place)))
}

/** Ends the workers as a program does. */
async function endWorkers(): Promise<void> {
  const ended = programs.splice(0)
  expect(await Promise.all(ended.map((worker) => worker.end()))).toEqual(ended.map(() => 0))
}

function startLogging(place: Parameters<typeof startCommand>[0]): Promise<CommandWorker[]> {
  return Promise.all(Array.from({ length: WORKERS }, () => startCommand(place)))
}

/** Ends the workers by Ctrl-C; no task was done twice. */
async function expectOnce(workers: readonly CommandWorker[]): Promise<void> {
  expect(await Promise.all(workers.map((worker) => worker.end()))).toEqual(workers.map(() => 130))
  const done = workers.flatMap((worker) => worker.tasks().map(({ output }) => output))
  expect(done.length).toBeGreaterThan(20)
  expect(done.filter((output, at) => done.indexOf(output) !== at)).toEqual([])
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
  expect(temp.list().filter((name) => name.startsWith(basename(output)))).toEqual([])
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
    const workers = await startSome(place)
    let [builds, kills, hits] = [0, 0, 0]
    while (kills < KILLS) {
      const build = startBuild(place)
      while (kills < KILLS) {
        const at = await findVictim({ build, workers, random, isBusy: kills % 2 === 0 })
        if (build.isOver) break
        kills++
        programs.splice(programs.indexOf(workers[at]), 1)
        if ((await workers[at].kill()).length > 0) hits++
        workers[at] = await startProgram(place)
      }
      await expectSame(build)
      expect(readdirSync(place.store)).toEqual([])
      builds++
    }
    console.log(`${kills} kills of workers in ${builds} builds, ${hits} of them at a task`)
    expect(hits).toBeGreaterThan(0)
    await endWorkers()
    await expectNothingLeft(place)
  })
})

describe('Redis', () => {
  it.each([
    ['with its append-only file', true],
    ['having forgotten everything', false]
  ])('may be killed in the middle of each stage and come back %s', async (_, appendOnly) => {
    const place = folderPlace()
    await startSome(place)
    const build = startBuild(place)
    const away = { 'round-': 0, 'part-': 1000, 'shard-': 0 }
    for (const [kind, awayMs] of Object.entries(away)) {
      while (!artifactsIn(place).some((name) => name.startsWith(kind)) && !build.isOver) await setTimeout(2)
      expect(build.isOver).toBe(false)
      await redis.kill()
      await setTimeout(awayMs)
      await redis.start({ appendOnly })
    }
    await expectSame(build)
    await endWorkers()
    await expectNothingLeft(place)
  })
})

describe('a bucket', () => {
  it(`may answer 500 or 503 to one request in twenty (seed ${SEED})`, async () => {
    const random = randomFrom(SEED)
    let failures = 0
    bucket.decide = () => {
      if (random() >= 1 / 20) return 'pass'
      return failures++ % 2 === 0 ? { status: 500, code: 'InternalError' } : { status: 503, code: 'SlowDown' }
    }
    const place = { store: `s3://${bucket.bucket}/builds`, endpoint: bucket.endpoint }
    const scratch = temp.fresh('scratch')
    mkdirSync(scratch)
    const workers = await startLogging({ ...place, scratch })
    await expectSame(startBuild(place))
    expect(failures).toBeGreaterThan(20)
    await expectOnce(workers)
    // Of the many requests at a time, each has a signal of its own.
    for (const { stderr } of workers) expect(stderr).not.toContain('MaxListeners')
    expect(readdirSync(scratch)).toEqual([])
    expect(await redis.keys()).toEqual([])
    expect(await objectsIn(bucket)).toEqual([])
  })
})

describe('a coordinator', () => {
  it('shares the tasks with another of the same build', async () => {
    const place = folderPlace()
    const workers = await startLogging(place)
    const builds = [startBuild(place), startBuild(place)]
    for (const build of builds) await expectSame(build)
    await expectOnce(workers)
    await expectNothingLeft(place)
  })

  it('that is killed may be followed by the same call, which goes on', async () => {
    const place = folderPlace()
    const workers = await startLogging(place)
    const output = temp.fresh('queued')
    const killed = startBuild(place, { kill: { stage: 'write', done: 1 } }, output)
    expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' })
    expect(artifactsIn(place).filter((name) => name.startsWith('shard-')).length).toBeGreaterThan(0)
    await expectSame(startBuild(place, {}, output))
    await expectOnce(workers)
    await expectNothingLeft(place)
  })
})

describe('a worker of another version', () => {
  it('ends, says what to do, and leaves the build to others', async () => {
    const place = folderPlace()
    const other = await buildOther(join(temp.path, 'other-version'), [...SMALL_PIECES, ...OTHER_VERSION])
    const unfit = await startCommand(place, other)
    const build = startBuild(place)
    expect(await unfit.ended).toBe(1)
    expect(unfit.stderr).toMatch(/ZGQ_MISMATCH/)
    expect(unfit.stderr).toContain('give all machines the same version')
    expect(unfit.tasks()).toEqual([])
    expect(build.isOver).toBe(false)
    await startProgram(place)
    await expectSame(build)
    await endWorkers()
    await expectNothingLeft(place)
  })
})
