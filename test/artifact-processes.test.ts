// Processes that store an artifact in a bucket, together or until they are killed: it is there whole or not at all.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'

import type { ArtifactStore } from '../src/artifacts/artifact-store.ts'
import { openArtifactStore } from '../src/artifacts/open-store.ts'
import { prepareProcesses, type ArtifactCall } from './support/artifact-program.ts'
import { startBucket, type SeenRequest } from './support/s3-proxy.ts'
import { errorFrom } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('artifact-processes')
const bucket = await startBucket(temp.fresh('s3'))
const scratch = temp.fresh('scratch')
const program = temp.fresh('program')
for (const folder of [scratch, program]) mkdirSync(folder)
const start = await prepareProcesses(program)
const { signal } = new AbortController()
const MEGABYTE = 2 ** 20
const STORE = `s3://${bucket.bucket}/builds`
const SHORT = { a: 1000, bb: 2 * MEGABYTE }
/** It goes in pieces. */
const LONG = { a: 1000, ccc: 33 * MEGABYTE }
let builds = 0

afterAll(() => bucket.close())
afterEach(() => {
  bucket.decide = () => 'pass'
})

const freshBuild = (): string => `build-${builds++}`
const callOf = (build: string, files: ArtifactCall['files']): ArtifactCall => ({
  options: { store: STORE, build, endpoint: bucket.endpoint, scratch },
  name: 'one',
  files
})
const isFor =
  (method: string, part: string) =>
  (seen: SeenRequest): boolean =>
    seen.method === method && seen.url.includes(part)

async function withStore(build: string, work: (store: ArtifactStore) => Promise<void>): Promise<void> {
  const store = await openArtifactStore({ store: STORE, build, client: bucket.client(), scratch })
  // What killed processes left is gone, and only that.
  expect(readdirSync(scratch)).toHaveLength(1)
  await work(store).finally(() => store.close())
}

function makeFiles(store: ArtifactStore, files: ArtifactCall['files']): void {
  mkdirSync(join(store.path, 'one'))
  for (const [file, byteLength] of Object.entries(files))
    writeFileSync(join(store.path, 'one', file), Buffer.alloc(byteLength, file.length))
}

async function expectWhole(store: ArtifactStore, files: ArtifactCall['files']): Promise<void> {
  await store.read('one', undefined, signal)
  for (const [file, byteLength] of Object.entries(files))
    expect(readFileSync(join(store.path, 'one', file)).equals(Buffer.alloc(byteLength, file.length))).toBe(true)
}

describe('processes', () => {
  it('that store one artifact at the same time do not disturb each other', async () => {
    const build = freshBuild()
    const moved = await Promise.all([1, 2].map(() => start(callOf(build, SHORT)).ended))
    expect(moved).toContain(SHORT.a + SHORT.bb)
    await withStore(build, (store) => expectWhole(store, SHORT))
    await withStore(build, async (store) => {
      makeFiles(store, SHORT)
      expect(await store.write('one', signal)).toBe(0)
    })
  }, 20_000)

  it.each([
    ['the first file', SHORT, isFor('PUT', '/one/a?')],
    ['a piece of a long one', LONG, isFor('PUT', '/one/ccc?partNumber=2')],
    ['the list', SHORT, isFor('PUT', '/one/files.json?')]
  ])(
    'that are killed at %s leave no artifact, and the next one stores it',
    async (_, files, isMoment) => {
      const build = freshBuild()
      const killed = start(callOf(build, files))
      bucket.decide = (seen) => {
        if (!isMoment(seen)) return 'pass'
        bucket.decide = () => 'pass'
        killed.process.kill('SIGKILL')
        return 'lost'
      }
      expect(await killed.ended).toBeUndefined()
      await withStore(build, async (store) => {
        expect(await store.has('one', signal)).toBe(false)
        expect(await errorFrom(store.read('one', undefined, signal))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
        makeFiles(store, files)
        expect(await store.write('one', signal)).toBe(Object.values(files).reduce((sum, each) => sum + each))
      })
      await withStore(build, (store) => expectWhole(store, files))
    },
    20_000
  )
})
