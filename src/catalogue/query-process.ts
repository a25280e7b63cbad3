// The entry of the process that reads a user's database for a build: gets a query on standard input, sends its rows
// through a pipe of its own: preloaded modules may print to standard output. Run as a thread, it is the watch of that
// process (query-watch.ts), or says where its file is (process-file.ts).

import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { text } from 'node:stream/consumers'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { sendableError } from '../threads/thread-error.ts'
import { openQuery } from './open-query.ts'
import { encodeFrame, FRAMES_DESCRIPTOR, type QueryMessage, type QueryRequest } from './query-messages.ts'
import { isWatch, startWatch, watch } from './query-watch.ts'

/** Rows are sent together until they have so many bytes. */
const FRAME_BYTES = 2 ** 18

class Sender {
  readonly #pipe: WriteStream

  constructor() {
    this.#pipe = createWriteStream('', { fd: FRAMES_DESCRIPTOR })
    // The build is gone: there is nothing to do and nobody to tell.
    this.#pipe.on('error', () => process.exit(1))
  }

  async send(message: QueryMessage): Promise<void> {
    if (!this.#pipe.write(encodeFrame(message))) await once(this.#pipe, 'drain')
  }

  end(): void {
    this.#pipe.end()
  }
}

async function sendRows({ path, sql }: QueryRequest, sender: Sender): Promise<void> {
  const query = openQuery(path, sql)
  try {
    await sender.send({ kind: 'columns', columnNames: query.columnNames })
    let rows: (readonly unknown[])[] = []
    let byteLength = 0
    for (const row of query.rows) {
      rows.push(row)
      byteLength += byteLengthOf(row)
      if (byteLength < FRAME_BYTES) continue
      await sender.send({ kind: 'rows', rows })
      rows = []
      byteLength = 0
    }
    await sender.send({ kind: 'rows', rows })
    await sender.send({ kind: 'end' })
  } finally {
    query.close()
  }
}

function byteLengthOf(row: readonly unknown[]): number {
  return row.reduce<number>((sum, value) => {
    if (value instanceof Uint8Array) return sum + value.byteLength
    return sum + (typeof value === 'string' ? value.length : 8)
  }, 0)
}

async function main(): Promise<void> {
  // Ctrl-C reaches every process of a terminal: the build decides, and ends this one.
  process.on('SIGINT', () => undefined)
  startWatch()
  const sender = new Sender()
  const request: QueryRequest = JSON.parse(await text(process.stdin))
  try {
    await sendRows(request, sender)
  } catch (error) {
    await sender.send({ kind: 'error', error: sendableError(error) })
  }
  sender.end()
}

if (isMainThread) void main()
else if (isWatch(workerData)) watch(workerData)
else parentPort?.postMessage(process.argv[1])
