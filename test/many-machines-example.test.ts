// The files of examples/many-machines: they are YAML, and their command lines, run as they stand there, build an index.
// Redis and the bucket are real, and on this machine; containers are not started.

import { PutObjectCommand } from '@aws-sdk/client-s3'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

import { blocksOf } from './support/doc-blocks.ts'
import { makeVectors } from './support/datasets.ts'
import { startRedis } from './support/redis-server.ts'
import { startBucket } from './support/s3-proxy.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const FOLDER = 'examples/many-machines'
const COUNT = 3000
const DIM = 8
const temp = useTempFolder('many-machines')
const redis = await startRedis()
const bucket = await startBucket(temp.fresh('s3'), 'my-bucket')
afterAll(() => bucket.close())
const vectors = fbin(makeVectors('clustered', { count: COUNT, dim: DIM }, 1), DIM)

/** The parser that typedoc brings along. */
const { parseAllDocuments }: { parseAllDocuments(text: string): ParsedDocument[] } = createRequire(
  createRequire(import.meta.url).resolve('typedoc/package.json')
)('yaml')

interface ParsedDocument {
  readonly errors: readonly Error[]
  readonly warnings: readonly Error[]
  toJS(): unknown
}

/** Reads a file of one document, by the names of what is in it. */
function readYaml(name: string): (...path: readonly (string | number)[]) => unknown {
  const documents = parseAllDocuments(readFileSync(join(ROOT, FOLDER, name), 'utf8'))
  expect(documents.map(({ errors, warnings }) => [...errors, ...warnings])).toEqual([[]])
  const root = documents[0].toJS()
  return (...path) => path.reduce<unknown>((value, key) => Object(value)[key], root)
}

function texts(value: unknown): string[] {
  expect(Array.isArray(value)).toBe(true)
  return Array.isArray(value)
    ? value.map((one) => (typeof one === 'string' ? one : expect.fail(`${one} is no text`)))
    : []
}

interface Running {
  /** Ends it as containers are ended; resolves to what it said. */
  end(): Promise<string>
  /** Resolves to what it said, when it has ended well. */
  readonly done: Promise<string>
}

/** Runs `zgq` with words of a file, and nothing else of AWS in its environment. */
function start(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const plain = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))
  const child = spawn(process.execPath, [join(ROOT, 'dist/zgq.js'), ...words], {
    env: { ...Object.fromEntries(plain), AWS_EC2_METADATA_DISABLED: 'true', ...environment }
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  const closed = once(child, 'close')
  return {
    done: closed.then(([code]) => (code === 0 ? said : expect.fail(`${words.join(' ')}: ${String(code)}, ${said}`))),
    async end() {
      child.kill('SIGTERM')
      await closed
      return said
    }
  }
}

/** Has workers and a build run together; a worker that ends before the build fails it. */
async function build(workers: readonly Running[], command: Running): Promise<void> {
  const all = [command, ...workers]
  for (const { done } of all) done.catch(() => undefined) // the first to fail says why
  let said: readonly string[] = []
  try {
    const first = await Promise.race(all.map(({ done }) => done))
    expect(first).toMatch(/built \S+docs\.zgq\n[^]*3,000 vectors of 8 dimensions/)
  } finally {
    said = await Promise.all(all.map((one) => one.end()))
  }
  expect(said.join('')).toMatch(/^shard-\S+: done/m)
}

describe('compose.yaml', () => {
  const at = readYaml('compose.yaml')

  it('has a Redis that keeps what it is told', () => {
    const settings = texts(at('services', 'redis', 'command')).slice(1)
    expect(settings).toEqual(['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
    expect(at('services', 'redis', 'ports')).toBeUndefined()
  })

  it('has workers and a build with the same folder, whose command lines build an index', async () => {
    const folder = temp.fresh('compose')
    const here = (words: unknown): string[] =>
      texts(words).map((word) =>
        word.replace('redis://redis', redis.url).replace(/^\/(?=shared|indexes)/, `${folder}/`)
      )
    for (const name of ['shared', 'indexes']) mkdirSync(join(folder, name), { recursive: true })
    writeFileSync(join(folder, 'shared/vectors.fbin'), vectors)
    expect(texts(at('services', 'build', 'volumes'))).toEqual(
      expect.arrayContaining(texts(at('services', 'worker', 'volumes')))
    )
    const replicas = Number(at('services', 'worker', 'deploy', 'replicas'))
    expect(replicas).toBeGreaterThan(1)
    const worker = here(at('services', 'worker', 'command'))
    const workers = Array.from({ length: replicas }, () => start(worker))
    await build(workers, start(here(at('services', 'build', 'command'))))
  })
})

describe('worker-job.yaml', () => {
  const at = readYaml('worker-job.yaml')
  const pod = ['spec', 'template', 'spec'] as const
  const container = [...pod, 'containers', 0] as const

  it('is a job of several workers, with a disk for copies', () => {
    expect([at('apiVersion'), at('kind')]).toEqual(['batch/v1', 'Job'])
    expect(Number(at('spec', 'parallelism'))).toBeGreaterThan(1)
    expect(at('spec', 'completions')).toBeUndefined()
    const mounts = [at(...container, 'volumeMounts', 0, 'name'), at(...container, 'volumeMounts', 0, 'mountPath')]
    expect(mounts).toEqual([at(...pod, 'volumes', 0, 'name'), '/scratch'])
    expect(at(...pod, 'volumes', 0, 'emptyDir')).toBeDefined()
  })

  it('has a command line, and all of the environment, to work for the build of the README', async () => {
    const folder = temp.fresh('job')
    mkdirSync(folder)
    const secrets: Record<string, string> = {
      queue: redis.url,
      'access-key-id': 'S3RVER',
      'secret-access-key': 'S3RVER'
    }
    const env: Record<string, string> = {}
    for (let i = 0; at(...container, 'env', i) !== undefined; i++) {
      const of = [...container, 'env', i] as const
      const secret = at(...of, 'valueFrom', 'secretKeyRef', 'key')
      env[String(at(...of, 'name'))] = secret === undefined ? String(at(...of, 'value')) : secrets[String(secret)]
    }
    const environment = { ...env, AWS_ENDPOINT_URL: bucket.endpoint }
    const here = (word: string): string => word.replace(/^\/scratch/, folder)
    const client = bucket.client()
    await client.send(new PutObjectCommand({ Bucket: 'my-bucket', Key: 'vectors.fbin', Body: vectors }))
    const [, line = ''] =
      blocksOf(`${FOLDER}/README.md`)
        .map(({ code }) => /^ZGQ_QUEUE=rediss:\S+ zgq (build .*)$/m.exec(code))
        .find((match) => match !== null) ?? []
    const words = line.split(' ').map((word) => word.replace('docs.zgq', join(folder, 'docs.zgq')))
    const worker = start(texts(at(...container, 'args')).map(here), environment)
    await build([worker], start(words, environment))
  })
})
