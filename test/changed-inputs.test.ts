// Inputs that change while a build reads them, and pipes in the place of files: refused, never mixed, never waited for.

import { execFileSync } from 'node:child_process'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { buildIndex, ZgqError } from '../src/build.ts'
import { makeVectors } from './support/datasets.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('changed-inputs', IN_MEMORY)
const SEED = 83
const DIM = 16
const before = fbin(makeVectors('clustered', { count: 4000, dim: DIM }, SEED), DIM)
const after = fbin(makeVectors('clustered', { count: 4000, dim: DIM }, SEED + 1), DIM)

const codeOf = async (build: Promise<unknown>): Promise<string> => {
  const error: unknown = await build.then(
    () => undefined,
    (reason: unknown) => reason
  )
  return error instanceof ZgqError ? error.code : `no ZgqError: ${String(error)}`
}

describe(`an input that is changed while a build is at the stage (seed ${SEED})`, () => {
  it.each([
    [
      'sample',
      'overwritten in place',
      (path: string) => {
        writeFileSync(path, after)
      }
    ],
    [
      'assign',
      'overwritten in place',
      (path: string) => {
        writeFileSync(path, after)
      }
    ],
    [
      'assign',
      'made longer',
      (path: string) => {
        writeFileSync(path, before.subarray(0, 100), { flag: 'a' })
      }
    ],
    [
      'assign',
      'moved away',
      (path: string) => {
        renameSync(path, `${path}.moved`)
      }
    ]
  ] as const)('%s is ZGQ_BUILD_INPUT, and nothing is published: %s', async (stage, _, change) => {
    const [input, output] = [temp.fresh('input.fbin'), temp.fresh('index')]
    writeFileSync(input, before)
    let isChanged = false
    const build = buildIndex({
      input,
      output,
      workers: 0,
      onProgress: (state) => {
        if (state.stage !== stage || isChanged) return
        isChanged = true
        change(input)
      }
    })
    expect(await codeOf(build)).toBe('ZGQ_BUILD_INPUT')
    expect([isChanged, existsSync(output)]).toEqual([true, false])
  })
})

describe.runIf(process.platform !== 'win32')('a pipe', () => {
  const fifo = (name: string): string => {
    const path = temp.fresh(name)
    execFileSync('mkfifo', [path])
    return path
  }

  it.each(['vectors.fbin', 'vectors.jsonl', 'vectors.parquet', 'vectors.npy'])(
    'as input %s is ZGQ_BUILD_INPUT',
    async (name) => {
      expect(await codeOf(buildIndex({ input: fifo(name), output: temp.fresh('index') }))).toBe('ZGQ_BUILD_INPUT')
    }
  )

  it.each(['ids.txt', 'ids.npy'])('as ids %s is ZGQ_BUILD_INPUT', async (name) => {
    const input = temp.fresh('input.fbin')
    writeFileSync(input, before)
    expect(await codeOf(buildIndex({ input, ids: fifo(name), output: temp.fresh('index') }))).toBe('ZGQ_BUILD_INPUT')
  })
})
