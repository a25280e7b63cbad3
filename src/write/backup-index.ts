// Copies an index as it is at one moment: its catalogue by SQLite, in one read transaction, then the files that this
// catalogue names. They never change, so writers may go on meanwhile; folds wait, because they remove files.

import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { copyCatalogue } from '../catalogue/copy-catalogue.ts'
import { FoldLock } from '../catalogue/fold-lock.ts'
import { readCatalogue } from '../catalogue/reader.ts'
import type { BackupOptions } from '../change-types.ts'
import { nowMicros } from '../clock.ts'
import { describe } from '../describe.ts'
import { systemCode, wrapWriteError, ZgqError } from '../errors.ts'
import { fileNameOf } from '../format/file-record.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { checkOptionNames } from '../options.ts'
import { syncFile, syncFolder } from '../storage/file-writer.ts'
import { alreadyThere } from './create-index.ts'

/** How long a fold that is under way is waited for, and how often it is looked whether it is done. */
const MOST_WAIT_MS = 600_000
const WAIT_MS = 20

/**
 * Rejects with ZGQ_EXISTS, ZGQ_READ_ONLY, ZGQ_IO, ZGQ_LOCKED where a fold takes ten minutes, or the reason of the
 * signal; nothing is left then.
 */
export async function backupIndex(from: string, to: string, options: BackupOptions): Promise<void> {
  checkOptionNames('backup', options, ['onProgress', 'signal'])
  const { onProgress, signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError(`signal must be an AbortSignal, found ${describe(signal)}`)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError(`onProgress must be a function, found ${describe(onProgress)}`)
  signal?.throwIfAborted()
  const source = resolve(from)
  const place = resolve(to)
  if (existsSync(place)) throw alreadyThere(place)
  const folder = `${place}.${randomBytes(6).toString('hex')}`
  let lock: FoldLock | undefined
  try {
    lock = await takeLock(source, signal)
    await mkdir(folder)
    await copyInto(folder, source, options)
    signal?.throwIfAborted()
    syncFolder(folder)
    if (existsSync(place)) throw alreadyThere(place)
    await rename(folder, place)
    syncFolder(dirname(place))
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    if (signal?.aborted === true) throw signal.reason
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw alreadyThere(place, error)
    throw wrapWriteError(error, place, 'back the index up')
  } finally {
    lock?.release()
  }
}

async function copyInto(folder: string, source: string, { onProgress, signal }: BackupOptions): Promise<void> {
  copyCatalogue(join(source, CATALOGUE_NAME), join(folder, CATALOGUE_NAME))
  const { files } = readCatalogue(folder)
  const totalBytes = files.reduce((sum, { byteLength }) => sum + byteLength, 0)
  let bytes = 0
  for (const file of files) {
    signal?.throwIfAborted()
    const name = fileNameOf(file)
    await copyFile(join(source, name), join(folder, name), constants.COPYFILE_FICLONE)
    syncFile(join(folder, name))
    bytes += file.byteLength
    onProgress?.({ bytes, totalBytes })
  }
}

/** Waits for folds without holding this thread up; undefined: the index may not be written, so nobody here folds it. */
async function takeLock(source: string, signal: AbortSignal | undefined): Promise<FoldLock | undefined> {
  const end = nowMicros() + MOST_WAIT_MS * 1000
  try {
    for (;;) {
      const lock = nowMicros() > end ? FoldLock.take(source, 0) : FoldLock.tryTake(source)
      if (lock !== undefined) return lock
      await setTimeout(WAIT_MS, undefined, { signal })
    }
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_READ_ONLY') return undefined
    throw error
  }
}
