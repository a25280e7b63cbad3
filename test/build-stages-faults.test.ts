// Stages of a build where the file system fails them: a full disk, a call that fails, a folder that cannot be written.
// What was done is kept, and repeating works.

import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex, buildStage, type RunnableStage, type StageOptions } from '../src/build.ts'
import { ZgqError } from '../src/errors.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { DIM, errorFrom, placeIn, SMALL } from './support/small-build.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

vi.mock('node:fs', async (importOriginal) =>
  (await import('./support/failing-fs.ts')).failingFs(await importOriginal())
)
afterEach(resetFaults)

const temp = useTempFolder('stages-faults', IN_MEMORY)
const place = (): ReturnType<typeof placeIn> => placeIn(temp)
const STAGES: readonly RunnableStage[] = ['read', 'train', 'assign', 'write', 'publish']
const input = temp.fresh('input.fbin')
const shared = { input, zones: 10, queries: SMALL.subarray(0, 20 * DIM) }

const stage = (
  output: string,
  name: RunnableStage,
  options: Partial<StageOptions> = {}
): ReturnType<typeof buildStage> => buildStage({ ...shared, output, stage: name, ...options })

/** What is at OUTPUT.building before each stage, what each calls and writes, and what all of them make. */
const before = new Map<RunnableStage, string>()
const recorded = new Map<RunnableStage, { calls: string[]; bytes: number }>()
let wanted: Record<string, string> = {}

beforeAll(async () => {
  writeFileSync(input, fbin(SMALL, DIM))
  const { output } = place()
  for (const name of STAGES) {
    const copy = temp.fresh(`before-${name}`)
    if (name === 'read') mkdirSync(copy)
    else cpSync(`${output}.building`, copy, { recursive: true })
    before.set(name, copy)
    resetFaults()
    await stage(output, name)
    recorded.set(name, { calls: [...faults.calls], bytes: faults.bytesWritten })
  }
  resetFaults()
  wanted = dataFileDigests(output)
})

function placeBefore(name: RunnableStage): string {
  const { output } = place()
  if (name !== 'read') cpSync(before.get(name) ?? '', `${output}.building`, { recursive: true })
  resetFaults()
  return output
}

/** Repeats the stages from `name` on: they must make what they make where nothing fails. */
async function repeat(output: string, name: RunnableStage): Promise<void> {
  resetFaults()
  for (const next of STAGES.slice(STAGES.indexOf(name))) await stage(output, next)
  expect(readdirSync(join(output, '..'))).toEqual(['index'])
  expect(dataFileDigests(output)).toEqual(wanted)
}

// What publishing writes, SQLite writes.
describe.each(STAGES.slice(0, -1))('the stage %s, on a disk that is full,', (name) => {
  it('rejects with ZGQ_IO, keeps what was done before, and can be repeated', async () => {
    const needed = recorded.get(name)?.bytes ?? 0
    for (const share of [0, 0.3, 0.6, 0.9, 1]) {
      const output = placeBefore(name)
      faults.bytesLeft = Math.floor((needed - 1) * share)
      expect(await errorFrom(stage(output, name))).toMatchObject({ code: 'ZGQ_IO', cause: { code: 'ENOSPC' } })
      const left = name === 'read' ? [] : readdirSync(`${output}.building`)
      expect(left.filter((file) => /^lock|\.new-/.test(file))).toEqual([])
      await repeat(output, name)
    }
  })
})

describe.each(STAGES)('the stage %s, where the file system fails it,', (name) => {
  // What fsync did not report, close does not either: closeSync is not made to fail.
  it('rejects with a ZgqError whichever call fails, and can be repeated', async () => {
    const { calls = [] } = recorded.get(name) ?? {}
    const chosen = Array.from(calls.keys()).filter(
      (i) => calls[i] !== 'closeSync' && (calls[i] !== calls[i - 1] || calls[i] !== calls[i + 1])
    )
    const wrong: unknown[] = []
    for (const failingCall of chosen) {
      const output = placeBefore(name)
      faults.failingCall = failingCall
      const error: unknown = await stage(output, name).then(
        () => undefined,
        (thrown: unknown) => thrown
      )
      resetFaults()
      if (error !== undefined && !(error instanceof ZgqError))
        wrong.push({ failingCall, failed: calls[failingCall], error: String(error) })
      // A lock that could not be removed names this process: nobody else may remove it while it lives.
      if (calls[failingCall] === 'rmSync')
        for (const lock of lockNames(output)) rmSync(join(`${output}.building`, lock))
      const isPublished = readdirSync(join(output, '..')).includes('index')
      // Publishing ends with clearing and renaming the folder: from then on there is nothing to go on with.
      const isOver = name === 'publish' && failingCall > calls.lastIndexOf('readSync')
      if (!isPublished)
        await repeat(output, isOver ? 'read' : name).catch((thrown: unknown) => {
          wrong.push({ failingCall, failed: calls[failingCall], repeated: String(thrown) })
        })
    }
    expect({ some: chosen.length > 10, wrong }).toEqual({ some: true, wrong: [] })
  })
})

function lockNames(output: string): string[] {
  if (!readdirSync(join(output, '..')).includes('index.building')) return []
  return readdirSync(`${output}.building`).filter((file) => file.startsWith('lock'))
}

describe('a folder that cannot be written', () => {
  /** Runs work as a user whom permissions bind; root writes anywhere. */
  async function bound<T>(work: () => Promise<T>): Promise<T> {
    if (process.geteuid?.() !== 0) return work()
    process.seteuid?.(65_534)
    try {
      return await work()
    } finally {
      process.seteuid?.(0)
    }
  }

  it('is ZGQ_READ_ONLY for a build and for its first stage, which leave nothing', async () => {
    const { folder, output } = place()
    chmodSync(temp.path, 0o755)
    chmodSync(folder, 0o555)
    const errors = await bound(async () => [
      await errorFrom(buildIndex({ ...shared, output })),
      await errorFrom(stage(output, 'read'))
    ])
    chmodSync(folder, 0o755)
    expect(errors.map(({ code }) => code)).toEqual(['ZGQ_READ_ONLY', 'ZGQ_READ_ONLY'])
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(['assign', 'write'] as const)(
    'is ZGQ_READ_ONLY for a stage that others share, and the work is kept: %s',
    async (name) => {
      const output = placeBefore(name)
      chmodSync(temp.path, 0o755)
      chmodSync(`${output}.building`, 0o555)
      const error = await bound(() => errorFrom(stage(output, name)))
      chmodSync(`${output}.building`, 0o755)
      expect(error.code).toBe('ZGQ_READ_ONLY')
      await repeat(output, name)
    }
  )
})
