// A search thread that ends the moment it is asked to search: what a crash in native code leaves of one, as far as its
// parent can tell.

import { parentPort } from 'node:worker_threads'

await import(new URL('../../dist/search-worker.js', import.meta.url).href)
parentPort.on('message', ({ request }) => {
  if (typeof request === 'object') process.exit(7)
})
