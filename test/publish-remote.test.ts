// From an index on disk through a bucket to who searches it there; the packages as they are published, and the command.

import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { packIndex } from '../src/pack.ts'
import { publishIndex } from '../src/publish.ts'
import { openRemote } from '../src/remote.ts'
import { s3Source } from '../src/s3.ts'
import type { ByteSource } from '../src/remote/byte-source.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { interruptZgq } from './support/run-zgq.ts'
import { S3_ENVIRONMENT, startBucket, type Fate } from './support/s3-proxy.ts'
import { errorFrom } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('bucket-readers')
const bucket = await startBucket(temp.fresh('s3'))
const DIM = 16
const VECTORS = makeVectors('clustered', { count: 3000, dim: DIM }, 7)
const OTHERS = makeVectors('clustered', { count: 500, dim: DIM }, 8)
const index = temp.fresh('index')
const environment = { ...process.env }

beforeAll(async () => {
  if (!existsSync(join(ROOT, 'dist/s3.js'))) throw new Error('dist/ is missing: run npm run build first')
  Object.assign(process.env, S3_ENVIRONMENT)
  await buildIndex({ input: VECTORS, dim: DIM, zones: 30, output: index })
})
afterEach(() => {
  bucket.decide = () => 'pass'
})
afterAll(async () => {
  process.env = environment
  await bucket.close()
})

const at = (prefix: string): { to: string; endpoint: string } => ({
  to: `s3://${bucket.bucket}/${prefix}`,
  endpoint: bucket.endpoint
})
const sourceAt = (prefix: string): ByteSource =>
  s3Source({ bucket: bucket.bucket, prefix, endpoint: bucket.endpoint, region: 'us-east-1' })

/** What an index on disk answers to some queries. */
function answersOf(path: string): unknown[] {
  const opened = ZgqIndex.open(path)
  try {
    return Array.from({ length: 10 }, (_, i) => opened.search(rowOf(VECTORS, DIM, i * 250), { k: 10 }))
  } finally {
    opened.close()
  }
}

async function remoteAnswers(source: ByteSource, retries = 3): Promise<unknown[]> {
  const opened = await openRemote(source, { retries })
  try {
    const queries = Array.from({ length: 10 }, (_, i) => rowOf(VECTORS, DIM, i * 250))
    return await Promise.all(queries.map((query) => opened.search(query, { k: 10 })))
  } finally {
    opened.close()
  }
}

describe('an index in a bucket', () => {
  it('answers as it does from disk', async () => {
    await publishIndex({ index, ...at('docs') })
    expect(await remoteAnswers(sourceAt('docs'))).toEqual(answersOf(index))
  })

  it('answers so where the store fails in passing', async () => {
    await publishIndex({ index, ...at('failing') })
    const fates: Fate[] = ['cut', { status: 503, code: 'SlowDown' }, 'lost', 'unanswered']
    let number = 0
    bucket.decide = () => (number++ % 3 === 0 ? fates[number % fates.length] : 'pass')
    expect(await remoteAnswers(sourceAt('failing'), 10)).toEqual(answersOf(index))
  })

  it('as one file answers so, too', async () => {
    const output = temp.fresh('docs.zgqp')
    await packIndex({ index, output })
    await fetch(`${bucket.endpoint}/${bucket.bucket}/files/docs.zgqp`, { method: 'PUT', body: readFileSync(output) })
    const key = 'files/docs.zgqp'
    const source = s3Source({ bucket: bucket.bucket, key, endpoint: bucket.endpoint, region: 'us-east-1' })
    expect(source.place).toBe(`s3://${bucket.bucket}/${key}`)
    expect(await remoteAnswers(source)).toEqual(answersOf(index))
  })

  it('that is published anew is found by who looks again', async () => {
    const path = temp.fresh('changed')
    await buildIndex({ input: OTHERS, dim: DIM, output: path })
    const first = await publishIndex({ index: path, ...at('changing') })
    const opened = await openRemote(sourceAt('changing'))
    const writing = ZgqIndex.open<number>(path, { mode: 'write' })
    await writing.add([{ id: 7000, vector: rowOf(VECTORS, DIM, 0) }])
    writing.close()
    expect(await opened.has(7000)).toBe(false)
    const second = await publishIndex({ index: path, ...at('changing') })
    expect(second).toMatchObject({ manifest: 2, isNew: true })
    expect(second.digest).not.toBe(first.digest)
    expect(await opened.refresh()).toBe(true)
    expect(await opened.search(rowOf(VECTORS, DIM, 0), { k: 1 })).toEqual([{ id: 7000, distance: 0 }])
    opened.close()
  })
})

