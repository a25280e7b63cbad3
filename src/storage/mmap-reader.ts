// Reads by copying from memory-mapped files: one call a copy, no system call once a page is in memory.

import { closeSync } from 'node:fs'

import { ZgqError } from '../errors.ts'
import { forEachAdvice } from './advice.ts'
import type { Libc } from './libc.ts'
import { openFile } from './pread-reader.ts'
import type { DataFile, Reader } from './reader.ts'

/** Maps every file whole. Lengths must have been checked: touching a page past the end of a file kills the process. */
export function openMmapReader(files: readonly DataFile[], libc: Libc): Reader {
  const addresses: number[] = []
  let isClosed = false
  const close = (): void => {
    if (isClosed) return
    isClosed = true
    addresses.forEach((address, file) => {
      libc.unmap(address, files[file].byteLength)
    })
  }
  try {
    for (const file of files) addresses.push(mapFile(file, libc))
  } catch (error) {
    close()
    throw error
  }
  return {
    kind: 'mmap',
    read(file, offset, target) {
      if (isClosed) throw new ZgqError('ZGQ_CLOSED', 'the reader was closed', { path: files[file].path })
      if (offset + target.byteLength > files[file].byteLength) {
        throw new ZgqError('ZGQ_TRUNCATED', `${target.byteLength} bytes are past the end of the file`, {
          path: files[file].path,
          offset
        })
      }
      libc.copy(target, addresses[file] + offset)
    },
    prefetch(ranges) {
      for (const range of ranges)
        forEachAdvice(range, libc.pageBytes, (offset, byteLength) => {
          libc.willNeed(addresses[range.file] + offset, byteLength)
        })
    },
    close
  }
}

function mapFile(file: DataFile, libc: Libc): number {
  const descriptor = openFile(file)
  try {
    const address = libc.map(descriptor, file.byteLength)
    if (address === undefined)
      throw new ZgqError('ZGQ_IO', `mapping ${file.byteLength} bytes failed; open with mapping: 'pread'`, {
        path: file.path
      })
    return address
  } finally {
    closeSync(descriptor) // a mapping outlives its descriptor
  }
}
