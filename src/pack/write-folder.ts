// Writes a packed index as a folder of files, which any web server or object store serves: parts first, each named by
// its digest, then the manifest that names them, with the next number. Who reads the folder sees one or the other.

import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { systemCode, wrapReadError, wrapWriteError } from '../errors.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import { decodePackedHeader } from '../format/packed-header.ts'
import { hex } from '../format/header.ts'
import { LATEST_NAME, manifestName, manifestNumber } from '../format/packed-index.ts'
import { readSmallFile } from '../small-file.ts'
import { FileWriter, syncFolder } from '../storage/file-writer.ts'
import { readPieces, type PackPlan } from './pack-plan.ts'
import type { WriteOptions } from './write-file.ts'

/** How the folder was written. */
export interface WrittenFolder {
  /** Number of the manifest that names the parts. */
  readonly manifest: number
  /** Bytes of parts and manifest that were not there before. */
  readonly bytesWritten: number
}

/**
 * Writes what is not there yet. Rejects with ZGQ_IO, ZGQ_READ_ONLY, ZGQ_NOT_FOUND, ZGQ_CORRUPT for a manifest that
 * cannot be read, or the reason of the signal; what is there already stays as it is then.
 */
export async function writePackedFolder(
  folder: string,
  plan: PackPlan,
  options: Omit<WriteOptions, 'force'>
): Promise<WrittenFolder> {
  const { signal } = options
  try {
    mkdirSync(folder, { recursive: true })
    const highest = highestManifest(folder)
    if (highest !== undefined && digestOf(folder, highest) === hex(plan.digest)) {
      await writeLatest(folder, highest) // who wrote the manifest may have died before
      return { manifest: highest, bytesWritten: 0 }
    }
    const bytesWritten = await writeParts(folder, plan, options)
    syncFolder(folder)
    const manifest = writeManifest(folder, plan.head, (highest ?? 0) + 1)
    await writeLatest(folder, manifest)
    return { manifest, bytesWritten: bytesWritten + plan.head.byteLength }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    // What is no error of the system is of who is told of the progress.
    throw systemCode(error) === undefined ? error : wrapWriteError(error, folder, 'write the packed index')
  }
}

async function writeLatest(folder: string, manifest: number): Promise<void> {
  const place = join(folder, LATEST_NAME)
  const text = String(manifest)
  if (existsSync(place) && readSmallFile(place) === text) return
  await writeWhole(place, [new TextEncoder().encode(text)])
  syncFolder(folder)
}

function highestManifest(folder: string): number | undefined {
  const numbers = readdirSync(folder).flatMap((name) => manifestNumber(name) ?? [])
  return numbers.length === 0 ? undefined : Math.max(...numbers)
}

function digestOf(folder: string, manifest: number): string {
  const path = join(folder, manifestName(manifest))
  try {
    return hex(decodePackedHeader(new Uint8Array(readFileSync(path)).subarray(0, PAGE_BYTES), path).digest)
  } catch (error) {
    throw wrapReadError(error, path, 'read a manifest')
  }
}

async function writeParts(
  folder: string,
  plan: PackPlan,
  { onProgress, signal }: Omit<WriteOptions, 'force'>
): Promise<number> {
  let [done, written] = [0, 0]
  for (const { name, path, byteLength } of plan.parts) {
    const place = join(folder, name)
    if (statSync(place, { throwIfNoEntry: false })?.size === byteLength) {
      done += byteLength
      continue
    }
    const pieces = readPieces(path, byteLength)
    await writeWhole(place, pieces, (bytes) => {
      signal?.throwIfAborted()
      done += bytes
      onProgress({ stage: 'pack', done, total: plan.byteLength })
    })
    written += byteLength
  }
  return written
}

/** Writes a file under another name first, so that nobody reads half of it. */
async function writeWhole(
  place: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void = () => undefined
): Promise<void> {
  const temporary = `${place}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = new FileWriter(temporary)
    try {
      for await (const piece of pieces) {
        file.write(piece)
        onBytes(piece.byteLength)
      }
      file.sync()
    } finally {
      file.close()
    }
    renameSync(temporary, place)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Writes the manifest under the first number from `number` on that nobody has taken; returns the number. */
function writeManifest(folder: string, head: Uint8Array, number: number): number {
  const temporary = join(folder, `manifest.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = new FileWriter(temporary)
    try {
      file.write(head)
      file.sync()
    } finally {
      file.close()
    }
    for (let next = number; ; next++) {
      try {
        linkSync(temporary, join(folder, manifestName(next))) // fails where the name is taken
        return next
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error
      }
    }
  } finally {
    rmSync(temporary, { force: true })
  }
}
