// Removes the jobs of a build that nobody coordinates any more.

import { setTimeout } from 'node:timers/promises'

import type { JobType, Queue } from './load-bullmq.ts'
import type { RedisConnection } from './redis-connection.ts'
import { readJob } from './task-job.ts'

const STATES: JobType[] = ['waiting', 'active', 'delayed', 'prioritized', 'failed', 'completed']
/** A worker needs a moment to report what it has done, or to give up. */
const PATIENCE = 10
const PAUSE_MS = 100

/**
 * Removes a build's jobs. Those that a worker still does lose their locks a second later: the worker notices, and gives
 * them up.
 */
export async function removeJobs({ client }: RedisConnection, queue: Queue, build: string): Promise<void> {
  for (let attempt = 0; attempt <= PATIENCE; attempt++) {
    const jobs = await queue.getJobs(STATES)
    const ids = jobs.flatMap(({ id, data }) => (id !== undefined && readJob(data)?.build === build ? [id] : []))
    if (attempt === PATIENCE) await Promise.all(ids.map((id) => client.del(queue.toKey(`${id}:lock`))))
    const removed = await Promise.all(ids.map((id) => queue.remove(id)))
    if (removed.every((count) => count === 1)) return
    await setTimeout(PAUSE_MS)
  }
}
