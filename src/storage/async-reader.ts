// Reads that wait for nothing: the asynchronous sibling of a reader, over the same files. Reads are plain ones, by the
// threads that Node keeps for file systems.

import { closeSync, read } from 'node:fs'

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import { openFile } from './pread-reader.ts'
import { fileOf, type DataFiles, type FileRange } from './reader.ts'

export interface AsyncReader {
  /**
   * Reads ranges, in any order, and resolves to the bytes of each once all are read. Rejects with ZGQ_TRUNCATED or
   * ZGQ_IO, and with the reason of the signal as soon as it is aborted.
   */
  readAsync(ranges: readonly FileRange[], signal: AbortSignal | undefined): Promise<Uint8Array[]>
  /** Idempotent. Reads that are under way go on, and close what they need when they are done. */
  close(): void
}

/** Files that stay open between reads, at most. */
const MOST_OPEN = 64

interface OpenFile {
  readonly descriptor: number
  /** Reads that are under way: a descriptor that is closed under one may be another file's by then. */
  reads: number
  isRetired: boolean
}

/** Opens an asynchronous reader over the files that `files` returns; once it is closed, reads reject with ZGQ_CLOSED. */
export function openAsyncReader(files: () => DataFiles): AsyncReader {
  const open = new Map<number, OpenFile>()
  const closing = new AbortController()

  const retire = (file: number, opened: OpenFile): void => {
    open.delete(file)
    opened.isRetired = true
    if (opened.reads === 0) closeSync(opened.descriptor)
  }

  const fileFor = (file: number): OpenFile => {
    const known = open.get(file)
    if (known !== undefined) return known
    for (const [oldest, opened] of open) {
      if (open.size < MOST_OPEN) break
      retire(oldest, opened)
    }
    const opened = { descriptor: openFile(fileOf(files(), file)), reads: 0, isRetired: false }
    open.set(file, opened)
    return opened
  }

  const readOne = async (range: FileRange): Promise<Uint8Array> => {
    const { path } = fileOf(files(), range.file)
    const opened = fileFor(range.file)
    opened.reads++
    try {
      return await readWhole({ descriptor: opened.descriptor, path }, range)
    } finally {
      opened.reads--
      if (opened.isRetired && opened.reads === 0) closeSync(opened.descriptor)
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
      for (const [file, opened] of open) retire(file, opened)
    }
  }
}

/** Waits for work, or for the signal: then what the work still brings is not looked at. */
export async function unlessAborted<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>
): Promise<Result> {
  signal?.throwIfAborted()
  if (signal === undefined) return await work()
  return await new Promise<Result>((resolve, reject) => {
    const endWait = onAbort(signal, () => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the caller's own reason
      reject(signal.reason)
    })
    work().then(resolve, reject).finally(endWait)
  })
}

async function readWhole(from: { descriptor: number; path: string }, range: FileRange): Promise<Uint8Array> {
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

async function readSome(
  from: { descriptor: number; path: string },
  target: Uint8Array,
  offset: number
): Promise<number> {
  return await new Promise((resolve, reject) => {
    read(from.descriptor, target, 0, target.byteLength, offset, (cause, count) => {
      if (cause === null) resolve(count)
      else
        reject(
          new ZgqError('ZGQ_IO', `reading ${target.byteLength} bytes failed: ${cause.message}`, {
            path: from.path,
            offset,
            cause
          })
        )
    })
  })
}