describe('the published entries', () => {
  const run = promisify(execFile)
  const urlOf = (folder: string, name: string): string => pathToFileURL(join(folder, name)).href

  /** Runs a script of its own process; returns what it prints. */
  async function printedBy(script: string): Promise<unknown> {
    const { stdout } = await run(process.execPath, ['--no-warnings', '--input-type=module', '--eval', script])
    return JSON.parse(stdout)
  }

  it.each([
    [{ status: 403, code: 'AccessDenied' }, 'ZGQ_IO', 1],
    [{ status: 404, code: 'NoSuchBucket' }, 'ZGQ_NOT_FOUND', 1],
    [{ status: 503, code: 'SlowDown' }, 'ZGQ_IO', 4]
  ])('zgq/s3 tells zgq/remote what failed: %j is %s after %i requests', async (fate, code, requests) => {
    bucket.decide = () => fate
    bucket.requests.length = 0
    const options = { bucket: bucket.bucket, prefix: 'docs', endpoint: bucket.endpoint }
    const found = await printedBy(`
      import { openRemote, ZgqError } from '${urlOf(join(ROOT, 'dist'), 'remote.js')}'
      import { s3Source } from '${urlOf(join(ROOT, 'dist'), 's3.js')}'
      const error = await openRemote(s3Source(${JSON.stringify(options)})).catch((error) => error)
      console.log(JSON.stringify({ code: error.code, isOurs: error instanceof ZgqError, message: error.message }))`)
    expect(found).toMatchObject({ code, isOurs: true })
    expect(String(Object(found).message).split(`s3://${bucket.bucket}/docs/`)).toHaveLength(2)
    expect(bucket.requests).toHaveLength(requests)
  })

  it('say what to install where the client is missing', async () => {
    const folder = temp.fresh('without')
    mkdirSync(folder)
    cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
    const found = await printedBy(`
      import { s3Source } from '${urlOf(folder, 'dist/s3.js')}'
      const source = s3Source({ bucket: 'b' })
      const ask = () => source.getBytes('a', 0, 1, new AbortController().signal).catch(({ code, message }) => ({ code, message }))
      console.log(JSON.stringify([await ask(), await ask()]))`)
    const refusal = { code: 'ZGQ_UNSUPPORTED', message: expect.stringContaining('npm install @aws-sdk/client-s3') }
    expect(found).toEqual([refusal, refusal])
  })

  it.each(['s3.js', 's3.cjs'])('%s needs nothing of Node but by the client', async (name) => {
    const bundled = await build({
      entryPoints: [join(ROOT, 'dist', name)],
      bundle: true,
      write: false,
      platform: 'browser',
      external: ['@aws-sdk/client-s3'],
      logLevel: 'silent'
    })
    expect(bundled.errors).toEqual([])
    expect(bundled.outputFiles[0].text).not.toMatch(/["']node:/)
  })
})

describe('zgq publish', () => {
  /** Runs the command beside this process, which serves it. */
  const publish = (...args: string[]): ReturnType<typeof interruptZgq> =>
    interruptZgq('SIGINT', 'never printed', ['publish', ...args])

  it('publishes once, and says what it did', async () => {
    const { to, endpoint } = at('command')
    const first = await publish(index, to, '--endpoint', endpoint)
    expect(first).toMatchObject({ code: 0 })
    expect(first.stdout).toMatch(
      /^published to s3:\S+ as manifest 1: \d parts uploaded, 0 there already, \S+ KB sent; /
    )
    expect(first.stderr).toContain('upload: done')
    const again = await publish(index, to, '--endpoint', endpoint, '--region', 'us-east-1')
    expect(again.stdout).toBe(`${to} has this index already, as manifest 1: nothing was published\n`)
    const { stdout } = await publish(index, to, '--endpoint', endpoint, '--json')
    expect(JSON.parse(stdout)).toMatchObject({ index, to, manifest: 1, isNew: false, uploaded: 0, bytes: 0 })
    expect(await remoteAnswers(sourceAt('command'))).toEqual(answersOf(index))
  })

  it('that is interrupted says so, and leaves what there was', async () => {
    const { to, endpoint } = at('interrupted')
    bucket.decide = ({ method, url }) =>
      method === 'PUT' && url.includes('vectors-') ? new Promise(() => undefined) : 'pass'
    const ended = await interruptZgq('SIGINT', 'upload', ['publish', index, to, '--endpoint', endpoint])
    expect(ended.code).toBe(130)
    expect(ended.stderr).toContain('readers see what was there before')
    bucket.decide = () => 'pass'
    expect((await errorFrom(openRemote(sourceAt('interrupted')))).code).toBe('ZGQ_NOT_FOUND')
  })

  it.each([
    [['docs'], 'TO must be s3://BUCKET or s3://BUCKET/PREFIX, found "docs"'],
    [['s3://b', '--endpoint', 'minio'], '--endpoint must be a URL']
  ])('refuses %j as wrong usage', async (args, message) => {
    const { code, stderr } = await publish(index, ...args)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  it('names a bucket that is not there on one line', async () => {
    const { code, stderr } = await publish(index, 's3://no-such-bucket/x', '--endpoint', bucket.endpoint)
    expect(code).toBe(1)
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(
      /^zgq: ZGQ_NOT_FOUND: .*no such bucket \(s3:\/\/no-such-bucket\/x\/\)$/
    )
  })
})
