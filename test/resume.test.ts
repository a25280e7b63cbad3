// Builds that are killed: the same call, made again, goes on where they were and makes the same bytes; any other call
// starts anew.

import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, buildStage } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { currentBoot, isStillUp } from '../src/storage/boot.ts'
import { cutShards } from './support/artifacts.ts'
import { buildInProcess, firstDone, type BuildCall, type BuildEnd } from './support/build-process.ts'
import { randomFrom } from './support/random.ts'
import { interruptZgq, runZgq, startZgq } from './support/run-zgq.ts'
import { DIM as SMALL_DIM, placeIn, rejection, SMALL } from './support/small-build.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('resume', IN_MEMORY)
const place = (): ReturnType<typeof placeIn> => placeIn(temp)

/** Enough values for worker threads: 2^22 at least. */
const COUNT = 32_768
const DIM = 128
const MIB = 2 ** 20
/** Two threads, and parts of 4 MiB: five of them. */
const OPTIONS = { memoryBytes: 192 * MIB, workers: 2, zones: 40, bits: 1 }

/** Rows around some centres. */
function vectorsOf(seed: number): Float32Array {
  const random = randomFrom(seed)
  const centres = Float32Array.from({ length: 30 * DIM }, () => random() * 10)
  const vectors = new Float32Array(COUNT * DIM)
  for (let row = 0; row < COUNT; row++) {
    const centre = Math.floor(random() * 30) * DIM
    for (let i = 0; i < DIM; i++) vectors[row * DIM + i] = centres[centre + i] + random()
  }
  return vectors
}

const input = temp.fresh('input.fbin')
/** A few, so that calibration is soon done. */
const queries = temp.fresh('queries.fbin')
const otherInput = temp.fresh('other.fbin')
/** Data files of a build that nobody interrupted. */
let wanted: Record<string, string> = {}

beforeAll(async () => {
  writeFileSync(input, fbin(vectorsOf(61), DIM))
  writeFileSync(queries, fbin(vectorsOf(63).subarray(0, 20 * DIM), DIM))
  writeFileSync(otherInput, fbin(vectorsOf(62), DIM))
  wanted = await digestsOf({ options: {} })
})

const build = (output: string, call: BuildCall): Promise<BuildEnd> =>
  buildInProcess({ ...call, options: { input, output, queries, ...OPTIONS, ...call.options } })

/** Builds in a place of its own. */
async function digestsOf(call: BuildCall): Promise<Record<string, string>> {
  const { output } = place()
  const { code, outcome } = await build(output, call)
  expect({ code, outcome }).toMatchObject({ code: 0 })
  return dataFileDigests(output)
}

/** Starts a build that is killed, which must happen before it ends. */
async function killed(output: string, call: BuildCall): Promise<BuildEnd> {
  const end = await build(output, call)
  expect(end).toMatchObject({ signal: 'SIGKILL', outcome: undefined })
  return end
}

/** Builds to the end where a killed build was: nothing but an index is left, and it is whole. */
async function finished(output: string, call: BuildCall): Promise<BuildEnd> {
  const end = await build(output, call)
  expect(end.outcome).toMatchObject({ path: output })
  expect(readdirSync(join(output, '..'))).toEqual(['index'])
  expect(
    readdirSync(output).filter((name) => !/^(catalogue\.sqlite|(vectors|codes|ids)-\d{6}-\d{5}\.zgq)$/.test(name))
  ).toEqual([])
  await checkIndex(output)
  return end
}

/** Name, file number and time of change of what `pattern` names in the working folder. */
function found(output: string, pattern: RegExp): { name: string; ino: number; mtimeMs: number }[] {
  const folder = `${output}.building`
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => {
      const { ino, mtimeMs } = statSync(join(folder, name))
      return { name, ino, mtimeMs }
    })
}

/** Lets other processes work until something is so. */
async function whileNot(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setImmediate()
}

const PARTS = /^part-\d{5}-[0-9a-f]{16}$/
const SHARDS = /^shard-\d{5}-[0-9a-f]{16}$/

