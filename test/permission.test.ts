// node --permission, which every Node.js that is supported has: what it forbids is said with the flag that allows it.

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildSmall, DIM } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('permission')
const folder = join(temp.path, 'only this')
const index = join(folder, 'index')
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'
const OUTPUT = JSON.stringify(join(temp.path, 'output'))
const INPUT = `new Float32Array(8).fill(1)`

beforeAll(async () => {
  mkdirSync(folder)
  await buildSmall(index, { bits: 4 })
})

/**
 * Runs what returns a value, with the built package, where only the package may be read; returns the value or error.
 */
function runPermitted(code: string, flags: readonly string[]): unknown {
  const load = (entry: string): string => JSON.stringify(pathToFileURL(join(ROOT, 'dist', entry)).href)
  const program = `
    const { ZgqIndex } = await import(${load('index.js')})
    const { buildIndex } = await import(${load('build.js')})
    const { checkIndex } = await import(${load('check.js')})
    const work = async () => { ${code} }
    console.log(JSON.stringify(await work().catch(({ code, message }) => ({ code, message }))))`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      PERMISSION,
      `--allow-fs-read=${ROOT}`,
      '--allow-addons',
      '--no-warnings',
      ...flags,
      '--input-type=module',
      '-e',
      program
    ],
    { encoding: 'utf8' }
  )
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

const READ = `--allow-fs-read=${index}`
const ALL = ['--allow-fs-read=*', '--allow-fs-write=*']

describe('under node --permission', () => {
  it('an index opens, searches and checks where only its folder may be read', () => {
    const code = `
      const index = ZgqIndex.open(${JSON.stringify(index)})
      const hits = index.search(new Float32Array(${DIM}), { k: 3 })
      index.close()
      const { ok, notes } = await checkIndex(${JSON.stringify(index)})
      return { hits: hits.length, ok, notes }`
    expect(runPermitted(code, [READ])).toEqual({
      hits: 3,
      ok: true,
      notes: [expect.stringContaining('cannot look for leftovers')]
    })
  })

  it('an index that may not be read is ZGQ_IO with the flag, never missing or damaged', () => {
    expect(runPermitted(`ZgqIndex.open(${JSON.stringify(index)})`, [])).toEqual({
      code: 'ZGQ_IO',
      message: expect.stringContaining('start Node with --allow-fs-read')
    })
  })

  it('without threads a batch is searched all the same, and info says which flag is missing', () => {
    const code = `
      const index = ZgqIndex.open(${JSON.stringify(index)}, { threads: 2 })
      const hits = await index.searchBatch(new Float32Array(${DIM} * 20_000), { k: 3, exact: true })
      const { threads } = index.info()
      index.close()
      return { hits: hits.length, running: threads.running, failure: threads.failure }`
    expect(runPermitted(code, [READ])).toEqual({
      hits: 20_000,
      running: 0,
      failure: expect.stringMatching(/restricted|--allow-worker/)
    })
  })

  it('a place that may not be written is ZGQ_READ_ONLY with the flag', () => {
    expect(
      runPermitted(`await buildIndex({ input: ${INPUT}, dim: 4, output: ${OUTPUT} })`, ['--allow-fs-read=*'])
    ).toEqual({ code: 'ZGQ_READ_ONLY', message: expect.stringContaining('start Node with --allow-fs-write') })
  })

  it('a build, which Node keeps from syncing, is ZGQ_UNSUPPORTED and leaves nothing', () => {
    const code = `
      const failure = await buildIndex({ input: ${INPUT}, dim: 4, output: ${OUTPUT} }).catch((error) => error)
      const { readdirSync } = await import('node:fs')
      return { code: failure.code, message: failure.message, left: readdirSync(${JSON.stringify(temp.path)}) }`
    expect(runPermitted(code, ALL)).toEqual({
      code: 'ZGQ_UNSUPPORTED',
      message: expect.stringMatching(/fsync API is disabled.*Build in a process without it/),
      left: ['only this']
    })
  })
})
