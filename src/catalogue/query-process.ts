// The entry of the process that reads a user's database for a build: gets a query on standard input, sends its rows on
// standard output. Run as a thread, it says where its file is (process-file.ts).

import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { isMainThread, parentPort } from 'node:worker_threads'

import { sendableError } from '../threads/thread-error.ts'
import { openQuery } from './open-query.ts'
import { encodeFrame, type QueryMessage, type QueryRequest } from './query-messages.ts'

/** Rows are sent together until they have so many bytes. */
const FRAME_BYTES = 2 ** 18

async function send(message: QueryMessage): Promise<void> {
  if (!process.stdout.write(encodeFrame(message))) await once(process.stdout, 'drain')
}

async function sendRows({ path, sql }: QueryRequest): Promise<void> {
  const query = openQuery(path, sql)
  try {
    await send({ kind: 'columns', columnNames: query.columnNames })
    let rows: (readonly unknown[])[] = []
    let byteLength = 0
    for (const row of query.rows) {
      rows.push(row)
      byteLength += byteLengthOf(row)
      if (byteLength < FRAME_BYTES) continue
      await send({ kind: 'rows', rows })
      rows = []
      byteLength = 0
    }
    await send({ kind: 'rows', rows })
    await send({ kind: 'end' })
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
  // The build is gone: there is nothing to do and nobody to tell.
  process.stdout.on('error', () => process.exit(1))

  const request: QueryRequest = JSON.parse(await text(process.stdin))
  try {
    await sendRows(request)
  } catch (error) {
    await send({ kind: 'error', error: sendableError(error) })
  }
}

if (isMainThread) void main()
else parentPort?.postMessage(process.argv[1])
