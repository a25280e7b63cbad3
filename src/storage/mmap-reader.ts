// Reads by copying from memory-mapped files: one call a copy, no system call once a page is in memory.

import { closeSync } from 'node:fs'

import { ZgqError } from '../errors.ts'
import { forEachAdvice } from './advice.ts'
import type { Libc } from './libc.ts'
import { openFile } from './pread-reader.ts'
import { fileOf, type DataFile, type DataFiles, type Reader } from './reader.ts'

/** Maps every file whole. Lengths must have been checked: touching a page past the end of a file kills the process. */
export function openMmapReader(initialFiles: DataFiles, libc: Libc): Reader {
  let files: DataFiles = new Map()
  const mapped = new Map<number, { readonly address: number; readonly byteLength: number }>()
  let isClosed = false
  const unmapBut = (kept: DataFiles): void => {
    for (const [file, { address, byteLength }] of mapped) {
      if (kept.has(file)) continue
      libc.unmap(address, byteLength)
      mapped.delete(file)
    }
  }
  const addressOf = (file: number): number => {
    const found = mapped.get(file)
    if (found === undefined) throw new TypeError(`file ${file} is not mapped`)
    return found.address
  }
  const mapAll = (others: DataFiles): void => {
    try {
      for (const [file, found] of others) {
        if (!mapped.has(file)) mapped.set(file, { address: mapFile(found, libc), byteLength: found.byteLength })
      }
    } catch (error) {
      unmapBut(files)
      throw error
    }
    unmapBut(others)
    files = others
  }
  const close = (): void => {
    if (isClosed) return
    isClosed = true
    unmapBut(new Map())
  }
  try {
    mapAll(initialFiles)
  } catch (error) {
    close()
    throw error
  }
  return {
    kind: 'mmap',
    read(file, offset, target) {
      const { path, byteLength } = fileOf(files, file)
      if (isClosed) throw new ZgqError('ZGQ_CLOSED', 'the reader was closed', { path })
      if (offset + target.byteLength > byteLength)
        throw new ZgqError('ZGQ_TRUNCATED', `${target.byteLength} bytes are past the end of the file`, { path, offset })
      libc.copy(target, addressOf(file) + offset)
    },
    prefetch(ranges) {
      if (isClosed) return
      for (const range of ranges)
        forEachAdvice(range, libc.pageBytes, (offset, byteLength) => {
          libc.willNeed(addressOf(range.file) + offset, byteLength)
        })
    },
    replaceFiles: mapAll,
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
