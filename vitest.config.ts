import { defineConfig } from 'vitest/config'

const results = process.env['ZGQ_TEST_RESULTS']

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks', // a crash (SIGBUS) must fail one file, not the run
    // CI counts tests from this file.
    ...(results === undefined ? {} : { reporters: ['default', 'json'], outputFile: { json: results } })
  }
})
