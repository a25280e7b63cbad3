// Who does the tasks of a build: this thread, or worker threads where the work is worth their start.

import { setImmediate } from 'node:timers/promises'

import type { Reply } from '../threads/serve-thread.ts'
import { Thread } from '../threads/thread.ts'
import type { Site } from './site.ts'
import { runTask, type BuildTask, type TaskAnswer } from './tasks.ts'
import { TaskContext } from './task-context.ts'

/** Tasks that a thread has at most: one in work, one to go on with. */
const TASKS_PER_THREAD = 2

export interface Crew {
  /** Tasks that are done side by side. */
  readonly size: number
  /** Does a task; `onDone` is told what was done since it was told last. */
  run(task: BuildTask, onDone: (done: number) => void): Promise<TaskAnswer>
  /** Stops all work at once; tasks that are not done reject. */
  close(): Promise<void>
}

export interface CrewData {
  readonly site: Site
  readonly threads: number
}

/**
 * Opens a crew of worker threads; with none, tasks are done in this thread, which turns to other events between pieces
 * of work.
 */
export function openCrew(site: Site, threads: number): Crew {
  return threads === 0 ? openInline(site) : openThreads({ site, threads })
}

function openInline(site: Site): Crew {
  const context = new TaskContext(site, 0)
  let isClosed = false
  return {
    size: 1,
    run: (task, onDone) =>
      runTask(context, task, async (done) => {
        onDone(done)
        await setImmediate()
        if (isClosed) throw new Error('the build was stopped')
      }),
    close() {
      isClosed = true
      context.close()
      return Promise.resolve()
    }
  }
}

function openThreads(data: CrewData): Crew {
  const start = (): Thread<BuildTask, TaskAnswer, number> => new Thread('build-worker', data)
  const threads = Array.from({ length: data.threads }, start)
  let isClosed = false
  return {
    size: threads.length,
    run(task, onDone) {
      // One that died has nothing to do, and would get every task.
      for (const [i, thread] of threads.entries()) if (!thread.isAlive && !isClosed) threads[i] = start()
      const idlest = threads.reduce((best, thread) => (thread.pending < best.pending ? thread : best))
      return new Promise((resolve, reject) => {
        const onNote = (done: number): void => {
          try {
            onDone(done)
          } catch (error) {
            reject(error)
          }
        }
        idlest.call(task, { onNote }).then(resolve, reject)
      })
    },
    async close() {
      isClosed = true
      await Promise.all(threads.map((thread) => thread.close()))
    }
  }
}

/** Does a task for a worker thread's parent. */
export async function serveTask(
  context: TaskContext,
  task: BuildTask,
  note: (done: number) => void
): Promise<Reply<TaskAnswer>> {
  const answer = await runTask(context, task, (done) => {
    note(done)
    return Promise.resolve()
  })
  return { answer }
}

/**
 * Does tasks, some at a time, and hands out the answers in their order: so the error of the first task that fails is
 * the one that is thrown.
 */
export async function runInOrder(
  crew: Crew,
  tasks: readonly BuildTask[],
  on: { done: (done: number) => void; answer?: (answer: TaskAnswer, task: number) => void }
): Promise<void> {
  const running: Promise<TaskAnswer>[] = []
  const atOnce = crew.size === 1 ? 1 : crew.size * TASKS_PER_THREAD
  let started = 0
  for (let task = 0; task < tasks.length; task++) {
    for (; started < tasks.length && started < task + atOnce; started++) {
      const answer = crew.run(tasks[started], on.done)
      answer.catch(() => undefined) // one that fails while another is awaited is looked at in its turn
      running.push(answer)
    }
    const answer = await running[task]
    on.answer?.(answer, task)
  }
}
