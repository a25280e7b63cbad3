// Reads files of a known length: piece by piece, or a piece into memory of its own.

import { open } from 'node:fs/promises'

import { wrapReadError, ZgqError } from '../errors.ts'

const PIECE_BYTES = 2 ** 20

/**
 * Reads a file of a known length piece by piece; each is good until the next one is asked for. Rejects with
 * ZGQ_TRUNCATED or ZGQ_IO.
 */
export async function* readPieces(path: string, byteLength: number): AsyncGenerator<Uint8Array> {
  const file = await open(path).catch((error: unknown) => {
    throw wrapReadError(error, path, 'open a file of the index')
  })
  try {
    const buffer = new Uint8Array(Math.min(PIECE_BYTES, byteLength))
    for (let offset = 0; offset < byteLength;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.byteLength, byteLength - offset), offset)
      if (bytesRead === 0)
        throw new ZgqError('ZGQ_TRUNCATED', `it ends at byte ${offset} of ${byteLength}`, { path, offset })
      yield buffer.subarray(0, bytesRead)
      offset += bytesRead
    }
  } catch (error) {
    throw wrapReadError(error, path, 'read a file of the index')
  } finally {
    await file.close()
  }
}

/** Reads `byteLength` bytes at `offset`; rejects with ZGQ_NOT_FOUND, ZGQ_TRUNCATED or ZGQ_IO. */
export async function readPiece(path: string, offset: number, byteLength: number): Promise<Uint8Array> {
  try {
    const file = await open(path)
    try {
      const bytes = new Uint8Array(byteLength)
      for (let done = 0; done < byteLength;) {
        const { bytesRead } = await file.read(bytes, done, byteLength - done, offset + done)
        if (bytesRead === 0)
          throw new ZgqError('ZGQ_TRUNCATED', `the file ends ${byteLength - done} bytes early`, { path, offset })
        done += bytesRead
      }
      return bytes
    } finally {
      await file.close()
    }
  } catch (error) {
    throw wrapReadError(error, path, 'read a file to publish')
  }
}
