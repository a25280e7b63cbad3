// What BullMQ leaves in Redis when the last job is done: its events, counters and metrics. They go once nobody has jobs
// there any more; what a user has set, a pause or limits, stays.

import { coordinatorsKey } from './coordinators.ts'
import type { Queue } from './load-bullmq.ts'
import type { RedisConnection } from './redis-connection.ts'

/** Lists and sets of jobs. */
const STATES = ['wait', 'active', 'paused', 'delayed', 'prioritized', 'waiting-children', 'failed', 'completed']
const REMAINS = [
  'events',
  'id',
  'marker',
  'pc',
  'stalled',
  'stalled-check',
  'metrics:completed',
  'metrics:completed:data',
  'metrics:failed',
  'metrics:failed:data'
]

/** KEYS: coordinators, meta, states, remains; ARGV: the number of states. One step: nobody adds a job between. */
const SCRIPT = `
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] * 1000)
local states = tonumber(ARGV[1])
if redis.call('EXISTS', KEYS[1], unpack(KEYS, 3, 2 + states)) > 0 then return 0 end
redis.call('DEL', unpack(KEYS, 3 + states))
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if field ~= 'opts.maxLenEvents' and field ~= 'version' then return 1 end
end
redis.call('DEL', KEYS[2])
return 1`

/** Removes what is left of a queue in which there are neither jobs nor coordinators; otherwise nothing. */
export async function removeRemains({ client }: RedisConnection, queue: Queue, prefix: string): Promise<void> {
  const keys = [
    coordinatorsKey(prefix),
    queue.toKey('meta'),
    ...STATES.map((state) => queue.toKey(state)),
    ...REMAINS.map((name) => queue.toKey(name))
  ]
  await client.eval(SCRIPT, keys.length, ...keys, STATES.length)
}
