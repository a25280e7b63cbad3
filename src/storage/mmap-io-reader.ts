// Reads by copying out of the Buffers that the package mmap-io maps: only where the app asks for it, since the package
// has limits that nothing lifts. Its sizes and offsets are 32-bit and wrap without a word; it unmaps nothing, which is
// left to the garbage collector; its Buffers lie over foreign memory.

import { closeSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

import { ZgqError } from '../errors.ts'
import { forEachAdvice } from './advice.ts'
import { loadMmapIo, type MmapIo } from './native-modules.ts'
import { openFile } from './pread-reader.ts'
import { fileOf, type DataFile, type DataFiles, type Reader } from './reader.ts'

/** Where the last byte that is mapped may be: half of what fits its 32-bit sizes and offsets. */
const MAX_FILE_BYTES = 2 ** 30
const INSTEAD = `Use mapping: 'auto', 'mmap' or 'pread'`

/** Loads mmap-io; throws ZGQ_UNSUPPORTED where it does not load, or would end the process. */
export function expectMmapIo(): MmapIo {
  const refuse = (reason: string): ZgqError =>
    new ZgqError('ZGQ_UNSUPPORTED', `mapping: 'mmap-io' cannot be used: ${reason}. ${INSTEAD}`)
  if (process.versions.electron !== undefined)
    throw refuse('mmap-io makes Buffers over foreign memory, for which Electron ends the process')
  if (process.platform === 'win32') throw refuse('mmap-io is not supported on Windows')
  if (!isMainThread) throw refuse('this is a worker thread, and mmap-io loads in one thread of a process only')
  const loaded = loadMmapIo()
  if ('reason' in loaded)
    throw refuse(
      `${loaded.reason}. It is not installed with zgq: npm install mmap-io@1.1.7 with CXXFLAGS=-std=c++17, ` +
        'from Node 24 on -std=c++20, and a C++ compiler'
    )
  return loaded.mmapIo
}

/**
 * Maps every file, or its part of one, whole. Lengths must have been checked: touching a page past the end of a file
 * kills the process. Throws ZGQ_UNSUPPORTED for what is beyond 1 GiB of a file.
 */
export function openMmapIoReader(initialFiles: DataFiles, mmapIo: MmapIo): Reader {
  let files: DataFiles = new Map()
  const buffers = new Map<number, Buffer>()
  let isClosed = false
  const bufferOf = (file: number): Buffer => {
    const buffer = buffers.get(file)
    if (isClosed || buffer === undefined)
      throw new ZgqError('ZGQ_CLOSED', 'the reader was closed', { path: fileOf(files, file).path })
    return buffer
  }
  const mapAll = (others: DataFiles): void => {
    for (const file of others.values()) expectMappable(file)
    const fresh = [...others].filter(([file]) => !buffers.has(file))
    const mapped = fresh.map(([file, found]): [number, Buffer] => [file, mapFile(found, mmapIo)])
    for (const file of buffers.keys()) if (!others.has(file)) buffers.delete(file) // the garbage collector unmaps
    for (const [file, buffer] of mapped) buffers.set(file, buffer)
    files = others
  }
  mapAll(initialFiles)
  return {
    kind: 'mmap-io',
    read(file, offset, target) {
      const buffer = bufferOf(file)
      const end = offset + target.byteLength
      const { path, byteLength } = fileOf(files, file)
      if (end > byteLength)
        throw new ZgqError('ZGQ_TRUNCATED', `${target.byteLength} bytes are past the end of the file`, { path, offset })
      buffer.copy(target, 0, offset, end)
    },
    prefetch(ranges) {
      if (isClosed) return
      for (const range of ranges) {
        forEachAdvice(range, mmapIo.PAGESIZE, (offset, byteLength) => {
          adviseQuietly(mmapIo, bufferOf(range.file).subarray(offset, offset + byteLength))
        })
      }
    },
    replaceFiles: mapAll,
    close() {
      isClosed = true
      buffers.clear() // the garbage collector unmaps
    }
  }
}

function expectMappable(file: DataFile): void {
  const { path, byteLength, start = 0 } = file
  if (start + byteLength <= MAX_FILE_BYTES) return
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    `mapping: 'mmap-io' maps ${MAX_FILE_BYTES} bytes of a file at most, this one has ${start + byteLength}. ${INSTEAD}`,
    { path }
  )
}

/** Maps pages of the system: where a part begins in the middle of one, the Buffer does not have what is before it. */
function mapFile(file: DataFile, mmapIo: MmapIo): Buffer {
  const { byteLength, start = 0 } = file
  const before = start % mmapIo.PAGESIZE
  const descriptor = openFile(file)
  try {
    const { PROT_READ, MAP_SHARED, MADV_RANDOM } = mmapIo
    return mmapIo
      .map(before + byteLength, PROT_READ, MAP_SHARED, descriptor, start - before, MADV_RANDOM)
      .subarray(before)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ZgqError('ZGQ_IO', `mapping ${byteLength} bytes failed: ${reason}; open with mapping: 'pread'`, {
      path: file.path,
      cause
    })
  } finally {
    closeSync(descriptor) // a mapping outlives its descriptor
  }
}

/** Advice that the system refuses costs time and nothing else. */
function adviseQuietly(mmapIo: MmapIo, pages: Buffer): void {
  try {
    mmapIo.advise(pages, mmapIo.MADV_WILLNEED)
  } catch {
    return
  }
}
