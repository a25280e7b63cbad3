// Where the entry file of the process is that reads a user's database.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
// Not node:worker_threads: webpack looks for this name.
import { Worker } from 'worker_threads'

import { workerFile } from './worker-file.ts'

/** Defined where webpack, or a bundler like it, took this library in: it replaces the word. */
declare const __webpack_require__: unknown

/** Finds the file, as a path; throws ZGQ_UNSUPPORTED where a bundler took this library in and left it behind. */
export async function queryProcessFile(): Promise<string> {
  if (typeof __webpack_require__ !== 'function') return fileURLToPath(workerFile('query-process'))
  // webpack bundles entries of threads only, and tells nobody what it calls them: a thread of that file does.
  const thread = new Worker(new URL('./query-process.js', import.meta.url), { name: 'zgq-query-process', execArgv: [] })
  try {
    const [path]: unknown[] = await once(thread, 'message')
    return String(path)
  } finally {
    await thread.terminate()
  }
}
