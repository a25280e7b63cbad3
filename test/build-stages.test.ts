// buildStage: the stages of a build in processes of their own, side by side or one after the other, make the index that
// buildIndex makes.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, buildStage, type BuildProgress, type RunnableStage, type StageOptions } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { buildInProcess, firstDone } from './support/build-process.ts'
import { makeVectors } from './support/datasets.ts'
import { errorFrom, placeIn, rejection } from './support/small-build.ts'
import { artifactIn, artifactNames, cutShards, trainedFactsIn } from './support/artifacts.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('stages', IN_MEMORY)
const place = (): ReturnType<typeof placeIn> => placeIn(temp)

/** Parts are of 4 MiB at least: three of them, and too few values for threads. */
const COUNT = 10_000
const DIM = 256
const SEED = 81
const OPTIONS = { memoryBytes: 64 * 2 ** 20, zones: 20, bits: 4 }
const STAGES = ['read', 'train', 'assign', 'write', 'publish'] as const

const input = temp.fresh('input.fbin')
const queries = temp.fresh('queries.fbin')
/** A folder as it stands after `read`, `train`, `assign` and `write`. */
const after: Partial<Record<RunnableStage, string>> = {}
let wanted: Record<string, string> = {}

const stage = (
  output: string,
  options: Partial<StageOptions> & { stage: RunnableStage }
): ReturnType<typeof buildStage> => buildStage({ input, output, queries, ...OPTIONS, ...options })

beforeAll(async () => {
  writeFileSync(input, fbin(makeVectors('clustered', { count: COUNT, dim: DIM }, SEED), DIM))
  writeFileSync(queries, fbin(makeVectors('clustered', { count: 20, dim: DIM }, SEED + 1), DIM))
  const { output } = place()
  for (const name of STAGES.slice(0, -1)) {
    await stage(output, { stage: name })
    if (name === 'train') cutShards(`${output}.building`, [0, 5, 10, 15, 20])
    after[name] = temp.fresh(`after-${name}`)
    cpSync(`${output}.building`, after[name], { recursive: true })
  }
  const whole = placeAfter('train')
  await buildIndex({ input, output: whole, queries, ...OPTIONS })
  wanted = dataFileDigests(whole)
})

/** A place of its own where the stages up to `name` are done. */
function placeAfter(name: RunnableStage): string {
  const { output } = place()
  cpSync(after[name] ?? '', `${output}.building`, { recursive: true })
  return output
}

/** Ends the build of a folder and expects what nobody cut into stages makes. */
async function expectSame(output: string): Promise<void> {
  expect(readdirSync(join(output, '..'))).toEqual(['index'])
  expect(dataFileDigests(output)).toEqual(wanted)
  await checkIndex(output)
}

/** Runs a stage in a process of its own. */
const inProcess = (
  output: string,
  options: Readonly<Record<string, unknown>>,
  kill?: { stage: string; done: number }
): ReturnType<typeof buildInProcess> =>
  buildInProcess({ options: { input, output, queries, ...OPTIONS, ...options }, kill })

