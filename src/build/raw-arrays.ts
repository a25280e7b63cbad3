// Arrays of numbers as files of artifacts, as they lie in memory. Hosts are little-endian.

import { closeSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'

import { wrapReadError, ZgqError } from '../errors.ts'
import { FileWriter } from '../storage/file-writer.ts'
import { readFully } from '../storage/pread-reader.ts'
import type { ArtifactFolder } from './artifact-folder.ts'

/** Values that are added at a time. */
const VALUES_AT_ONCE = 2 ** 17

/** Writes an array to a file of an artifact. */
export function writeArray(
  { folder, isDurable }: ArtifactFolder,
  name: string,
  values: Float32Array | Float64Array
): void {
  writeBytes({ folder, isDurable }, name, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
}

/** Writes bytes to a file of an artifact. */
export function writeBytes({ folder, isDurable }: ArtifactFolder, name: string, bytes: Uint8Array): void {
  const writer = new FileWriter(join(folder, name))
  try {
    writer.write(bytes)
    if (isDurable) writer.sync()
    else writer.flush()
  } finally {
    writer.close()
  }
}

/** Reads all of a file; throws ZGQ_NOT_FOUND and ZGQ_IO. */
export function readFloats(path: string): Float32Array {
  return withFile(path, (descriptor, byteLength) => {
    const values = new Float32Array(byteLength / 4)
    readFully({ descriptor, path }, 0, new Uint8Array(values.buffer))
    return values
  })
}

/** The same of float64. */
export function readSums(path: string): Float64Array {
  return withFile(path, (descriptor, byteLength) => {
    const values = new Float64Array(byteLength / 8)
    readFully({ descriptor, path }, 0, new Uint8Array(values.buffer))
    return values
  })
}

/**
 * Adds the values of a file (float64) to sums, some at a time; throws ZGQ_CORRUPT where it has another number of them.
 */
export function addSums(path: string, sums: Float64Array): void {
  withFile(path, (descriptor, byteLength) => {
    if (byteLength !== sums.byteLength)
      throw new ZgqError('ZGQ_CORRUPT', `the file has ${byteLength} bytes, expected ${sums.byteLength}`, { path })
    const some = new Float64Array(Math.min(VALUES_AT_ONCE, sums.length))
    for (let first = 0; first < sums.length; first += some.length) {
      const count = Math.min(some.length, sums.length - first)
      readFully({ descriptor, path }, first * 8, new Uint8Array(some.buffer, 0, count * 8))
      for (let i = 0; i < count; i++) sums[first + i] += some[i]
    }
  })
}

function withFile<T>(path: string, read: (descriptor: number, byteLength: number) => T): T {
  try {
    const descriptor = openSync(path, 'r')
    try {
      return read(descriptor, fstatSync(descriptor).size)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw wrapReadError(error, path, 'read what an earlier task of the build left')
  }
}
