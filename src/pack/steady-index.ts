// An index as it can be packed: with all that was changed folded into its zones. Where it is not so, a private copy is.

import { join } from 'node:path'

import { refusePacked } from '../catalogue/packed-place.ts'
import { readWithValues } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { waitForFolds } from '../catalogue/wait-for-folds.ts'
import { ZgqError } from '../errors.ts'
import { backupIndex } from '../write/backup-index.ts'
import { ZgqIndex } from '../zgq-index.ts'

/** Folds of a copy that leave something: after so many it is no use. */
const MOST_FOLDS = 3

/** How far packing is. Units: rows and queries in the stages of a fold, else bytes. */
export interface PackProgress {
  readonly stage: string
  readonly done: number
  /** 0 where it is not known before. */
  readonly total: number
}

export interface SteadyOptions {
  /** A folder for what is made meanwhile. */
  readonly temporary: string
  readonly onProgress: (progress: PackProgress) => void
  readonly signal: AbortSignal | undefined
}

/** An index without changes, and the values of its table meta. */
export type SteadyIndex = ReturnType<typeof readWithValues>

/**
 * Hands the index at `path` to `work`, without changes, and keeps folds away meanwhile: they remove files. Rejects as
 * `readWithValues` and `backupIndex` do.
 */
export async function withSteadyIndex<Result>(
  path: string,
  options: SteadyOptions,
  work: (index: SteadyIndex) => Promise<Result>
): Promise<Result> {
  refusePacked(path, 'copy it as it is, or pack the index that it was packed from')
  readWithValues(path) // says what is wrong with it, before a lock is made
  const lock = await waitForFolds(path, options.signal)
  try {
    const index = readWithValues(path)
    if (!hasChanges(index.snapshot)) return await work(index)
  } finally {
    lock?.release()
  }
  return await work(await foldCopy(path, options))
}

function hasChanges({ meta, changes }: Snapshot): boolean {
  const { fresh, masks, patches } = changes
  return meta.deltaZoneCount > 0 || fresh.length > 0 || masks.length > 0 || patches.length > 0
}

async function foldCopy(path: string, { temporary, onProgress, signal }: SteadyOptions): Promise<SteadyIndex> {
  const copy = join(temporary, 'folded.zgq')
  await backupIndex(path, copy, {
    signal,
    onProgress: ({ bytes, totalBytes }) => {
      onProgress({ stage: 'backup', done: bytes, total: totalBytes })
    }
  })
  const { model } = readWithValues(copy).snapshot
  const index = ZgqIndex.open(copy, { mode: 'write', autoOptimize: false, model, allowNetworkFileSystem: true })
  try {
    for (let folds = 0; folds < MOST_FOLDS && hasChanges(readWithValues(copy).snapshot); folds++)
      await index.optimize({ all: true, onProgress, signal })
  } finally {
    index.close()
  }
  const folded = readWithValues(copy)
  if (hasChanges(folded.snapshot))
    throw new ZgqError('ZGQ_UNSUPPORTED', 'what was changed cannot be folded into the zones', { path })
  return folded
}