describe('stages in processes of their own', () => {
  it('make the same data files as one call, with shares side by side', async () => {
    const output = placeAfter('train')
    const assigned = await Promise.all(
      [1, 2, 3].map((index) => inProcess(output, { stage: 'assign', shard: { index, of: 3 } }))
    )
    expect(assigned.map(({ code }) => code)).toEqual([0, 0, 0])
    const written = await Promise.all(
      [1, 2].map((index) => inProcess(output, { stage: 'write', shard: { index, of: 2 } }))
    )
    expect(written.map(({ code }) => code)).toEqual([0, 0])
    expect((await inProcess(output, { stage: 'publish' })).outcome).toMatchObject({
      stage: 'publish',
      built: { path: output, count: COUNT }
    })
    await expectSame(output)
  })

  it('make the same data files as buildIndex from the first stage to the last', async () => {
    const [staged, whole] = [place().output, place().output]
    for (const name of STAGES) await stage(staged, { stage: name })
    await buildIndex({ input, output: whole, queries, ...OPTIONS })
    expect(readdirSync(join(staged, '..'))).toEqual(['index'])
    expect(dataFileDigests(staged)).toEqual(dataFileDigests(whole))
  })

  it('do the share that they are told, and say how much is done', async () => {
    const output = placeAfter('train')
    expect(await stage(output, { stage: 'assign', shard: { index: 2, of: 2 } })).toEqual({
      stage: 'assign',
      done: 1,
      total: 3
    })
    expect(artifactNames(`${output}.building`).filter((name) => name.startsWith('part-'))).toEqual(['part-00001'])
    expect(await stage(output, { stage: 'assign', shard: { index: 1, of: 2 } })).toEqual({
      stage: 'assign',
      done: 3,
      total: 3
    })
    expect(await stage(output, { stage: 'write', shard: { index: 5, of: 5 } })).toEqual({
      stage: 'write',
      done: 0,
      total: 4
    })
    expect(await stage(output, { stage: 'write', shard: { index: 1, of: 3 } })).toEqual({
      stage: 'write',
      done: 2,
      total: 4
    })
  })

  it('leave no lock, and nothing that is half done', async () => {
    const output = placeAfter('write')
    expect(
      readdirSync(`${output}.building`).filter(
        (name) => !/^recipe\.json$|^(trained|assigned|part-\d{5}|shard-\d{5})-[0-9a-f]{16}$/.test(name)
      )
    ).toEqual([])
  })
})

describe('a stage that is done', () => {
  it.each(['read', 'train', 'assign', 'write'] as const)('does nothing when it is run again: %s', async (name) => {
    const output = placeAfter('write')
    const state = (): unknown =>
      readdirSync(`${output}.building`)
        .sort()
        .map((file) => {
          const { ino, mtimeMs } = statSync(join(`${output}.building`, file))
          return { file, ino, mtimeMs }
        })
    const before = state()
    await stage(output, { stage: name })
    expect(state()).toEqual(before)
  })

  it('is not done again by buildIndex, which goes on from there', async () => {
    const output = placeAfter('assign')
    const notes: BuildProgress[] = []
    await buildIndex({
      input,
      output,
      queries,
      ...OPTIONS,
      onProgress: (note) => {
        notes.push(note)
      }
    })
    expect(notes.filter((note) => note.stage === 'assign')).toEqual([{ stage: 'assign', done: COUNT, total: COUNT }])
    expect([...new Set(notes.map((note) => note.stage))]).toEqual(['assign', 'write', 'calibrate', 'publish'])
    await expectSame(output)
  })

  it.each(['assign', 'write'] as const)('is repeated where it was killed, and does what is left: %s', async (name) => {
    const output = placeAfter(name === 'assign' ? 'train' : 'assign')
    expect((await inProcess(output, { stage: name }, { stage: name, done: COUNT * 0.9 })).signal).toBe('SIGKILL')
    const again = await inProcess(output, { stage: name })
    expect({ code: again.code, isKept: (firstDone(again, name) ?? 0) > 0 }).toEqual({ code: 0, isKept: true })
    for (const next of STAGES.slice(STAGES.indexOf(name) + 1)) await stage(output, { stage: next })
    await expectSame(output)
  })

  it.each(['read', 'train', 'publish'] as const)('is repeated where it was killed: %s', async (name) => {
    const first = name === 'publish' ? 'calibrate' : name === 'read' ? undefined : name
    const output = name === 'read' ? place().output : placeAfter(name === 'train' ? 'read' : 'write')
    if (first !== undefined)
      expect((await inProcess(output, { stage: name }, { stage: first, done: 1 })).signal).toBe('SIGKILL')
    await stage(output, { stage: name })
    if (name === 'train') cutShards(`${output}.building`, [0, 5, 10, 15, 20])
    for (const next of STAGES.slice(STAGES.indexOf(name) + 1)) await stage(output, { stage: next })
    if (name === 'read') expect(readdirSync(join(output, '..'))).toEqual(['index'])
    else await expectSame(output)
  })
})