describe('a build that was killed, made again', () => {
  const moments = [
    { stage: 'sample' },
    { stage: 'sample', done: 1 },
    { stage: 'train' },
    { stage: 'train', done: 4 },
    { stage: 'assign' },
    { stage: 'assign', done: 1 },
    { stage: 'assign', done: COUNT },
    { stage: 'write' },
    { stage: 'write', done: 1 },
    { stage: 'calibrate' },
    { stage: 'calibrate', done: 10 },
    { stage: 'publish' }
  ]

  it.each(moments)('makes the same data files: killed at $stage, $done done', async (kill) => {
    const { output } = place()
    await killed(output, { options: {}, kill })
    await finished(output, { options: {} })
    expect(dataFileDigests(output)).toEqual(wanted)
  })

  it('makes the same data files, whenever and however often it was killed', async () => {
    const seed = 71
    const random = randomFrom(seed)
    const { output } = place()
    for (let attempt = 0; attempt < 5; attempt++) {
      const kill = attempt % 2 === 0 ? { note: Math.floor(random() * 40) } : { afterMs: 100 + random() * 900 }
      await build(output, { options: { force: true }, kill })
    }
    await finished(output, { options: { force: true } })
    expect({ seed, digests: dataFileDigests(output) }).toEqual({ seed, digests: wanted })
  })

  it('keeps the parts that are assigned, and counts them as done', async () => {
    const { output } = place()
    await killed(output, { options: {}, kill: { stage: 'assign', done: COUNT * 0.8 } })
    const parts = found(output, PARTS)
    const again = await killed(output, { options: {}, kill: { stage: 'write' } })
    expect(parts.length).toBeGreaterThan(0)
    expect(again.notes.filter(({ stage }) => stage === 'sample' || stage === 'train')).toEqual([])
    expect(firstDone(again, 'assign')).toBeGreaterThan(0)
    expect(
      found(output, PARTS)
        .filter(({ name }) => parts.some((part) => part.name === name))
        .map(({ name, ino }) => ({ name, ino }))
    ).toEqual(parts.map(({ name, ino }) => ({ name, ino })))
  })

  it('does nothing of the stages before once all is written', async () => {
    const { output } = place()
    await killed(output, { options: {}, kill: { stage: 'calibrate' } })
    const shards = found(output, SHARDS)
    const again = await finished(output, { options: {} })
    expect(shards).toHaveLength(1)
    expect(again.notes.filter(({ stage }) => ['sample', 'train', 'assign', 'write'].includes(stage))).toEqual([])
  })

  it('removes what tasks had not completed when it was killed', async () => {
    const { output } = place()
    await killed(output, { options: {}, kill: { stage: 'assign', done: 1 } })
    const halves = found(output, /\.new-/)
    await killed(output, { options: {}, kill: { stage: 'assign' } })
    expect(halves.length).toBeGreaterThan(0)
    expect(found(output, /\.new-/).filter(({ ino }) => halves.some((half) => half.ino === ino))).toEqual([])
  })
})

describe('a build that was killed and whose recipe is', () => {
  it.each([
    ['gone, as where it died while it cleared up', undefined],
    ['garbage', 'garbage'],
    ['empty', ''],
    ['another object', '{"identity":1}'],
    ['an array of zeros', '[0,0]']
  ])('%s starts clean, and makes the same data files', async (_, recipe) => {
    const { output } = place()
    await killed(output, { options: {}, kill: { stage: 'write' } })
    const path = join(`${output}.building`, 'recipe.json')
    if (recipe === undefined) rmSync(path)
    else writeFileSync(path, recipe)
    const again = await finished(output, { options: {} })
    expect(firstDone(again, 'sample')).toBe(0)
    expect(dataFileDigests(output)).toEqual(wanted)
  })
})

