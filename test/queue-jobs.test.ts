// Jobs on the queue: done by workers, once each, and nothing is left of them.

import { describe, expect, it } from 'vitest'

import { JobQueue } from '../src/queue/job-queue.ts'
import { openJobWorker } from '../src/queue/job-worker.ts'
import type { TaskJob } from '../src/queue/task-job.ts'
import { startRedis } from './support/redis-server.ts'

const BUILD = 'build-1'

function jobsOf(count: number, build = BUILD): TaskJob[] {
  return Array.from({ length: count }, (_, i) => ({ build, output: `square-${i}-${build}`, task: { of: i }, rows: 1 }))
}

describe('the queue', () => {
  it('has jobs done, and leaves nothing in Redis', async () => {
    const redis = await startRedis()
    const store = new Set<string>()
    const queue = await JobQueue.open(redis.url)
    const worker = await openJobWorker(redis.url, {
      concurrency: 3,
      perform: async ({ output }) => {
        store.add(output)
      }
    })
    await queue.join(BUILD)
    const done: string[] = []
    const jobs = jobsOf(250)
    await queue.run(jobs, {
      has: async (output) => store.has(output),
      done: ({ output }) => done.push(output)
    })
    expect(done.sort()).toEqual(jobs.map(({ output }) => output).sort())
    expect(await queue.leave(BUILD)).toBe(true)
    await queue.close()
    await worker.close()
    expect(await redis.keys()).toEqual([])
  })
})
