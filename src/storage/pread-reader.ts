// Reads with positioned system reads. Works everywhere; keeps at most 64 files open.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

import { missingFile, systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { DescriptorPool, type RetainedDescriptor } from './descriptor-pool.ts'
import type { Libc } from './libc.ts'
import { fileOf, type DataFile, type DataFiles, type Reader } from './reader.ts'

const MAX_DESCRIPTORS = 64

export interface PreadReader extends Reader {
  /** Returns the descriptor of a file for reads that take their time; throws as `read` does. */
  retain(file: number): RetainedDescriptor
  /** Turns readahead off, for files that are open and those to come: a segment's end must not pull in its neighbour. */
  adviseRandom(libc: Libc): void
}

/** Opens a reader over `files`. */
export function openPreadReader(initialFiles: DataFiles): PreadReader {
  let files = initialFiles
  let libc: Libc | undefined
  const descriptors = new DescriptorPool({
    most: MAX_DESCRIPTORS,
    open(file) {
      const descriptor = openFile(fileOf(files, file))
      libc?.adviseRandom(descriptor)
      return descriptor
    }
  })
  let isClosed = false

  /** Parts of one file share a descriptor: that of the first of them. */
  const openedAs = (file: number): number => {
    const { start, absolutePath } = fileOf(files, file)
    if (start === undefined) return file
    for (const [first, other] of files) if (other.absolutePath === absolutePath) return first
    return file
  }

  const expectOpen = (file: number): void => {
    if (isClosed) throw new ZgqError('ZGQ_CLOSED', 'the reader was closed', { path: fileOf(files, file).path })
  }

  const descriptorOf = (file: number): number => {
    expectOpen(file)
    return descriptors.get(openedAs(file))
  }

  // Opened ahead, files stay readable if the index is replaced meanwhile.
  const openAhead = (some: DataFiles): void => {
    for (const file of [...some.keys()].slice(0, MAX_DESCRIPTORS)) descriptorOf(file)
  }

  const reader: PreadReader = {
    kind: 'pread',
    read(file, offset, target) {
      readFully({ ...fileOf(files, file), descriptor: descriptorOf(file) }, offset, target)
    },
    retain(file) {
      expectOpen(file)
      return descriptors.retain(openedAs(file))
    },
    prefetch() {
      // Nothing to ask: Node has no call for it. The system's own readahead serves sequential reads.
    },
    adviseRandom(loaded) {
      libc = loaded
      descriptors.forEach((descriptor) => {
        loaded.adviseRandom(descriptor)
      })
    },
    replaceFiles(others) {
      const before = files
      files = new Map([...before, ...others])
      try {
        openAhead(others)
      } catch (error) {
        descriptors.closeBut(before)
        files = before
        throw error
      }
      descriptors.closeBut(others)
      files = others
    },
    close() {
      isClosed = true
      descriptors.close()
    }
  }
  try {
    openAhead(files)
  } catch (error) {
    reader.close()
    throw error
  }
  return reader
}

/** Flags that follow no link and wait for no writer of a FIFO; 0 on systems without them. */
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 }: Partial<Record<string, number>> = { ...constants }

/** Opens a file that the catalogue names: a missing one is damage, and so is what is no regular file. */
export function openFile(file: DataFile): number {
  let descriptor: number
  try {
    descriptor = openSync(file.absolutePath ?? file.path, constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (cause) {
    if (['ELOOP', 'ENXIO'].includes(systemCode(cause) ?? '')) throw notAFile(file.path, cause)
    const error = wrapReadError(cause, file.path, 'open a file of the index')
    if (error.code !== 'ZGQ_NOT_FOUND') throw error
    if (file.start === undefined) throw missingFile(file.path, cause)
    throw new ZgqError('ZGQ_CORRUPT', 'the packed index was removed since it was opened', { path: file.path, cause })
  }
  try {
    const found = fstatSync(descriptor)
    if (!found.isFile()) throw notAFile(file.path)
    const { dev, ino, size } = found
    const { byteLength, wholeByteLength = byteLength } = file
    if (size !== wholeByteLength || (file.identity !== undefined && file.identity !== `${dev}:${ino}`)) {
      throw new ZgqError('ZGQ_MISMATCH', 'the file was replaced since the catalogue was read; open the index again', {
        path: file.path
      })
    }
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw wrapReadError(error, file.path, 'open a file of the index')
  }
}

function notAFile(path: string, cause?: unknown): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', 'a file of the index is not a regular file', { path, cause })
}

/** What is read from: a file that is open, and where in it what has offset 0 is. */
export interface OpenedFile extends Pick<DataFile, 'path' | 'start'> {
  readonly descriptor: number
}

/** Reads until `target` is full; throws ZGQ_TRUNCATED where the file ends before. */
export function readFully(from: OpenedFile, offset: number, target: Uint8Array): void {
  const { descriptor, path, start = 0 } = from
  let done = 0
  while (done < target.byteLength) {
    let read: number
    try {
      read = readSync(descriptor, target, done, target.byteLength - done, start + offset + done)
    } catch (cause) {
      throw new ZgqError(
        'ZGQ_IO',
        `reading ${target.byteLength} bytes failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        { path, offset: offset + done, cause }
      )
    }
    if (read === 0) {
      throw new ZgqError(
        'ZGQ_TRUNCATED',
        `the file ends ${target.byteLength - done} bytes early: expected ${target.byteLength} bytes here`,
        { path, offset }
      )
    }
    done += read
  }
}