/** Trained zones are a file between two stages: here it is changed, so that a small input gives several shards. */
describe('a build of several shards that was killed, made again', () => {
  const trained = temp.fresh('trained')
  let several: Record<string, string> = {}

  const placeTrained = (): string => {
    const { output } = place()
    cpSync(trained, `${output}.building`, { recursive: true })
    return output
  }

  beforeAll(async () => {
    const { output } = place()
    const options = { input, output, queries, ...OPTIONS }
    await buildStage({ ...options, stage: 'read' })
    await buildStage({ ...options, stage: 'train' })
    cutShards(`${output}.building`, [0, 7, 14, 21, 30, 40])
    renameSync(`${output}.building`, trained)
    const whole = placeTrained()
    await finished(whole, { options: {} })
    several = dataFileDigests(whole)
  })

  it.each([1, COUNT / 2, COUNT * 0.9])('writes only the shards that are left: killed after %d rows', async (done) => {
    const output = placeTrained()
    await killed(output, { options: {}, kill: { stage: 'write', done } })
    const shards = found(output, SHARDS)
    const again = await killed(output, { options: {}, kill: { stage: 'calibrate' } })
    expect({ isKept: (firstDone(again, 'write') ?? 0) > 0, left: 5 - shards.length > 0 }).toEqual({
      isKept: shards.length > 0,
      left: true
    })
    expect(
      found(output, SHARDS)
        .filter(({ name }) => shards.some((shard) => shard.name === name))
        .map(({ ino }) => ino)
    ).toEqual(shards.map(({ ino }) => ino))
    await finished(output, { options: {} })
    expect(Object.keys(several)).toHaveLength(11)
    expect(dataFileDigests(output)).toEqual(several)
  })

  it('has no rows of a written shard in the parts any more', async () => {
    const output = placeTrained()
    await killed(output, { options: {}, kill: { stage: 'write', done: COUNT * 0.6 } })
    await killed(output, { options: {}, kill: { stage: 'write' } })
    const written = found(output, SHARDS).map(({ name }) => name.slice(-5))
    const left = found(output, PARTS)
      .flatMap(({ name }) => readdirSync(join(`${output}.building`, name)))
      .filter((name) => written.includes(name.slice(-5)))
    expect({ someWritten: written.length > 0, left }).toEqual({ someWritten: true, left: [] })
  })
})

describe('another build where one was killed', () => {
  const others = [{ seed: 2 }, { bits: 0 }, { metric: 'cosine' }, { zones: 25 }, { memoryBytes: 256 * MIB }]

  it.each(others)('starts anew, and makes what it makes elsewhere: %o', async (options) => {
    const { output } = place()
    await killed(output, { options: {}, kill: { stage: 'write', done: 1 } })
    const end = await finished(output, { options })
    expect(firstDone(end, 'sample')).toBe(0)
    expect(firstDone(end, 'assign')).toBe(0)
    expect(dataFileDigests(output)).toEqual(await digestsOf({ options }))
  })

  it('starts anew where the file has other content, of the same length and time of change', async () => {
    const { output } = place()
    const changing = temp.fresh('changing.fbin')
    cpSync(input, changing)
    utimesSync(changing, 1e9, 1e9)
    await killed(output, { options: { input: changing }, kill: { stage: 'write' } })
    cpSync(otherInput, changing)
    utimesSync(changing, 1e9, 1e9)
    const end = await finished(output, { options: { input: changing } })
    expect(firstDone(end, 'assign')).toBe(0)
    expect(dataFileDigests(output)).toEqual(await digestsOf({ options: { input: otherInput } }))
  })

  it('goes on where the same file has another name', async () => {
    const { output } = place()
    const [before, after] = [temp.fresh('before.fbin'), temp.fresh('after.fbin')]
    cpSync(input, before)
    await killed(output, { options: { input: before }, kill: { stage: 'write' } })
    renameSync(before, after)
    const end = await finished(output, { options: { input: after } })
    expect(firstDone(end, 'write')).toBe(0)
    expect(end.notes.some(({ stage }) => stage === 'train')).toBe(false)
    expect(dataFileDigests(output)).toEqual(wanted)
  })
})

