// Where the entry files of worker threads and of other processes are: beside the built entries of the package.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { ZgqError } from '../errors.ts'
import { MODULE_URL } from '../module-url.ts'

export type WorkerName = 'build-worker' | 'search-worker' | 'query-process'

/**
 * Finds the entry file of a worker thread or process; throws ZGQ_UNSUPPORTED where a bundler took this library in and left that
 * file behind.
 */
export function workerFile(name: WorkerName): URL {
  // Node 20 runs no TypeScript: where sources run as they are (in tests), threads run what was built from them.
  const url = new URL(MODULE_URL.endsWith('.ts') ? `../dist/${name}.js` : `./${name}.js`, MODULE_URL)
  if (existsSync(url)) return url
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `${name}.js is not beside the code of zgq, so worker threads and processes cannot start. Leave zgq out of the bundle ` +
      '(esbuild: --external:zgq)',
    { path: fileURLToPath(url) }
  )
}
