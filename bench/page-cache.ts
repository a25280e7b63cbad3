// Puts the files of an index into the system's page cache or out of it, and proves the latter with mincore. Linux only.

import { closeSync, fsyncSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { loadKoffi } from './packages.ts'

const POSIX_FADV_DONTNEED = 4
const PROT_READ = 1
const MAP_SHARED = 1
const PAGE_BYTES = 4096

/** Drops every page of every file in the folder. Nothing may have them mapped or open. Throws if a page stays. */
export function evictFolder(folder: string): void {
  const library = loadKoffi().load(null)
  const fadvise = library.func('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)')
  const mmap = library.func('intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int descriptor, int64_t offset)')
  const munmap = library.func('int munmap(uintptr_t address, size_t length)')
  const mincore = library.func('int mincore(uintptr_t address, size_t length, _Out_ uint8_t *pages)')
  eachFile(folder, (descriptor, byteLength, path) => {
    fsyncSync(descriptor) // dirty pages cannot be dropped
    const error = Number(fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED))
    if (error !== 0) throw new Error(`${path}: posix_fadvise returned ${error}`)
    const address = Number(mmap(0, byteLength, PROT_READ, MAP_SHARED, descriptor, 0))
    if (address === -1) throw new Error(`${path}: cannot be mapped for mincore`)
    const pages = new Uint8Array(Math.ceil(byteLength / PAGE_BYTES))
    const status = Number(mincore(address, byteLength, pages))
    munmap(address, byteLength)
    const resident = pages.reduce((sum, page) => sum + (page & 1), 0)
    if (status !== 0 || resident > 0) throw new Error(`${path}: ${resident} of ${pages.length} pages are still resident (mincore ${status})`)
  })
}

/** Reads every byte of every file in the folder once. */
export function warmFolder(folder: string): void {
  const chunk = new Uint8Array(2 ** 20)
  eachFile(folder, (descriptor, byteLength) => {
    for (let offset = 0; offset < byteLength; offset += chunk.byteLength) readSync(descriptor, chunk, { position: offset })
  })
}

function eachFile(folder: string, visit: (descriptor: number, byteLength: number, path: string) => void): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const byteLength = statSync(path).size
    if (byteLength === 0) continue
    const descriptor = openSync(path, 'r')
    try {
      visit(descriptor, byteLength, path)
    } finally {
      closeSync(descriptor)
    }
  }
}
