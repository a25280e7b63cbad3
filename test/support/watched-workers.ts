// `node:worker_threads` whose threads a test can see, end, and give little memory to.
// Use: vi.mock('node:worker_threads', async (importOriginal) => (await
// import('./support/watched-workers.ts')).watchedWorkers(await importOriginal()))

import type * as WorkerThreads from 'node:worker_threads'

function noLimits(): WorkerThreads.ResourceLimits {
  return {}
}

/** Threads that were started since the test began. */
export const workers = {
  started: new Array<WorkerThreads.Worker>(),
  ended: 0,
  /** Of threads that are started from now on. */
  limits: noLimits()
}

export function resetWorkers(): void {
  Object.assign(workers, { started: [], ended: 0, limits: noLimits() })
}

export function watchedWorkers(original: typeof WorkerThreads): Record<string, unknown> {
  class Worker extends original.Worker {
    constructor(file: string | URL, options: WorkerThreads.WorkerOptions) {
      super(file, { ...options, resourceLimits: { ...options.resourceLimits, ...workers.limits } })
      workers.started.push(this)
      this.on('exit', () => {
        workers.ended++
      })
    }
  }
  const replaced = { ...original, Worker }
  return { ...replaced, default: replaced }
}
