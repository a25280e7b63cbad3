// Copies an index as it is at one moment: its catalogue by SQLite, in one read transaction, then the files that this
// catalogue names. They never change, so writers may go on meanwhile; folds wait, because they remove files.

import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { copyCatalogue } from '../catalogue/copy-catalogue.ts'
import type { FoldLock } from '../catalogue/fold-lock.ts'
import { waitForFolds } from '../catalogue/wait-for-folds.ts'
import { readCatalogue } from '../catalogue/reader.ts'
import type { BackupOptions } from '../change-types.ts'
import { systemCode, wrapWriteError } from '../errors.ts'
import { fileNameOf } from '../format/file-record.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { checkOptionNames, expectFunction, expectSignal } from '../options.ts'
import { syncFile, syncFolder } from '../storage/file-writer.ts'
import { alreadyThere } from './create-index.ts'

/**
 * Rejects with ZGQ_EXISTS, ZGQ_READ_ONLY, ZGQ_IO, ZGQ_LOCKED where a fold takes ten minutes, or the reason of the
 * signal; nothing is left then.
 */
export async function backupIndex(from: string, to: string, options: BackupOptions): Promise<void> {
  checkOptionNames('backup', options, ['onProgress', 'signal'])
  const { onProgress = () => undefined, signal } = options
  expectFunction('onProgress', onProgress)
  expectSignal('signal', signal)
  signal?.throwIfAborted()
  const source = resolve(from)
  const place = resolve(to)
  if (existsSync(place)) throw alreadyThere(place)
  const folder = `${place}.${randomBytes(6).toString('hex')}`
  let lock: FoldLock | undefined
  try {
    lock = await waitForFolds(source, signal)
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
