// The entry `zgq/queue`: builds on many machines, through BullMQ on Redis.

export { buildOnQueue, type QueueBuildOptions } from './queue/build-on-queue.ts'
export { openWorker, type BuildWorker, type TaskDone, type WorkerOptions } from './queue/queue-worker.ts'
export type { TaskMeasures } from './queue/build-site.ts'
export type { QueueFacts } from './queue/job-run.ts'
export type { WorkerEvent } from './queue/job-worker.ts'
export type { TaskJob } from './queue/task-job.ts'
export type { BuildOptions, BuildProgress, BuildStage } from './build/build-options.ts'
export type { BuildReport } from './build/publish-stage.ts'
export type { VectorBatch } from './input/vector-batch.ts'
export type { S3ClientLike } from './publish/s3-bucket.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