describe.each(['array', 'batches'] as const)('a killed build of %s', (as) => {
  it('goes on where the same values come again, and keeps them once', async () => {
    const { output } = place()
    await killed(output, { options: {}, as, kill: { stage: 'write' } })
    const again = await killed(output, { options: {}, as, kill: { stage: 'write' } })
    expect(again.notes.map(({ stage }) => stage).filter((stage) => stage !== 'read')).toEqual(['write'])
    expect(readdirSync(`${output}.building`).filter((name) => name.startsWith('input.'))).toEqual(
      as === 'array' ? ['input.rows'] : ['input.ids', 'input.rows']
    )
    await finished(output, { options: {}, as })
    expect(dataFileDigests(output)).toEqual(wanted)
  })

  it('starts anew where others come', async () => {
    const { output } = place()
    await killed(output, { options: {}, as, kill: { stage: 'write' } })
    const end = await finished(output, { options: { input: otherInput }, as })
    expect(firstDone(end, 'assign')).toBe(0)
    expect(dataFileDigests(output)).toEqual(await digestsOf({ options: { input: otherInput } }))
  })
})

describe('work that was not synced', () => {
  it('is trusted in the run of the system that wrote it, and in no other', () => {
    const now = currentBoot()
    expect(isStillUp(now)).toBe(true)
    expect(isStillUp({ ...now, run: 'another run' })).toBe(false)
    expect(isStillUp({ host: 'a container that was started anew', run: 'another run' })).toBe(false)
  })

  it('is not gone on with after the system was started anew', async () => {
    const { output } = place()
    await killed(output, { options: {}, kill: { stage: 'write' } })
    const path = join(`${output}.building`, 'recipe.json')
    const recipe = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...recipe, boot: { ...recipe.boot, run: 'before the power failed' } }))
    const end = await finished(output, { options: {} })
    expect(firstDone(end, 'sample')).toBe(0)
    expect(dataFileDigests(output)).toEqual(wanted)
  })
})

describe('zgq build, interrupted', () => {
  it.each(['sample', 'write'])('keeps what is done, says how to go on, and goes on: at %s', async (sign) => {
    const { folder, output } = place()
    const command = [
      'build',
      input,
      output,
      '--queries',
      queries,
      '--zones',
      '40',
      '--memory',
      '192MB',
      '--workers',
      '2'
    ]
    const { code, stderr } = await interruptZgq('SIGINT', sign, [...command, '--bits', '1'])
    expect({ code, last: stderr.trimEnd().split('\n').at(-1) }).toEqual({
      code: 130,
      last: `zgq: interrupted; what is done stays in ${output}.building: repeat the command to resume, or remove that folder to discard it`
    })
    expect(readdirSync(folder)).toEqual(['index.building'])
    expect(readdirSync(`${output}.building`)).not.toContain('lock.json')
    const again = runZgq(...command, '--bits', '1')
    expect(again.code).toBe(0)
    expect(again.stderr).toMatch(`resuming the build in ${output}.building, from the stage `)
    expect(readdirSync(folder)).toEqual(['index'])
    expect(dataFileDigests(output)).toEqual(wanted)
  })

  it('leaves nothing of standard input, which comes only once', async () => {
    const { folder, output } = place()
    const child = startZgq(['build', '-', output])
    child.stdin.write('[1, 2, 3]\n')
    await whileNot(() => readdirSync(folder).length > 0)
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    expect({ code, left: readdirSync(folder) }).toEqual({ code: 130, left: [] })
  })
})

describe('an AbortSignal', () => {
  it.each([false, true])('discards what was done unless keepWork says otherwise: %s', async (keepWork) => {
    const { folder, output } = place()
    const controller = new AbortController()
    const reason = new Error('the user went away')
    const onProgress = ({ stage }: { stage: string }): void => {
      if (stage === 'write') controller.abort(reason)
    }
    const options = { input: SMALL, dim: SMALL_DIM, zones: 10, output }
    const stopped = buildIndex({ ...options, onProgress, signal: controller.signal, keepWork })
    expect(await rejection(stopped)).toBe(reason)
    expect(readdirSync(folder)).toEqual(keepWork ? ['index.building'] : [])
    const resumed: string[] = []
    await buildIndex({ ...options, onResume: (stage) => resumed.push(stage) })
    expect(resumed).toEqual(keepWork ? ['write'] : [])
    expect(readdirSync(folder)).toEqual(['index'])
  })
})
