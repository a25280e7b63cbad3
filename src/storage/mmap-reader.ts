// Reads by copying from memory-mapped files: one call a copy, no system call once a page is in memory.

import { closeSync } from 'node:fs'

import { ZgqError } from '../errors.ts'
import { forEachAdvice } from './advice.ts'
import type { Libc } from './libc.ts'
import { openFile } from './pread-reader.ts'
import { fileOf, type DataFile, type DataFiles, type Reader } from './reader.ts'

/**
 * Maps every file, or its part of one, whole. Lengths must have been checked: touching a page past the end of a file
 * kills the process.
 */
export function openMmapReader(initialFiles: DataFiles, libc: Libc): Reader {
  let files: DataFiles = new Map()
  const mapped = new Map<number, MappedFile>()
  /** Rows reranked one after the other are mostly of one file, and looking it up takes as long as copying a row. */
  let last: MappedFile | undefined
  let isClosed = false
  const unmapBut = (kept: DataFiles): void => {
    last = undefined
    for (const [file, { address, byteLength, before }] of mapped) {
      if (kept.has(file)) continue
      libc.unmap(address - before, before + byteLength)
      mapped.delete(file)
    }
  }
  const mappedOf = (file: number): MappedFile => {
    if (last?.file === file) return last
    if (isClosed) throw new ZgqError('ZGQ_CLOSED', 'the reader was closed', { path: fileOf(files, file).path })
    const found = mapped.get(file)
    if (found === undefined) throw new TypeError(`file ${file} is not mapped`)
    last = found
    return found
  }
  const mapAll = (others: DataFiles): void => {
    try {
      for (const [file, found] of others) {
        if (!mapped.has(file)) mapped.set(file, { file, ...mapFile(found, libc) })
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
      const { path, byteLength, address } = mappedOf(file)
      if (offset + target.byteLength > byteLength)
        throw new ZgqError('ZGQ_TRUNCATED', `${target.byteLength} bytes are past the end of the file`, { path, offset })
      libc.copy(target, address + offset)
    },
    prefetch(ranges) {
      if (isClosed) return
      for (const range of ranges) {
        const { address, before } = mappedOf(range.file)
        forEachAdvice({ ...range, offset: range.offset + before }, libc.pageBytes, (offset, byteLength) => {
          libc.willNeed(address - before + offset, byteLength)
        })
      }
    },
    replaceFiles: mapAll,
    close
  }
}

interface MappedFile {
  readonly file: number
  readonly path: string
  readonly byteLength: number
  readonly address: number
  /** Bytes that are mapped before it: mappings begin on pages, which may be larger than those of the format. */
  readonly before: number
}

function mapFile(file: DataFile, libc: Libc): Omit<MappedFile, 'file'> {
  const { path, byteLength, start = 0 } = file
  const before = start % libc.pageBytes
  const descriptor = openFile(file)
  try {
    const address = libc.map(descriptor, before + byteLength, start - before)
    if (address === undefined)
      throw new ZgqError('ZGQ_IO', `mapping ${byteLength} bytes failed; open with mapping: 'pread'`, { path })
    return { path, byteLength, address: address + before, before }
  } finally {
    closeSync(descriptor) // a mapping outlives its descriptor
  }
}
