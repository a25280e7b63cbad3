// The entry of a search thread: opens the files of a snapshot for itself, with a kernel and caches of its own, and
// searches chunk after chunk.

import { parentPort, workerData } from 'node:worker_threads'

import { serveThread } from '../threads/serve-thread.ts'
import { openContext, type CheckedOpenOptions, type OpenedContext } from '../search/open-context.ts'
import { searchChunk, type FlatHits, type SearchChunk } from './search-chunk.ts'
import { unpackSnapshot, type SentSnapshot } from './sent-snapshot.ts'

export interface SearchWorkerData {
  readonly snapshot: SentSnapshot
  readonly options: CheckedOpenOptions
}

export type SearchWorkerRequest = 'open' | SearchChunk | 'close'

const NOTHING: FlatHits = {
  counts: new Uint32Array(0),
  ids: new Float64Array(0),
  distances: new Float64Array(0),
  explains: [],
  unlike: new Uint8Array(0),
  micros: 0
}

const { snapshot, options }: SearchWorkerData = workerData
let opened: OpenedContext | undefined

function close(): void {
  opened?.readers.close()
  parentPort?.close() // nothing is left to wait for: the thread ends
}

serveThread<SearchWorkerRequest, FlatHits, never>((request) => {
  if (request === 'close') {
    close()
    return { answer: NOTHING }
  }
  opened ??= openContext(unpackSnapshot(snapshot), options)
  if (request === 'open') return { answer: NOTHING }
  const answer = searchChunk(opened.context, request)
  return {
    answer,
    transfer: [answer.counts, answer.ids, answer.distances].flatMap(({ buffer }) =>
      buffer instanceof ArrayBuffer ? [buffer] : []
    )
  }
})
