// Puts the files of an index into the system's page cache or out of it, and proves the latter with mincore. Linux only.

import { closeSync, fsyncSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { loadKoffi } from './packages.ts'

const POSIX_FADV_DONTNEED = 4
const PROT_READ = 1
const MAP_SHARED = 1
const PAGE_BYTES = 4096

/**
 * Drops every page of every file in the folder and below. Nothing may have them mapped or open. Throws if a page stays.
 */
export function evictFolder(folder: string): void {
  const resident = dropPages(folder)
  if (resident > 0) throw new Error(`${folder}: ${resident} pages are still resident`)
}

/** Drops what can be dropped; returns how many pages stay, as pages do that a process has mapped and touched. */
export function dropPages(folder: string): number {
  const { fadvise, mmap, munmap, mincore } = systemCalls()
  let resident = 0
  eachFile(folder, (descriptor, byteLength, path) => {
    fsyncSync(descriptor) // dirty pages cannot be dropped
    const error = Number(fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED))
    if (error !== 0) throw new Error(`${path}: posix_fadvise returned ${error}`)
    const address = Number(mmap(0, byteLength, PROT_READ, MAP_SHARED, descriptor, 0))
    if (address === -1) throw new Error(`${path}: cannot be mapped for mincore`)
    const pages = new Uint8Array(Math.ceil(byteLength / PAGE_BYTES))
    const status = Number(mincore(address, byteLength, pages))
    munmap(address, byteLength)
    if (status !== 0) throw new Error(`${path}: mincore returned ${status}`)
    for (const page of pages) resident += page & 1
  })
  return resident
}

type SystemCalls = Record<'fadvise' | 'mmap' | 'munmap' | 'mincore', (...values: unknown[]) => unknown>

function systemCalls(): SystemCalls {
  const library = loadKoffi().load(null)
  return {
    fadvise: library.func('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)'),
    mmap: library.func(
      'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int descriptor, int64_t offset)'
    ),
    munmap: library.func('int munmap(uintptr_t address, size_t length)'),
    mincore: library.func('int mincore(uintptr_t address, size_t length, _Out_ uint8_t *pages)')
  }
}

/** Adds up the lengths of all files in the folder and below. */
export function folderBytes(folder: string): number {
  let bytes = 0
  eachFile(folder, (_, byteLength) => {
    bytes += byteLength
  })
  return bytes
}

/** Reads every byte of every file in the folder once. */
export function warmFolder(folder: string): void {
  const chunk = new Uint8Array(2 ** 20)
  eachFile(folder, (descriptor, byteLength) => {
    for (let offset = 0; offset < byteLength; offset += chunk.byteLength)
      readSync(descriptor, chunk, { position: offset })
  })
}

function eachFile(folder: string, visit: (descriptor: number, byteLength: number, path: string) => void): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    const status = statSync(path)
    const byteLength = status.size
    if (byteLength === 0 || !status.isFile()) continue
    const descriptor = openSync(path, 'r')
    try {
      visit(descriptor, byteLength, path)
    } finally {
      closeSync(descriptor)
    }
  }
}
