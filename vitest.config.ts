import { availableParallelism } from 'node:os'

import { defineConfig } from 'vitest/config'

const results = process.env['ZGQ_TEST_RESULTS']

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Most tests wait for processes and disks: a worker for each core, where vitest would leave one idle.
    maxWorkers: availableParallelism(),
    pool: 'forks', // a crash (SIGBUS) must fail one file, not the run
    // CI counts tests from this file.
    ...(results === undefined ? {} : { reporters: ['default', 'json'], outputFile: { json: results } })
  }
})
