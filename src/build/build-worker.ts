// The entry of a build's worker threads.

import { workerData } from 'node:worker_threads'

import { serveThread } from '../threads/serve-thread.ts'
import { serveTask, type CrewData } from './crew.ts'
import type { BuildTask, TaskAnswer } from './tasks.ts'
import { TaskContext } from './task-context.ts'

const data: CrewData = workerData
const context = new TaskContext(data.site, data.threads)

serveThread<BuildTask, TaskAnswer, number>((task, note) => serveTask(context, task, note))
