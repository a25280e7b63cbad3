// Loaded by --require: for the threads of folds, and nobody else, the clock runs 600 times as fast, so that the minute
// for which they leave superseded files to readers is over after a tenth of a second. All processes agree on that time.

const { isMainThread, workerData } = require('node:worker_threads')

const SPEED = 600
const START = Date.UTC(2026, 0, 1)

if (!isMainThread && workerData?.options?.isAutomatic !== undefined) {
  const now = Date.now
  Date.now = () => START + (now() - START) * SPEED
}
