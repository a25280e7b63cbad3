// Facts that one stage leaves for the next: JSON files that appear whole or not at all. Typed arrays go into them as
// base64.

import { readFileSync, renameSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'

import { wrapReadError, wrapWriteError } from '../errors.ts'
import { FileWriter, removeTemporary } from '../storage/file-writer.ts'

const TEMPORARY_NAME = /\.new-.*-\d+-\d+$/

/** Writes `value` to `path` in one step; isDurable: so that a power failure does not undo it. */
export function writeStored(path: string, value: unknown, isDurable: boolean): void {
  const temporary = `${path}.${temporaryEnding()}`
  removeTemporary(temporary)
  try {
    writeFile(temporary, JSON.stringify(value), isDurable)
    renameSync(temporary, path)
  } catch (error) {
    removeQuietly(temporary)
    throw wrapWriteError(error, path, 'rename a temporary file')
  }
}

function writeFile(path: string, text: string, isDurable: boolean): void {
  const writer = new FileWriter(path)
  try {
    writer.write(Buffer.from(text))
    if (isDurable) writer.sync()
    else writer.flush()
  } finally {
    writer.close()
  }
}

/**
 * Removes what was not completed. Where that fails it is removed when the build goes on; the error that came before
 * says more.
 */
export function removeQuietly(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {
    return
  }
}

/** Reads what `writeStored` of this version wrote. */
export function readStored<T>(path: string): T {
  try {
    const value: T = JSON.parse(readFileSync(path, 'utf8'))
    return value
  } catch (error) {
    throw wrapReadError(error, path, 'read what an earlier stage of the build left')
  }
}

/**
 * Ends names that belong to this thread alone: hosts that share a folder have processes of the same number, containers
 * above all.
 */
export function temporaryEnding(): string {
  return `new-${hostname()}-${process.pid}-${threadId}`
}

/** Tells whether a name in the working folder is one that a task gave to what it had not completed yet. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY_NAME.test(name)
}

export function encodeArray(values: Float32Array | Float64Array | Uint32Array | Uint8Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')
}

export function decodeBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}

export function decodeFloats(text: string): Float32Array {
  return new Float32Array(decodeBytes(text).buffer)
}

export function decodeWords(text: string): Uint32Array {
  return new Uint32Array(decodeBytes(text).buffer)
}
