// The page cache of Linux: which pages of a file are in memory, and how to get them out. Nothing here reads the file.

import { closeSync, fsyncSync, openSync, statSync } from 'node:fs'
import koffi from 'koffi'

import { PAGE_BYTES } from '../../src/format/layout.ts'

const PROT_READ = 1
const MAP_SHARED = 1
const POSIX_FADV_DONTNEED = 4

interface Calls {
  readonly mmap: (
    address: number,
    length: number,
    protection: number,
    flags: number,
    descriptor: number,
    offset: number
  ) => unknown
  readonly munmap: (address: number, length: number) => unknown
  readonly mincore: (address: number, length: number, resident: Uint8Array) => unknown
  readonly fadvise: (descriptor: number, offset: number, length: number, advice: number) => unknown
}

let bound: Calls | undefined

function calls(): Calls {
  if (bound !== undefined) return bound
  const libc = koffi.load(null)
  bound = {
    mmap: libc.func(
      'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int descriptor, int64_t offset)'
    ),
    munmap: libc.func('int munmap(uintptr_t address, size_t length)'),
    mincore: libc.func('int mincore(uintptr_t address, size_t length, _Out_ uint8_t *resident)'),
    fadvise: libc.func('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)')
  }
  return bound
}

/** Returns the numbers of the pages of 4,096 bytes that are in memory. */
export function residentPages(path: string): number[] {
  const byteLength = statSync(path).size
  const descriptor = openSync(path, 'r')
  const address = Number(calls().mmap(0, byteLength, PROT_READ, MAP_SHARED, descriptor, 0))
  closeSync(descriptor)
  if (address === -1) throw new Error(`mmap of ${path} failed`)
  const resident = new Uint8Array(Math.ceil(byteLength / PAGE_BYTES))
  const result = Number(calls().mincore(address, byteLength, resident))
  calls().munmap(address, byteLength)
  if (result !== 0) throw new Error(`mincore of ${path} failed`)
  return Array.from(resident.keys()).filter((page) => (resident[page] & 1) === 1)
}

/** Drops a file from memory; throws, saying why, if pages stay there, as they do on file systems in memory. */
export function evict(path: string): void {
  const descriptor = openSync(path, 'r+')
  fsyncSync(descriptor)
  calls().fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
  closeSync(descriptor)
  const left = residentPages(path).length
  if (left > 0)
    throw new Error(
      `${left} pages of ${path} stay in memory after posix_fadvise(DONTNEED): this test needs a file system on ` +
        'a disk, and not tmpfs'
    )
}