describe('a stage out of its order', () => {
  it.each(['train', 'assign', 'write', 'publish'] as const)(
    'is refused with ZGQ_NOT_FOUND where nothing was begun, and leaves nothing: %s',
    async (name) => {
      const { folder, output } = place()
      const { code, message } = await errorFrom(stage(output, { stage: name }))
      expect({ code, says: message.includes('run the stage read first') }).toEqual({
        code: 'ZGQ_NOT_FOUND',
        says: true
      })
      expect(readdirSync(folder)).toEqual([])
    }
  )

  it.each([
    ['assign', 'read', 'run the stage train first'],
    ['write', 'read', 'run the stage train first'],
    ['publish', 'read', 'run the stage train first'],
    ['write', 'train', 'finish the stage assign'],
    ['publish', 'train', 'finish the stage assign'],
    ['publish', 'assign', 'finish the stage write']
  ] as const)('is refused with ZGQ_NOT_FOUND: %s after %s, saying: %s', async (name, done, says) => {
    const output = placeAfter(done)
    const before = artifactNames(`${output}.building`).sort()
    const { code, message } = await errorFrom(stage(output, { stage: name }))
    expect({ code, message }).toEqual({ code: 'ZGQ_NOT_FOUND', message: expect.stringContaining(says) })
    expect(
      artifactNames(`${output}.building`)
        .filter((file) => file !== 'assigned')
        .sort()
    ).toEqual(before.filter((file) => file !== 'assigned'))
  })

  it.each([
    ['write', 'assign', 'part-00002'],
    ['publish', 'write', 'shard-00003']
  ] as const)('is refused with ZGQ_NOT_FOUND where one share is missing: %s', async (name, done, missing) => {
    const output = placeAfter(done)
    rmSync(artifactIn(`${output}.building`, missing), { recursive: true })
    expect((await errorFrom(stage(output, { stage: name }))).message).toMatch(/^1 of the [34] (parts|shards)/)
  })
})

describe('a stage with other options than the stages before', () => {
  it.each([
    ['bits', { bits: 1 }],
    ['seed', { seed: 5 }],
    ['metric', { metric: 'cosine' }],
    ['zones', { zones: 21 }],
    ['zones', { zones: undefined }],
    ['memoryBytes', { memoryBytes: 65 * 2 ** 20 }]
  ] as const)('is refused with ZGQ_MISMATCH that names %s', async (name, options) => {
    const output = placeAfter('train')
    const { code, message } = await errorFrom(stage(output, { stage: 'assign', ...options }))
    expect({ code, message }).toEqual({
      code: 'ZGQ_MISMATCH',
      message: expect.stringContaining(`started with ${name} `)
    })
  })

  it('is refused with ZGQ_MISMATCH where the input has changed since', async () => {
    const output = placeAfter('assign')
    const changed = temp.fresh('changed.fbin')
    cpSync(input, changed)
    for (const name of ['train', 'write', 'publish'] as const)
      expect((await errorFrom(stage(output, { stage: name, input: changed }))).code).toBe('ZGQ_MISMATCH')
    expect(existsSync(artifactIn(`${output}.building`, 'part-00000'))).toBe(true)
  })

  it('may have other workers, queries and listeners', async () => {
    const output = placeAfter('write')
    const built = await stage(output, {
      stage: 'publish',
      workers: 1,
      queries: undefined,
      force: true,
      onProgress: () => undefined
    })
    expect(built.built?.count).toBe(COUNT)
    await expectSame(output)
  })

  it('starts anew where it is the stage read', async () => {
    const output = placeAfter('write')
    await stage(output, { stage: 'read', bits: 1 })
    expect(readdirSync(`${output}.building`)).toEqual(['recipe.json'])
  })
})

