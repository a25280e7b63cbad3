// zgq worker: does tasks of builds that are on a queue, until it is ended.

import { appendFileSync } from 'node:fs'
import { hostname } from 'node:os'

import { openWorker, type TaskDone, type WorkerEvent } from '../src/queue.ts'
import { text, UsageError, wholeNumber } from './arguments.ts'
import type { Command, CommandArguments, OptionDeclarations } from './command.ts'
import { interruptible } from './interrupt.ts'
import { formatDuration } from './output.ts'

/** Options of all that works on a queue. */
export const QUEUE_OPTIONS: OptionDeclarations = {
  queue: {
    value: 'URL',
    about:
      'Redis that hands tasks out: redis://:PASSWORD@HOST:PORT, or rediss:// with TLS (default: ZGQ_QUEUE of the ' +
      'environment, which keeps the password out of the list of processes)'
  },
  store: {
    value: 'PLACE',
    about: 'where tasks leave their results: a folder that all machines see, or s3://BUCKET/PREFIX'
  },
  endpoint: { value: 'URL', about: 'address of a store other than AWS, such as https://minio.example.org' },
  region: { value: 'REGION', about: 'region of the bucket (default: that of AWS_REGION or the profile)' }
}

/** The queue that was named: by its option, or by the environment. */
export function queueOf(given: CommandArguments['given']): string | undefined {
  return text(given, 'queue') ?? process.env['ZGQ_QUEUE']
}

export const WORKER: Command = {
  name: 'worker',
  summary: 'do tasks of builds on a queue, on any number of machines (see zgq build --queue)',
  positionals: [],
  options: {
    ...QUEUE_OPTIONS,
    concurrency: { value: 'N', about: 'tasks at a time, each by a thread (default: one for each core)' },
    scratch: { value: 'FOLDER', about: 'folder for copies of what is in a bucket (default: the temporary folder)' },
    log: { value: 'FILE', about: 'add a line of JSON for each task that was done' }
  },
  notes:
    'Needs the packages bullmq and ioredis (npm install bullmq ioredis), and @aws-sdk/client-s3 for buckets, with\n' +
    'credentials where the AWS command looks for them. The memory of all tasks together is that of the build\n' +
    '(--memory there). Ctrl-C ends it: tasks that it was at go back to the queue. A worker that is killed loses\n' +
    'nothing either: others take its tasks after 30 seconds.',
  examples: [
    'zgq worker --queue redis://10.0.0.5 --store /mnt/shared',
    'ZGQ_QUEUE=rediss://:secret@redis.example.org zgq worker --store s3://my-bucket/builds'
  ],
  run: runWorker
}

async function runWorker({ given }: CommandArguments): Promise<void> {
  const queue = required(queueOf(given), '--queue redis://HOST, or ZGQ_QUEUE in the environment')
  const store = required(text(given, 'store'), '--store FOLDER or --store s3://BUCKET/PREFIX')
  const log = text(given, 'log')
  await interruptible(
    async (signal) => {
      const worker = await openWorker({
        queue,
        store,
        concurrency: wholeNumber(given, 'concurrency'),
        scratch: text(given, 'scratch'),
        endpoint: text(given, 'endpoint'),
        region: text(given, 'region'),
        onTask(done) {
          tell(`${done.output}: done in ${formatDuration(done.fetchMs + done.runMs + done.storeMs)}`)
          if (log !== undefined) appendFileSync(log, `${JSON.stringify(lineOf(done))}\n`)
        },
        onEvent: tellEvent
      })
      tell(`waiting for tasks from ${withoutPassword(queue)}; Ctrl-C ends this worker`)
      signal.addEventListener('abort', () => void worker.close(true), { once: true })
      await worker.done
      signal.throwIfAborted()
    },
    () => 'stopped; tasks that were begun go back to the queue'
  )
}

/** Throws UsageError where an option is missing. */
function required(given: string | undefined, example: string): string {
  if (given === undefined) throw new UsageError(`a worker needs ${example}`)
  return given
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}

function tellEvent(event: WorkerEvent): void {
  switch (event.kind) {
    case 'taken':
    case 'done':
      return
    case 'failed': {
      const reason = event.error instanceof Error ? event.error.message : String(event.error)
      tell(`${event.job.output}: failed${event.isRepeated ? ', to be repeated' : ''}: ${reason}`)
      return
    }
    case 'given back':
      tell(`${event.job.output}: given back`)
      return
    case 'disconnected':
      tell('the queue is away; this worker goes on when it is back')
      return
    case 'connected':
      tell('the queue is back')
  }
}

function lineOf(done: TaskDone): object {
  return { host: hostname(), pid: process.pid, ...done }
}

function withoutPassword(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}
