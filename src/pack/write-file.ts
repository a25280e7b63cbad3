// Writes a packed index as one file, which appears whole or not at all.

import { randomBytes } from 'node:crypto'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { systemCode, wrapWriteError, ZgqError } from '../errors.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import { FileWriter, syncFolder } from '../storage/file-writer.ts'
import { readPieces } from './file-pieces.ts'
import type { PackPlan } from './pack-plan.ts'
import type { PackProgress } from './steady-index.ts'

export interface WriteOptions {
  /** Replace what is at the place. */
  readonly force: boolean
  readonly onProgress: (progress: PackProgress) => void
  readonly signal: AbortSignal | undefined
}

/** Throws ZGQ_EXISTS where something is at `path`. */
export function expectFree(path: string, { force }: Pick<WriteOptions, 'force'>): void {
  if (!force && existsSync(path))
    throw new ZgqError('ZGQ_EXISTS', 'something is here already: name another place, or say force', { path })
}

/** Writes the file; rejects with ZGQ_EXISTS, ZGQ_IO, ZGQ_READ_ONLY or the reason of the signal, and leaves nothing. */
export async function writePackedFile(path: string, plan: PackPlan, options: WriteOptions): Promise<void> {
  const { onProgress, signal } = options
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = new FileWriter(temporary)
    try {
      file.write(plan.head)
      file.padTo(PAGE_BYTES)
      for (const part of plan.parts) {
        for await (const piece of readPieces(part.path, part.byteLength)) {
          signal?.throwIfAborted()
          file.write(piece)
          onProgress({ stage: 'pack', done: file.byteLength, total: plan.byteLength })
        }
        file.padTo(PAGE_BYTES)
      }
      file.sync()
    } finally {
      file.close()
    }
    expectFree(path, options)
    renameSync(temporary, path)
    syncFolder(dirname(path))
  } catch (error) {
    rmSync(temporary, { force: true })
    if (signal?.aborted === true) throw signal.reason
    // What is no error of the system is of who is told of the progress.
    throw systemCode(error) === undefined ? error : wrapWriteError(error, path, 'write the packed index')
  }
}