describe('work of a build that was not synced', () => {
  const forget = (output: string, change: Record<string, unknown>): void => {
    const path = join(`${output}.building`, 'recipe.json')
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }))
  }

  it('is done anew by the stage read: stages may outlast the run of a system', async () => {
    const output = placeAfter('train')
    forget(output, { isDurable: false })
    await stage(output, { stage: 'read' })
    expect(readdirSync(`${output}.building`)).toEqual(['recipe.json'])
    expect(JSON.parse(readFileSync(join(`${output}.building`, 'recipe.json'), 'utf8')).isDurable).toBe(true)
  })

  it('is refused by the other stages with ZGQ_NOT_FOUND after the system was started anew', async () => {
    const output = placeAfter('train')
    forget(output, { isDurable: false, boot: { host: hostname(), run: 'another' } })
    expect((await errorFrom(stage(output, { stage: 'assign' }))).code).toBe('ZGQ_NOT_FOUND')
  })
})

describe('two processes at one stage', () => {
  const lockOf = (output: string, name: string): string => join(`${output}.building`, name)
  const alive = (): string => JSON.stringify({ pid: process.ppid, host: hostname(), start: '', isReplacing: false })

  it('are refused with ZGQ_LOCKED for the same share, which names the process and its host', async () => {
    const output = placeAfter('train')
    writeFileSync(lockOf(output, 'lock-assign-1-of-2.json'), alive())
    const { code, message } = await errorFrom(stage(output, { stage: 'assign', shard: { index: 1, of: 2 } }))
    expect({ code, message }).toEqual({
      code: 'ZGQ_LOCKED',
      message: expect.stringContaining(`process ${process.ppid} on ${hostname()}`)
    })
    expect(await stage(output, { stage: 'assign', shard: { index: 2, of: 2 } })).toMatchObject({ done: 1 })
  })

  it('of this process too: one of them does the share', async () => {
    const output = placeAfter('train')
    const ends = await Promise.allSettled([1, 2, 3].map(() => stage(output, { stage: 'assign' })))
    expect(ends.map((end) => (end.status === 'fulfilled' ? 'done' : Object(end.reason).code)).sort()).toEqual([
      'ZGQ_LOCKED',
      'ZGQ_LOCKED',
      'done'
    ])
    expect(readdirSync(`${output}.building`).filter((name) => name.startsWith('lock'))).toEqual([])
  })

  it.each(['read', 'train', 'publish'] as const)(
    'are refused with ZGQ_LOCKED where one wants the folder for itself: %s while another assigns',
    async (name) => {
      const output = placeAfter('train')
      writeFileSync(lockOf(output, 'lock-assign-2-of-2.json'), alive())
      expect((await errorFrom(stage(output, { stage: name }))).code).toBe('ZGQ_LOCKED')
      expect((await errorFrom(buildIndex({ input, output, ...OPTIONS }))).code).toBe('ZGQ_LOCKED')
      expect(existsSync(trainedFactsIn(`${output}.building`))).toBe(true)
    }
  )

  it('are refused with ZGQ_LOCKED where one has the folder for itself', async () => {
    const output = placeAfter('train')
    writeFileSync(lockOf(output, 'lock.json'), alive())
    expect((await errorFrom(stage(output, { stage: 'assign' }))).code).toBe('ZGQ_LOCKED')
    expect(readdirSync(`${output}.building`).filter((name) => name.startsWith('lock'))).toEqual(['lock.json'])
  })

  it.each([
    ['of a dead process', JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), start: '', isReplacing: false })],
    ['that a crash cut short', '{"pid":']
  ])('do not wait for a lock %s', async (_, lock) => {
    const output = placeAfter('train')
    writeFileSync(lockOf(output, 'lock-assign-1-of-1.json'), lock)
    expect(await stage(output, { stage: 'assign' })).toMatchObject({ done: 3 })
    expect(readdirSync(`${output}.building`).filter((name) => name.startsWith('lock'))).toEqual([])
  })

  it('do not wait for a process that was killed at the stage', async () => {
    const output = placeAfter('train')
    await inProcess(output, { stage: 'assign' }, { stage: 'assign', done: 1 })
    expect(readdirSync(`${output}.building`)).toContain('lock-assign-1-of-1.json')
    expect(await stage(output, { stage: 'assign' })).toMatchObject({ done: 3 })
  })
})

