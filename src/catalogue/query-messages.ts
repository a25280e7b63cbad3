// Messages of the process that reads a database, in frames of a length (uint32, little-endian) and bytes.

import { deserialize, serialize } from 'node:v8'

import type { SentError } from '../threads/thread-error.ts'

/** Sent to the process as JSON, on its standard input. */
export interface QueryRequest {
  readonly path: string
  readonly sql: string
}

/** First the columns, then rows, then the end; or an error at any time. */
export type QueryMessage =
  | { readonly kind: 'columns'; readonly columnNames: readonly string[] }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly unknown[])[] }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: SentError }

/** The pipe through which it sends, beside standard input, output and error. */
export const FRAMES_DESCRIPTOR = 3

const LENGTH_BYTES = 4

export function encodeFrame(message: QueryMessage): Buffer {
  const bytes = serialize(message)
  const frame = Buffer.alloc(LENGTH_BYTES + bytes.byteLength)
  frame.writeUInt32LE(bytes.byteLength)
  bytes.copy(frame, LENGTH_BYTES)
  return frame
}

/** Reads messages from the pieces that a pipe delivers; what is cut short at the end is left out. */
export async function* decodeFrames(pieces: AsyncIterable<Buffer>): AsyncGenerator<QueryMessage> {
  let waiting: Buffer[] = []
  let byteLength = 0
  let wanted = LENGTH_BYTES
  let isBody = false
  for await (const piece of pieces) {
    waiting.push(piece)
    byteLength += piece.byteLength
    if (byteLength < wanted) continue
    let bytes = Buffer.concat(waiting, byteLength)
    while (bytes.byteLength >= wanted) {
      const part = bytes.subarray(0, wanted)
      bytes = bytes.subarray(wanted)
      wanted = isBody ? LENGTH_BYTES : part.readUInt32LE()
      if (isBody) yield decode(part)
      isBody = !isBody
    }
    waiting = [bytes]
    byteLength = bytes.byteLength
  }
}

function decode(bytes: Buffer): QueryMessage {
  const message: QueryMessage = deserialize(bytes)
  return message
}
