// Where the entry files of worker threads and of other processes are: beside the built entries of the package, or
// beside a bundle.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { ZgqError } from '../errors.ts'
import { MODULE_URL } from '../module-url.ts'

export type WorkerName = 'build-worker' | 'search-worker' | 'writer-worker' | 'fold-worker' | 'query-process'

/** Bundles may give the entry files another ending. */
const ENDINGS = ['.js', '.mjs', '.cjs']

/**
 * Finds the entry file of a worker thread or process; throws ZGQ_UNSUPPORTED where a bundler took this library in and
 * left that file behind.
 */
export function workerFile(name: WorkerName): URL {
  // Node 20 runs no TypeScript: where sources run as they are (in tests), threads run what was built from them.
  const place = MODULE_URL.endsWith('.ts') ? '../dist' : '.'
  const found = ENDINGS.map((ending) => new URL(`${place}/${name}${ending}`, MODULE_URL)).find((url) => existsSync(url))
  if (found !== undefined) return found
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `${name}.js is not beside the code of zgq, so worker threads and processes cannot start. Leave zgq out of the ` +
      `bundle (esbuild: --external:zgq), or bundle zgq/${name} as an entry named ${name}`,
    { path: fileURLToPath(new URL('.', MODULE_URL)) }
  )
}
