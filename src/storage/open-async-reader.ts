// Opens the asynchronous sibling of a reader, over the same files. Reads are plain ones, by the threads that Node keeps
// for file systems.

import { read } from 'node:fs'

import { ZgqError } from '../errors.ts'
import { unlessAborted, type AsyncReader } from './async-reader.ts'
import type { OpenedFile, PreadReader } from './pread-reader.ts'
import { fileOf, type DataFiles, type FileRange } from './reader.ts'

/** Opens an asynchronous reader over the files of readers; once it is closed, reads reject with ZGQ_CLOSED. */
export function openAsyncReader(readers: { readonly fresh: PreadReader; readonly files: DataFiles }): AsyncReader {
  const closing = new AbortController()

  const readOne = async (range: FileRange): Promise<Uint8Array> => {
    const file = fileOf(readers.files, range.file)
    const { descriptor, release } = readers.fresh.retain(range.file)
    try {
      return await readWhole({ ...file, descriptor }, range)
    } finally {
      release()
    }
  }

  return {
    readAsync(ranges, signal) {
      return unlessAborted(
        closing.signal,
        async () => await unlessAborted(signal, async () => await Promise.all(ranges.map(readOne)))
      )
    },
    close() {
      closing.abort(new ZgqError('ZGQ_CLOSED', 'the index was closed'))
    }
  }
}

async function readWhole(from: OpenedFile, range: FileRange): Promise<Uint8Array> {
  const { offset, byteLength } = range
  const bytes = new Uint8Array(byteLength)
  for (let done = 0; done < byteLength;) {
    const count = await readSome(from, bytes.subarray(done), offset + done)
    if (count === 0)
      throw new ZgqError(
        'ZGQ_TRUNCATED',
        `the file ends ${byteLength - done} bytes early: expected ${byteLength} bytes here`,
        { path: from.path, offset }
      )
    done += count
  }
  return bytes
}

async function readSome(from: OpenedFile, target: Uint8Array, offset: number): Promise<number> {
  const { descriptor, path, start = 0 } = from
  return await new Promise((resolve, reject) => {
    read(descriptor, target, 0, target.byteLength, start + offset, (cause, count) => {
      if (cause === null) resolve(count)
      else
        reject(
          new ZgqError('ZGQ_IO', `reading ${target.byteLength} bytes failed: ${cause.message}`, {
            path,
            offset,
            cause
          })
        )
    })
  })
}
