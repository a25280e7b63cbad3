// Reads a piece of a file into memory of its own.

import { open } from 'node:fs/promises'

import { wrapReadError, ZgqError } from '../errors.ts'

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
