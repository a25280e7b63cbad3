// Who coordinates which build: one sorted set in Redis, each coordinator with the time until which it counts. It
// renews that; one that was killed is forgotten.

import { randomUUID } from 'node:crypto'

import type { RedisConnection } from './redis-connection.ts'

/** A coordinator that says nothing for so long does not count any more. */
export const COORDINATOR_MS = 60_000
const RENEWALS = 4

/** ARGV: what to do, build and coordinator, milliseconds. Returns how many coordinate the build. */
const SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local member = ARGV[2] .. ' ' .. ARGV[3]
if ARGV[1] == 'join' then
  redis.call('ZADD', KEYS[1], now + ARGV[4], member)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
elseif ARGV[1] == 'leave' then
  redis.call('ZREM', KEYS[1], member)
end
local count = 0
for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(other, 1, #ARGV[2] + 1) == ARGV[2] .. ' ' then count = count + 1 end
end
return count`

/** Returns the key that has them. */
export function coordinatorsKey(prefix: string): string {
  return `${prefix}:zgq-coordinators`
}

/** Returns how many coordinate a build. */
export async function countCoordinators({ client }: RedisConnection, prefix: string, build: string): Promise<number> {
  return Number(await client.eval(SCRIPT, 1, coordinatorsKey(prefix), 'count', build, '', 0))
}

/** The builds that this process coordinates. */
export class Coordinator {
  readonly #connection: RedisConnection
  readonly #key: string
  /** The name that this process has for each build. */
  readonly #builds = new Map<string, string>()
  readonly #renew = (): void => {
    for (const [build, name] of this.#builds) this.#say('join', build, name).catch(() => undefined) // said again soon
  }
  readonly #timer: NodeJS.Timeout

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection
    this.#key = coordinatorsKey(prefix)
    this.#timer = setInterval(this.#renew, COORDINATOR_MS / RENEWALS)
    this.#timer.unref()
    // A Redis that restarted may have forgotten.
    connection.client.on('ready', this.#renew)
  }

  /** Joins under a name that no living coordinator of the build has. */
  async join(build: string, name: string = randomUUID()): Promise<void> {
    this.#builds.set(build, name)
    await this.#say('join', build, name)
  }

  /** Returns how many others coordinate the build. */
  async leave(build: string): Promise<number> {
    const name = this.#builds.get(build) ?? ''
    this.#builds.delete(build)
    return this.#say('leave', build, name)
  }

  close(): void {
    this.#builds.clear()
    clearInterval(this.#timer)
    this.#connection.client.off('ready', this.#renew)
  }

  async #say(what: 'join' | 'leave', build: string, name: string): Promise<number> {
    const { client } = this.#connection
    return Number(await client.eval(SCRIPT, 1, this.#key, what, build, name, COORDINATOR_MS))
  }
}
