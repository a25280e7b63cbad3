// The packages of the queue: BullMQ and the Redis client that it works with. They are optional peers, and loaded by the
// first use.

import type * as bullmqPackage from 'bullmq'
import type * as ioredisPackage from 'ioredis'

import { ZgqError } from '../errors.ts'

export type Bullmq = typeof bullmqPackage
export type { Job, JobType, Queue, QueueEvents, Worker } from 'bullmq'
export type { Redis, RedisOptions } from 'ioredis'

export interface QueuePackages {
  readonly bullmq: Bullmq
  readonly Redis: typeof ioredisPackage.Redis
}

/** Rejects with ZGQ_UNSUPPORTED where the packages are not installed, with what to do. */
export async function loadQueuePackages(): Promise<QueuePackages> {
  try {
    const [bullmq, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')])
    return { bullmq, Redis }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `queues need the packages bullmq and ioredis, which do not load: ${reason}. Install them beside zgq: ` +
        'npm install bullmq ioredis',
      { cause }
    )
  }
}
