// A connection to Redis: how it begins, within a limit of time, and how it comes back once it is lost, without one.

import { onAbort } from '../abort.ts'
import type { ZgqError } from '../errors.ts'
import { loadQueuePackages, type QueuePackages, type Redis, type RedisOptions } from './load-bullmq.ts'
import { isRefusal, mayPass, wrapRedisError } from './redis-errors.ts'
import { parseRedisUrl, type RedisAddress } from './redis-url.ts'
import { within } from './within.ts'

export interface ConnectOptions {
  /** How long Redis may take to be there. Default 10,000 ms. */
  readonly connectMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const CONNECT_MS = 10_000
const OPENING = 'open the queue'
/** A connection on which nothing comes for so long, though something was asked, is taken to be lost. */
const SILENCE_MS = 30_000
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 2000

/** The client that asks Redis, and the packages that work with it. */
export interface RedisConnection {
  /** The server without user and password. */
  readonly place: string
  readonly client: Redis
  readonly packages: QueuePackages
}

/**
 * Connects to Redis. Rejects with ZGQ_IO where it is not there in time, or refuses the user or the password, and with
 * ZGQ_UNSUPPORTED where the packages are not installed. Later the client waits for a Redis that went away, and so do
 * its commands.
 */
export async function connectRedis(url: string, options: ConnectOptions): Promise<RedisConnection> {
  const address = parseRedisUrl('queue', url)
  options.signal?.throwIfAborted()
  const packages = await loadQueuePackages()
  const client = new packages.Redis(clientOptions(address))
  try {
    await whenReady(client, { ...options, place: address.place })
  } catch (error) {
    client.disconnect()
    throw error
  }
  return { place: address.place, client, packages }
}

/**
 * Waits for what makes connections of its own beside one. Rejects with ZGQ_IO where Redis does not give them in time.
 */
export async function expectReady(
  { place }: RedisConnection,
  { connectMs = CONNECT_MS }: ConnectOptions,
  parts: readonly { waitUntilReady(): Promise<unknown> }[]
): Promise<void> {
  const ready = Promise.all(parts.map((part) => part.waitUntilReady()))
  const none = new Error(`no further connection within ${connectMs} ms`)
  if (!(await within(connectMs, ready))) throw wrapRedisError(none, place, OPENING)
  try {
    await ready
  } catch (error) {
    // The first connection is there: nothing is wrong with host, port and TLS.
    throw wrapRedisError(mayPass(error) ? none : error, place, OPENING)
  }
}

/** Calls back when Redis refuses the user or the password of a connection that it had let in. */
export function onRefusal({ client, place }: RedisConnection, callback: (error: ZgqError) => void): void {
  client.on('error', (error: unknown) => {
    if (isRefusal(error)) callback(wrapRedisError(error, place, 'connect to the queue again'))
  })
}

function clientOptions({ place: _place, ...address }: RedisAddress): Omit<RedisOptions, 'replyMapping'> {
  return {
    ...address,
    lazyConnect: true,
    // BullMQ wants it so: commands wait for a Redis that restarts.
    maxRetriesPerRequest: null,
    socketTimeout: SILENCE_MS,
    retryStrategy: (attempt) => Math.min(FIRST_WAIT_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_WAIT_MS),
    // The primary has become a replica: ask for the address again, and repeat the command there.
    reconnectOnError: (error) => (error.message.includes('READONLY') ? 2 : false)
  }
}

async function whenReady(client: Redis, options: ConnectOptions & { readonly place: string }): Promise<void> {
  const { connectMs = CONNECT_MS, place, signal } = options
  let last: unknown = new Error(
    `no answer within ${connectMs} ms; rediss:// names a Redis with TLS, redis:// one without`
  )
  let endWait = (): void => undefined
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (): void => {
      reject(wrapRedisError(last, place, 'connect to the queue'))
    }
    const timer = setTimeout(fail, connectMs)
    const endSignal = onAbort(signal, fail)
    endWait = () => {
      clearTimeout(timer)
      endSignal()
      client.off('ready', resolve)
    }
    client.once('ready', resolve)
    // This listener stays: an error without one would end the process.
    client.on('error', (error: unknown) => {
      last = error
      if (isRefusal(error)) fail()
    })
  })
  try {
    client.connect().catch(() => undefined) // told by the events
    await ready
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    endWait()
  }
}
