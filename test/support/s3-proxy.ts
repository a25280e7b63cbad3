// A bucket on loopback: s3rver, and before it a proxy of a few lines. s3rver ignores If-None-Match: the proxy stands in
// for that one behaviour of S3, and answers 412 to a put-if-absent of what is there. It also lets tests look at
// requests, and have them fail.

import { paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import S3rver from 's3rver'

/** What happens to a request. */
export type Fate =
  | 'pass'
  /** The connection ends before the request is seen. */
  | 'lost'
  /** The request is done, and the connection ends before its answer. */
  | 'unanswered'
  /** The connection ends in the middle of the answer's body. */
  | 'cut'
  /** The answer stops there, and the connection stays. */
  | 'stall'
  | { readonly status: number; readonly code: string; readonly headers?: Record<string, string> }

export interface SeenRequest {
  /** From 0. */
  readonly number: number
  readonly method: string
  /** As it was asked for: `/bucket/key?query`. */
  readonly url: string
}

export interface TestBucket {
  readonly endpoint: string
  readonly bucket: string
  readonly requests: SeenRequest[]
  /** Decides about each request; `pass` by default. */
  decide: (seen: SeenRequest) => Fate | Promise<Fate>
  /** Whether put-if-absent is answered as S3 does it, or ignored as by s3rver. */
  isConditional: boolean
  client(): S3Client
  close(): Promise<void>
}

/** What the SDK takes from the environment of a process that is to use the bucket. */
export const S3_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'S3RVER',
  AWS_SECRET_ACCESS_KEY: 'S3RVER',
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true'
}

export async function startBucket(folder: string, bucket = 'test-bucket'): Promise<TestBucket> {
  const s3rver = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory: folder,
    configureBuckets: [{ name: bucket, configs: [] }]
  })
  const { port } = await s3rver.run()
  const holder = new Map<string, Promise<void>>()
  const server = createServer((asked, answer) => {
    void serve(asked, answer).catch(() => answer.destroy())
  })
  const serve = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const seen = { number: bucketOf.requests.length, method: asked.method ?? '', url: asked.url ?? '' }
    bucketOf.requests.push(seen)
    const fate = await bucketOf.decide(seen)
    if (fate === 'lost') asked.destroy()
    else if (typeof fate === 'object') await refuse(asked, answer, fate)
    else if (bucketOf.isConditional && asked.headers['if-none-match'] === '*')
      await inTurn(holder, seen.url, async () => {
        if (await isThere(port, seen.url)) await refuse(asked, answer, { status: 412, code: 'PreconditionFailed' })
        else await forward(asked, answer, { port, fate })
      })
    else await forward(asked, answer, { port, fate })
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${portOf(server)}`
  const bucketOf: TestBucket = {
    endpoint,
    bucket,
    requests: [],
    decide: () => 'pass',
    isConditional: true,
    client: () =>
      new S3Client({
        endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
      }),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await s3rver.close()
    }
  }
  return bucketOf
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

/** One after the other for one key, so that looking and storing are one step. */
async function inTurn(holder: Map<string, Promise<void>>, key: string, work: () => Promise<void>): Promise<void> {
  const before = holder.get(key) ?? Promise.resolve()
  const own = before.then(work, work)
  holder.set(key, own)
  await own
}

async function isThere(port: number, path: string): Promise<boolean> {
  const asked = request({ host: '127.0.0.1', port, path, method: 'HEAD', agent: false })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.resume()
  return answer.statusCode === 200
}

async function refuse(
  asked: IncomingMessage,
  answer: ServerResponse,
  { status, code, headers = {} }: Exclude<Fate, string>
): Promise<void> {
  asked.resume()
  if (!asked.readableEnded) await once(asked, 'end')
  answer.writeHead(status, { 'content-type': 'application/xml', ...headers })
  answer.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>told so</Message></Error>`)
}

async function forward(
  asked: IncomingMessage,
  answer: ServerResponse,
  { port, fate }: { readonly port: number; readonly fate: string }
): Promise<void> {
  const { method, url, headers } = asked
  const onward = request({ host: '127.0.0.1', port, path: url, method, headers, agent: false })
  const responded = once(onward, 'response') as Promise<[IncomingMessage]>
  await Promise.all([pipeline(asked, onward), responded])
  const [response] = await responded
  if (fate === 'unanswered') {
    response.resume()
    await once(response, 'end')
    answer.destroy()
    return
  }
  answer.writeHead(response.statusCode ?? 500, response.headers)
  if (fate !== 'cut' && fate !== 'stall') {
    await pipeline(response, answer)
    return
  }
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  answer.write(body.subarray(0, body.byteLength >> 1), () => {
    if (fate === 'cut') answer.destroy()
  })
}

/** Keys of all objects of the bucket, sorted. */
export async function objectsIn({ bucket, client }: TestBucket): Promise<string[]> {
  const keys: string[] = []
  for await (const page of paginateListObjectsV2({ client: client() }, { Bucket: bucket }))
    keys.push(...(page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key])))
  return keys.sort()
}
