// Removes files of folds that nobody needs any more: those that were taken out of the index a minute ago, and those of
// folds that died (spec, section 7.8). Nothing else in the folder is ever removed.

import { lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

import type { ChangeWriter } from '../catalogue/change-writer.ts'
import type { FoldFiles } from '../catalogue/fold-files.ts'
import { isRefusal, systemCode, wrapReadError, wrapWriteError } from '../errors.ts'
import { fileNameOf, parseFileName } from '../format/file-record.ts'
import { syncFolder } from '../storage/file-writer.ts'

/** Ends the name of what stands beside a file while that is written. */
const BESIDE_ENDING = /\.(columns|run)$/

export interface CleanUpOptions {
  readonly writer: ChangeWriter
  /** Its caller has fold.lock: whatever is reserved is its own, or of a fold that died. */
  readonly isFoldHeld: true
  /** Its own reservation, which stays. */
  readonly ownGeneration?: number | undefined
  /** Milliseconds since 1970. */
  readonly nowMs: number
  /** So long readers that opened the index before may need the files that a fold took out of it. */
  readonly graceMs: number
  /** Removes a file; throws a system error where it cannot. */
  readonly remove?: ((path: string) => void) | undefined
}

/** Names of files. */
export interface CleanUpReport {
  readonly removed: readonly string[]
  /** Those that are needed yet, or that the system does not remove: the next clean-up tries again. */
  readonly kept: readonly string[]
}

/** Cleans the folder of an index up. Throws ZGQ_CORRUPT, ZGQ_LOCKED or ZGQ_IO; what was removed then is gone. */
export function cleanUp(folder: string, options: CleanUpOptions): CleanUpReport {
  const { writer, ownGeneration } = options
  const found = writer.readFoldFiles()
  const dead = found.reservations.map(({ generation }) => generation).filter((number) => number !== ownGeneration)
  const sweep = new Sweep(folder, options)
  const superseded = takeSuperseded(found, sweep, options)
  const reservations = takeDead(found, sweep, dead)
  if (superseded.length === 0 && reservations.length === 0) return sweep.report
  // A row goes once its files are gone for good: else they might come back, and nobody would know whose they are.
  if (sweep.report.removed.length > 0) syncFolder(folder)
  writer.removeFoldFiles({ superseded, reservations })
  return sweep.report
}

/** Removes superseded files whose time is over; returns the numbers of those that are gone. */
function takeSuperseded(found: FoldFiles, sweep: Sweep, options: CleanUpOptions): number[] {
  const { nowMs, graceMs } = options
  return found.superseded.flatMap(({ record, since }) => {
    const name = fileNameOf(record)
    // Where the clock was set back, a time that lies ahead says nothing.
    if (Math.abs(nowMs - since) >= graceMs) return sweep.remove(name) ? record.file : []
    sweep.keep(name)
    return []
  })
}

/** Removes files of generations whose folds died; returns the generations of which nothing is left. */
function takeDead(found: FoldFiles, sweep: Sweep, dead: readonly number[]): number[] {
  if (dead.length === 0) return []
  // Files of such a generation that are, or were, part of the index are not of the fold that died.
  const known = new Set([...found.files, ...found.superseded.map(({ record }) => record)].map(fileNameOf))
  const refused = new Set<number>()
  for (const name of sweep.list()) {
    const file = parseFileName(name.replace(BESIDE_ENDING, ''))
    if (file === undefined || !dead.includes(file.generation) || known.has(fileNameOf(file))) continue
    if (!sweep.remove(name)) refused.add(file.generation)
  }
  return dead.filter((generation) => !refused.has(generation))
}

/** Removes files of a folder, and keeps account of them. */
class Sweep {
  readonly #folder: string
  readonly #remove: (path: string) => void
  readonly #removed: string[] = []
  readonly #kept: string[] = []

  constructor(folder: string, { remove = unlinkSync }: Pick<CleanUpOptions, 'remove'>) {
    this.#folder = folder
    this.#remove = remove
  }

  get report(): CleanUpReport {
    return { removed: this.#removed, kept: this.#kept }
  }

  list(): string[] {
    try {
      return readdirSync(this.#folder)
    } catch (error) {
      throw wrapReadError(error, this.#folder, 'list the folder of the index')
    }
  }

  keep(name: string): void {
    this.#kept.push(name)
  }

  /** Removes a file; returns whether none of ours is there any more. */
  remove(name: string): boolean {
    const path = join(this.#folder, name)
    try {
      if (!isOurs(path)) return true
      this.#remove(path)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return true
      if (!isRefusal(error)) throw wrapWriteError(error, path, 'remove a file of an older generation')
      this.keep(name)
      return false
    }
    this.#removed.push(name)
    return true
  }
}

/** A folder or a link was made by somebody else, whatever its name. */
function isOurs(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}
