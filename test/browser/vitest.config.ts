import { defineConfig } from 'vitest/config'

const results = process.env['ZGQ_TEST_RESULTS']

export default defineConfig({
  test: {
    include: ['test/browser/*.browser.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    fileParallelism: false, // times are measured
    ...(results === undefined ? {} : { reporters: ['default', 'json'], outputFile: { json: results } })
  }
})