describe('the options of a stage', () => {
  it.each([
    ['an array as input', { input: new Float32Array(DIM), dim: DIM }],
    ['an unknown stage', { stage: 'scan' }],
    ['no stage', { stage: undefined }],
    ['an unknown option', { shards: 2 }],
    ['a shard of train', { stage: 'train', shard: { index: 1, of: 2 } }],
    ['a shard as text', { shard: '1/2' }],
    ['an unknown key of the shard', { shard: { index: 1, of: 2, at: 3 } }]
  ] as const)('are refused with TypeError: %s', async (_, options) => {
    const { folder, output } = place()
    const call: Record<string, unknown> = { input, output, ...OPTIONS, stage: 'assign', ...options }
    expect(await rejection(Reflect.apply(buildStage, undefined, [call]))).toBeInstanceOf(TypeError)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each([
    { index: 0, of: 2 },
    { index: 3, of: 2 },
    { index: 1, of: 0 },
    { index: 1, of: 65_537 }
  ])('are refused with RangeError: %o', async (shard) => {
    expect(await rejection(stage(place().output, { stage: 'assign', shard }))).toBeInstanceOf(RangeError)
  })
})

describe('an aborted stage', () => {
  it.each(['train', 'assign', 'write', 'publish'] as const)(
    'rejects with the reason, keeps what was done and leaves no lock: %s',
    async (name) => {
      const done = STAGES[STAGES.indexOf(name) - 1]
      const output = placeAfter(done)
      const controller = new AbortController()
      const reason = new Error('enough')
      expect(
        await rejection(
          stage(output, {
            stage: name,
            signal: controller.signal,
            onProgress: () => {
              controller.abort(reason)
            }
          })
        )
      ).toBe(reason)
      expect(readdirSync(`${output}.building`).filter((file) => /^lock|\.new-/.test(file))).toEqual([])
      for (const next of STAGES.slice(STAGES.indexOf(name))) {
        await stage(output, { stage: next })
        if (next === 'train') cutShards(`${output}.building`, [0, 5, 10, 15, 20])
      }
      await expectSame(output)
    }
  )

  it('ends while ids are joined, before there is an index', async () => {
    const output = placeAfter('write')
    const controller = new AbortController()
    const reason = new Error('enough')
    const abortAtIds = (): void => {
      if (existsSync(join(`${output}.building`, 'ids-000001-00000.zgq'))) controller.abort(reason)
      else setImmediate(abortAtIds)
    }
    abortAtIds()
    expect(await rejection(stage(output, { stage: 'publish', signal: controller.signal }))).toBe(reason)
    expect(existsSync(join(`${output}.building`, 'catalogue.sqlite'))).toBe(false)
    await stage(output, { stage: 'publish' })
    await expectSame(output)
  })
})

describe('an index that stands where stages are to publish', () => {
  it('is not replaced without force, and the work is kept', async () => {
    const output = placeAfter('write')
    const other = place().output
    await buildIndex({ input: queries, output: other, bits: 0 })
    renameSync(other, output)
    const before = dataFileDigests(output)
    expect((await errorFrom(stage(output, { stage: 'publish' }))).code).toBe('ZGQ_EXISTS')
    expect(dataFileDigests(output)).toEqual(before)
    expect(await stage(output, { stage: 'publish', force: true })).toMatchObject({ built: { count: COUNT } })
    await expectSame(output)
  })
})

it('a process that ends between two stages holds nothing up', async () => {
  const output = placeAfter('read')
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  writeFileSync(
    join(`${output}.building`, 'lock.json'),
    JSON.stringify({ pid: child.pid, host: hostname(), start: '1', isReplacing: false })
  )
  expect(await stage(output, { stage: 'train' })).toEqual({ stage: 'train', done: 1, total: 1 })
})
